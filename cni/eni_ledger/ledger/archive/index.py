"""The index of a packed segment: which of its members name what. `ledger-<first>-<last>.index`, made by `prune`.

It is derived: without it, or with one that is not what was written, a reader goes through the whole segment.

Three parts. A short line of JSON: `v`; `segment` and `size`, name and bytes of the packed file; `begins`, `ends`, the
times of its first and last event; `before`, `crc`, the CRC that it is chained to and that of its last line; `has`, the
`line.MARKS` that occur in it; `tables`, the bytes of the second part; `sum`, CRC-32 of what stands before it. A line
of JSON with the tables: `members`, for each its place, its length and the time of its first event; for each of `has`
the members in which it is; `entries`, their number; `pages`, for each page its first key and its CRC-32; `sum`. Then
the pages, little-endian: each `PAGE` keys of 8 bytes, ascending over all pages, and for each key the numbers of two
members, 2 bytes each: all of the first, then all of the second. In the first one is the event with that key, in the
second one what it tells of has ended; 65535 when that is not in this segment, or not by an event that names it. So
a question about a moment passes over what was over by then. The keys of names that many associations share
(`index_keys.OWNERS`) always have 65535 there.

A key is what an event can be found by, see `keys`; `index_builder` makes the index.
"""

from __future__ import annotations

import os
from _bisect import bisect_left, bisect_right
from _struct import unpack_from
from binascii import crc32

from eni_ledger.base.bulk_json import loads
from eni_ledger.base.errors import StateDirError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from eni_ledger.ledger.archive.index_keys import Range
    from eni_ledger.ledger.format.source import Source


VERSION = 4
OLDEST = 3
"""The oldest version that is read: it has no keys of `index_keys.OWNERS`."""

PAGE = 512

HEADS = "ledger.index"
"""The first lines of all indexes, one after the other, made by `prune`: a question opens only those that it needs.

What it does not have, or has of another segment than the one that is there, is read from the index itself.
"""

_FIRST_LOOK = 4096
OPEN = 0xFFFF
"""In the place of a member's number: there is none."""

_ENTRY = 12
SUM = b',"sum":"'
_V_ENDS = len(b'{"v":1')
NAME_AT = _V_ENDS + len(b',"segment":"')
"""Where the name of the segment stands in the first line of an index."""
_MOST_HEADS = 64 * 1024 * 1024


def _checked(line: bytes) -> dict[str, Any]:
    """Return the document of a line made by `index_builder`. Raises ValueError."""
    body, mark, stated = line.rpartition(SUM)
    if not mark or stated != b'%08x"}\n' % crc32(body):
        raise ValueError("the index is not what was written")
    found = loads(body + b"}")
    if not isinstance(found, dict) or not OLDEST <= found.get("v", VERSION) <= VERSION:
        raise ValueError("the index is of another version")
    return found


class Index:
    """The index that begins with `line`: at `fd`, or in `file_name` of `source`, opened when more of it is asked for.

    Raises ValueError when it is not what was written, also later, when more of it is read; OSError.
    """

    def __init__(self, line: bytes, source: Source, file_name: str, fd: int = -1) -> None:
        self._fd = fd
        self._source = source
        self._file_name = file_name
        self._line = line
        self._known: dict[str, Any] | None = None
        self._tables: dict[str, Any] | None = None
        self._pages: dict[int, tuple[tuple[int, ...], ...]] = {}
        body, _, stated = line.rpartition(SUM)
        if stated != b'%08x"}\n' % crc32(body):
            raise ValueError("the index is not what was written")
        self.version = version_of(line)
        if not self.version:  # here, and not when it is asked: then there is none
            raise ValueError("the index is of another version")

    def __del__(self) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file. It may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def line(self) -> bytes:
        """The first line of it, which says all that can be said without reading more."""
        return self._line

    @property
    def size(self) -> int:
        """The bytes of the packed segment that it is of."""
        return int(self._summary()["size"])

    @property
    def begins(self) -> str:
        """The time of the segment's first event."""
        return str(self._summary()["begins"])

    @property
    def ends(self) -> str:
        """The time of the segment's last event."""
        return str(self._summary()["ends"])

    @property
    def before(self) -> int:
        """The CRC that the segment is chained to."""
        return int(self._summary()["before"])

    @property
    def crc(self) -> int:
        """The CRC of the segment's last line."""
        return int(self._summary()["crc"])

    def has(self, mark: str) -> bool:
        """Tell whether one of `line.MARKS` is in the segment."""
        return b'"%b"' % mark.encode() in self._line  # no other text in it is one of them

    def _summary(self) -> dict[str, Any]:
        if self._known is None:
            self._known = _checked(self._line)
        return self._known

    def _read(self, length: int, at: int) -> bytes:
        """Return `length` bytes at `at`. Raises ValueError when the file is not there, or is not this one."""
        if self._fd < 0:
            try:
                self._fd = self._source.open(self._file_name)
            except (OSError, StateDirError) as exc:
                raise ValueError("the index cannot be read") from exc
            if os.pread(self._fd, len(self._line), 0) != self._line:
                raise ValueError("the index is another one")
        return os.pread(self._fd, length, at)

    def _table(self) -> dict[str, Any]:
        if self._tables is None:
            self._tables_end = len(self._line) + int(self._summary()["tables"])
            self._tables = _checked(self._read(self._tables_end - len(self._line), len(self._line)))
            self._firsts = [first for first, _ in self._tables["pages"]]
        return self._tables

    def whole(self) -> bool:
        """Tell whether all of it is what was written. Raises OSError."""
        try:
            table = self._table()
            pages = sum(len(self._raw_page(number, table)) for number in range(len(self._firsts)))
        except (ValueError, KeyError, IndexError, TypeError):
            return False
        entries: int = table["entries"]
        ends_at = self._tables_end + entries * _ENTRY
        return pages == entries * _ENTRY and os.fstat(self._fd).st_size == ends_at

    def members(self) -> list[tuple[int, int, str]]:
        """Return for each member of the packed segment its place, its length and the time of its first event."""
        return self._table()["members"]  # type: ignore[no-any-return]  # as `Builder` wrote it, its sum proves

    def marked(self, mark: str) -> list[int]:
        """Return the numbers of the members with an event of one of `line.MARKS`."""
        return self._table().get(mark, [])  # type: ignore[no-any-return]  # the same

    def place(self, when: str) -> int:
        """Return the number of the last member that begins no later than `when`, -1 for none."""
        return bisect_right(self.members(), when, key=_begin) - 1

    def find(self, ranges: Iterable[Range], ended: int = 0) -> set[int]:
        """Return the numbers of the members with a key in one of `ranges`.

        Without those that tell of no more than what was ended in a member before the member `ended`.
        """
        found: set[int] = set()
        for low, high in ranges:
            self._find(low, high, ended, found)
        return found

    def _find(self, low: int, high: int, ended: int, found: set[int]) -> None:
        table = self._table()
        for number in range(max(bisect_left(self._firsts, low) - 1, 0), bisect_right(self._firsts, high)):
            if number not in self._pages:
                self._pages[number] = self._page(number, table)
            keys, members, ends = self._pages[number]
            here = slice(bisect_left(keys, low), bisect_right(keys, high))
            found.update(member for member, end in zip(members[here], ends[here], strict=True) if end >= ended)

    def _page(self, number: int, table: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
        """Return the keys of a page, for each the member with it, and the member in which that ends."""
        raw = self._raw_page(number, table)
        count = len(raw) // _ENTRY
        numbers = unpack_from(f"<{2 * count}H", raw, 8 * count)
        return unpack_from(f"<{count}Q", raw), numbers[:count], numbers[count:]

    def _raw_page(self, number: int, table: dict[str, Any]) -> bytes:
        """Return the bytes of a page. Raises ValueError when they are not what was written."""
        count = min(PAGE, table["entries"] - number * PAGE)
        raw = self._read(count * _ENTRY, self._tables_end + number * PAGE * _ENTRY)
        if crc32(raw) != table["pages"][number][1]:
            raise ValueError("the index is not what was written")
        return raw


def _begin(member: tuple[int, int, str]) -> str:
    return member[2]


def open_index(source: Source, file_name: str, segment_name: str) -> Index | None:
    """Return the index `file_name` of the packed segment, None when there is none that fits. Raises OSError."""
    try:
        fd = source.open(file_name)
    except (FileNotFoundError, StateDirError):
        return None
    try:
        start = os.pread(fd, _FIRST_LOOK, 0)
        line = start[: start.find(b"\n") + 1]
        beginning = b',"segment":"%b","size":%d,' % (segment_name.encode(), source.size(segment_name))
        if version_of(line) and line.startswith(beginning, _V_ENDS):
            return Index(line, source, file_name, fd)
    except ValueError:
        pass
    os.close(fd)
    return None


def version_of(line: bytes) -> int:
    """Return the version of the index that begins with `line`, 0 for one that is not read."""
    return next((v for v in range(VERSION, OLDEST - 1, -1) if line.startswith(b'{"v":%d,' % v)), 0)


def read_heads(source: Source) -> bytes:
    """Return what is in `ledger.index`, nothing when it is not there or cannot be read."""
    try:
        fd = source.open(HEADS)
    except (OSError, StateDirError):
        return b""
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, size, 0) if size <= _MOST_HEADS else b""
    finally:
        os.close(fd)
