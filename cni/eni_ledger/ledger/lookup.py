"""The events of a snapshot: all of them, or, with a query, those that can have to do with what is asked for.

A packed segment with an index is not gone through: the members with what is asked for are inflated, then those with
the associations that were found in them, until nothing new comes up. So the events given about an association that is
asked for are all that there are, with those that end whatever is live.
Every line is proven, whether a segment is gone through or looked up: a member states the CRC that it is chained to.
"""

from __future__ import annotations

import os
from binascii import crc32
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from eni_ledger.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger import glance, packed, segment
from eni_ledger.ledger.chain import Chain
from eni_ledger.ledger.codec import TRAILER
from eni_ledger.ledger.glance import Loads, loads_about, loads_of, loads_since
from eni_ledger.ledger.index import Index, Range, association, distrust, identified
from eni_ledger.ledger.index import of as index_of
from eni_ledger.ledger.query import Query
from eni_ledger.ledger.reader import Segment, Snapshot

Event = dict[str, Any]
Progress = Callable[[int, int], None]
Line = tuple[bytes, str | None]  # and what `glance.association` says of it

_ALWAYS = ("boot", "damage")
"""Marks of events that can end an association without naming it."""


_KINDS = {
    # Both: what was identified late is asked for together with what was imported.
    "import": frozenset((b"import", b"identify")),
    "identify": frozenset((b"identify",)),
    "late": frozenset((b"identify",)),
}
"""Kinds of events that can have a mark, as far as others than boots and checkpoints matter to who asks for it."""

_TELLING = ("add", "adopt", "identify")
"""Events that say what an association has; the others only repeat it."""


class Lookup:
    """Events of `snapshot` about `query`, of everything without one. Damage that is met goes into the list `damage`.

    `ids` are the associations that are looked for besides: those that were found to be what is asked for, and those
    that the caller adds. With `at` the question is what was live then: the checkpoint of each segment is given, too,
    and not only the first one's, and what began later need not be.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        damage: list[LedgerDamaged],
        query: Query | None = None,
        progress: Progress | None = None,
        *,
        at: str | None = None,
    ) -> None:
        self._at = at
        self.ids: set[str] = set()
        self._snapshot = snapshot
        self._damage = damage
        self._query = query
        self._text = query.literal() if query else None
        self._progress = progress
        self._links = Chain(snapshot, damage)
        self._last = -1
        self._total = sum(part.size for part in snapshot.segments)
        self._done = 0

    def only(self, numbers: range) -> None:
        """Take note that no more than the segments `numbers` will be asked for: progress is of these."""
        self._total = sum(part.size for part in self._snapshot.segments[numbers.start : numbers.stop])
        self._done = 0

    def events(self, number: int, since: str = "") -> Iterator[Event]:
        """Yield the events of segment `number` in order, from `since` on at least; before that some stand for others.

        Raises FutureFormat, OSError; LedgerError when retention removed what was still to be read.
        """
        part = self._snapshot.segments[number]
        if number != self._last + 1:
            self._links = Chain(self._snapshot, self._damage)
        self._last = number
        index = index_of(part) if self._query or since else None
        found: list[Event] | None = None
        if index is not None and self._query:
            try:
                found = self._select(part, index)
            except ValueError:
                distrust(part)
                index = None
        if index is not None and found is not None:
            self._links.skip(part, index.before, index.crc)
            yield from found
        else:
            for event in self._walk(part, _place(index, since), self._links, self._loads(since)):
                if self._query is None or self._note(event, self._query):
                    yield event
        self._done += part.size
        if self._progress:
            self._progress(self._done, self._total)

    def containing(self, number: int, ranges: list[Range], mark: str | None) -> Iterator[Event]:
        """Yield the events of the members of segment `number` with a key in `ranges`; all of one without an index.

        With `mark` only those of a kind that can have it, of the members that do. The checkpoint of the first segment
        is among them.
        """

        def choose(index: Index) -> set[int]:
            found = index.find(ranges)
            if mark:
                found &= set(index.marked(mark))
            elif number == 0:
                found.add(0)
            return found

        return self._of_members(number, mark, choose)

    def identified(self, number: int, ranges: list[Range]) -> Iterator[Event]:
        """Yield the events of the members of segment `number` with an `identify` that `ranges` would find."""
        return self.containing(number, list(identified(ranges)), "identify")

    def marked(self, number: int, mark: str) -> Iterator[Event]:
        """Yield the events of the members of segment `number`, or of all of it, in which one of `index.MARKS` is."""
        return self._of_members(number, mark, lambda index: set(index.marked(mark)))

    def _of_members(self, number: int, mark: str | None, choose: Callable[[Index], set[int]]) -> Iterator[Event]:
        """Yield the events, of kinds that can have `mark`, of the members of a segment that `choose` picks.

        All of them when there is no index, or none that is what was written.
        """
        part = self._snapshot.segments[number]
        index = index_of(part)
        loads = loads_of(_KINDS[mark]) if mark in _KINDS else orjson.loads
        if index is not None:
            loaded: dict[int, list[Line]] = {}
            try:
                self._load(part, index, choose(index), loaded)
                lines = (line for member in sorted(loaded) for line, _ in loaded[member])
                events = list(_events(part, lines, loads))
            except ValueError:
                distrust(part)
            else:
                yield from events
                return
        yield from self._walk(part, loads=loads)

    def _loads(self, since: str) -> Loads:
        """Return what parses the lines that can have to do with what is asked for."""
        if self._text:
            return loads_about(self._text, self.ids)
        return loads_since(since) if since and self._query is None else orjson.loads

    def _walk(
        self, part: Segment, start: int = 0, links: Chain | None = None, loads: Loads = orjson.loads
    ) -> Iterator[Event]:
        """Go through a segment, of a packed one from the member at byte `start` on; a whole one is put to `links`."""
        links = links if not start else None
        try:
            fd = part.open()
        except FileNotFoundError as exc:
            if links is not None and links.seq == 0:
                return  # retention took it after the snapshot
            raise LedgerError("retention removed what was being read", part.name, "ask again") from exc
        try:
            if links:
                links.begin(part)
            lines = segment.walk(fd, part.name, part.size, damage=self._damage, loads=loads, start=start)
            for number, offset, event, crc in lines:
                if links:
                    links.next(number, event, crc)
                if self._progress and number % 4096 == 0 and not part.packed:
                    self._progress(self._done + offset, self._total)
                yield event
            if links:
                links.end()
        finally:
            os.close(fd)

    def _select(self, part: Segment, index: Index) -> list[Event]:
        """Return the events of the members of a packed segment that matter. Raises ValueError, as `Index` does."""
        query = self._query
        assert query is not None  # noqa: S101 - for mypy: `events` asks
        loaded: dict[int, list[Line]] = {}
        wanted = index.find(query.ranges())
        if self._at is not None and "spooled" not in index.has:  # in the spool it may have waited since before
            wanted = {member for member in wanted if index.members()[member][2] <= self._at}
        for mark in _ALWAYS:
            wanted.update(index.marked(mark))
        if self._at is not None or part is self._snapshot.segments[0]:
            wanted.add(0)
        asked: set[str] = set()
        while True:
            for event in self._relevant(part, self._load(part, index, wanted, loaded)):
                self._note(event, query)
            new = self.ids - asked
            if not new:
                break
            asked |= new
            wanted = index.find(map(association, new))
        lines = (line for member in sorted(loaded) for line in loaded[member])
        return [event for event in self._relevant(part, lines) if self._note(event, query)]

    def _relevant(self, part: Segment, lines: Iterable[Line]) -> Iterator[Event]:
        """Yield the events of proven lines, without most of those that have nothing to do with what is asked for."""
        text, ids = self._text, self.ids
        wanted = (line for line, about in lines if text is None or about is None or about in ids or text in line)
        return _events(part, wanted, orjson.loads)

    def _note(self, event: Event, query: Query) -> bool:
        """Tell whether an event matters; remember the associations in it that may be what is asked for."""
        kind = event["event"]
        if kind == "checkpoint":
            self.ids.update(str(one["association_id"]) for one in event.get("live") or () if query.matches(one))
            return True
        if kind == "boot":
            return True
        one = event.get("association_id")
        if one is None:
            return False
        if one in self.ids:
            return True
        if kind in _TELLING and query.matches(event):
            self.ids.add(str(one))
            return True
        return not self.ids.isdisjoint(event.get("supersedes") or ())

    def _load(self, part: Segment, index: Index, wanted: set[int], loaded: dict[int, list[Line]]) -> list[Line]:
        """Read the members `wanted` that are not `loaded` yet, and return their lines."""
        missing = sorted(wanted - loaded.keys())
        if not missing:
            return []
        new = []
        fd = part.open()
        try:
            places = index.members()
            for number in missing:
                loaded[number] = self._member(fd, part, places[number][0], places[number][1])
                new += loaded[number]
        finally:
            os.close(fd)
        return new

    def _member(self, fd: int, part: Segment, at: int, length: int) -> list[Line]:
        """Return the proven lines of a member; what is not sound is damage."""
        try:
            member, data = packed.read_member(fd, at, length)
        except ValueError as exc:
            damaged = _where(fd, part, at)
            damaged.__cause__ = exc
            self._damage.append(damaged)
            return []
        lines, crc, number, offset = [], member.before, member.line, member.offset
        for line in packed.split(data):
            crc = crc32(line[:-TRAILER], crc)
            if line[-TRAILER:] != b',"crc":"%08x"}\n' % crc:
                self._damage.append(LedgerDamaged("the ledger is damaged", path=part.name, line=number, offset=offset))
                break  # a member has been proven before it was packed: this one was made by somebody else
            lines.append((line, glance.association(line)))
            number, offset = number + 1, offset + len(line)
        return lines


def _events(part: Segment, lines: Iterable[bytes], loads: Loads) -> Iterator[Event]:
    """Yield the events of proven lines. Raises FutureFormat, and ValueError for a line that holds no JSON."""
    for line in lines:
        event = loads(line)
        segment.check_version(event, part.name)
        yield event


def _place(index: Index | None, since: str) -> int:
    """Return where the last member that begins before `since` is: whatever is from `since` on is there or behind."""
    place = 0
    if index is not None and since:
        try:
            for at, _, begins in index.members():
                if begins >= since:
                    break
                place = at
        except ValueError:
            return 0
    return place


def _where(fd: int, part: Segment, at: int) -> LedgerDamaged:
    """Return the damage that a walk through the packed segment finds at byte `at`, or behind it."""
    number, offset = 1, 0
    for found in packed.members(fd):
        if isinstance(found, int):
            break
        member, data = found
        number, offset = member.line + data.count(b"\n"), member.offset + len(data)
        if member.at >= at:
            break
    return LedgerDamaged("the ledger is damaged", path=part.name, line=number, offset=offset)
