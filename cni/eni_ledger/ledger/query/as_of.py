"""What was live at a moment: which segments say so, and how it ended since."""

from __future__ import annotations

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.live import Live
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.segment_index import index_for as index_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.ledger.read.selection import Lookup
    from eni_ledger.ledger.read.snapshot import Segment, Snapshot
    from eni_ledger.ledger.read.terms import Query

    Event = dict[str, Any]
    Association = dict[str, Any]


def live_at(
    snapshot: Snapshot, lookup: Lookup, when: str, query: Query | None, damage: list[LedgerDamaged]
) -> list[Association]:
    """Return what was live at `when` by the ledger's own record, with `until` and `ended_by` where they ended since.

    Reads the segment of that time, the next one if events from the spool were folded in there, and the one in which an
    association ended. Raises as `Lookup.events` does; damage in these segments is put into the list.
    """
    segments = snapshot.segments
    first, end = segments_at(segments, when)
    late: list[Event] = []
    rest: list[Event] = []
    live = Live()
    for number in range(first, end):
        for event in lookup.events(number):
            if event["ts"] <= when:
                live.apply(event)
            elif live_state.happened_at(event) <= when:
                late.append(event)
            else:
                rest.append(event)
    index = index_of(segments[end - 1])
    if not (late or rest or (index is not None and index.ends > when)):
        damage += continuity.missing_between(segments[end - 1 : end + 1])
    if end < len(segments) and continuity.contains_mark(segments[end], "spooled"):
        late += [event for event in lookup.events(end) if event.get("spooled_ts", "~") <= when]
    # These waited in the spool while it was `when`: they had happened and were not in the chain yet.
    for event in late:
        live.apply(event)
    found = {
        one["association_id"]: dict(one)
        for one in live
        if query is None or query.may_match(one) or one["association_id"] in lookup.ids
    }
    if late:  # the order of the chain is what counts for ends: through it once more
        _add_ends(segments, lookup, first, found, damage)
    else:
        _ends_among(rest, live, open_ids := dict(found))
        if open_ids:
            _add_ends(segments, lookup, _next_loss(segments, end, set(open_ids)), open_ids, damage, live)
    return list(found.values())


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
    index: int,
    open_ids: dict[str, Association],
    damage: list[LedgerDamaged],
    live: Live | None = None,
) -> None:
    """Give those of `open_ids` that ended in segment `index` or later their end; `live` is what was before it.

    The checkpoints tell in which segment that was; only these segments are read.
    """
    open_ids = dict(open_ids)
    while open_ids and index < len(segments):
        live = Live()
        lookup.ids = set(open_ids)
        _ends_among(list(lookup.events(index)), live, open_ids)
        index = _next_loss(segments, index + 1, set(open_ids))
    if open_ids and any((live or Live()).get(each) is None for each in open_ids) and not damage:
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
