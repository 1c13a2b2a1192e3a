"""The ledger as requests see it: questions, put one at a time, and answers kept while they are right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock, RLock

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged
from eni_ledger.desk.serve.kept import KeptAnswers
from eni_ledger.desk.serve.watch import Mark, Stamp, has_grown, mark_at_end, stamp_of
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.proven import proven
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.ledger.read.terms import Query, readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.query.reader import LedgerReader

    Body = tuple[bytes, Iterable[Query] | None, list[Association], bool]

Period = tuple[str | None, str | None]
"""An answer, what it is about (see `KeptAnswers.keep`), the associations in it, and whether it may be kept."""


class ProvenAnswer:
    """Associations and the damage that may hide others, None without damage."""

    def __init__(self, associations: list[Association], damage: LedgerDamaged | None = None) -> None:
        self.associations = associations
        self.damage = damage


class EventsFound:
    """Events, each with the mark behind it; `mark` is behind all that was looked at, `more` if there are others."""

    def __init__(self, mark: Mark) -> None:
        self.events: list[tuple[str, Event]] = []
        self.mark = mark
        self.more = False
        self.damage: LedgerDamaged | None = None


class View:
    """The ledger `history`, whose files are at `places`. For several threads."""

    def __init__(self, history: LedgerReader, places: Sequence[str]) -> None:
        self.history = history
        self.places = places
        self._kept = KeptAnswers()
        self._looking = Lock()
        self._asking = RLock()
        self._stamp: Stamp | None = None
        self._mark: Mark | None = None

    def stamp(self) -> Stamp:
        """Return what differs when the ledger does."""
        return stamp_of(self.places)

    def body(self, key: object, make: Callable[[], Body]) -> bytes:
        """Return the answer to `key`: a kept one, or what `make` returns. Raises as `make` does."""
        self._look()
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        with self._asking:
            kept = self._kept.get(key)  # by another thread, meanwhile
            if kept is not None:
                return kept
            turn = self._kept.turn
            body, queries, associations, sound = make()
            if sound:
                self._kept.keep(key, body, queries, associations, turn)
            return body

    def _look(self) -> None:
        """Forget what new events have changed."""
        now = stamp_of(self.places)
        if now == self._stamp:
            return
        with self._looking:
            now = stamp_of(self.places)
            before = self._stamp
            if now == before:
                return
            try:
                if before is not None and self._mark is not None and has_grown(before, now):
                    new = list(self._mark.events_after(self.history))
                    for event in new:
                        self._mark.take(event)
                    self._kept.recorded(new)
                else:
                    self._kept.forget()
                    self._mark = mark_at_end(self.history, self.places)
            except (EniLedgerError, OSError):
                self._kept.forget()
                self._mark = None
            self._stamp = now

    def live(self) -> ProvenAnswer:
        """Return the live associations, oldest first. Raises as `History.live` does, but not LedgerDamaged."""
        return self._ask(self.history.live, lambda one: "until" not in one)

    def during(self, period: Period, filters: Filters) -> ProvenAnswer:
        """Return those that were live at any moment of `period` and pass `filters`.

        Raises NotFound for a time before the ledger.
        """
        first, last = period

        def fits(one: Association) -> bool:
            lived = (last is None or str(one["since"]) <= last) and (
                first is None or first < str(one.get("until", "~"))
            )
            return lived and filters.matches(one)

        def question() -> list[Association]:
            return self.history.find(first=first, last=last, filters=filters or None)

        found = self._ask(question, fits)
        if not found.associations and not found.damage and last and (error := coverage.unknown(self.history, last)):
            raise error
        return found

    def who(self, what: str, period: Period | None, filters: Filters) -> tuple[ProvenAnswer, list[Query], Query]:
        """Return what fits `what` best, its readings, and the one that fitted.

        Raises UsageError for what can be nothing, NotFound for a time before the ledger.
        """
        queries = readings(what)
        found, query = ProvenAnswer([]), queries[0]
        for query in queries:
            found = self._fitting(query, period, filters)
            if found.associations or found.damage:
                return found, queries, query
        if period and period[1] and (error := coverage.unknown(self.history, period[1])):
            raise error
        return found, queries, queries[0]

    def _fitting(self, query: Query, period: Period | None, filters: Filters) -> ProvenAnswer:
        first, last = period or (None, None)

        def fits(one: Association) -> bool:
            lived = (last is None or str(one["since"]) <= last) and (
                first is None or first < str(one.get("until", "~"))
            )
            return lived and query.matches(one) and filters.matches(one)

        def question() -> list[Association]:
            return self.history.find([query], first=first, last=last, filters=filters or None)

        found = self._ask(question, fits)
        found.associations = query.best(found.associations)
        return found

    def events(self, mark: Mark, until: str | None, filters: Filters, most: int) -> EventsFound:
        """Return at most `most` events behind `mark` that pass `filters`. Raises as `History.events` does.

        Not LedgerDamaged: that is in the answer.
        """
        found = EventsFound(mark.copy())
        with self._asking:
            try:
                for event in mark.events_after(self.history, until):
                    passes = filters.matches(event)
                    if passes and len(found.events) == most:
                        found.more = True
                        break
                    found.mark.take(event)
                    if passes:
                        found.events.append((str(found.mark), event))
            except LedgerDamaged as exc:
                found.damage = exc
        return found

    def _ask(self, question: Callable[[], list[Association]], fits: Callable[[Association], bool]) -> ProvenAnswer:
        """Return the answer; of a damaged ledger what is proven and `fits`."""
        try:
            return ProvenAnswer(question())
        except LedgerDamaged as exc:
            found: list[Association] = list(filter(fits, exc.associations))
            if not found:
                found = [one for ledger in self.history.apart() for one in _proven(ledger) if fits(one)]
            return ProvenAnswer(sorted(found, key=lambda one: (one["since"], one["add_seq"])), exc)


def _proven(history: LedgerReader) -> list[Association]:
    try:
        return proven(history)
    except (EniLedgerError, OSError):
        return []
