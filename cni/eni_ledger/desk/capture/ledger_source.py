"""Associations for a timeline, read from the ledger; again when the ledger has grown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.desk.capture.stamps import SECOND
from eni_ledger.desk.capture.timeline import NEVER, Known, time_of
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.query import clock_note, coverage

if TYPE_CHECKING:
    from eni_ledger.ledger.query.reader import LedgerReader

_AHEAD = 600 * SECOND  # a packet's clock may be ahead of this one; what is later has not happened


class LedgerSource:
    """The associations of `history`.

    `complete` is up to when a copy tells what happened, microseconds since 1970; None for a ledger that grows. `damage`
    is what was met in it so far, `steps` when its clock was set back: the ledger's path where there are several, `ts`,
    and microseconds.
    """

    def __init__(self, history: LedgerReader, complete: int | None = None) -> None:
        self._history = history
        self._complete = complete
        self._files = [] if complete is not None else [Path(each.path(segment.ACTIVE)) for each in history.apart()]
        self._mark: list[tuple[int, ...]] = []
        self._begin: int | None = None
        self.damage: LedgerDamaged | None = None
        self.steps: dict[tuple[str, str, int], None] = {}

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
        steps = clock_note.of_each(self._history, first, last)
        self.steps.update(dict.fromkeys(steps))
        twice = tuple((time_of(ts, NEVER) - step, time_of(ts, NEVER)) for _, ts, step in steps)
        return Known(found, self._begin, self.complete(), damage, twice)

    def changed(self) -> bool:
        """Tell whether the ledger has grown since `load` was called last."""
        return self._marked() != self._mark

    def complete(self) -> int:
        """Return up to when all that happened is in it: of one that grows, a while from now."""
        if self._complete is not None:
            return self._complete
        return time.time_ns() // 1000 // _AHEAD * _AHEAD + 2 * _AHEAD

    def _marked(self) -> list[tuple[int, ...]]:
        """Return what changes with every event."""
        return list(map(_mark, self._files))


def _mark(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
