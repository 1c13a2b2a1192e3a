"""`log --follow`: new events as they are written, over rotations."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eni_ledger.ledger.history import History
from eni_ledger.ledger.segment import ACTIVE

Event = dict[str, Any]

PAUSE = 0.25  # seconds between two looks at the file; a look is one stat
LINES = 10  # how many old events come first when nothing else is said, as with tail -f


def following(history: History, since: str | None, lines: int | None) -> Iterator[Event]:
    """Yield the last `lines` events (from `since` on), then each new one; ends only by an exception.

    A rotation is no event of its own: the file is looked for by name, and new events are told by their seq,
    whichever segment they are in. Raises what `History.events` does.
    """
    seen = _mark(history)
    last: Event | None = None
    count = LINES if lines is None and since is None else lines
    kept: deque[Event] = deque(maxlen=count)
    for event in history.events(since):
        last = event
        kept.append(event)
    yield from kept
    while True:
        time.sleep(PAUSE)
        now = _mark(history)
        if now == seen:
            continue
        seen = now
        after = last["seq"] if last else 0
        for event in history.events(last["ts"] if last else since):
            if event["seq"] > after:
                last = event
                yield event


def _mark(history: History) -> tuple[int, int, int] | None:
    """Return what changes when an event is appended or a segment begins, None between two segments."""
    try:
        found = (Path(history.state_dir) / ACTIVE).lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size
