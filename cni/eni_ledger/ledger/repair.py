"""fsck: prove the chain through all segments, and say where it breaks. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import orjson

from eni_ledger.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger import segment, spool, state
from eni_ledger.ledger.health import FAILURES
from eni_ledger.ledger.reader import Segment, Snapshot
from eni_ledger.ledger.state import Live
from eni_ledger.ledger.statedir import open_file

Progress = Callable[[int, int], None]


class FsckReport:
    """What fsck found.

    `segments`: for each one a dict with path, first_seq, last_seq, lines, bytes, status (``sound``, ``damaged``, and
    ``missing`` for an active one that is not there though events are missing at the end); `events` proven; `live`
    associations at the end; `damage`: a LedgerDamaged each, in order; `notes`: what is worth knowing and is no damage
    (torn tail, spooled events, failures to record, quarantine). `sound`: no damage.
    """

    def __init__(self) -> None:
        self.segments: list[dict[str, Any]] = []
        self.events = 0
        self.live = 0
        self.damage: list[LedgerDamaged] = []
        self.notes: list[str] = []

    @property
    def sound(self) -> bool:
        """Whether every line of every segment is what was written, and none is missing."""
        return not self.damage


class _Check:
    """The state of one run: where the chain stands and what is live."""

    def __init__(self, snapshot: Snapshot, progress: Progress | None) -> None:
        self.report = FsckReport()
        self.live = Live()
        self.seq = 0
        self.crc: int | None = None
        self.ts = ""
        self.last_line = 0
        self._snapshot = snapshot
        self._progress = progress
        self._done = 0
        self._total = sum(part.size for part in snapshot.segments)

    def damage(self, msg: str, part: Segment, line: int, offset: int) -> None:
        path = os.path.join(self._snapshot.state_dir, part.name)
        self.report.damage.append(LedgerDamaged(msg, path=path, line=line, offset=offset))

    def segment(self, part: Segment) -> None:
        """Prove one segment and append what was found to the report."""
        before = len(self.report.damage)
        found: list[LedgerDamaged] = []
        row: dict[str, Any] = {"path": part.name, "first_seq": None, "last_seq": None, "lines": 0, "bytes": part.size}
        self.last_line = 0
        fd = part.open()
        try:
            lines = segment.walk(fd, part.name, part.size, damage=found, loads=orjson.loads)
            for number, offset, event, crc in lines:
                self._broken_lines(part, found)
                self._event(part, number, offset, event, gap=number - self.last_line > 1)
                self.last_line, self.crc = number, crc
                row["first_seq"] = event["seq"] if row["first_seq"] is None else row["first_seq"]
                row["last_seq"] = event["seq"]
                row["lines"] += 1
                if self._progress and number % 2048 == 0:
                    self._progress(self._done + offset, self._total)
            self._broken_lines(part, found)
            self._torn(part, fd)
        finally:
            os.close(fd)
        self._name(part, row)
        row["status"] = "sound" if len(self.report.damage) == before else "damaged"
        self.report.segments.append(row)
        self.report.events += row["lines"]
        self._done += part.size
        if self._progress:
            self._progress(self._done, self._total)

    def _broken_lines(self, part: Segment, found: list[LedgerDamaged]) -> None:
        for broken in found:
            self.damage("the line is not what was written", part, broken.line, broken.offset)
        found.clear()

    def _event(self, part: Segment, number: int, offset: int, event: dict[str, Any], *, gap: bool) -> None:
        """Check what the CRC of one line cannot tell: its place in the whole."""
        if number == 1:
            self._head(part, event)
        elif event["seq"] != self.seq + 1 and not gap:
            self.damage(f"seq {event['seq']} follows {self.seq}", part, number, offset)
        if event["ts"] < self.ts:
            self.damage(f"time {event['ts']} follows {self.ts}", part, number, offset)
        self.seq, self.ts = event["seq"], event["ts"]
        self.live.apply(event)

    def _head(self, part: Segment, event: dict[str, Any]) -> None:
        """Check that a segment begins with a checkpoint which goes on where the one before it ended."""
        if event["event"] != "checkpoint":
            self.damage("the segment does not begin with a checkpoint", part, 1, 0)
            return
        after_damage = "damage" in event
        if after_damage:
            self.report.notes.append(f"{part.name} begins after damage: {event['damage']}")
            if event["seq"] != self.seq + 1 and self.report.sound and (self.seq or not event.get("prev_segment")):
                self.damage(f"events {self.seq + 1} to {event['seq'] - 1} are missing", part, 1, 0)
        if self.crc is None or after_damage:
            if self.crc is None and event["seq"] != 1:
                self.report.notes.append(f"events 1 to {event['seq'] - 1} are not here any more (retention)")
            return
        if event["seq"] != self.seq + 1:
            self.damage(f"events {self.seq + 1} to {event['seq'] - 1} are missing", part, 1, 0)
        elif event["prev_crc"] != f"{self.crc:08x}":
            self.damage("the segment is not chained to the one before it", part, 1, 0)
        elif {each["association_id"] for each in event.get("live") or ()} != {
            each["association_id"] for each in self.live
        }:
            self.damage("the checkpoint does not carry what was live", part, 1, 0)

    def _torn(self, part: Segment, fd: int) -> None:
        """Note bytes behind the last newline of the active segment: what a crash leaves. Elsewhere they are damage."""
        torn = os.fstat(fd).st_size - part.size
        if torn > 0 and not part.sealed:
            self.report.notes.append(
                f"{part.name} has {torn} torn bytes at offset {part.size}; the next writer sets them aside"
            )

    def _name(self, part: Segment, row: dict[str, Any]) -> None:
        """Check the name of a sealed segment against what is in it, unless damage hides that."""
        named = segment.sealed_range(part.name)
        inside = (row["first_seq"], row["last_seq"])
        if named and named != inside and not any(each.path.endswith(part.name) for each in self.report.damage):
            msg = f"the name says events {named[0]} to {named[1]}, inside are {inside[0]} to {inside[1]}"
            at_end = named[0] == inside[0]
            self.damage(msg, part, self.last_line + 1 if at_end else 1, part.size if at_end else 0)

    def surroundings(self) -> None:
        """Note what lies beside the segments: state.json, the spool, the quarantine, failures to record."""
        dir_fd, notes = self._snapshot.dir_fd, self.report.notes
        known = state.read(dir_fd)
        if known is None:
            notes.append("state.json is missing or unusable; the next writer rebuilds it")
        elif known.head["seq"] < self.seq:
            notes.append(f"state.json is at event {known.head['seq']} of {self.seq}; the next writer rebuilds it")
        elif known.head["seq"] > self.seq and self._ends_before(known.head["seq"]):
            part = self._snapshot.segments[-1] if self._snapshot.segments else None
            here = part if part is not None and not part.sealed else None
            path = os.path.join(self._snapshot.state_dir, segment.ACTIVE)
            line, offset = (self.last_line + 1, here.size) if here else (1, 0)
            msg = f"events are missing: state.json knows of event {known.head['seq']}, the ledger ends with {self.seq}"
            self._unsound_end(present=here is not None)
            self.report.damage.append(LedgerDamaged(msg, path=path, line=line, offset=offset))
        elif known.head["seq"] == self.seq and not self._agrees(known):
            notes.append("state.json does not say what the ledger says; the next writer rebuilds it")
        waiting = len(spool.waiting(dir_fd))
        if waiting:
            words = "1 event waits" if waiting == 1 else f"{waiting} events wait"
            notes.append(f"{words} in the spool; the next writer folds {'it' if waiting == 1 else 'them'} in")
        names = os.listdir(dir_fd)
        if "quarantine" in names:
            pieces = os.listdir(os.path.join(self._snapshot.state_dir, "quarantine"))
            notes.append(
                "1 piece lies in quarantine/" if len(pieces) == 1 else f"{len(pieces)} pieces lie in quarantine/"
            )
        if FAILURES in names:
            notes.append(f"events could not be recorded: see {FAILURES}")

    def _unsound_end(self, *, present: bool) -> None:
        """Say of the active segment that it is not whole, or not `present` at all."""
        if present:
            self.report.segments[-1]["status"] = "damaged"
            return
        nothing = {"first_seq": None, "last_seq": None, "lines": 0, "bytes": 0}
        self.report.segments.append({"path": segment.ACTIVE, **nothing, "status": "missing"})

    def _agrees(self, known: state.State) -> bool:
        """Whether `state.json` is of the event that the ledger ends with, and has what is live then."""
        ids = {orjson.loads(line)["association_id"] for line in known.lines}
        ours = {association["association_id"] for association in self.live}
        return known.head.get("crc") == f"{self.crc or 0:08x}" and ids == ours

    def _ends_before(self, seq: int) -> bool:
        """Whether the ledger still ends before `seq`, now that writers have had the time since the snapshot."""
        try:
            fd = open_file(self._snapshot.dir_fd, segment.ACTIVE, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            tail, _ = segment.read_tail(fd, segment.ACTIVE)
        except LedgerDamaged:
            return False  # has been reported already
        finally:
            os.close(fd)
        return tail is None or tail.seq < seq


def fsck(state_dir: str, progress: Progress | None = None) -> FsckReport:
    """Prove every line of every segment in `state_dir` and return what was found. Takes no lock, changes nothing.

    `progress` is called with bytes done and bytes in all. Raises StateDirError, FutureFormat, OSError;
    LedgerError when retention removed what was still to be read.
    """
    with Snapshot(state_dir) as snapshot:
        check = _Check(snapshot, progress)
        for part in snapshot.segments:
            try:
                check.segment(part)
            except FileNotFoundError as exc:
                if check.report.segments:
                    raise LedgerError("retention removed what was being read", part.name, "ask again") from exc
        check.report.live = len(check.live)
        check.surroundings()
    return check.report
