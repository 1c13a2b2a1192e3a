"""Packed segments: `ledger-<first>-<last>.jsonl.gz`. `prune` makes them from sealed segments without damage.

A packed segment is a gzip file (RFC 1952) of many members with whole lines. `zcat`, log shippers and Athena read it as
any gzip file; a query inflates only the members it needs. The header of each member has an extra field `EL` (as BGZF
has `BC`), little-endian:

====== === ==========================================================================================
length u32 size of the member in bytes
line   u32 number of its first line in the segment, from 1
offset u64 uncompressed bytes of the segment before it
before u32 CRC that its first line is chained to
check  u32 CRC-32 of the four numbers above and of the rest of the member
====== === ==========================================================================================

Every bit of a member is either covered by `check` or constant, so any flipped bit is detected. After a damaged member,
a reader finds the next one by its magic bytes; the header says where in the segment it belongs. Standard library only:
a writer may have to read a packed segment.
"""

from __future__ import annotations

import os
import zlib
from _struct import Struct
from itertools import accumulate, chain, count, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER = 64 * 1024
"""Smallest size of the lines in a member, in bytes, except the last one: about 100 events, which a look-up inflates.

Half the size makes a segment 8% larger and an index 4%.
"""

LONGEST = 256 * 1024 * 1024
"""Largest size of an inflated member, in bytes."""

_FIELD = Struct("<IIQII")
_NUMBERS = Struct("<IIQI")
#: ID, deflate, FEXTRA; no time; no flags of the compressor; unknown system; length of the extra field; EL, its length.
MAGIC = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + Struct("<H2sH").pack(_FIELD.size + 4, b"EL", _FIELD.size)
_HEAD = len(MAGIC) + _FIELD.size
_TRAILER = Struct("<II")
_CHUNK = 1 << 20


class Member:
    """One member: its place in the file (`at`, `length`), and the place of its lines in the segment."""

    __slots__ = ("at", "before", "length", "line", "offset")

    def __init__(self, at: int, length: int, line: int, offset: int, before: int) -> None:
        self.at = at
        self.length = length
        self.line = line
        self.offset = offset
        self.before = before


def pack(data: bytes, line: int, offset: int, before: int, level: int = 6) -> bytes:
    """Return a member with the lines `data`."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = compressor.compress(data) + compressor.flush() + _TRAILER.pack(zlib.crc32(data), len(data))
    numbers = _NUMBERS.pack(_HEAD + len(body), line, offset, before)
    return MAGIC + numbers + zlib.crc32(body, zlib.crc32(numbers)).to_bytes(4, "little") + body


def unpack(raw: bytes, at: int = 0, *, thorough: bool = False) -> tuple[Member, bytes]:
    """Return the member in `raw`, which was read at `at`, and its lines. Raises ValueError if `check` does not match.

    `thorough` also verifies the CRC of gzip, which other tools go by; `prune` does so after packing.
    """
    if len(raw) < _HEAD + _TRAILER.size or raw[: len(MAGIC)] != MAGIC:
        raise ValueError("not a member of a packed segment")
    length, line, offset, before, check = _FIELD.unpack_from(raw, len(MAGIC))
    numbers, body = raw[len(MAGIC) : _HEAD - 4], raw[_HEAD:]
    if length != len(raw) or zlib.crc32(body, zlib.crc32(numbers)) != check:
        raise ValueError("the member is not what was packed")
    crc, size = _TRAILER.unpack_from(body, len(body) - _TRAILER.size)
    if size > LONGEST:
        raise ValueError("the member is too large")
    try:
        data = zlib.decompress(body[: -_TRAILER.size], -15, max(size, 1))
    except zlib.error as exc:
        raise ValueError(f"the member cannot be inflated: {exc}") from exc
    if len(data) != size or (thorough and zlib.crc32(data) != crc):
        raise ValueError("the member is not what was packed")
    return Member(at, length, line, offset, before), data


def read_member(fd: int, at: int, length: int) -> tuple[Member, bytes]:
    """Return the member of `length` bytes at `at`. Raises ValueError, OSError."""
    return unpack(os.pread(fd, length, at), at)


def members(fd: int, start: int = 0, *, thorough: bool = False) -> Iterator[tuple[Member, bytes] | int]:
    """Yield each member with its lines, from the one at byte `start`; for bytes that are not a member, their number.

    `thorough` as in `unpack`. Raises OSError.
    """
    at, end = start, os.fstat(fd).st_size
    while at < end:
        head = os.pread(fd, _HEAD, at)
        length = _FIELD.unpack_from(head, len(MAGIC))[0] if len(head) == _HEAD else 0
        try:
            if not _HEAD < length <= end - at:
                raise ValueError("no member is that long")
            member, data = unpack(os.pread(fd, length, at), at, thorough=thorough)
        except ValueError:
            following = _next(fd, at + 1, end)
            yield following - at
            at = following
            continue
        yield member, data
        at += length


def _next(fd: int, at: int, end: int) -> int:
    """Return the offset of the first member from `at` on, or `end` if there is none."""
    kept = b""
    while at < end and (chunk := os.pread(fd, _CHUNK, at)):
        position = (kept + chunk).find(MAGIC)
        if position >= 0:
            return at - len(kept) + position
        at += len(chunk)
        kept = (kept + chunk)[-len(MAGIC) + 1 :]
    return end


def lines(fd: int, start: int = 0) -> Iterator[tuple[int, int, bytes, int | None]]:
    """Yield `(number, offset, line, before)` of each line (newline included) from the member at byte `start` on.

    `before` is the CRC before the first line of a member, None for the other lines. A damaged member is one empty line
    at the place of its first line. Offsets are those in the inflated segment. Raises OSError.
    """
    number, offset, lost = 1, 0, start > 0
    for piece in members(fd, start):
        if isinstance(piece, int):
            yield number, offset, b"", None
            lost = True
            continue
        member, data = piece
        if (member.line, member.offset) != (number, offset) and not lost:
            yield number, offset, b"", None  # intact, but in the wrong place
        if member.line < number:
            continue  # a repetition of earlier lines
        number, offset, lost = member.line, member.offset, False
        its_lines = split(data)
        befores = chain((member.before,), repeat(None))
        # All in C, because `fsck` reads every line of a ledger.
        yield from zip(count(number), accumulate(map(len, its_lines), initial=offset), its_lines, befores)
        number, offset = number + len(its_lines), offset + len(data)


def inflated_size(fd: int) -> int:
    """Return the uncompressed size of a packed segment in bytes, without damaged members. Raises OSError."""
    size = 0
    for piece in members(fd):
        if not isinstance(piece, int):
            size = max(size, piece[0].offset + len(piece[1]))
    return size


def split(data: bytes) -> list[bytes]:
    """Return the lines of `data` with their newlines; the last one may have none."""
    if b"\r" not in data:  # splitlines would also split at CR, which no line of a writer contains
        return data.splitlines(keepends=True)
    pieces = [piece + b"\n" for piece in data.split(b"\n")]
    pieces[-1] = pieces[-1][:-1]
    return pieces if pieces[-1] else pieces[:-1]
