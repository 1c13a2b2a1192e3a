"""Associations for a timeline, read from the ledger; again when the ledger has grown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.desk.capture.stamps import SECOND
from eni_ledger.desk.capture.timeline import NEVER, Known, time_of
from eni_ledger.ledger.query import clock_note, coverage

_AHEAD = 600 * SECOND  # a packet's clock may be ahead of this one; what is later has not happened


class LedgerSource:
    """The associations of `history`.

    `grows` is the file that grows with the ledger, None for one that does not grow: it is complete up to `complete`,
    microseconds since 1970. `damage` is what was met in it so far.
    """

    def __init__(self, history: Any, grows: Path | None, complete: int = NEVER) -> None:
        self._history = history
        self._grows = grows
        self._complete = complete
        self._mark: tuple[int, ...] = ()
        self._begin: int | None = None
        self.damage: LedgerDamaged | None = None
        self.steps: dict[str, int] = {}

    def load(self, first: str, last: str) -> Known:
        """Return what was live at any moment from `first` to `last`. Raises as `History.find` does."""
        self._mark = self._marked()
        damage = None
        try:
            found = self._history.find(first=first, last=last)
        except LedgerDamaged as exc:
            found, damage = exc.associations, exc
            self.damage = self.damage or exc
        if self._begin is None:
            begin = coverage.begin(self._history)
            self._begin = time_of(begin, NEVER) if begin else None
        steps = clock_note.set_back(self._history, first, last)
        self.steps.update(steps)
        twice = tuple((time_of(ts, NEVER) - step, time_of(ts, NEVER)) for ts, step in steps)
        return Known(found, self._begin, self.complete(), damage, twice)

    def changed(self) -> bool:
        """Tell whether the ledger has grown since `load` was called last."""
        return self._grows is not None and self._marked() != self._mark

    def complete(self) -> int:
        """Return up to when all that happened is in it: of one that grows, a while from now."""
        if self._grows is None:
            return self._complete
        return time.time_ns() // 1000 // _AHEAD * _AHEAD + 2 * _AHEAD

    def _marked(self) -> tuple[int, ...]:
        """Return what changes with every event."""
        if self._grows is None:
            return ()
        try:
            status = self._grows.stat()
        except OSError:
            return ()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
