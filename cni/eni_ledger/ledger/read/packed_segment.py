"""The lines of a packed segment that can have to do with a question: those of the members that its index names.

A member has been proven before it was packed, and is what was packed. So only lines that are given are proven once
more, by the CRC that the line before each states: one that this does not fit is somebody else's.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger.archive.index_keys import association
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import TRAILER, stated_crc, verified_crc
from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eni_ledger.ledger.archive.index import Index
    from eni_ledger.ledger.archive.index_keys import Range
    from eni_ledger.ledger.read.line_filter import Line
    from eni_ledger.ledger.read.snapshot import Segment

_ENDING = {"boot": line_filter.BOOT, "damage": line_filter.CHECKPOINT}
"""Marks of events that can end an association without naming it, with what such a line has in it."""


class Members:
    """What is read of the packed segment `part`. Damage that is met goes into the list `damage`.

    All methods raise ValueError, as `Index` does; LedgerError when retention removed what was to be read; OSError.
    """

    def __init__(self, part: Segment, index: Index, damage: list[LedgerDamaged]) -> None:
        self._part = part
        self._index = index
        self._damage = damage
        self._read: dict[int, _Member] = {}

    def all(self, numbers: Iterable[int]) -> list[Line]:
        """Return all lines of these members."""
        return self._lines((number, None) for number in numbers)

    def of(
        self,
        ranges: list[Range] | None,
        texts: Sequence[bytes] | None,
        during: tuple[str, str] | None,
        *,
        checkpoint: bool,
    ) -> list[Line]:
        """Return the lines with one of `texts` in them (None: all) of the members with a key in `ranges` (None: all).

        With them those that can end an association without naming it, and the checkpoint if it is asked for. When what
        was live `during` an interval is asked for, less what was over by then, or began later.
        """
        index = self._index
        here = index.place(during[0]) if during is not None else 0
        found = index.find(ranges, here) if ranges is not None else set(range(len(index.members())))
        if during is not None and not index.has("spooled"):  # in the spool it may have waited since before
            there = index.place(during[1])
            found = {number for number in found if number <= there}
        wanted = [(number, text) for number in found for text in (texts or (None,))]
        for mark, ending in _ENDING.items():
            wanted += [(number, ending) for number in index.marked(mark)]
        if checkpoint:
            wanted.append((0, line_filter.CHECKPOINT))
        return self._lines(wanted)

    def about(self, ids: Iterable[str]) -> list[Line]:
        """Return the lines that name one of the associations `ids` and have not been returned before."""
        return self._lines((number, one.encode()) for one in ids for number in self._index.find([association(one)]))

    def taken(self) -> Iterator[Line]:
        """Yield all lines that have been returned, in order."""
        for _, member in sorted(self._read.items()):
            yield from member.taken()

    def _lines(self, wanted: Iterable[tuple[int, bytes | None]]) -> list[Line]:
        new: list[Line] = []
        fd, places = -1, self._index.members()
        try:
            for number, text in sorted(wanted, key=_number):
                if number not in self._read:
                    fd = self._open() if fd < 0 else fd
                    self._read[number] = self._member(fd, places[number][0], places[number][1])
                new += self._read[number].with_text(text)
        finally:
            if fd >= 0:
                os.close(fd)
        return new

    def _open(self) -> int:
        try:
            fd = self._part.open()
        except FileNotFoundError as exc:
            raise LedgerError("retention removed what was being read", self._part.name, "ask again") from exc
        if os.fstat(fd).st_size != self._index.size:
            os.close(fd)
            raise ValueError("the index is of another segment")
        return fd

    def _member(self, fd: int, at: int, length: int) -> _Member:
        """Return a member; of one that is not sound there is nothing in it."""
        try:
            member, data = gzip_members.read_member(fd, at, length)
        except ValueError as exc:
            damaged = _where(fd, self._part, at)
            damaged.__cause__ = exc
            self._damage.append(damaged)
            member, data = gzip_members.Member(at, length, 1, 0, 0), b""
        return _Member(self._part.name, member, data, self._damage)


class _Member:
    """The lines of one member, as far as they were asked for."""

    def __init__(self, name: str, member: gzip_members.Member, data: bytes, damage: list[LedgerDamaged]) -> None:
        self._name = name
        self._member = member
        self._data = data
        self._damage = damage
        self._taken: dict[int, Line | None] = {}
        self._texts: set[bytes | None] = set()

    def taken(self) -> Iterator[Line]:
        """Yield the lines that were asked for so far, in order."""
        for _, line in sorted(self._taken.items()):
            if line is not None:
                yield line

    def with_text(self, text: bytes | None) -> list[Line]:
        """Return the lines with `text` in them that were not asked for before, all of them for None.

        All, too, where it could be written in another way: with escapes, or an event's kind not as we write it.
        """
        if text in self._texts or None in self._texts:
            return []
        starts = [] if text is None or b"\\" in self._data else list(_starts(self._data, text))
        if not starts and (text in (None, *_ENDING.values()) or b"\\" in self._data):
            text, starts = None, list(_starts(self._data, b"\n"))
        self._texts.add(text)
        new = [(start, self._line(start)) for start in starts if start not in self._taken]
        self._taken.update(new)
        return [line for _, line in new if line is not None]

    def _line(self, start: int) -> Line | None:
        """Return the line at `start`, None when it is not what was written."""
        line = self._data[start : self._data.find(b"\n", start) + 1]
        try:
            before = stated_crc(self._data[max(0, start - TRAILER) : start]) if start else self._member.before
        except ValueError:
            before = -1
        if before < 0 or verified_crc(line, before) < 0:
            number = self._member.line + self._data.count(b"\n", 0, start)
            offset = self._member.offset + start
            self._damage.append(LedgerDamaged("the ledger is damaged", path=self._name, line=number, offset=offset))
            return None
        return line, line_filter.association(line)


def _number(wanted: tuple[int, bytes | None]) -> int:
    return wanted[0]


def _starts(data: bytes, text: bytes) -> Iterator[int]:
    """Yield the offset of each line that has `text` in it."""
    at = data.find(text)
    while at >= 0:
        yield data.rfind(b"\n", 0, at) + 1
        at = data.find(text, data.find(b"\n", at) + 1)


def _where(fd: int, part: Segment, at: int) -> LedgerDamaged:
    """Return the damage that a walk through the packed segment finds at byte `at`, or behind it."""
    number, offset = 1, 0
    for found in gzip_members.members(fd):
        if isinstance(found, int):
            break
        member, data = found
        number, offset = member.line + data.count(b"\n"), member.offset + len(data)
        if member.at >= at:
            break
    return LedgerDamaged("the ledger is damaged", path=part.name, line=number, offset=offset)
