"""What the ledger learned of an association after its end: `identify` events with `late`."""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.format.live import add_identified
from eni_ledger.ledger.read import continuity, segment_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.read.queries import Sought
    from eni_ledger.ledger.read.selection import Lookup
    from eni_ledger.ledger.read.snapshot import Snapshot


class Late:
    """The late `identify` events that `note` was given, in any order and any number of times.

    `complete_segments` are the numbers of the segments of which it was given all.
    """

    def __init__(self) -> None:
        self._late: dict[str, dict[int, Event]] = {}
        self.complete_segments: set[int] = set()

    def note(self, event: Event) -> None:
        """Take one event of the ledger into account."""
        if event["event"] == "identify" and event.get("late"):
            self._late.setdefault(event.get("association_id", ""), {})[event["seq"]] = event

    def complete(self, association: Association) -> Association:
        """Add to an association what was identified after its end, and return it. Known values do not change."""
        for _, event in sorted(self._late.get(association["association_id"], {}).items()):  # the first one counts
            add_identified(association, event)
        return association


def collect(snapshot: Snapshot, lookup: Lookup, sought: Sought | None, start: int = 0) -> Late:
    """Return what was identified late in segments without an index, from segment `start` on.

    Associations that an `identify` shows to be sought are added to `lookup.ids`: their add, which does not match,
    may be in a segment long before it.
    """
    late = Late()
    for number, part in enumerate(snapshot.segments[start:], start):
        if not continuity.contains_mark(part, "identify"):
            continue
        if segment_index.index_for(part) is None:
            for event in lookup.marked(number, "identify"):
                late.note(event)
            late.complete_segments.add(number)
        if sought and not sought.in_add:
            for event in lookup.identified(number, sought):
                if event["event"] == "identify" and sought.may_match(event):
                    lookup.ids.add(str(event["association_id"]))
    return late


def complete(snapshot: Snapshot, lookup: Lookup, late: Late, associations: list[Association]) -> list[Association]:
    """Return the associations, each with what was identified after its end."""
    ids: list[index_keys.Range] = []
    for number, part in enumerate(snapshot.segments):
        if associations and number not in late.complete_segments and continuity.contains_mark(part, "late"):
            ids = ids or [index_keys.association(one["association_id"]) for one in associations]
            for event in lookup.containing(number, ids, "late"):
                late.note(event)
    return [late.complete(one) for one in associations]
