"""Search the agent's database for ENI and task of an interposed call while the delegate runs.

Under load the agent writes to its database all the time, and this process waits for a processor: the duration of a try
does not show whether the next one can succeed. The search repeats, with pauses, until the delegate has answered. DEL
and `identify` search again for what is missing then.

Loaded after the delegate has started. Standard library only.
"""

from __future__ import annotations

import os
from time import process_time_ns

from eni_ledger.base.errors import LedgerError
from eni_ledger.identity import agent_db
from eni_ledger.ledger.format import live, state_file, supersede
from eni_ledger.ledger.format.directory import open_state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Draft, Fields


_TRIES = 3
"""Tries in a row. A commit during each means that the agent is busy; then a pause helps more than another try."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.064

_LAST_TRIES, _LAST_NS = 5, 5_000_000
"""After the delegate's answer: tries, and nanoseconds of processor time for all of them.

One try in a database of some hundred tasks takes half a millisecond. Wall-clock time is no measure: where many tasks
start at once, other processes use most of it.
"""


class Search:
    """The search for ENI and task of an association that begins, or with `stopped` of one that ends."""

    def __init__(self, settings: Settings, association: Fields, *, stopped: bool = False) -> None:
        self._question = agent_db.Question(
            settings.agent_db,
            association["branch_mac"],
            vlan_id=association.get("vlan_id"),
            addresses=association.get("addresses") or (),
            stopped=stopped,
        )
        self._association = association
        self._stopped = stopped
        self._pause_s = _FIRST_PAUSE_S

    def again(self, over: Callable[[], bool], tries: int = _TRIES) -> Draft | None:
        """Return the `live.IDENTITY` keys of the database, None without any or once `over` is true. Never raises."""
        known = self._association
        try:
            identity = self._question.ask(over, tries)
        except Exception:  # damaged, being written or missing: the next try or `identify` may succeed
            return None
        fields = {key: value for key, value in (identity or {}).items() if key in live.IDENTITY}
        if not fields or any(known.get(key, value) != value for key, value in fields.items()):
            self._pause_s = _LONGEST_PAUSE_S  # the database does not have it: the agent saves a task before its ADD
            return None
        return self._event_keys(fields)

    def _event_keys(self, fields: Draft) -> Draft:
        """Return the keys for the event; for a `del`, also the ID of the association and the source."""
        if not self._stopped:
            return fields
        return {**fields, "association_id": self._association["association_id"], "identity_source": "agent-db"}

    def pause(self) -> float:
        """Return the seconds until the next try."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s

    def last(self) -> Draft | None:
        """Search as `again` does, within `_LAST_NS`."""
        end = process_time_ns() + _LAST_NS
        return self.again(lambda: process_time_ns() > end, _LAST_TRIES)


def of_add(settings: Settings, event: Draft) -> Search | None:
    """Return the search for the ENI of an `add`, None when it has no MAC."""
    return Search(settings, event) if event.get("branch_mac") else None


def of_del(settings: Settings, event: Draft) -> Search | None:
    """Return the search for ENI and task of the association that a `del` ends, None if the ledger has both or no MAC.

    Reads the ledger without the lock. Raises what `state_file.read` does.
    """
    try:
        dir_fd = open_state_dir(settings.state_dir)
    except (LedgerError, OSError):
        return None
    try:
        known = state_file.read(dir_fd)
    finally:
        os.close(dir_fd)
    if known is None:
        return None
    association = supersede.ended_by_del(known.lines, event)
    if association is None or not association.get("branch_mac"):
        return None
    lacks = association.get("eni_id") is None or association.get("task_arn") is None
    return Search(settings, association, stopped=True) if lacks else None
