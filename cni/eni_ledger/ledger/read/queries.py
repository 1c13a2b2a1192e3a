"""Many queries at once: which of them an association fits, without asking each of them."""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from eni_ledger.ledger.read.terms import Query

    Association = dict[str, Any]
    Range = index_keys.Range

_MASKS = tuple((1 << bits) - 1 for bits in range(0, 64, 8))
"""What the keys of one range differ in: none of the bits, or whole bytes at the end (`index_keys.name`)."""


class Queries:
    """Some queries, found by the keys of the index that an association has; those without such keys are all asked."""

    def __init__(self, queries: Sequence[Query]) -> None:
        self._by_range: dict[Range, list[Query]] = {}
        self._others: list[Query] = []
        for query in queries:
            ranges = query.ranges()
            if not ranges:
                self._others.append(query)
            for each in ranges or ():
                self._by_range.setdefault(each, []).append(query)
        widths = {high - low for low, high in self._by_range}
        self._masks = [mask for mask in _MASKS if mask in widths]
        self._wide = [each for each in self._by_range if each[1] - each[0] not in _MASKS]

    def of(self, association: Association) -> list[Query]:
        """Return the queries that an association fits."""
        candidates = {id(query): query for query in self._others}
        for key in _keys(association):
            for mask in self._masks:
                for query in self._by_range.get((key & ~mask, key | mask), ()):
                    candidates[id(query)] = query
            for low, high in self._wide:
                if low <= key <= high:
                    candidates.update((id(query), query) for query in self._by_range[low, high])
        return [query for query in candidates.values() if query.matches(association)]

    def group(self, associations: Iterable[Association]) -> dict[int, list[Association]]:
        """Return the associations that fit each query, by its `id`."""
        groups: dict[int, list[Association]] = {}
        for association in associations:
            for query in self.of(association):
                groups.setdefault(id(query), []).append(association)
        return groups


def _keys(association: Association) -> set[int]:
    """Return all keys that an index has for an association."""
    return {*index_keys.of_fields(association), index_keys.association(str(association["association_id"]))[0]}
