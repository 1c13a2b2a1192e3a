"""Which events of a segment matter: those that tell of what is sought, and all that are about what they tell of."""

from __future__ import annotations

from eni_ledger.base.bulk_json import loads as parse
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from typing import Protocol

    from eni_ledger.base.events import Event
    from eni_ledger.ledger.read.line_filter import Line
    from eni_ledger.ledger.read.queries import Sought
    from eni_ledger.ledger.read.snapshot import Segment

    class Lines(Protocol):
        """The lines of a segment that were asked for (`packed_segment.Members`, `cached_segment.Asked`)."""

        def about(self, ids: Iterable[str], complete: Container[str]) -> list[Line]:
            """Return the lines about one of `ids` that were not returned before; of a `complete` one no more than an
            identify.
            """


MANY = 256
"""Associations from which on it is quicker to parse a checkpoint than to look for each of them in it."""

_BEGINS, _ENDS = ("add", "adopt"), ("del", "lost")
_TELLING = (*_BEGINS, "identify")
"""Events that say what an association has; the others only repeat it."""


class Relevant:
    """What is `sought`, and the `ids` of the associations that were found to be that, or that a caller adds.

    With `brief` an event that ends an association may have no more than what is needed of it.
    """

    def __init__(self, sought: Sought | None, *, brief: bool) -> None:
        self.brief = brief
        self.sought = sought
        self.texts = sought.literals() if sought else None
        self.ids: set[str] = set()

    def events(self, part: Segment, first: list[Line], source: Lines) -> list[Event]:
        """Return the events that matter of the lines `first`, and of those about what is found in them, and so on.

        Raises FutureFormat, and ValueError for a line that holds no JSON.
        """
        known, asked = frozenset(self.ids), set[str]()
        found: list[Event] = []
        others: list[Event] = []
        skipped: list[Line] = []
        lines = first
        while True:
            begun, ended = set(known), set[str]()
            wanted, skipped = self._chosen([*skipped, *lines])
            for event in self.parsed(part, wanted):
                if not self.note(event):
                    others.append(event)
                    continue
                found.append(event)
                kind = event["event"]
                if kind in _ENDS:
                    ended.add(str(event.get("association_id")))
                elif kind in _BEGINS:
                    begun.add(str(event.get("association_id")))
            new = self.ids - asked
            if not new:
                break
            asked |= new
            # The end repeats what an association has: with many, to look for more about each takes longest of all.
            lines = source.about(new, begun & ended if len(new) > MANY else ())
        found += filter(self.note, others)  # by now it may be about one of them
        found.sort(key=_seq)
        return found

    def _chosen(self, lines: list[Line]) -> tuple[list[bytes], list[Line]]:
        """Return the lines that can have to do with what is asked for, by what is known by now, and the others."""
        texts, ids = self.texts, self.ids
        chosen: list[bytes] = []
        others: list[Line] = []
        for one in lines:
            line, about = one
            if about is None or about in ids or not texts or any(text in line for text in texts):
                chosen.append(line)
            else:
                others.append(one)
        return chosen, others

    def parsed(self, part: Segment, lines: Iterable[bytes]) -> Iterator[Event]:
        """Yield the events of lines. Raises as `events` does."""
        texts = self.texts
        for line in lines:
            event = line_filter.end(line) if self.brief else None
            if event is None:
                if texts and len(self.ids) < MANY and line_filter.CHECKPOINT in line[: line_filter.BEGINNING]:
                    event = line_filter.checkpoint(line, (*texts, *map(str.encode, self.ids)))
                else:
                    event = parse(line)
                segment.check_version(event, part.name)
            yield event

    def note(self, event: Event) -> bool:
        """Tell whether an event matters; remember the associations in it that may be what is asked for."""
        if self.sought is None:
            return True
        kind = event["event"]
        if kind == "checkpoint":
            live = event.get("live") or ()
            self.ids.update(str(one["association_id"]) for one in live if self.sought.may_match(one))
            return True
        if kind == "boot":
            return True
        one = event.get("association_id")
        if one is None:
            return False
        if one in self.ids:
            return True
        if kind in _TELLING and self.sought.may_match(event):
            self.ids.add(str(one))
            return True
        return not self.ids.isdisjoint(event.get("supersedes") or ())


def _seq(event: Event) -> int:
    return int(event["seq"])
