"""What a reader of events looks for: one thing, any of several at once, or what fits a filter.

Each has `may_match`, `ranges` and `literals`, as `terms.Query` has: whether an event may tell of what is sought, where
an index has the events that do, and what is in their lines.
"""

from __future__ import annotations

from eni_ledger.ledger.archive import index, index_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from eni_ledger.base.events import Association, Fields
    from eni_ledger.ledger.read.filters import Filters
    from eni_ledger.ledger.read.terms import Query

    Range = index_keys.Range
    Accepts = Callable[[bytes, int], bool]

    class Sought(Protocol):
        """What is looked for, as a reader of events uses it. With `in_add` what fits does so by its add."""

        in_add: bool

        def may_match(self, event: Fields) -> bool:
            """Tell whether the association that an event tells of may be one that is sought."""

        def ranges(self, version: int = ...) -> list[Range] | None:
            """Return the ranges of keys of an index of that version that find such events; None if none do."""

        def literals(self) -> tuple[bytes, ...] | None:
            """Return texts of which the line of such an event has at least one; None if there are none."""

        def line_test(self) -> Accepts | None:
            """Return what tells of such a text in some lines, `(data, place)`, whether it may be of such an event."""


_MASKS = tuple((1 << bits) - 1 for bits in range(0, 64, 8))
"""What the keys of one range differ in: none of the bits, or whole bytes at the end (`index_keys.name`)."""
_MOST_LITERALS = 16
_FEW = 8
"""Queries up to which each is asked: the keys of an association take longer, and `ipaddress` for IPv6."""


def sought(queries: Sequence[Query], filters: Filters | None) -> Sought | None:
    """Return what to look for so that nothing that fits is missed; None for everything."""
    if len(queries) == 1:
        return queries[0]
    if queries:
        return Queries(queries)
    return filters.narrowest() if filters else None


class Nothing:
    """Nothing is sought but associations that are known by their IDs."""

    in_add = True

    def may_match(self, _: Fields) -> bool:
        """Return False."""
        return False

    def ranges(self, _: int = index.VERSION) -> list[Range] | None:
        """Return no ranges."""
        return []

    def literals(self) -> tuple[bytes, ...] | None:
        """Return no texts."""
        return ()

    def line_test(self) -> Accepts | None:
        """Return None: there are no such lines."""
        return None


class Queries:
    """Some queries, found by the keys that an index has for an association; few, and those without, are all asked."""

    in_add = False

    def __init__(self, queries: Sequence[Query]) -> None:
        self._queries = queries
        self._by_range: dict[Range, list[Query]] = {}
        self._others: list[Query] = []
        for query in queries:
            ranges = query.ranges() if len(queries) > _FEW else None
            if not ranges:
                self._others.append(query)
            for each in ranges or ():
                self._by_range.setdefault(each, []).append(query)
        widths = {high - low for low, high in self._by_range}
        self._masks = [mask for mask in _MASKS if mask in widths]
        self._wide = [each for each in self._by_range if each[1] - each[0] not in _MASKS]

    def matches(self, association: Fields) -> bool:
        """Tell whether an association fits one of them."""
        return any(query.matches(association) for query in self._candidates(association))

    def may_match(self, event: Fields) -> bool:
        """Tell whether the association that an event tells of may fit one of them."""
        return any(query.may_match(event) for query in self._candidates(event))

    def ranges(self, version: int = index.VERSION) -> list[Range] | None:
        """Return the ranges of keys of all of them; None if one has none."""
        found: set[Range] = set()
        for query in self._queries:
            ranges = query.ranges(version)
            if ranges is None:
                return None
            found.update(ranges)
        return sorted(found)

    def literals(self) -> tuple[bytes, ...] | None:
        """Return the texts of all of them; None if one has none, or if there are more than can be searched for."""
        found: set[bytes] = set()
        for query in self._queries:
            literals = query.literals()
            if literals is None or len(found) > _MOST_LITERALS:
                return None
            found.update(literals)
        return tuple(found) if len(found) <= _MOST_LITERALS else None

    def line_test(self) -> Accepts | None:
        """Return None: a line with one of the texts is parsed."""
        return None

    def of(self, association: Fields) -> list[Query]:
        """Return the queries that an association fits."""
        return [query for query in self._candidates(association) if query.matches(association)]

    def group(self, associations: Iterable[Association]) -> dict[int, list[Association]]:
        """Return the associations that fit each query, by its `id`."""
        groups: dict[int, list[Association]] = {}
        for association in associations:
            for query in self.of(association):
                groups.setdefault(id(query), []).append(association)
        return groups

    def _candidates(self, record: Fields) -> Iterable[Query]:
        """Return the queries that an association, or an event, can fit by its keys."""
        if not self._by_range:
            return self._others
        candidates = {id(query): query for query in self._others}
        for key in _keys(record):
            for mask in self._masks:
                for query in self._by_range.get((key & ~mask, key | mask), ()):
                    candidates[id(query)] = query
            for low, high in self._wide:
                if low <= key <= high:
                    candidates.update((id(query), query) for query in self._by_range[low, high])
        return candidates.values()


def _keys(record: Fields) -> set[int]:
    """Return all keys that an index has for an association, or an event."""
    keys = {*index_keys.of_fields(record), *index_keys.of_owners(record)}
    if record.get("association_id"):
        keys.add(index_keys.association(str(record["association_id"]))[0])
    return keys
