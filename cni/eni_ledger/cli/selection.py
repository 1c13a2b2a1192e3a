"""Events of what was asked for: those of the associations that fit, and those that fit by themselves."""

from __future__ import annotations

from eni_ledger.cli.found import Wanted, gather
from eni_ledger.cli.request import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.cli.period import Period
    from eni_ledger.cli.request import Request
    from eni_ledger.ledger.query.questions import History

    Event = dict[str, Any]

_OF_NO_ASSOCIATION = ("add_failed", "import")
_TELLING = ("add", "adopt", "identify")


class Selection:
    """Tells which events a request wants; with `follow` also those of associations that are still to come.

    Raises UsageError for a WHAT that can be nothing. Damage is left to the events themselves.
    """

    def __init__(self, history: History, request: Request, period: Period | None, *, follow: bool = False) -> None:
        self._events, self._others = split(request.filters)
        self._asked = [Wanted(what) for what in request.whats]
        self._follow = follow
        self._ids: set[str] = set()
        if self._asked or self._others:
            answer = gather(history, self._asked, period, self._others)
            self._ids.update(str(one["association_id"]) for one in answer.associations)

    def wants(self, event: Event) -> bool:
        """Tell whether an event is wanted. To be called with all of them in order."""
        mine = not (self._asked or self._others) or self._is_mine(event)
        return mine and (not self._events or self._events.matches(event))

    def _is_mine(self, event: Event) -> bool:
        if event.get("association_id") in self._ids or not self._ids.isdisjoint(event.get("supersedes") or ()):
            return True
        kind = event["event"]
        if kind not in _OF_NO_ASSOCIATION and not (self._follow and kind in _TELLING):
            return False
        record = {"association_id": "", **event}
        fits = not self._asked or any(query.matches(record) for each in self._asked for query in each.queries)
        if fits and self._others.matches(record):
            if kind in _TELLING:
                self._ids.add(str(event["association_id"]))
            return True
        return False
