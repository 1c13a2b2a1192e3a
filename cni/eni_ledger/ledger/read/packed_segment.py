"""The lines of a packed segment that can have to do with a question: those of the members that its index names.

A member has been proven before it was packed, and is what was packed. So only lines that are given are proven once
more, by the CRC that the line before each states: a line that does not fit was not written here.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger.archive.index_keys import association
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.read import line_filter, replay
from eni_ledger.ledger.read.member_lines import LENGTH, MemberLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from eni_ledger.ledger.archive.index import Index
    from eni_ledger.ledger.archive.index_keys import Range
    from eni_ledger.ledger.read.line_filter import Line
    from eni_ledger.ledger.read.queries import Accepts
    from eni_ledger.ledger.read.snapshot import Segment

_ENDING = {"boot": line_filter.BOOT, "damage": line_filter.CHECKPOINT}
"""Marks of events that can end an association without naming it, with what such a line has in it."""


class Members:
    """What is read of the packed segment `part`. Damage that is met goes into the list `damage`.

    A line with a text that is asked for need not be given if `accepts` does not accept it (`queries.Sought.line_test`).

    All methods raise ValueError, as `Index` does; LedgerError when retention removed what was to be read; OSError.
    """

    def __init__(
        self, part: Segment, index: Index, damage: list[LedgerDamaged], accepts: Accepts | None = None
    ) -> None:
        self._part = part
        self._accepts = accepts
        self._index = index
        self._damage = damage
        self._read: dict[int, MemberLines] = {}

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
        wanted = [(number, text) for number in self._with(ranges, during) for text in (texts or (None,))]
        for mark, ending in _ENDING.items():
            wanted += [(number, ending) for number in self._index.marked(mark)]
        if checkpoint:
            wanted.append((0, line_filter.CHECKPOINT))
        return self._lines(wanted)

    def replayed(self, during: tuple[str, str]) -> list[Line]:
        """Return the lines that tell what was live in the interval, and how that ended (`replay.kept`)."""
        numbers = range(len(self._index.members()))
        self._lines((number, b"") for number in numbers)
        places = [(self._read[number], start, line) for number in numbers for start, line in self._read[number].lines()]
        keep = replay.kept((line for _, _, line in places), during)
        wanted: dict[int, tuple[MemberLines, list[int]]] = {}
        for (member, start, _), needed in zip(places, keep, strict=True):
            if needed:
                wanted.setdefault(id(member), (member, []))[1].append(start)
        return [line for member, starts in wanted.values() for line in member.take(starts, parsed=True)]

    def _with(self, ranges: list[Range] | None, during: tuple[str, str] | None) -> set[int]:
        """Return the numbers of the members of which `of` reads."""
        index = self._index
        here = index.place(during[0]) if during is not None else 0
        found = index.find(ranges, here) if ranges is not None else set(range(len(index.members())))
        if during is None or index.has("spooled"):  # in the spool it may have waited since before
            return found
        there = index.place(during[1])
        return {number for number in found if number <= there}

    @property
    def count(self) -> int:
        """How many members have been read."""
        return len(self._read)

    def about(self, ids: Iterable[str], complete: Container[str] = ()) -> list[Line]:
        """Return the lines that name one of the associations `ids` and have not been returned before.

        Of those that are `complete` only what is in a member with an identify; with them may be some others.
        """
        ids = list(ids)
        wanted: dict[int, set[bytes]] = {}
        for one in ids:
            if one not in complete:
                for number in self._index.find([association(one)]):
                    wanted.setdefault(number, set()).add(one.encode())
        if complete:
            every = {one.encode() for one in ids}
            wanted |= dict.fromkeys(self._index.marked("identify"), every)
        usual = all(len(one) == LENGTH for one in ids)
        self._lines((number, b"") for number in wanted if number not in self._read)
        return [line for number, some in sorted(wanted.items()) for line in self._read[number].about(some, usual=usual)]

    def _lines(self, wanted: Iterable[tuple[int, bytes | None]]) -> list[Line]:
        new: list[Line] = []
        fd, places = -1, self._index.members()
        try:
            for number, text in sorted(wanted, key=_number):
                if number not in self._read:
                    fd = self._open() if fd < 0 else fd
                    self._read[number] = self._member(fd, places[number][0], places[number][1])
                if text != b"":
                    new += self._read[number].with_text(text, self._accepts if text not in _ENDING.values() else None)
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

    def _member(self, fd: int, at: int, length: int) -> MemberLines:
        """Return a member; of one that is not sound there is nothing in it."""
        try:
            member, data = gzip_members.read_member(fd, at, length)
        except ValueError as exc:
            damaged = _where(fd, self._part, at)
            damaged.__cause__ = exc
            self._damage.append(damaged)
            member, data = gzip_members.Member(at, length, 1, 0, 0), b""
        return MemberLines(data, self._part.name, member, self._damage)


def _number(wanted: tuple[int, bytes | None]) -> int:
    return wanted[0]


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
