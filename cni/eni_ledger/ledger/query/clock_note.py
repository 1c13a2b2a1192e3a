"""A time that came twice: what was live by a clock that had been set back.

The ledger's `ts` never goes back. While the clock is behind it, all events have the `ts` of the last one before the
step, and `clock_step_us` says how far behind the clock was. So who asks about 09:00 gets what was live when the ledger
first saw 09:00. Where the clock was set back from 10:00 to 08:00 there was a second 09:00, which is asked for here; and
a clock that was once far ahead has left no other.
"""

from __future__ import annotations

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.line import format_ts, parse_ts
from eni_ledger.ledger.format.live import Live, happened_at
from eni_ledger.ledger.query import as_of
from eni_ledger.ledger.read import continuity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.ledger.query.questions import History

    Event = dict[str, Any]
    Association = dict[str, Any]

_AHEAD = 16 << 20
"""Bytes of later segments that are looked through for a step: what a busy host writes in some days."""
_ENDS = ("until", "ended_by", "end_seq")


class Again:
    """One more time that the clock showed what was asked for.

    `ts` is where it stands in the ledger, from event `seq` on; `back_us` how far the clock was behind then.
    `found` are the associations of that time, oldest first, their `since` and `until` by the clock.
    """

    def __init__(self, ts: str, seq: int, back_us: int) -> None:
        self.ts = ts
        self.seq = seq
        self.back_us = back_us
        self.found: list[Association] = []

    def document(self, found: list[Association]) -> dict[str, Any]:
        """Return what `--json` prints of it, with those of the associations that were asked for."""
        return {"ts": self.ts, "seq": self.seq, "clock_step_us": self.back_us, "associations": found}


class _Pass:
    """The clock from one step back to the next; `began` is the first time at which it was seen."""

    def __init__(self, event: Event, clock: int) -> None:
        self.again = Again(event["ts"], event["seq"], int(event["clock_step_us"]))
        self.began = self.clock = clock
        self.held: str = event["ts"]
        self.seen: dict[str, Association] = {}


def again(history: History, first: str, last: str) -> list[Again]:
    """Return what was live at any moment from `first` to `last` by a clock that had been set back, each time of it.

    Looks at the segment of that moment and some after it (a step back by weeks is not looked for), and from there to
    the end of the stretch in which the clock was behind. Raises what `History.events` does, but not LedgerDamaged.
    """
    near = _near(history, first)
    if not near:
        return []
    replay = _Replay(history, parse_ts(first), parse_ts(last))
    try:
        segments = 0
        for event in history.events(first):
            segments += event["event"] == "checkpoint"
            if segments > near and replay.current is None and not _step(event):
                break
            replay.take(event)
    except LedgerDamaged:
        pass  # whoever asks has been told
    replay.leave()
    return replay.done


def _near(history: History, when: str) -> int:
    """Return how many segments, from that of `when` on, have to be gone through: up to the last with a step."""
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
        for number, part in enumerate(segments[max(0, low - 1) :], 1):
            if continuity.contains_mark(part, "step"):
                near = number
            size += part.size if number > 1 else 0
            if size > _AHEAD:
                break
        return near


def _step(event: Event) -> int:
    """Return by how many microseconds the clock was behind at an event, 0 when it was not."""
    step = event.get("clock_step_us")
    return step if isinstance(step, int) and 0 < step < parse_ts(event["ts"]) else 0


class _Replay:
    """What is live from `first` on, and what the clock says meanwhile. `current` is the pass that it is in."""

    def __init__(self, history: History, first: int, last: int) -> None:
        self.done: list[Again] = []
        self.current: _Pass | None = None
        self._history = history
        self._first, self._last = first, last
        began = self._at(format_ts(first))
        self._live = Live({k: v for k, v in one.items() if k not in _ENDS} for one in began)

    def _at(self, when: str) -> list[Association]:
        try:
            return self._history.at(when)
        except LedgerDamaged as exc:
            return [dict(one) for one in exc.found]

    def take(self, event: Event) -> None:
        """Take the next event into account."""
        step = _step(event)
        if event["event"] == "checkpoint":
            return  # nothing has happened, and what is folded in behind it happened before it
        try:
            clock = parse_ts(happened_at(event)) - step
        except ValueError:
            return  # no writer wrote that time
        here = self.current
        if here is not None and "spool" in event:
            clock = max(clock, here.clock)  # it waited while others were written down
        if here is not None and (not step or clock < here.clock):
            self.leave()
            here = None
        if step and here is None:
            here = self.current = _Pass(event, clock)
        if here is None:
            self._live.apply(event)
            return
        if here.clock <= self._last and self._first < clock and here.clock < clock:
            self._look(here)  # so it was from the event before until this one
        here.clock, here.held = clock, event["ts"]
        for old, why in self._live.apply(event):
            if old["association_id"] in here.seen:
                here.seen[old["association_id"]] |= {
                    "until": format_ts(clock),
                    "ended_by": why,
                    "end_seq": event["seq"],
                }
        new = self._live.get(str(event.get("association_id", "")))
        if new is not None and new["add_seq"] == event["seq"]:
            new["since"] = format_ts(clock)

    def _look(self, here: _Pass) -> None:
        """Note what is live now as live at what was asked for."""
        for one in self._live:
            here.seen.setdefault(one["association_id"], dict(one))

    def leave(self) -> None:
        """The clock has caught up, or was set back once more."""
        here, self.current = self.current, None
        if here is None or here.began > self._last or parse_ts(here.held) <= self._first:
            return
        if here.clock <= self._last:
            self._look(here)
        ends = {one["association_id"]: one for one in self._at(here.again.ts)}
        for name, one in here.seen.items():
            if "until" not in one and name in ends:
                one |= {key: ends[name][key] for key in _ENDS if key in ends[name]}
        here.again.found = sorted(here.seen.values(), key=lambda one: (one["since"], one["add_seq"]))
        self.done.append(here.again)
