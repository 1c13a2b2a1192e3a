"""Which events `log` prints when it is asked for some: those of the associations that fit, and what fits by itself."""

from __future__ import annotations

from eni_ledger.base.bulk_json import loads as parse
from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.line import format_ts, parse_ts
from eni_ledger.ledger.format.live import superseded
from eni_ledger.ledger.read.line_filter import loads_about
from eni_ledger.ledger.read.queries import Queries, sought
from eni_ledger.ledger.read.terms import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eni_ledger.base.events import Association, Event, Fields
    from eni_ledger.ledger.read.filters import Filters
    from eni_ledger.ledger.read.line_filter import Loads


class Chosen:
    """The events from `since` to `until` of associations that fit one of `queries` and the filters.

    Of an association that fits by what was learned of it later, all events are among them, and the one that superseded
    it. An event without an association, a failed add, is put to the conditions itself. Conditions on events, `event`,
    `via` and `mismatch`, have to hold for the event. `find` is `History.find`. Raises as that does, but not
    LedgerDamaged, which the events themselves raise.
    """

    def __init__(
        self,
        find: Callable[..., list[Association]],
        queries: Sequence[Query],
        filters: Filters | None,
        since: str | None,
        until: str | None,
    ) -> None:
        self._ask = find
        self._queries = Queries(queries) if queries else None
        self._of_event = filters.of_events() if filters else None
        self._filters = filters.of_associations() if filters else None
        self._conditions = bool(self._queries or self._filters)
        wanted = sought(queries, self._filters) if self._conditions else None
        self._texts = wanted.literals() if wanted else None
        self._others: set[str] = set()
        self._ids: set[str] = set()
        if self._conditions:
            first = format_ts(max(0, parse_ts(since) - 1)) if since else None  # what ends at `since` has an event then
            self._ids = {one["association_id"] for one in self._find(queries, first, until)}

    def loads(self) -> Loads:
        """Return what parses the lines that may be chosen, and passes over most of the others."""
        return parse if self._texts is None else loads_about(self._texts, self._ids)

    def __contains__(self, event: Event) -> bool:
        return (
            bool(event["event"])
            and (not self._of_event or self._of_event.matches(event))
            and (not self._conditions or self._is_of_one(event))
        )

    def _is_of_one(self, event: Event) -> bool:
        about = event.get("association_id")
        if about is None:
            return event["event"] != "checkpoint" and self._fits(event)
        if about not in self._ids and about not in self._others:
            # Of what was over before `since` an event may tell that waited in the spool, or that was identified late.
            known = (event.get("late") or event.get("spooled_ts")) and self._find([Query(str(about))], None, None)
            (self._ids if any(map(self._fits, known or ())) else self._others).add(about)
        return about in self._ids or not self._ids.isdisjoint(superseded(event))

    def _fits(self, record: Fields) -> bool:
        return (self._queries is None or self._queries.matches(record)) and (
            not self._filters or self._filters.matches(record)
        )

    def _find(self, queries: Sequence[Query], first: str | None, last: str | None) -> list[Association]:
        try:
            return self._ask(queries, first=first, last=last, filters=self._filters)
        except LedgerDamaged as exc:
            return exc.associations
