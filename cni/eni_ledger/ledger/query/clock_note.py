"""Notes a moment that the clock showed twice, because it was set back.

The ledger's `ts` never goes back. While the clock is behind it, events have the `ts` of the last one before the step,
and `clock_step_us` says how far behind the clock was. An answer about 09:00 is what was live when the ledger first saw
09:00. Where the clock was set back from 10:00 to 08:00 there was a second 09:00; the answer has a note then.
"""

from __future__ import annotations

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged
from eni_ledger.ledger.format.line import parse_ts
from eni_ledger.ledger.format.live import happened_at
from eni_ledger.ledger.query import as_of
from eni_ledger.ledger.read import continuity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event
    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.query.reader import LedgerReader


_AHEAD = 16 << 20
"""Bytes of later segments that are looked through for a step: what a busy host writes in some days."""


def of_each(history: LedgerReader, first: str, last: str) -> list[tuple[str, str, int]]:
    """Return `set_back` of each ledger, with the ledger's path before it; an empty one if there is only one ledger.

    A ledger that cannot be read has none: the question itself reports why.
    """
    ledgers = history.apart()
    steps: list[tuple[str, str, int]] = []
    for ledger in ledgers:
        try:
            steps += [(ledger.state_dir if len(ledgers) > 1 else "", *step) for step in set_back(ledger, first, last)]
        except (EniLedgerError, OSError):
            if len(ledgers) == 1:
                raise
    return steps


def set_back(history: History, first: str, last: str) -> list[tuple[str, int]]:
    """Return each step of the clock behind a moment from `first` to `last` that it had shown before.

    A step is `(ts, microseconds)`: the time of the ledger at which the clock was first seen behind, and how far. Looks
    at the segment of that moment and some after it; a step back by weeks is not found. Raises what `History.events`
    does, but not LedgerDamaged, which the question itself reports.
    """
    segments = _segments_to_read(history, first)
    earliest, latest = parse_ts(first), parse_ts(last)
    steps: list[tuple[str, int]] = []
    behind, clock = False, 0
    try:
        for event in history.events(first, imported=False) if segments else ():
            step = _step(event)
            if event["event"] == "checkpoint":  # what is folded in behind it happened before it
                segments -= 1
                if segments < 0 and not behind:
                    break
                continue
            try:
                now = parse_ts(happened_at(event)) - step
            except ValueError:
                continue  # no writer wrote that time
            if behind and "spool" in event:
                now = max(now, clock)  # it waited while others were written
            if step and (not behind or now < clock) and now <= latest and earliest < parse_ts(event["ts"]):
                steps.append((event["ts"], step))
            behind, clock = step > 0, now
    except LedgerDamaged:
        pass
    return steps


def _segments_to_read(history: History, when: str) -> int:
    """Return how many segments, from that of `when` on, reach up to the last one with a step; 0 for none."""
    with history.snapshot() as snapshot:
        segments = snapshot.segments
        low, high = 0, len(segments)
        while low < high:
            middle = (low + high) // 2
            if as_of.begins(segments[middle]) >= when:
                high = middle
            else:
                low = middle + 1
        near, size = 0, 0
        for number, segment in enumerate(segments[max(0, low - 1) :], 1):
            if continuity.contains_mark(segment, "step"):
                near = number
            size += segment.size if number > 1 else 0
            if size > _AHEAD:
                break
        return near


def _step(event: Event) -> int:
    """Return by how many microseconds the clock was behind at an event, 0 when it was not."""
    step = event.get("clock_step_us")
    return step if isinstance(step, int) and 0 < step < parse_ts(event["ts"]) else 0
