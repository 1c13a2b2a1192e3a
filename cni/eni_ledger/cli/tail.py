"""The end of the log: its last events, and new ones as they are written."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.segment import ACTIVE
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.ledger.read.terms import Query

Event = dict[str, Any]

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
    history: History,
    since: str | None,
    lines: int | None,
    *,
    queries: Sequence[Query] = (),
    filters: Filters | None = None,
) -> Iterator[Event]:
    """Yield the last `lines` events (from `since` on), then each new one; ends only by an exception.

    `queries` and `filters` are those of `History.events`. Follows rotations: the active segment is found by name, and
    an event is new by its seq, whatever its segment. Raises as `History.events` does.
    """
    before = _stamp(history)
    last = next(last_events(history, None, None, 1, imported=False), None)
    if lines is None and since is not None:
        old = history.events(since, imported=False, queries=queries, filters=filters)
    else:
        count = LINES if lines is None else lines
        old = last_events(history, since, None, count, imported=False, queries=queries, filters=filters)
    for event in old:
        yield event
        if last is None or event["seq"] > last["seq"]:
            last = event
    while True:
        time.sleep(PAUSE)
        now = _stamp(history)
        if now == before:
            continue
        before = now
        after, begin = (last["seq"], last["ts"]) if last else (0, since)
        last = next(last_events(history, None, None, 1, imported=False), None)
        for event in history.events(begin, imported=False, queries=queries, filters=filters):
            if event["seq"] > after:
                yield event
                if last is None or event["seq"] > last["seq"]:
                    last = event


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
