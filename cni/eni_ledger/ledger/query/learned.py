"""Reads from a snapshot what the ledger learned afterwards (see `late`), as far as it can matter to a question."""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.format.live import association_of
from eni_ledger.ledger.query import as_of
from eni_ledger.ledger.query.late import Past, end_by_recorded, same_place
from eni_ledger.ledger.read import continuity, segment_index
from eni_ledger.ledger.read.selection import Lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from eni_ledger.ledger.read.snapshot import Snapshot
    from eni_ledger.ledger.read.terms import Query

    Association = dict[str, Any]


def collect(snapshot: Snapshot, lookup: Lookup, query: Query | None) -> Past:
    """Return what was imported, and what was identified late in segments without an index.

    Associations that an `identify` shows to be what is asked for are added to those that `lookup` looks for: their add,
    which does not, may be in a segment long before it.
    """
    past = Past()
    for number, part in enumerate(snapshot.segments):
        imports, identified = continuity.contains_mark(part, "import"), continuity.contains_mark(part, "identify")
        if imports or (identified and segment_index.index_for(part) is None):
            for event in lookup.marked(number, "import"):
                past.note(event)
            if segment_index.index_for(part) is None:  # so all of it was gone through
                past.complete_segments.add(number)
        if query and identified and query.kind != "association":  # the ID is in its add
            for event in lookup.identified(number, query.ranges()):
                if event["event"] == "identify" and query.matches(event):
                    lookup.ids.add(str(event["association_id"]))
    return past


def complete(snapshot: Snapshot, lookup: Lookup, past: Past, found: list[Association]) -> list[Association]:
    """Return `found` with what was identified when they were over."""
    ids = [index_keys.association(one["association_id"]) for one in found]
    for number, part in enumerate(snapshot.segments):
        if ids and number not in past.complete_segments and continuity.contains_mark(part, "late"):
            for event in lookup.containing(number, ids, "late"):
                past.note(event)
    return [past.complete(one) for one in found]


def with_ends(snapshot: Snapshot, imported: list[Association]) -> list[Association]:
    """Return the imported associations; where the ledger's own record of the same place begins, they have ended."""
    for association in imported:
        others: list[Association] = []
        lookup = Lookup(snapshot, [])
        first, _ = as_of.segments_at(snapshot.segments, association["since"])
        for number in range(first, len(snapshot.segments)):
            for event in lookup.containing(number, list(index_keys.ranges_of(association)), None):
                others += [one for one in _recorded(event) if same_place(association, one)]
            if any(one["since"] > association["since"] for one in others):
                break
        end_by_recorded(association, others)
    return imported


def _recorded(event: dict[str, Any]) -> Iterable[Association]:
    """Yield the associations of the ledger's own that an event tells the beginning of."""
    if event["event"] in ("add", "adopt"):
        yield association_of(event)
    elif event["event"] == "checkpoint":
        yield from event.get("live") or ()
