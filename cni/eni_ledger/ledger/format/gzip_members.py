"""Packed segments: `ledger-<first>-<last>.jsonl.gz`, made by `prune` of sealed segments that are sound.

A gzip file (RFC 1952) of many members, whole lines in each: `zcat`, log shippers and Athena read it as any other, and a
query inflates only the members that matter. The header of each member has a field of ours (`EL`, as BGZF has `BC`),
little-endian:

====== === ==========================================================================================
length u32 bytes of the member
line   u32 number in the segment of its first line, from 1
offset u64 bytes of the segment before it, uncompressed
before u32 CRC that its first line is chained to
check  u32 CRC-32 of these four numbers and of the member behind this field
====== === ==========================================================================================

Everything in a member is covered by `check` or known beforehand, so no flipped bit goes unseen; behind a damaged member
the next one is found by how it begins, and says itself where it stands. Standard library only: a writer may have to
read one.
"""

from __future__ import annotations

import os
import zlib
from _struct import Struct
from itertools import accumulate, chain, count, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".gz"
MEMBER = 64 * 1024
"""Bytes of lines in a member, at least, but for the last: some 100 events, what a look-up has to inflate.

Half of it would make a segment 8% larger, and an index 4%.
"""

LONGEST = 256 * 1024 * 1024
"""Bytes that a member may inflate to."""

_FIELD = Struct("<IIQII")
_NUMBERS = Struct("<IIQI")
#: ID, deflate, FEXTRA; no time; no flags of the compressor; unknown system; length of the extra field; EL, its length.
MAGIC = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + Struct("<H2sH").pack(_FIELD.size + 4, b"EL", _FIELD.size)
_HEAD = len(MAGIC) + _FIELD.size
_TRAILER = Struct("<II")
_CHUNK = 1 << 20


class Member:
    """One member: where it is in the file (`at`, `length`), and where its lines are in the segment."""

    __slots__ = ("at", "before", "length", "line", "offset")

    def __init__(self, at: int, length: int, line: int, offset: int, before: int) -> None:
        self.at = at
        self.length = length
        self.line = line
        self.offset = offset
        self.before = before


def pack(data: bytes, line: int, offset: int, before: int, level: int = 6) -> bytes:
    """Return the member that holds the lines `data`."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = squeeze.compress(data) + squeeze.flush() + _TRAILER.pack(zlib.crc32(data), len(data))
    numbers = _NUMBERS.pack(_HEAD + len(body), line, offset, before)
    return MAGIC + numbers + zlib.crc32(body, zlib.crc32(numbers)).to_bytes(4, "little") + body


def unpack(raw: bytes, at: int = 0, *, thorough: bool = False) -> tuple[Member, bytes]:
    """Return the member that `raw` is, read at `at`, and its lines; raise ValueError if it is not what was packed.

    `check` proves that. A `thorough` look, when it has just been packed, is whether other tools read the same: it goes
    by gzip's own sum as well.
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
    """Yield each member, from the one at byte `start` on, with its lines; for a place that holds none, the number of
    bytes up to the next one. `thorough` as in `unpack`. Raises OSError.
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
    """Return the first place from `at` on at which a member begins, `end` when there is none."""
    kept = b""
    while at < end and (chunk := os.pread(fd, _CHUNK, at)):
        found = (kept + chunk).find(MAGIC)
        if found >= 0:
            return at - len(kept) + found
        at += len(chunk)
        kept = (kept + chunk)[-len(MAGIC) + 1 :]
    return end


def lines(fd: int, start: int = 0) -> Iterator[tuple[int, int, bytes, int | None]]:
    """Yield `(number, offset, line, before)` of each line (newline included), `before` at the head of a member.

    From the member at byte `start` on.
    A damaged member is yielded as one empty line at the place where its first one was to be; the one behind it says
    itself where it stands. Offsets are those in the inflated segment. Raises OSError.
    """
    number, offset, lost = 1, 0, start > 0
    for found in members(fd, start):
        if isinstance(found, int):
            yield number, offset, b"", None
            lost = True
            continue
        member, data = found
        if (member.line, member.offset) != (number, offset) and not lost:
            yield number, offset, b"", None  # sound in itself, and not where it belongs
        if member.line < number:
            continue  # of what has been there already
        number, offset, lost = member.line, member.offset, False
        found_lines = split(data)
        befores = chain((member.before,), repeat(None))
        # All in C: `fsck` comes here with every line of a history.
        yield from zip(count(number), accumulate(map(len, found_lines), initial=offset), found_lines, befores)
        number, offset = number + len(found_lines), offset + len(data)


def inflated_size(fd: int) -> int:
    """Return the bytes of the segment in the packed file, as far as its members are sound. Raises OSError."""
    size = 0
    for found in members(fd):
        if not isinstance(found, int):
            size = max(size, found[0].offset + len(found[1]))
    return size


def split(data: bytes) -> list[bytes]:
    """Return the lines of `data`, newlines included; the last one may have none."""
    if b"\r" not in data:  # which a line of ours has not; else splitlines would take it for an end
        return data.splitlines(keepends=True)
    pieces = [piece + b"\n" for piece in data.split(b"\n")]
    pieces[-1] = pieces[-1][:-1]
    return pieces if pieces[-1] else pieces[:-1]
