"""Sees whether a ledger has changed, by a few stats, and gives the events that are new."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from eni_ledger import timespec
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.ledger.format.segment import ACTIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event
    from eni_ledger.ledger.query.reader import LedgerReader

_SLACK = timedelta(hours=1)
"""How far the last event may be before the last write of its file."""

Stat = tuple[int, int, int] | None
Stamp = tuple[tuple[Stat, Stat, frozenset[str]], ...]


def stamp_of(places: Sequence[str]) -> Stamp:
    """Return what differs when the ledgers at `places` do: of each the active segment, what was imported, the names.

    Of a place that is a file, its stat.
    """
    return tuple(_stamp(place) for place in places)


def _stamp(place: str) -> tuple[Stat, Stat, frozenset[str]]:
    try:
        names = frozenset(name for name in os.listdir(place) if name.startswith("ledger-"))  # noqa: PTH208 - names
    except NotADirectoryError:
        return _stat(place), None, frozenset()
    except OSError:
        return None, None, frozenset()
    return _stat(f"{place}/{ACTIVE}"), _stat(f"{place}/imported/{ACTIVE}"), names


def _stat(path: str) -> Stat:
    try:
        status = os.stat(path)  # noqa: PTH116 - of names
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size


def has_grown(before: Stamp, now: Stamp) -> bool:
    """Tell whether all that has happened is that events were appended to active segments."""
    return len(before) == len(now) and all(
        old[1:] == new[1:] and old[0] is not None and new[0] is not None and old[0][:2] == new[0][:2]
        and old[0][2] <= new[0][2]
        for old, new in zip(before, now, strict=True)
    )  # fmt: skip


class Mark:
    """How far the events of a ledger were seen: `ts` of the last one, and how many of that time there were.

    Every event after it has that time or a later one, whatever the ledger it is from.
    """

    def __init__(self, ts: str, count: int = 0) -> None:
        self.ts = ts
        self.count = count

    def take(self, event: Event) -> None:
        """Move behind `event`."""
        self.count = self.count + 1 if event["ts"] == self.ts else 1
        self.ts = str(event["ts"])

    def copy(self) -> Mark:
        """Return a mark at the same place."""
        return Mark(self.ts, self.count)

    def events_after(self, history: LedgerReader, until: str | None = None) -> Iterator[Event]:
        """Yield the events behind the mark, imported ones left out. Raises as `History.events` does."""
        passed = self.count
        ts = self.ts
        for event in history.events(ts or None, until, imported=False):
            if passed and event["ts"] == ts:
                passed -= 1
            else:
                yield event

    def __str__(self) -> str:
        return f"{self.ts}_{self.count}"


def mark_at_end(history: LedgerReader, places: Sequence[str]) -> Mark:
    """Return the mark behind the last event that there is now. Raises as `History.events` does."""
    written = [_written(place) for place in places]
    begin = max(written, default=datetime.now(UTC)) - _SLACK
    mark = Mark(timespec.to_ledger(begin))
    try:
        for event in history.events(mark.ts, imported=False):
            mark.take(event)
    except EniLedgerError:
        pass  # an answer says what is damaged
    return mark


def _written(place: str) -> datetime:
    try:
        return datetime.fromtimestamp(os.stat(f"{place}/{ACTIVE}").st_mtime, UTC)  # noqa: PTH116 - of names
    except OSError:
        return datetime.now(UTC)
