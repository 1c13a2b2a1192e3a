"""The ledger as its specification has it, in memory: a list of events, and what they mean.

Written from the docstring of `eni_ledger.ledger`, without the code that it is held against. `Model.predict...` says
which events a call appends; `Model.take` what one event means. Times are microseconds, intervals include their
beginning and not their end.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft


AHEAD = 600_000_000
"""Microseconds by which an event of the spool may be ahead of the clock."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINK = ("trunk_netns_inode", "trunk_ifindex")
_OWN = ("container_id", "ifname", "netns_dev", "netns_inode", "vlan_id", "trunk_mac", "vlan_protocol", "branch_mac",
        "netns", "eni_id", *_LINK)  # fmt: skip


def text(us: int) -> str:
    """Return `us` as `ts` has it."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def number(ts: str) -> int:
    """Return the microseconds of a `ts`."""
    return (datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%f%z") - _EPOCH) // timedelta(microseconds=1)


@dataclass
class Span:
    """One association: its own fields, when it began (`since`) and ended (None: it has not), and why."""

    id: str
    fields: Draft
    since: int
    add_seq: int
    until: int | None = None
    ended_by: str | None = None
    end_seq: int | None = None

    def excludes(self, other: Span) -> bool:
        """Tell whether this one and another certainly cannot both be true."""
        mine, theirs = self.fields.get, other.fields.get

        def same(*keys: str) -> bool:
            return all(mine(key) is not None and mine(key) == theirs(key) for key in keys)

        def differ(*keys: str) -> bool:
            return any(None not in (mine(key), theirs(key)) and mine(key) != theirs(key) for key in keys)

        linked = {key for key in _LINK if mine(key) is not None or theirs(key) is not None}
        trunk = same(*_LINK) if linked else same("trunk_mac")
        return (
            same("netns_inode", "netns_dev", "ifname")
            or (same("vlan_id") and mine("vlan_protocol") == theirs("vlan_protocol") and trunk)
            or (same("container_id", "ifname") and not differ("netns_inode", "vlan_id", "branch_mac"))
        )

    def may_be(self, event: Draft) -> bool:
        """Tell whether a del may be of this one."""
        return all(self.fields.get(key) == event[key] for key in ("container_id", "ifname")) and not any(
            key in event and key in self.fields and event[key] != self.fields[key] for key in ("vlan_id", "branch_mac")
        )

    def answer(self) -> tuple[Any, ...]:
        """Return what a question has to be answered with."""
        until = text(self.until) if self.until is not None else None
        return self.id, text(self.since), until, self.ended_by, self.add_seq, self.end_seq, self.fields.get("eni_id")


@dataclass
class Waiting:
    """An event in the spool; `order` is the time in the file's name."""

    event: Draft
    occurred: int
    order: int


@dataclass
class Model:
    """Everything that was written, and what is live by it. `boot` is the boot that the ledger knows of."""

    events: list[Draft] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    spool: list[Waiting] = field(default_factory=list)
    boot: str | None = None
    in_segment: int = 0
    torn: bool = False

    # What an event means

    def live(self) -> list[Span]:
        """Return what has not ended, in the order of their adds."""
        return [span for span in self.spans if span.ended_by is None]

    def take(self, event: Draft) -> None:
        """Append one event and take its effect into account."""
        self.events.append(event)
        self.in_segment += 1
        kind, seq = event["event"], event.get("seq", 0)
        happened: int = event["spooled"] if "spooled" in event else event["ts"]
        if kind in ("add", "adopt"):
            new = Span(event["association_id"], {k: event[k] for k in _OWN if k in event}, happened, seq)
            if "supersedes" not in event:  # one that was taken before keeps what it said
                event["supersedes"] = {old.id for old in self.live() if new.excludes(old)}
            for old in self.live():
                if old.id in event["supersedes"]:
                    self._end(old, happened, "superseded", seq)
            self.spans.append(new)
        elif kind in ("del", "lost"):
            for old in self.live():
                if old.id == event["association_id"]:
                    self._end(old, happened, "rebooted" if event.get("reason") == "rebooted" else kind, seq)
        elif kind == "boot":
            for old in self.live():
                self._end(old, happened, "rebooted", seq)
            self.boot = event["boot_id"]
        elif kind == "checkpoint":
            self.boot, self.in_segment = event["boot_id"], 1
        elif kind == "identify":
            for old in self.live():
                if old.id == event["association_id"]:
                    old.fields = {**{k: event[k] for k in _OWN if k in event}, **old.fields}

    @staticmethod
    def _end(span: Span, when: int, why: str, seq: int) -> None:
        span.until, span.ended_by, span.end_seq = when, why, seq

    def at(self, moment: int) -> list[Span]:
        """Return what was live at a moment."""
        return [s for s in self.spans if s.since <= moment and (s.until is None or moment < s.until)]

    def again(self, moment: int) -> int:
        """Return how often a clock that had been set back showed a moment once more."""
        times, behind = 0, False
        clock = began = held = -1
        for event in [*self.events, {"event": "end", "ts": 0}]:
            if event["event"] == "checkpoint":
                continue
            last, clock = clock, event.get("spooled", event["ts"]) - event.get("step", 0)
            if behind and "step" in event and "order" in event:
                clock = max(clock, last)  # it waited while others were written
            if not behind or "step" not in event or clock < last:
                times += behind and began <= moment < held
                behind, began = "step" in event, clock
            held = event["ts"]
        return times

    # What a call appends

    def predict(self, clock: int, boot: str | None, rotate: bool, then: list[Draft]) -> Model:
        """Return the model after a writer of this host's `boot` has done its work and appended `then`.

        A `lost` in `then` without association is a GC: it has `keep`, the attachments that stay.
        """
        new = copy.deepcopy(self)
        if not new.events or new.in_segment == 0:
            new._append({"event": "checkpoint", "boot_id": new.boot if new.events else boot}, clock)
        elif rotate and new.in_segment > 1:
            new._append({"event": "checkpoint", "boot_id": new.boot}, clock)
        new._fold(clock, boot)
        for event in then:
            new._record({"boot_id": boot, **event}, clock)
        return new

    def wait(self, event: Draft, clock: int, latest: int, of: int) -> Waiting:
        """Put an event into the spool, where the last one that waits has `latest` in its name and is `of` that time."""
        floor = self.events[-1]["ts"] if self.events else 0
        if of <= clock + AHEAD:
            floor = max(floor, of)
        if clock < floor:
            event, clock = {**event, "step": floor - clock}, floor
        self.spool.append(Waiting(event, clock, max(clock, latest + 1)))
        return self.spool[-1]

    def _fold(self, clock: int, boot: str | None) -> None:
        """What waits in the spool goes before everything else, in the order in which it came.

        A time far ahead of the clock, and of the ledger, is not believed: the event was before the next one at least.
        """
        before = max(clock, self.events[-1]["ts"])
        believed = max(before, clock + AHEAD)
        waits = sorted(self.spool, key=lambda one: one.order)
        for waiting in reversed(waits):
            if waiting.occurred > believed:
                waiting.occurred = before
            before = min(before, waiting.occurred)
        for waiting in waits:
            event = {**waiting.event, "occurred": waiting.occurred, "order": waiting.order}
            stale = self.boot == boot != event["boot_id"]
            if stale:  # the boot that it is of is over
                event["boot_id"] = boot
            spans = len(self.spans)
            self._record(event, clock)
            if stale and len(self.spans) > spans:
                ended = {"event": "lost", "reason": "rebooted", "association_id": self.spans[-1].id}
                self._append(ended, clock)
        self.spool = []

    def _record(self, event: Draft, clock: int) -> None:
        if event["boot_id"] != self.boot:
            when: Draft = {key: event[key] for key in ("occurred", "step") if key in event}
            self._append({"event": "boot", "boot_id": event["boot_id"], **when}, clock)
        if event["event"] == "del" and "association_id" not in event:
            happened = self._happened(event, clock)
            mine = [
                span
                for span in self.live()
                if span.may_be(event) and not ("spooled" in happened and happened["spooled"] < span.since)
            ]
            if len(mine) > 1 and "netns" in event:
                mine = [span for span in mine if span.fields.get("netns") == event["netns"]] or mine
            if len(mine) != 1:  # nothing to end, or nothing that tells which
                return
            event = {key: value for key, value in event.items() if key not in ("vlan_id", "branch_mac", "netns")}
            event["association_id"] = mine[0].id
        if event["event"] == "lost" and "keep" in event:
            for span in self.live():
                if span.fields["container_id"] not in event["keep"]:
                    self._append({"event": "lost", "reason": "gc", "association_id": span.id}, clock)
            return
        if event["event"] in ("identify", "lost") and event["association_id"] not in {s.id for s in self.live()}:
            return  # ended by what was folded in first: a reader with the lock held sees that
        self._append(event, clock)

    def _happened(self, event: Draft, clock: int) -> Draft:
        """Return `ts`, `step` and `spooled` of an event that is written now."""
        last = self.events[-1]["ts"] if self.events else 0
        occurred = event.get("occurred", clock)
        ts = max(last, occurred)
        if "occurred" not in event:
            return {"ts": ts, **({"step": ts - occurred} if ts > occurred else {})}
        return {"ts": ts, **({"spooled": occurred} if ts > occurred else {})}

    def _append(self, event: Draft, clock: int) -> None:
        kept = {key: value for key, value in event.items() if key not in ("occurred", "keep")}
        self.take({**kept, **self._happened(event, clock), "seq": len(self.events) + 1})
