"""The Python API: opens a ledger and returns its answers as models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from eni_ledger.base.config import load
from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.format.schema import Association, Event
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.timespec import to_ledger

Time = datetime | str


def open_ledger(path: str | os.PathLike[str] | None = None) -> Ledger:
    """Return the ledger in the state directory `path`; without it, the one that the commands would read.

    Opens nothing: a missing ledger raises at the first question. Raises ConfigError.
    """
    return Ledger(load(None, os.environ, os.fspath(path) if path is not None else None).state_dir)


class Ledger:
    """The ledger in `state_dir`. Every method reads it anew, takes no lock, and may be called while ADDs run.

    All of them raise StateDirError when there is no ledger, LedgerDamaged, FutureFormat and OSError.
    Times are `datetime` (naive ones are UTC) or RFC 3339 text.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self._history = History(state_dir)

    def live(self) -> list[Association]:
        """Return the associations that are live now, oldest first."""
        return [Association.model_validate(fields) for fields in self._history.live()]

    def at(self, time: Time) -> list[Association]:
        """Return the associations that were live at `time`, with their ends where they have ended since.

        Raises NotFound for a time before the ledger begins, of which nothing is known.
        """
        when = _text(time)
        return self._known([Association.model_validate(fields) for fields in self._history.at(when)], when)

    def events(self, since: Time | None = None, until: Time | None = None) -> Iterator[Event]:
        """Yield the events from `since` to `until`, both included, in order."""
        for event in self._history.events(_text(since) if since else None, _text(until) if until else None):
            yield Event.model_validate(event)

    def who(self, what: str | int, at: Time | None = None) -> list[Association]:
        """Return the associations that have or had `what`: an IP, MAC, VLAN ID, ENI ID, container ID or its start, task
        ARN or ID, netns inode or path. With `at`, only those of that moment. Raises UsageError for what can be none of
        them; NotFound for a time before the ledger begins, of which nothing is known.
        """
        when = _text(at) if at else None
        associations = self._history.who(str(what), when)
        return self._known([Association.model_validate(fields) for fields in associations], when)

    def _known(self, associations: list[Association], when: str | None) -> list[Association]:
        """Return `associations`; raise NotFound if there are none because the ledger begins after `when`."""
        nothing = coverage.unknown(self._history, when) if when and not associations else None
        if nothing:
            raise nothing
        return associations


def _text(time: Time) -> str:
    """Return a time as the ledger writes it. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        return to_ledger(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    except (ValueError, OverflowError) as exc:
        raise UsageError("not a time", f"{time!r:.80}", "give a datetime or RFC 3339 text") from exc
