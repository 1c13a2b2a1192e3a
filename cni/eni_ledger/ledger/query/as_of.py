"""What was live in an interval, or at a moment: which segments say so, and how it ended since."""

from __future__ import annotations

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.live import Live
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.segment_index import index_for as index_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.read.queries import Sought
    from eni_ledger.ledger.read.selection import Lookup
    from eni_ledger.ledger.read.snapshot import Segment, Snapshot


_STARTS = ("add", "adopt")


def live_during(
    snapshot: Snapshot,
    lookup: Lookup,
    first: str | None,
    last: str | None,
    sought: Sought | None,
    damage: list[LedgerDamaged],
) -> list[Association]:
    """Return what was live at any moment from `first` to `last`, both included, with its end where it ended since.

    None leaves a side open. What was live at a moment is told by the ledger's own record: by the events up to it, and
    by those that waited in the spool then. Reads the segments of that time, the next one if events from the spool were
    folded in there, and those in which an association ended. Raises as `Lookup.events` does; damage in these segments
    is put into the list.
    """
    segments = snapshot.segments
    begin = 0 if first is None else segments_at(segments, first)[0]
    end = len(segments) if last is None else segments_at(segments, max(first or "", last))[1]
    lookup.only(range(begin, end))
    learned = frozenset(lookup.ids)
    walk = _Walk(first, last)

    def wanted(association: Association) -> bool:
        return sought is None or sought.may_match(association) or association["association_id"] in learned

    for number in range(begin, end):
        for event in lookup.events(number):
            walk.take(event)
        if sought is not None:  # of the others it is not known how they went on
            walk.live = Live(filter(wanted, walk.live), walk.live.boot_id)
            lookup.ids = {*learned, *(one["association_id"] for one in walk.live)}
    index = index_of(segments[end - 1])
    if not (walk.went_on or (index is not None and last is not None and index.ends > last)):
        damage += continuity.missing_between(segments[end - 1 : end + 1])
    if end < len(segments) and continuity.contains_mark(segments[end], "spooled"):
        for event in lookup.events(end):
            walk.take(event)
        end += 1
    found = {one["association_id"]: one for one in walk.found() if wanted(one)}
    if open_ids := {key: one for key, one in found.items() if "until" not in one}:
        _add_ends(segments, lookup, end, open_ids, damage, walk.live)
    return list(found.values())


class _Walk:
    """What events, taken one after the other, tell of an interval; `live` is what they leave.

    `went_on` is whether there were events after the interval.
    """

    def __init__(self, first: str | None, last: str | None) -> None:
        self._first, self._last = first or "", "~" if last is None else last
        self.live = Live()
        self.went_on = False
        self._then: dict[str, Association] | None = None if self._first else {}  # what was live at its begin
        self._boot_id: str | None = None
        self._late: list[Event] = []  # that had happened by then and were in the spool
        self._begun: set[str] = set()
        self._ended: dict[str, Association] = {}

    def take(self, event: Event) -> None:
        """Take the next event of the ledger."""
        ts = event["ts"]
        happened = event.get("spooled_ts") or ts
        if ts > self._first:
            if self._then is None:
                self._hold()
            if happened <= self._first:
                self._late.append(event)
            elif happened <= self._last:
                self._begin(event)
            self.went_on = self.went_on or ts > self._last
        for old, why in self.live.apply(event):
            if self._then is not None:
                self._ended[old["association_id"]] = ended(old, event, why)

    def _begin(self, event: Event) -> None:
        """Note what an event in the interval tells the begin of, or that it is live."""
        if event["event"] in _STARTS:
            self._begun.add(str(event.get("association_id")))
        elif event["event"] == "checkpoint":
            self._begun.update(str(one.get("association_id")) for one in event.get("live") or ())

    def _hold(self) -> None:
        self._then = {one["association_id"]: one.copy() for one in self.live}
        self._boot_id = self.live.boot_id

    def found(self) -> list[Association]:
        """Return the associations that were live in the interval, as they are known by now."""
        if self._then is None:
            self._hold()
        then = Live([one.copy() for one in (self._then or {}).values()], self._boot_id)
        for event in self._late:
            then.apply(event)
        ids = dict.fromkeys([*(one["association_id"] for one in then), *self._begun])
        known = (self._ended.get(each) or self.live.get(each) for each in ids)
        # What waited in the spool may have ended something before it began.
        return [one for one in known if one is not None and one.get("until", "~") > self._first]


def segments_at(segments: list[Segment], when: str) -> tuple[int, int]:
    """Return `(first, end)`: the indices of the segments that say what was live at `when`.

    That is the last one that begins no later. If its first line is not sound, so that its time cannot be trusted,
    those before it are among them, back to one that is.
    """
    low, high = 0, len(segments)
    while low < high:
        middle = (low + high) // 2
        if begins(segments[middle]) > when:
            high = middle
        else:
            low = middle + 1
    first = end = max(1, low)
    while first > 1 and not begins(segments[first - 1]):
        first -= 1
    return first - 1, end


def ended(association: Association, event: Event, why: str) -> Association:
    """Return the association with the end that `event` put to it."""
    if event.get("reason") == "rebooted":
        why = "rebooted"
    return {**association, "until": live_state.happened_at(event), "ended_by": why, "end_seq": event["seq"]}


def _ends_among(events: list[Event], live: Live, open_ids: dict[str, Association]) -> None:
    """Apply `events` to what is `live`; give those of `open_ids` that end their end, and take them out."""
    for event in events:
        for old, why in live.apply(event):
            association = open_ids.pop(old["association_id"], None)
            if association is not None:
                association.update(ended(old, event, why))  # with what was identified meanwhile
    for association in live:
        if association["association_id"] in open_ids:
            open_ids[association["association_id"]].update(association)


def _add_ends(
    segments: list[Segment],
    lookup: Lookup,
    end: int,
    open_ids: dict[str, Association],
    damage: list[LedgerDamaged],
    live: Live,
) -> None:
    """Give those of `open_ids` that ended in segment `end` or later their end; `live` is what was before it.

    The checkpoints tell in which segment that was; only these segments are read.
    """
    open_ids = dict(open_ids)
    index = _next_loss(segments, end, set(open_ids))
    while open_ids and index < len(segments):
        live = live if index == end else Live()  # of a segment that does not follow on, the checkpoint is read
        lookup.follow(set(open_ids))
        _ends_among(list(lookup.events(index)), live, open_ids)
        end = index + 1
        index = _next_loss(segments, end, set(open_ids))
    if any(live.get(each) is None for each in open_ids) and not damage:
        # By now it is over, and nothing says why.
        damage.append(LedgerDamaged("events are missing", path=segments[-1].name, line=1, offset=0))


def _next_loss(segments: list[Segment], index: int, ids: set[str]) -> int:
    """Return the index of the segment, from `index` on, in which the first of `ids` ends."""
    low, high = index, len(segments)
    while low < high:  # the first checkpoint that does not have them all any more
        middle = (low + high) // 2
        if ids <= _checkpoint_ids(segments[middle]):
            low = middle + 1
        else:
            high = middle
    return max(low - 1, index)


def begins(part: Segment) -> str:
    """Return the time of a segment's first event; of one whose first line is not sound, an empty text."""
    index = index_of(part)
    if index is not None:
        return index.begins
    if part.begins is None:
        event = continuity.head(part)
        part.begins = str(event["ts"]) if event is not None else ""
    return part.begins


def _checkpoint_ids(part: Segment) -> set[str]:
    """Return the ids of the associations that a segment's checkpoint carries."""
    event = continuity.head(part) or {}
    return {association["association_id"] for association in event.get("live") or ()}
