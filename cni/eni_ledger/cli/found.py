"""Find the associations of each WHAT and, if there are none, its last and next owner. Without click."""

from __future__ import annotations

from eni_ledger.cli.damage import Answer, ask, is_live
from eni_ledger.ledger.read.queries import Queries
from eni_ledger.ledger.read.terms import Query, readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eni_ledger.base.events import Association
    from eni_ledger.cli.period import Period
    from eni_ledger.ledger.query.reader import LedgerReader
    from eni_ledger.ledger.read.filters import Filters


class Wanted:
    """A WHAT as it was typed, its readings, and what was found: the associations that fit `query` best.

    `query` is the first of the readings that fits any; `before` and `after` the association that had it last and the
    next one, if nobody had it at the time.
    """

    __slots__ = ("after", "associations", "before", "queries", "query", "what")

    def __init__(self, what: str) -> None:
        """Raises UsageError for a text that can be nothing."""
        self.what = what
        self.queries = readings(what)
        self.query = self.queries[0]
        self.associations: list[Association] = []
        self.before: Association | None = None
        self.after: Association | None = None

    def choose(self, fitting: Callable[[Query], list[Association]]) -> None:
        """Take the first reading for which `fitting` returns associations, and of them those that fit best."""
        for query in self.queries:
            best = query.best(fitting(query))
            if best:
                self.query, self.associations = query, best
                return


def gather(
    history: LedgerReader,
    asked: Sequence[Wanted],
    period: Period | None,
    filters: Filters | None,
    *,
    live: bool = False,
) -> Answer:
    """Return the associations of the time of `period` that pass the filters and fit one of those asked for, if any.

    Each of `asked` has its own after that. With `live` only those that are live, unless there is a period.
    """
    queries = [query for each in asked for query in each.queries]
    fitting = Queries(queries).group

    def fits(association: Association) -> bool:
        then = period.overlaps(association) if period else not live or is_live(association)
        return then and (not filters or filters.matches(association)) and (not queries or bool(fitting([association])))

    def question() -> list[Association]:
        if period is None and live:
            return list(filter(fits, history.live())) if queries or filters else history.live()
        first, last = (period.first, period.last) if period else (None, None)
        return history.find(queries, first=first, last=last, filters=filters)

    answer = ask(history, question, fits)
    if asked:
        groups = fitting(answer.associations)
        for each in asked:
            each.choose(lambda query: groups.get(id(query), []))
        chosen = {one["association_id"] for each in asked for one in each.associations}
        answer.associations = [one for one in answer.associations if one["association_id"] in chosen]
    return answer


def find_neighbours(history: LedgerReader, missing: Sequence[Wanted], period: Period, filters: Filters | None) -> None:
    """Look for who had each of `missing` last before `period`, and next after it; one pass for all of them.

    Damage is left to the answer itself.
    """
    queries = [query for each in missing for query in each.queries]
    fitting = Queries(queries).group
    answer = ask(
        history,
        lambda: history.find(queries, filters=filters),
        lambda one: (not filters or filters.matches(one)) and bool(fitting([one])),
    )
    groups = fitting(answer.associations)
    for each in missing:
        every = Wanted(each.what)
        every.queries = each.queries
        every.choose(lambda query: groups.get(id(query), []))
        first, last = period.first, period.last
        before = [one for one in every.associations if first and str(one.get("until", "~")) <= first]
        after = [one for one in every.associations if last and one["since"] > last]
        each.before = max(before, key=lambda one: str(one["until"]), default=None)
        each.after = min(after, key=lambda one: (one["since"], one["add_seq"]), default=None)
