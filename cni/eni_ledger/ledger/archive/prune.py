"""Keeping history small and quick to ask: pack sealed segments, index them, remove what retention does not keep.

Packing takes a second for each 16 MiB, so no ADD does it: `eni-ledger prune` does, by a timer. A damaged segment stays
as it is: it is evidence, as found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import LedgerError, LockTimeout, WriteFailed
from eni_ledger.ledger.archive.index import HEADS, VERSION, open_index, read_heads
from eni_ledger.ledger.archive.index_builder import Builder
from eni_ledger.ledger.format import gzip_members, segment
from eni_ledger.ledger.format.directory import open_file, open_state_dir, where, write_all, write_file
from eni_ledger.ledger.format.line import verified_crc
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.write import rotation
from eni_ledger.ledger.write.admission import admit
from eni_ledger.ledger.write.lock import lock_patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event

Progress = Callable[[int, int], None]


_MOST_MEMBER = gzip_members.LONGEST // 2
"""Bytes in one member, which is one line more than `gzip_members.MEMBER`."""


class PruneReport:
    """What was done, or would be: `removed`, `packed` and `indexed` have a row with `segment` and `bytes` for each.

    `left` are segments that stay as they are because they are not sound, with the reason.
    """

    def __init__(self) -> None:
        self.removed: list[dict[str, Any]] = []
        self.packed: list[dict[str, Any]] = []
        self.indexed: list[dict[str, Any]] = []
        self.left: list[dict[str, str]] = []


def prune(settings: Settings, progress: Progress | None = None, *, dry_run: bool = False) -> PruneReport:
    """Remove, pack and index sealed segments, oldest first; return what was done, with `dry_run` what would be.

    It may be killed at any moment and run again; writers and readers go on meanwhile. `progress` is called with bytes
    done and bytes in all. Raises StateDirError, LockTimeout, WriteFailed.
    """
    report = PruneReport()
    dir_fd = open_state_dir(settings.state_dir)
    try:
        admit(dir_fd, settings.state_dir)
        _retain(dir_fd, settings, report, dry_run=dry_run)
        todo = _todo(dir_fd, {row["segment"] for row in report.removed})
        total, done = sum(size for _, size in todo), 0
        for name, size in todo:
            _one(dir_fd, settings, name, size, report, dry_run=dry_run)
            done += size
            if progress:
                progress(done, total)
        if not dry_run:
            _write_heads(dir_fd)
    except OSError as exc:
        raise WriteFailed("the history could not be pruned", where(settings, exc)) from exc
    finally:
        os.close(dir_fd)
    return report


def _retain(dir_fd: int, settings: Settings, report: PruneReport, *, dry_run: bool) -> None:
    lock_fd = -1 if dry_run else lock_patiently(dir_fd, settings)
    try:
        for name in rotation.expired(dir_fd, segment.list_sealed(dir_fd), settings):
            report.removed.append({"segment": name, "bytes": rotation.size_of(dir_fd, name)})
            if not dry_run:
                rotation.remove(dir_fd, name)
    finally:
        if lock_fd >= 0:
            os.close(lock_fd)


def _todo(dir_fd: int, removed: set[str]) -> list[tuple[str, int]]:
    """Return the segments to pack or to index, oldest first, with their sizes."""
    found = []
    for name in segment.list_sealed(dir_fd):
        _, packed_name, index_name = segment.forms(name)
        index = open_index(Directory(dir_fd), index_name, packed_name) if name == packed_name else None
        if name in removed or (index is not None and index.version == VERSION and index.whole()):
            continue
        found.append((name, os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_size))
    return found


def _write_heads(dir_fd: int) -> None:
    """Write the first line of every index that there is to `ledger.index`, if it does not say so already."""
    data = b""
    for name in segment.list_sealed(dir_fd):
        _, packed_name, index_name = segment.forms(name)
        index = open_index(Directory(dir_fd), index_name, packed_name) if name == packed_name else None
        if index is not None:
            data += index.line
            index.close()
    if data != read_heads(Directory(dir_fd)):
        write_file(dir_fd, HEADS, data, sync=False)


def _one(dir_fd: int, settings: Settings, name: str, size: int, report: PruneReport, *, dry_run: bool) -> None:
    """Pack a segment, or index one that is packed."""
    plain, packed_name, index_name = segment.forms(name)
    rows = report.packed if name == plain else report.indexed
    if dry_run:
        rows.append({"segment": name, "bytes": size})
        return
    temporary = f".{packed_name}.tmp"
    try:
        if name == plain:
            made, index = _pack(dir_fd, name, temporary)
            _put_in_place(dir_fd, settings, plain, temporary, index)
        else:
            made, index = size, _index(dir_fd, name)
            write_file(dir_fd, index_name, index, sync=True)
    except (LedgerError, ValueError) as exc:
        if isinstance(exc, LockTimeout):
            raise
        report.left.append({"segment": name, "why": str(exc)})
        return
    finally:
        try:
            os.unlink(temporary, dir_fd=dir_fd)
        except FileNotFoundError:
            pass
    rows.append({"segment": name, "bytes": size, "packed_bytes": made, "index_bytes": len(index)})


def _pack(dir_fd: int, name: str, temporary: str) -> tuple[int, bytes]:
    """Write the packed form of a segment under a temporary name, synced; return its size, and its index.

    What was written is read back and compared. Raises ValueError for a segment that is not sound, OSError.
    """
    _, packed_name, _ = segment.forms(name)
    source = open_file(dir_fd, name, os.O_RDONLY)
    target = open_file(dir_fd, temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        builder = Builder()
        for data, line, offset, before, begins in _pieces(source, name, builder):
            member = gzip_members.pack(data, line, offset, before)
            builder.member(os.lseek(target, 0, os.SEEK_CUR), len(member), begins)
            write_all(target, member)
        if not _same(source, target):
            raise ValueError("what was written is not what was read")
        found = os.fstat(source)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(target)
        size = os.fstat(target).st_size
        return size, builder.encode(packed_name, size)
    finally:
        os.close(source)
        os.close(target)


def _pieces(fd: int, name: str, builder: Builder) -> Iterator[tuple[bytes, int, int, int, str]]:
    """Yield `(data, line, offset, before, begins)` of what goes into one member, each of whole lines.

    The builder is shown every event. Raises ValueError for a line that is not what was written.
    """
    held: list[bytes] = []
    size, head, crc = 0, (0, 0, 0, ""), None
    first, last = segment.sealed_range(name) or (0, 0)
    seq = first - 1
    for number, offset, line, _ in segment.lines_of(fd, name, os.fstat(fd).st_size):
        event: Event = orjson.loads(line) if line else {}
        if crc is None and event.get("event") == "checkpoint":
            crc = int(event["prev_crc"], 16)
        verified = verified_crc(line, crc) if crc is not None else -1
        if crc is None or verified < 0 or event.get("seq") != seq + 1:
            raise ValueError(f"line {number}, offset {offset}: not what was written")
        segment.check_version(event, name)
        if not held:
            head = (number, offset, crc, event["ts"])
        held.append(line)
        size, seq, crc = size + len(line), seq + 1, verified
        if size > _MOST_MEMBER:
            raise ValueError(f"line {number} is too long to be packed")
        builder.event(event, crc)
        if size >= gzip_members.MEMBER:
            yield b"".join(held), *head
            held, size = [], 0
    if held:
        yield b"".join(held), *head
    if seq != last:
        raise ValueError(f"the name says events up to {last}, inside is up to {seq}")


def _same(source: int, target: int) -> bool:
    """Tell whether the packed segment at `target` inflates to what is at `source`, to the byte."""
    at = 0
    for found in gzip_members.members(target, thorough=True):
        if isinstance(found, int):
            return False
        _, data = found
        if os.pread(source, len(data), at) != data:
            return False
        at += len(data)
    return at == os.fstat(source).st_size


def _put_in_place(dir_fd: int, settings: Settings, plain: str, temporary: str, index: bytes) -> None:
    """Replace a segment by its packed form, which lies ready. At no moment is it not there in one of its forms."""
    _, packed_name, index_name = segment.forms(plain)
    lock_fd = lock_patiently(dir_fd, settings)
    try:
        if plain not in os.listdir(dir_fd):
            return  # retention or another prune was faster
        write_file(dir_fd, index_name, index, sync=True)
        os.rename(temporary, packed_name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.fsync(dir_fd)
        os.unlink(plain, dir_fd=dir_fd)
    finally:
        os.close(lock_fd)


def _index(dir_fd: int, name: str) -> bytes:
    """Return the index of a packed segment. Raises LedgerDamaged, OSError."""
    fd = open_file(dir_fd, name, os.O_RDONLY)
    try:
        builder, crc = Builder(), 0
        for found in gzip_members.members(fd):
            if isinstance(found, int):
                raise ValueError("a part of it is damaged")
            member, data = found
            crc, begins = member.before, ""
            for line in gzip_members.split(data):
                crc = verified_crc(line, crc)
                if crc < 0:
                    raise ValueError(f"what begins at offset {member.offset} is not what was written")
                event = orjson.loads(line)
                begins = begins or event["ts"]
                builder.event(event, crc)
            builder.member(member.at, member.length, begins)
        return builder.encode(name, os.fstat(fd).st_size)
    finally:
        os.close(fd)
