"""The end of the log: its last events, and new ones as they are written."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.segment import ACTIVE
from eni_ledger.ledger.query.questions import History

Event = dict[str, Any]
Wants = Callable[[Event], bool]

PAUSE = 0.25  # seconds between two looks at the file; a look is one stat
LINES = 10  # old events that --follow prints first, as tail -f does

_TS = slice(len(b'{"ts":"'), len(b'{"ts":"') + 27)  # where `ts` stands in every line


def last_events(
    history: History,
    since: str | None,
    until: str | None,
    lines: int,
    *,
    imported: bool = True,
    wants: Wants = lambda _: True,
) -> Iterator[Event]:
    """Yield the last `lines` events from `since` to `until` that `wants` accepts; read only the segments they take.

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
            kept.extend(filter(wants, history.events(since if enough else start, until, imported=imported)))
        except LedgerDamaged as exc:
            damage = exc
        if enough or len(kept) >= lines:
            yield from kept
            if damage:
                raise damage
            return
        count *= 2


def following(
    history: History, since: str | None, lines: int | None, *, wants: Wants = lambda _: True
) -> Iterator[Event]:
    """Yield the last `lines` events (from `since` on) that `wants` accepts, then each new one; ends by an exception.

    Follows rotations: the active segment is found by name, and an event is new by its seq, whatever its segment.
    Raises as `History.events` does.
    """
    before = _stamp(history)
    last: Event | None = None
    old: Iterator[Event]
    if lines is None and since is not None:
        old = filter(wants, history.events(since, imported=False))
    else:
        old = last_events(history, since, None, LINES if lines is None else lines, imported=False, wants=wants)
    for event in old:
        last = event
        yield event
    if last is None:  # no old event was wanted, but new ones start behind the last
        last = next(last_events(history, None, None, 1, imported=False), None)
    while True:
        time.sleep(PAUSE)
        now = _stamp(history)
        if now == before:
            continue
        before = now
        after = last["seq"] if last else 0
        for event in history.events(last["ts"] if last else since, imported=False):
            if event["seq"] > after:
                last = event
                if wants(event):
                    yield event


def _starts(history: History) -> list[str]:
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


def _stamp(history: History) -> list[tuple[int, int, int] | None]:
    """Return device, inode and size of each active segment, None during a rotation; an append changes them."""
    stamps: list[tuple[int, int, int] | None] = []
    for ledger in history.apart():
        try:
            status = Path(ledger.path(ACTIVE)).lstat()
        except FileNotFoundError:
            stamps.append(None)
        else:
            stamps.append((status.st_dev, status.st_ino, status.st_size))
    return stamps
