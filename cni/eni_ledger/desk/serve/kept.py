"""Answers kept until something that could change them is recorded.

An event can change an answer about one thing only if it tells of that thing, or of an association that is in the
answer. All others stay: a host records an event every few seconds, and is asked far more often.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from eni_ledger.ledger.read.terms import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event

LARGEST, MOST = 512 * 1024, 3 * 1024 * 1024
"""Bytes of one answer and of all."""
_BESIDE = 1024  # bytes that an entry takes beside its answer and its IDs
_PER_ID = 120


class _Kept:
    """An answer: what was asked for, None for everything, and the associations in it."""

    __slots__ = ("body", "ids", "queries", "size")

    def __init__(self, body: bytes, queries: tuple[Query, ...] | None, ids: frozenset[str]) -> None:
        self.body = body
        self.queries = queries
        self.ids = ids
        self.size = len(body) + _BESIDE + _PER_ID * len(ids)

    def may_change(self, event: Event) -> bool:
        if self.queries is None:
            return True
        named = {str(event.get("association_id")), *map(str, event.get("supersedes") or ())}
        return not self.ids.isdisjoint(named) or any(query.may_match(event) for query in self.queries)


class KeptAnswers:
    """Answers by what was asked; those not asked for longest go first when there are too many. For several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, _Kept] = OrderedDict()
        self._size = 0
        self._turn = 0
        self._lock = Lock()

    @property
    def turn(self) -> int:
        """How often something was recorded: an answer that was begun in another turn is not kept."""
        return self._turn

    def get(self, key: object) -> bytes | None:
        """Return the answer to `key`, None if there is none."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found.body

    def keep(
        self, key: object, body: bytes, queries: Iterable[Query] | None, associations: Iterable[Association], turn: int
    ) -> None:
        """Keep an answer about what `queries` mean (None: about everything) that was begun in `turn`."""
        ids = frozenset(str(one["association_id"]) for one in associations)
        made = _Kept(body, None if queries is None else tuple(queries), ids)
        with self._lock:
            if turn != self._turn or made.size > LARGEST:
                return
            self._drop(key)
            self._kept[key] = made
            self._size += made.size
            while self._size > MOST:
                self._drop(next(iter(self._kept)))

    def recorded(self, events: Iterable[Event]) -> None:
        """Forget the answers that `events` can change; a boot changes all."""
        with self._lock:
            self._turn += 1
            for event in events:
                if event.get("event") in ("boot", "checkpoint"):
                    self._forget()
                    return
                for key in [key for key, kept in self._kept.items() if kept.may_change(event)]:
                    self._drop(key)

    def forget(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._turn += 1
            self._forget()

    def _forget(self) -> None:
        self._kept.clear()
        self._size = 0

    def _drop(self, key: object) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found.size
