"""State directories in a tar archive, plain or gzip: read as a stream into memory, never unpacked to disk.

POSIX.1-1988 (ustar) with the extended headers of POSIX.1-2001 (pax) and GNU tar's long names. An archive is taken as a
whole or refused: one that is cut short, damaged, or has a member that is no file or directory below it.
"""

from __future__ import annotations

import fcntl
import os
import re
import resource

from eni_ledger.base.errors import ArchiveError
from eni_ledger.ledger.format.directory import write_all
from eni_ledger.ledger.read.held_files import HeldFiles
from eni_ledger.ledger.read.inflated import Inflated, Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
_END = bytes(BLOCK)
_MOST_NAME = 4096
_MOST_EXTENDED = 64 * 1024
_HELD = re.compile(
    r"ledger\.jsonl|ledger-[0-9]{16}-[0-9]{16}\.(?:jsonl|jsonl\.gz|index)|ledger\.index|state\.json|imported/ledger\.jsonl"
)
_BESIDE = re.compile(
    r"lock|identified\.json|failures\.jsonl|imported/lock|(?:spool|quarantine)/[0-9A-Za-z._-]{1,255}", re.ASCII
)
_SUBDIRECTORIES = ("imported", "spool", "quarantine")
_FILES, _DIRECTORY = (b"0", b"\0", b"7"), b"5"
_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_OTHERS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE; memfd_create(2)
_OPEN_FILES = 1 << 16


class TarMember:
    """A file or directory of an archive: its `name`, without `./`; `size` in bytes; the offset `at` of its header."""

    __slots__ = ("at", "is_file", "name", "size")

    def __init__(self, name: str, size: int, at: int, *, is_file: bool) -> None:
        self.name = name
        self.size = size
        self.at = at
        self.is_file = is_file


def is_tar(block: bytes) -> bool:
    """Tell whether an archive begins with this block: the checksum of a header fits."""
    return len(block) == BLOCK and block != _END and _checksum_fits(block)


def read_tar(stream: Inflated, limits: Limits) -> list[tuple[str, HeldFiles]]:
    """Return the ledgers in an archive: the directory in which each is, and its files in memory.

    Files that no state directory has are passed over. Raises ArchiveError for an archive that is not taken, naming
    member and offset; OSError.
    """
    _raise_limit()
    held: dict[str, dict[str, int]] = {}
    others: dict[str, list[str]] = {}
    try:
        for member in members(stream, limits):
            directory, name = _place(member.name)
            if member.is_file and _HELD.fullmatch(name):
                held.setdefault(directory, {})[name] = _hold(stream, member)
            elif member.is_file and _BESIDE.fullmatch(name):
                others.setdefault(directory, []).append(name)
    except BaseException:
        for fd in [fd for files in held.values() for fd in files.values()]:
            os.close(fd)
        raise
    return [(directory, HeldFiles(files, others.get(directory, ()))) for directory, files in sorted(held.items())]


def members(stream: Inflated, limits: Limits) -> Iterator[TarMember]:
    """Yield the members of an archive; what is not read of one is passed over. Raises as `read_tar` does."""
    seen: set[str] = set()
    extended: dict[str, str] = {}
    while True:
        at = stream.offset
        block = _exactly(stream, BLOCK)
        if block == _END:
            _expect_end(stream)
            return
        if not _checksum_fits(block):
            raise stream.refuse("a header of the archive is damaged", "copy it again")
        kind, size = block[156:157], _number(stream, block[124:136])
        if kind in (_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK):
            found = _extended(stream, kind, size)
            if kind == _PAX_OF_ALL:
                found = {}
            extended |= found
            continue
        member = _member(stream, block, kind, size, extended, at)
        extended = {}
        if member.is_file and (member.name in seen or len(seen) >= limits.members):
            why = "the archive has two of one name" if member.name in seen else "the archive has too many members"
            raise _refused(stream, why, member.name, at)
        seen.add(member.name)
        if member.size > limits.member:
            raise _refused(stream, f"a member is larger than {limits.member >> 20} MiB", member.name, at)
        ends = stream.offset + member.size
        yield member
        _skip(stream, ends - stream.offset + -member.size % BLOCK)


def _member(stream: Inflated, block: bytes, kind: bytes, size: int, extended: dict[str, str], at: int) -> TarMember:
    """Return the member of a header. Raises ArchiveError for one that is refused."""
    name = extended.get("path")
    if name is None:
        name = _text(block[:100])
        if block[257:263] == b"ustar\0" and block[345]:
            name = f"{_text(block[345:500])}/{name}"
    if "size" in extended:
        size = _decimal(stream, extended["size"])
    is_file = kind in _FILES and not (kind == b"\0" and name.endswith("/"))
    if not is_file and kind != _DIRECTORY and not (kind == b"\0" and name.endswith("/")):
        raise _refused(stream, f"the archive has {_OTHERS.get(kind, 'a member of unknown kind')} in it", name, at)
    if any(key.startswith("GNU.sparse") for key in extended):
        raise _refused(stream, "the archive has a sparse file in it", name, at)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/"):
        raise _refused(stream, "the archive has an absolute path in it", name, at)
    if ".." in parts:
        raise _refused(stream, "the archive has a path with .. in it", name, at)
    if len(name) > _MOST_NAME or "\0" in name or (is_file and not parts):
        raise _refused(stream, "the archive has a name that no file can have", name, at)
    return TarMember("/".join(parts), size if is_file else 0, at, is_file=is_file)


def _place(name: str) -> tuple[str, str]:
    """Return the state directory that a member would be in, and its name there."""
    *directories, last = name.split("/")
    if directories and directories[-1] in _SUBDIRECTORIES:
        last = f"{directories.pop()}/{last}"
    return "/".join(directories), last


def hold_rest(stream: Inflated) -> int:
    """Return a sealed memory file with all bytes that are left. Raises ArchiveError, OSError."""
    return _sealed(iter(lambda: stream.read(1 << 16), b""))


def _hold(stream: Inflated, member: TarMember) -> int:
    """Return a sealed memory file with the bytes of a member."""

    def pieces() -> Iterator[bytes]:
        left = member.size
        while left:
            data = stream.read(left)
            if not data:
                raise _refused(stream, "the archive is cut short", member.name, member.at)
            yield data
            left -= len(data)

    return _sealed(pieces())


def _sealed(pieces: Iterator[bytes]) -> int:
    fd = os.memfd_create("ledger", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for data in pieces:
            write_all(fd, data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _extended(stream: Inflated, kind: bytes, size: int) -> dict[str, str]:
    """Return what an extended header says of the next member."""
    if size > _MOST_EXTENDED:
        raise stream.refuse("an extended header of the archive is too long")
    data = _exactly(stream, size)
    _skip(stream, -size % BLOCK)
    if kind == _LONG_NAME:
        return {"path": _text(data)}
    if kind == _LONG_LINK:
        return {}
    found: dict[str, str] = {}
    while data:
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 6 else 0
        record = data[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not len(digits) + 1 < length <= len(data) or not equals or not record.endswith(b"\n"):
            raise stream.refuse("an extended header of the archive is damaged")
        found[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
        data = data[length:]
    if kind == _PAX_OF_ALL and not found.keys().isdisjoint(("path", "size")):
        raise stream.refuse("the archive gives all its members one name or size")
    return found


def _expect_end(stream: Inflated) -> None:
    """Read the rest of an archive behind the first block of its end. Raises ArchiveError if it is not the end."""
    if _exactly(stream, BLOCK) != _END:
        raise stream.refuse("the archive goes on behind its end", "copy it again")
    while data := stream.read(1 << 16):
        if data.strip(b"\0"):
            raise stream.refuse("there is something behind the end of the archive", "name archives one by one")


def _exactly(stream: Inflated, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise stream.refuse("the archive is cut short", "copy it again")
        data += more
    return data


def _skip(stream: Inflated, size: int) -> None:
    while size > 0:
        data = stream.read(size)
        if not data:
            raise stream.refuse("the archive is cut short", "copy it again")
        size -= len(data)


def _checksum_fits(block: bytes) -> bool:
    stated = block[148:156].strip(b" \0")
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    return bool(re.fullmatch(rb"[0-7]{1,7}", stated)) and int(stated, 8) == total


def _number(stream: Inflated, field: bytes) -> int:
    """Return the number in a field of a header: octal, or binary as GNU tar writes it."""
    if field[0] & 0x80:
        number = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40 or number >= 1 << 62:
            raise stream.refuse("a header of the archive is damaged", "copy it again")
        return number
    digits = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise stream.refuse("a header of the archive is damaged", "copy it again")
    return int(digits or b"0", 8)


def _decimal(stream: Inflated, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise stream.refuse("an extended header of the archive is damaged")
    return int(text)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _refused(stream: Inflated, why: str, name: str, at: int) -> ArchiveError:
    hint = "archive the state directory by itself: tar -C DIRECTORY -czf FILE.tar.gz ."
    return ArchiveError(why, f"{stream.path}: {name[:200]} at offset {at}", hint)


def _raise_limit() -> None:
    """Let this process have as many open files as it may: each member is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
