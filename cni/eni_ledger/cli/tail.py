"""The end of the log: its last events, and new ones as they are written."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged
from eni_ledger.ledger.format.segment import ACTIVE
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.ledger.read.terms import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event
    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.query.reader import LedgerReader


PAUSE = 0.25  # seconds between two looks at the file; a look is one stat
LINES = 10  # old events that --follow prints first, as tail -f does
_REMEMBERED = 100_000  # events, so that those of a copy are not printed again

_TS = slice(len(b'{"ts":"'), len(b'{"ts":"') + 27)  # where `ts` stands in every line


def last_events(
    history: LedgerReader,
    since: str | None,
    until: str | None,
    lines: int,
    *,
    imported: bool = True,
    queries: Sequence[Query] = (),
    filters: Filters | None = None,
) -> Iterator[Event]:
    """Yield the last `lines` events from `since` to `until`; read only as many segments as they take.

    `queries` and `filters` are those of `History.events`.

    Raises as `History.events` does, LedgerDamaged after the events.
    """
    ledgers = history.apart()
    starts = _starts(history) if len(ledgers) == 1 else []  # of several, all that there is since is read
    count = 1
    while True:
        start = starts[-count] if count < len(starts) else None
        enough = start is None or (since is not None and start <= since)
        kept: deque[Event] = deque(maxlen=lines)
        damage = None
        try:
            begin = since if enough else start
            kept.extend(history.events(begin, until, imported=imported, queries=queries, filters=filters))
        except LedgerDamaged as exc:
            damage = exc
        if enough or len(kept) >= lines:
            yield from kept
            if damage:
                raise damage
            return
        count *= 2


def following(
    history: LedgerReader,
    since: str | None,
    lines: int | None,
    *,
    queries: Sequence[Query] = (),
    filters: Filters | None = None,
) -> Iterator[Event]:
    """Yield the last `lines` events (from `since` on), then each new one; ends only by an exception.

    `queries` and `filters` are those of `History.events`. Follows rotations: the active segment is found by name, and
    an event is new by its seq in its ledger, whatever its segment. Raises as `History.events` does.
    """
    followed = {name: _Followed(each) for name, each in history.named()}
    if lines is None and since is not None:
        old = history.events(since, imported=False, queries=queries, filters=filters)
    else:
        count = LINES if lines is None else lines
        old = last_events(history, since, None, count, imported=False, queries=queries, filters=filters)
    for event in old:
        yield event
        followed[event.get("ledger")].take(event)
    shown = _Shown()
    while True:
        time.sleep(PAUSE)
        changed = [each for each in followed.values() if each.has_changed()]
        if not changed:
            continue
        # What stands behind another ledger's last event may be earlier: clocks differ, and a copy comes late.
        after = {name: each.seq for name, each in followed.items()}
        begin = min(each.ts for each in changed) or since
        for each in changed:
            each.look()
        for event in history.events(begin, imported=False, queries=queries, filters=filters):
            name = event.get("ledger")
            if event["seq"] > after[name] and (name is None or shown.is_new(event)):
                yield event
                followed[name].take(event)


class _Followed:
    """One ledger and how far its events are known: `seq` and `ts` of the last one, 0 and empty for none."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._stamp = _stamp(history)
        self.seq = 0
        self.ts = ""
        self.look()

    def has_changed(self) -> bool:
        """Tell whether the active segment is another than at the last look at it."""
        before, self._stamp = self._stamp, _stamp(self._history)
        return self._stamp != before

    def look(self) -> None:
        """Know the last event that there is now; damage is reported by the reader of the events."""
        try:
            last = next(last_events(self._history, None, None, 1, imported=False), None)
        except (EniLedgerError, OSError):
            return
        if last:
            self.take(last)

    def take(self, event: Event) -> None:
        """Know an event that is later than those known."""
        if event["seq"] > self.seq:
            self.seq, self.ts = event["seq"], event["ts"]


class _Shown:
    """The latest events of several ledgers that were yielded: copies of one ledger have the same."""

    def __init__(self) -> None:
        self._marks: dict[tuple[int, str], None] = {}

    def is_new(self, event: Event) -> bool:
        """Tell whether an event was not seen before, and remember it."""
        mark = event["seq"], event["crc"]
        if mark in self._marks:
            return False
        self._marks[mark] = None
        if len(self._marks) > _REMEMBERED:
            del self._marks[next(iter(self._marks))]
        return True


def _starts(history: LedgerReader) -> list[str]:
    """Return the time of the first event of each segment, oldest first."""
    starts = []
    with history.apart()[0].snapshot() as snapshot:
        for part in snapshot.segments:
            fd = part.open()
            try:
                starts.append(os.pread(fd, 64, 0)[_TS].decode("ascii", "replace"))
            finally:
                os.close(fd)
    return starts


def _stamp(history: History) -> tuple[int, int, int] | None:
    """Return device, inode and size of the active segment, None during a rotation; an append changes them."""
    try:
        status = Path(history.path(ACTIVE)).lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size
