"""Questions put to the ledger: what is live, what was live at a time, who had this, what happened.

Lock-free (see `reader`). Times are RFC 3339 text in UTC with microseconds, as in the ledger: text order is time order.
Damage never stops an answer short of what can be proven, and is never hidden either: what is sound is given first,
then LedgerDamaged is raised.
"""

from __future__ import annotations

from _bisect import bisect_right

from eni_ledger.base.collector import Paused
from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query import as_of, late
from eni_ledger.ledger.query.imported import ledgers
from eni_ledger.ledger.read.live_now import by_age, live_now
from eni_ledger.ledger.read.queries import Queries, sought
from eni_ledger.ledger.read.selection import Lookup
from eni_ledger.ledger.read.snapshot import Snapshot
from eni_ledger.ledger.read.terms import Query, best_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.format.source import Source
    from eni_ledger.ledger.query.chosen import Chosen
    from eni_ledger.ledger.read.filters import Filters
    from eni_ledger.ledger.read.queries import Sought

    Progress = Callable[[int, int], None]


class History:
    """The ledger in `state_dir`, to be asked. Opens nothing until it is.

    With `source` the ledger's files are there, and `state_dir` is what messages call it.
    `progress` is called with bytes done and bytes in all while many segments are read.
    """

    def __init__(self, state_dir: str, progress: Progress | None = None, source: Source | None = None) -> None:
        self.state_dir = state_dir
        self._source = source
        self._progress = progress
        self._held: Snapshot | None = None

    def __enter__(self) -> History:
        """Put all questions to one snapshot, so that their answers are of the same moment, and what was found is kept.

        Raises StateDirError, LedgerError, OSError.
        """
        self._held = Snapshot(self.state_dir, self._source).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(kind, exc, trace)

    def apart(self) -> Sequence[History]:
        """Return the ledgers that are asked: this one alone, unless it is of several (`many`)."""
        return (self,)

    def named(self) -> Sequence[tuple[str | None, History]]:
        """Return the ledgers that are asked, each with the `ledger` that its events have; None for one alone."""
        return ((None, self),)

    def is_there(self) -> bool:
        """Tell whether there is a ledger, which is not the same as an empty one. Raises as `Snapshot` does."""
        with self.snapshot() as snapshot:
            return bool(snapshot.segments) or any(ledger.segments for ledger in ledgers(snapshot))

    def path(self, name: str) -> str:
        """Return the path of one of the ledger's files, for messages."""
        return (self._source.path if self._source else "") or f"{self.state_dir}/{name}"

    def snapshot(self) -> Snapshot:
        """Return what a question is put to, for a `with` statement. Raises as `Snapshot` does."""
        return self._held or Snapshot(self.state_dir, self._source)

    def live(self) -> list[Association]:
        """Return the live associations, oldest first.

        Raises StateDirError, FutureFormat, OSError; LedgerDamaged, and when the ledger ends before what `state.json`
        knows of, that has what is live by `state.json` in its attribute `associations`.
        """
        source = self._source or Directory(open_state_dir(self.state_dir, reading=True))
        try:
            found, damage = live_now(source)
        finally:
            source.close()
        return _answer(found, [damage] if damage else [])

    def events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        imported: bool = True,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield the events from `since` to `until`, both included, in order; those that were `imported` first.

        With `queries` or `filters` only those that are `Chosen`. Raises StateDirError, FutureFormat, OSError;
        LedgerDamaged after the last sound event; LedgerError when retention removed what was still to be read.
        """
        damage: list[LedgerDamaged] = []
        with self.snapshot() as whole:
            chosen = self._chosen(queries, filters, since, until)
            for snapshot in ledgers(whole) if imported else [whole]:
                yield from self._events(snapshot, damage, since, until, chosen)
        return _raise(damage)

    def imported_events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield those of `events` that were imported. Raises as `events` does."""
        damage: list[LedgerDamaged] = []
        with self.snapshot() as whole:
            chosen = self._chosen(queries, filters, since, until)
            for snapshot in ledgers(whole):
                if snapshot is not whole:
                    yield from self._events(snapshot, damage, since, until, chosen)
        return _raise(damage)

    def _chosen(
        self, queries: Sequence[Query], filters: Filters | None, since: str | None, until: str | None
    ) -> Chosen | None:
        if not (queries or filters):
            return None
        from eni_ledger.ledger.query.chosen import Chosen  # `list` and `who` do without it

        return Chosen(self.find, queries, filters, since, until)

    def _events(
        self,
        snapshot: Snapshot,
        damage: list[LedgerDamaged],
        since: str | None,
        until: str | None,
        chosen: Chosen | None,
    ) -> Iterator[Event]:
        lookup = Lookup(snapshot, damage, None, self._progress, loads=chosen.loads() if chosen else None)
        first = as_of.segments_at(snapshot.segments, since)[0] if since and snapshot.segments else 0
        lookup.only(range(first, len(snapshot.segments)))
        for event in _between(lookup, range(first, len(snapshot.segments)), since or "", until):
            if chosen is None or event in chosen:
                yield event

    def at(self, when: str, query: Query | None = None) -> list[Association]:
        """Return what was live at `when`, oldest first, with `until` and `ended_by` where they ended since.

        With `query` only what may be asked for by it. Raises as `events` does; LedgerDamaged, for damage in what was
        read, has what could be answered in its attribute `associations`.
        """
        return self.find([query] if query else (), first=when, last=when)

    def who(self, what: str, at: str | None = None) -> list[Association]:
        """Return the associations that have or had `what`, oldest first; with `at`, only those of that moment.

        One that is live has no `until`. `what` is as for `Query`; those that it fits best are returned. Raises
        UsageError, and as `events` does. LedgerDamaged has what could be answered in its attribute `associations`.
        """
        return best_reading(what, lambda query: self.at(at, query) if at else self.spans(query))

    def find(
        self,
        queries: Sequence[Query] = (),
        *,
        first: str | None = None,
        last: str | None = None,
        filters: Filters | None = None,
    ) -> list[Association]:
        """Return the associations that fit one of `queries` (any, without one) and `filters`, oldest first.

        With `first` and `last` only those that were live at any moment from `first` to `last`, both included, times of
        the ledger; None leaves that side open. Raises as `events` does; LedgerDamaged has what could be answered in its
        attribute `associations`.
        """
        wanted = sought(queries, filters)
        fits = Queries(queries).matches if len(queries) > 1 else queries[0].matches if queries else None
        damage: list[LedgerDamaged] = []
        with Paused(), self.snapshot() as whole:
            found = [one for each in ledgers(whole) for one in self._found(each, wanted, first, last, damage)]
        if fits is not None:
            found = list(filter(fits, found))
        return _answer(list(filter(filters.matches, found)) if filters else found, damage)

    def _found(
        self,
        snapshot: Snapshot,
        wanted: Sought | None,
        first: str | None,
        last: str | None,
        damage: list[LedgerDamaged],
    ) -> list[Association]:
        """Return what one ledger has to say to `find`, with what may be `wanted`."""
        if not snapshot.segments:
            return []
        during = None if first is None and last is None else (first or "", last or "~")
        lookup = Lookup(snapshot, damage, wanted, self._progress, during=during, brief=True)
        start = as_of.segments_at(snapshot.segments, first)[0] if first is not None else 0
        learned = late.collect(snapshot, lookup, wanted, start)
        then = as_of.live_during(snapshot, lookup, first, last, wanted, damage)
        return late.complete(snapshot, lookup, learned, then)

    def neighbours(self, query: Query, when: str) -> tuple[Association | None, Association | None]:
        """Return the association that had what `query` asks for last before `when`, and the next one after it.

        None where there is none. Raises as `find` does.
        """
        with self.snapshot() as whole:
            begins = [as_of.begins(part) for part in whole.segments]
        here, width = bisect_right(begins, when), 1
        while True:  # in twice as many segments each time
            first = (begins[here - width] or None) if width < here else None
            before = [one for one in self.find([query], first=first, last=when) if one.get("until", "~") <= when]
            if before or first is None:
                break
            width *= 2
        width = 1
        while True:
            last = (begins[here + width] or None) if here + width < len(begins) else None
            after = [one for one in self.find([query], first=when, last=last) if one["since"] > when]
            if after or last is None:
                break
            width *= 2
        return max(before, key=_by_end, default=None), min(after, key=by_age, default=None)

    def all(self) -> list[Association]:
        """Return every association there ever was, oldest first. Raises as `who` does."""
        return self.spans(None)

    def events_of(self, association: Association) -> Iterator[Event]:
        """Yield the events of an association, the one that superseded it included. Raises as `events` does."""
        wanted, damage = association["association_id"], list[LedgerDamaged]()
        imported = association.get("via") == "import"
        with self.snapshot() as whole:
            for snapshot in ledgers(whole):
                if (snapshot is whole) == imported:
                    continue
                lookup = Lookup(snapshot, damage, Query(wanted), self._progress)
                first = as_of.segments_at(snapshot.segments, association["since"])[0]
                for number in range(first, len(snapshot.segments)):
                    for event in lookup.events(number):
                        if event.get("association_id") == wanted or wanted in event.get("supersedes", ()):
                            yield event
        _raise(damage)

    def spans(self, query: Query | None) -> list[Association]:
        """Return every association that `query` may mean, live or ended: all of them without one. Raises as `find`."""
        return self.find([query] if query else ())


def _between(lookup: Lookup, numbers: range, since: str, until: str | None) -> Iterator[Event]:
    """Yield the events from `since` to `until` of the segments `numbers`."""
    for number in numbers:
        for event in lookup.events(number, since, until):
            if until is not None and event["ts"] > until:
                return
            if event["ts"] >= since:
                yield event


def _answer(found: list[Association], damage: list[LedgerDamaged]) -> list[Association]:
    """Return `found`, oldest first; raise the first damage with them in it when there was any."""
    found.sort(key=by_age)
    if damage:
        damage[0].associations = found
        raise damage[0]
    return found


def _raise(damage: list[LedgerDamaged]) -> None:
    """Raise the first damage, if there is any."""
    if damage:
        raise damage[0]


def _by_end(association: Association) -> tuple[str, str, int]:
    return (association["until"], *by_age(association))
