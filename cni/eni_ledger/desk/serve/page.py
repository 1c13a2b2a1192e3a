"""The page of `/`: `report` about the last day, made anew when something was recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from eni_ledger import timespec
from eni_ledger.desk.serve import parameters
from eni_ledger.desk.serve.view import View
from eni_ledger.desk.serve.watch import Mark, mark_at_end

_SHOWN = timedelta(days=1)
_TITLE = "text/html;charset=UTF-8"
Collect = Callable[[str | None, str | None, datetime, Mark], dict[str, Any]]
Render = Callable[[dict[str, Any], Mark | None], str]


class LivePage:
    """Makes the page.

    `collect` is given the two ends of the interval, the time, and the mark behind the last event; `render` what that
    returns, and the mark, None for an interval that has ended.
    """

    def __init__(self, view: View, collect: Collect, render: Render) -> None:
        self._view = view
        self._collect = collect
        self._render = render
        self._making = Lock()
        self._made: tuple[object, bytes] | None = None

    def __call__(self, query_string: str) -> tuple[bytes, str, dict[str, str]]:
        """Return the page for `since` and `until` (default: the last day).

        Raises NotServed, EniLedgerError, OSError.
        """
        given = parameters.parsed(query_string, ("since", "until"))
        now = datetime.now(UTC)
        first, last = parameters.period(given, now) or (timespec.to_ledger(now - _SHOWN), None)
        key = (self._view.stamp(), now.replace(second=0, microsecond=0), *sorted(given.items()))
        with self._making:
            if self._made is None or self._made[0] != key:
                mark = mark_at_end(self._view.history, self._view.places)
                document = self._collect(first, last, now, mark)
                self._made = key, self._render(document, None if last else mark).encode()
            return self._made[1], _TITLE, {}
