"""The events of a snapshot: all of them, or, with something sought, those that can have to do with what is asked for.

A packed segment with an index is not gone through: the members with what is asked for are inflated, then those with
the associations that were found in them, until nothing new comes up. So the events given about an association that is
asked for are all that there are, with those that end whatever is live.
Every line is proven, whether a segment is gone through or looked up: a member states the CRC that it is chained to.
"""

from __future__ import annotations

import os

from eni_ledger.base.bulk_json import loads as parse
from eni_ledger.base.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger.archive.index_keys import identified
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.read import cached_segment, replay
from eni_ledger.ledger.read.continuity import Chain, contains_mark
from eni_ledger.ledger.read.line_filter import loads_about, loads_of, loads_since
from eni_ledger.ledger.read.packed_segment import Members
from eni_ledger.ledger.read.queries import Nothing
from eni_ledger.ledger.read.relevant import Relevant
from eni_ledger.ledger.read.segment_index import distrust, load_segment
from eni_ledger.ledger.read.segment_index import index_for as index_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eni_ledger.base.events import Event
    from eni_ledger.ledger.archive.index import Index
    from eni_ledger.ledger.archive.index_keys import Range
    from eni_ledger.ledger.read.line_filter import Loads
    from eni_ledger.ledger.read.queries import Sought
    from eni_ledger.ledger.read.snapshot import Segment, Snapshot

    Progress = Callable[[int, int], None]

_KINDS = {
    "import": frozenset((b"import",)),
    "identify": frozenset((b"identify",)),
    "late": frozenset((b"identify",)),
}
"""Kinds of events that can have a mark, as far as a question needs other events than boots and checkpoints."""

_FEW = 2
"""Segments of a question about a moment. They are kept: it is often put again, in other words."""
_BUSY = 64
"""Members of one segment from which on reading them takes so long that progress is told."""
_MANY = 256
"""Ranges of keys for which it is quicker to read every member with a mark than to look for each of them."""


class Lookup:
    """Events of `snapshot` about what is `sought`, of everything without that. Damage that is met goes into `damage`.

    `ids` are the associations that are looked for besides: those that were found to be what is asked for, and those
    that the caller adds. With `during` the question is what was live from the first of these times to the second: the
    checkpoint of a segment is given, too, if the one before it was not, and what began later need not be. With `loads`
    what that passes over is an event without a kind; `brief` is as of `Relevant`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        damage: list[LedgerDamaged],
        sought: Sought | None = None,
        progress: Progress | None = None,
        *,
        during: tuple[str, str] | None = None,
        loads: Loads | None = None,
        brief: bool = False,
    ) -> None:
        self._given_loads = loads
        self._during = during
        self._snapshot = snapshot
        self._damage = damage
        self._sought = sought
        self._relevant = Relevant(sought, brief=brief)
        self._texts = self._relevant.texts
        self._progress = progress
        self._links = Chain(snapshot, damage)
        self._last = -1
        self._leaps = False
        self._numbers = range(len(snapshot.segments))  # that will be asked for
        self._total = self._done = 0

    @property
    def ids(self) -> set[str]:
        """The associations that are looked for."""
        return self._relevant.ids

    @ids.setter
    def ids(self, ids: set[str]) -> None:
        self._relevant.ids = ids

    def only(self, numbers: range) -> None:
        """Take note that no more than the segments `numbers` will be asked for: progress is of these."""
        self._numbers = numbers
        self._total = self._done = 0

    def events(self, number: int, since: str = "", until: str | None = None) -> Iterator[Event]:
        """Yield the events of segment `number` in order, from `since` on at least; before that some stand for others.

        Those behind `until` may be left out.

        Raises FutureFormat, OSError; LedgerError when retention removed what was still to be read.
        """
        part = self._snapshot.segments[number]
        self._leaps = number != self._last + 1
        if self._leaps:
            self._links = Chain(self._snapshot, self._damage)
        self._last = number
        found = self._looked_up(part, since, until)
        if found is not None:
            yield from found
        else:
            index = index_of(part) if since else None
            for event in self._walk(part, _place(index, since), self._links, self._loads(since)):
                if self._relevant.note(event):
                    yield event
            self._progressed(part.size)
        if self._total:
            self._done += part.size

    def _progressed(self, offset: int) -> None:
        """Tell that the present segment has been gone through up to a byte.

        It counts from the first one on that is gone through: to look up in one takes no time that is worth telling.
        """
        if self._progress:
            left = self._snapshot.segments[self._last : self._numbers.stop]
            self._total = self._total or sum(part.size for part in left)
            self._progress(self._done + offset, self._total)

    def _looked_up(self, part: Segment, since: str, until: str | None) -> list[Event] | None:
        """Return the events of a segment that matter, None when it takes going through it to find them."""
        try:
            index = index_of(part) if self._sought or self._during else None
            if self._sought and index is not None:
                return self._by_index(part, self._sought, index)
            if self._during and index is not None:
                return self._replayed(part, index, self._during)
            return self._of_the_whole(part, since, until)
        except ValueError:  # no index that is what was written, or a line that is, and yet no JSON
            distrust(part)
            part.whole, part.whole_read = None, True
            return None

    def _by_index(self, part: Segment, sought: Sought, index: Index) -> list[Event]:
        """Do so for a packed segment with an index. Raises ValueError when that is not what was written."""
        lines = Members(part, index, self._damage, sought.line_test())
        checkpoint = self._leaps or part is self._snapshot.segments[0]
        first = lines.of(sought.ranges(index.version), self._texts, self._during, checkpoint=checkpoint)
        if lines.count > _BUSY:
            self._progressed(0)
        found = self._relevant.events(part, first, lines)
        if lines.count > _BUSY:
            self._progressed(part.size)
        self._links.skip(part, segment.sealed_range(part.name) or (0, 0), index.before, index.crc)
        return found

    def follow(self, ids: set[str]) -> None:
        """Look for nothing but these associations from now on."""
        self._relevant.ids = ids
        if self._sought is None:
            self._sought = self._relevant.sought = Nothing()
            self._texts = self._relevant.texts = ()

    def _replayed(self, part: Segment, index: Index, during: tuple[str, str]) -> list[Event]:
        """Return the events that matter to an interval. Raises ValueError for a line that holds no JSON."""
        lines = (line for line, _ in Members(part, index, self._damage).replayed(during))
        found = list(self._relevant.parsed(part, lines))
        self._links.skip(part, segment.sealed_range(part.name) or (0, 0), index.before, index.crc)
        self._progressed(part.size)
        return found

    def _of_the_whole(self, part: Segment, since: str, until: str | None) -> list[Event] | None:
        """Return the events that matter of a segment that is read as a whole, None if it has to be gone through.

        Raises ValueError for a line that holds no JSON.
        """
        kept = part.whole
        if self._texts is not None or self._during:
            keep = part is self._snapshot.segments[-1] or (self._during is not None and len(self._numbers) <= _FEW)
            kept = load_segment(part, keep=keep)
        if kept is None:
            return None
        if self._sought is not None and self._texts is not None:
            asked = cached_segment.Asked(kept, identified=contains_mark(part, "identify"))
            found = self._relevant.events(part, asked.with_texts(self._texts, self._sought.line_test()), asked)
        elif self._sought is not None:
            return None
        elif self._during:
            keeps = zip(kept.lines, replay.kept(kept.lines, self._during), strict=True)
            found = list(self._relevant.parsed(part, (line for line, keep in keeps if keep)))
        elif since:
            found = list(_events(part, kept.between(since, until), parse))
        else:
            return None
        self._links.skip(part, (kept.first, kept.last), kept.before, kept.crc)
        self._progressed(part.size)
        return found

    def containing(self, number: int, ranges: list[Range], mark: str | None) -> Iterator[Event]:
        """Yield the events of the members of segment `number` with a key in `ranges`; all of one without an index.

        With `mark` only those of a kind that can have it, of the members that do. The checkpoint of the first segment
        is among them.
        """

        def choose(index: Index) -> set[int]:
            if mark and len(ranges) > _MANY:
                return set(index.marked(mark))
            found = index.find(ranges)
            if mark:
                found &= set(index.marked(mark))
            elif number == 0:
                found.add(0)
            return found

        return self._of_members(number, mark, choose)

    def identified(self, number: int, sought: Sought) -> Iterator[Event]:
        """Yield the events of the members of segment `number` with an `identify` that may tell of what is asked for.

        Of all those with an `identify` when a range is of several keys: it is found by a whole key.
        """
        index = index_of(self._snapshot.segments[number])
        ranges = sought.ranges(index.version) if index is not None else None
        if ranges is None or any(low != high for low, high in ranges):
            return self.marked(number, "identify")
        return self.containing(number, list(identified(ranges)), "identify")

    def marked(self, number: int, mark: str) -> Iterator[Event]:
        """Yield the events of the members of segment `number`, or of all of it, in which one of `line.MARKS` is."""
        return self._of_members(number, mark, lambda index: set(index.marked(mark)))

    def _of_members(self, number: int, mark: str | None, choose: Callable[[Index], set[int]]) -> Iterator[Event]:
        """Yield the events, of kinds that can have `mark`, of the members of a segment that `choose` picks.

        All of them when there is no index, or none that is what was written.
        """
        part = self._snapshot.segments[number]
        index = index_of(part)
        loads = loads_of(_KINDS[mark]) if mark in _KINDS else parse
        if index is not None:
            try:
                lines = Members(part, index, self._damage).all(choose(index))
                events = list(_events(part, (line for line, _ in lines), loads))
            except ValueError:
                distrust(part)
            else:
                yield from events
                return
        yield from self._walk(part, loads=loads)

    def _loads(self, since: str) -> Loads:
        """Return what parses the lines that can have to do with what is asked for."""
        if self._given_loads is not None:
            return self._given_loads
        if self._sought is not None:
            return loads_about(self._texts, self.ids)
        return loads_since(since) if since else parse

    def _walk(self, part: Segment, start: int = 0, links: Chain | None = None, loads: Loads = parse) -> Iterator[Event]:
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
                if links and number % 4096 == 0:
                    self._progressed(0 if part.packed else offset)  # an offset of what it inflates to
                yield event
            if links:
                links.end()
        finally:
            os.close(fd)


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
