"""Verify the chain of CRCs through all segments and report where it breaks. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from eni_ledger.base.errors import LedgerDamaged, LedgerError
from eni_ledger.ledger.check.segment_check import Findings, examine_all
from eni_ledger.ledger.format import segment, state_file
from eni_ledger.ledger.format.source import read_state
from eni_ledger.ledger.query import imported
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.current import cut_short
from eni_ledger.ledger.read.segment_index import index_for as index_of
from eni_ledger.ledger.read.snapshot import Segment, Snapshot
from eni_ledger.ledger.write import spool
from eni_ledger.ledger.write.probe import FAILURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

Progress = Callable[[int, int], None]


class FsckReport:
    """The result of fsck.

    `segments`: for each one a dict with path, first_seq, last_seq, lines, bytes, status (``sound``, ``damaged``, or
    ``missing`` for an active segment that should exist); `events` proven; `live`
    associations at the end; `damage`: a LedgerDamaged each, in order; `notes`: findings that are not damage
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
        """Whether all lines are as they were written, and none is missing."""
        return not self.damage


class _Check:
    """The state of one run: the end of the chain so far, and what is live there."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.report = FsckReport()
        self.live: list[str] = []
        self.seq = 0
        self.crc: int | None = None
        self.ts = ""
        self.last_line = 0
        self._snapshot = snapshot
        self._before_is_sound = True

    def damage(self, msg: str, part: Segment, line: int, offset: int) -> None:
        path = self._snapshot.path(part.name)
        self.report.damage.append(LedgerDamaged(msg, path=path, line=line, offset=offset))

    def segment(self, part: Segment, found: Findings) -> None:
        """Add the findings of a segment to the report, and check that it continues the one before it."""
        before = len(self.report.damage)
        if found["head"]:
            self._head(part, found["head"])
        for one in found["damage"]:
            self.damage(one["msg"], part, one["line"], one["offset"])
        if found["torn"]:
            self.report.notes.append(
                f"{part.name} has {found['torn']} torn bytes at offset {part.size}; the next writer sets them aside"
            )
        self._name(part, found)
        self._index(part)
        if found["lines"]:
            self.seq, self.crc, self.ts = found["last_seq"], found["crc"], found["ts"]
        self.live, self.last_line = found["live"], found["last_line"]
        self._before_is_sound = len(self.report.damage) == before
        status = "sound" if self._before_is_sound else "damaged"
        row = {"path": part.name, **{key: found[key] for key in ("first_seq", "last_seq", "lines")}}
        self.report.segments.append({**row, "bytes": part.size, "status": status})
        self.report.events += found["lines"]

    def _head(self, part: Segment, event: Fields) -> None:
        """Check that a segment continues the one before it."""
        after_damage = event["damage"] is not None
        if after_damage:
            self.report.notes.append(f"{part.name} begins after damage: {event['damage']}")
            if event["seq"] != self.seq + 1 and self.report.sound and (self.seq or not event["prev_segment"]):
                self.damage(f"events {self.seq + 1} to {event['seq'] - 1} are missing", part, 1, 0)
        if self.crc is None or after_damage:
            if self.crc is None and event["seq"] != 1:
                self.report.notes.append(f"events 1 to {event['seq'] - 1} are not here any more (retention)")
            return
        if event["seq"] != self.seq + 1:
            self.damage(f"events {self.seq + 1} to {event['seq'] - 1} are missing", part, 1, 0)
        elif event["prev_crc"] != f"{self.crc:08x}":
            self.damage("the segment is not chained to the one before it", part, 1, 0)
        elif self._before_is_sound and event["live"] != self.live:
            self.damage("the checkpoint does not carry what was live", part, 1, 0)
        if event["ts"] < self.ts:
            self.damage(f"time {event['ts']} follows {self.ts}", part, 1, 0)

    def _name(self, part: Segment, found: Findings) -> None:
        """Check the name of a sealed segment against its content, unless damage hides that."""
        named = segment.sealed_range(part.name)
        inside = (found["first_seq"], found["last_seq"])
        if named and named != inside and not any(each.path.endswith(part.name) for each in self.report.damage):
            msg = f"the name says events {named[0]} to {named[1]}, inside are {inside[0]} to {inside[1]}"
            at_end = named[0] == inside[0]
            self.damage(msg, part, found["last_line"] + 1 if at_end else 1, part.end() if at_end else 0)

    def _index(self, part: Segment) -> None:
        """Note a packed segment whose index is missing or damaged."""
        if part.packed:
            index = index_of(part)
            if index is None or not index.whole():
                self.report.notes.append(f"{part.name} has no index that can be used; eni-ledger prune makes it")

    def surroundings(self) -> None:
        """Note the other files: state.json, the spool, the quarantine, failures to record."""
        source, notes = self._snapshot.source, self.report.notes
        known = read_state(source)
        if known is None:
            notes.append("state.json is missing or unusable; the next writer rebuilds it")
        elif known.head["seq"] < self.seq:
            notes.append(f"state.json is at event {known.head['seq']} of {self.seq}; the next writer rebuilds it")
        elif known.head["seq"] > self.seq and self._ends_before():
            part = self._snapshot.segments[-1] if self._snapshot.segments else None
            here = part if part is not None and not part.sealed else None
            path = self._snapshot.path(segment.ACTIVE)
            line, offset = (self.last_line + 1, here.size) if here else (1, 0)
            msg = f"events are missing: state.json knows of event {known.head['seq']}, the ledger ends with {self.seq}"
            self._unsound_end(present=here is not None)
            self.report.damage.append(LedgerDamaged(msg, path=path, line=line, offset=offset))
        elif known.head["seq"] == self.seq and not self._agrees(known):
            notes.append("state.json does not say what the ledger says; the next writer rebuilds it")
        waiting = len(spool.waiting_among(source.below(spool.DIRECTORY)))
        if waiting:
            words = "1 event waits" if waiting == 1 else f"{waiting} events wait"
            notes.append(f"{words} in the spool; the next writer folds {'it' if waiting == 1 else 'them'} in")
        names = source.names()
        if "quarantine" in names:
            pieces = source.below("quarantine")
            notes.append(
                "1 piece lies in quarantine/" if len(pieces) == 1 else f"{len(pieces)} pieces lie in quarantine/"
            )
        if FAILURES in names:
            notes.append(f"events could not be recorded: see {FAILURES}")

    def _unsound_end(self, *, present: bool) -> None:
        """Report that the active segment is not whole or, if not `present`, missing."""
        if present:
            self.report.segments[-1]["status"] = "damaged"
            return
        nothing = {"first_seq": None, "last_seq": None, "lines": 0, "bytes": 0}
        self.report.segments.append({"path": segment.ACTIVE, **nothing, "status": "missing"})

    def _agrees(self, known: state_file.StateFile) -> bool:
        """Return whether `state.json` is of the last event, and has what is live after it."""
        ids = sorted(orjson.loads(line)["association_id"] for line in known.lines)
        return known.head.get("crc") == f"{self.crc or 0:08x}" and ids == self.live

    def _ends_before(self) -> bool:
        """Return whether the ledger still ends before the event of `state.json`, after writers had time to append."""
        try:
            return cut_short(self._snapshot.source) is not None
        except LedgerDamaged:
            return False  # has been reported already


def fsck(state_dir: str, progress: Progress | None = None) -> FsckReport:
    """Verify every line of every segment in `state_dir`, as `fsck_ledger` does."""
    return fsck_ledger(History(state_dir), progress)


def fsck_ledger(history: History, progress: Progress | None = None) -> FsckReport:
    """Verify every line of every segment of a ledger and return the report. Takes no lock, changes nothing.

    Imported history is a ledger of its own; its segments and damage come first.

    `progress` is called with bytes done and bytes in all. Raises StateDirError, FutureFormat, OSError;
    LedgerError when retention removed what was still to be read.
    """
    with history.snapshot() as snapshot:
        check = _Check(snapshot)
        for part, found in zip(snapshot.segments, examine_all(snapshot.segments, progress), strict=True):
            if not found.get("gone"):
                check.segment(part, found)
            elif check.report.segments:
                raise LedgerError("retention removed what was being read", part.name, "ask again")
        check.report.live = len(check.live)
        check.surroundings()
        source = snapshot.source
        older = source.inside(imported.DIRECTORY) if segment.ACTIVE in source.below(imported.DIRECTORY) else None
    if older is not None:
        report = fsck_ledger(History(f"{history.state_dir}/{imported.DIRECTORY}", None, older))
        rows = [{**row, "path": f"{imported.DIRECTORY}/{row['path']}"} for row in report.segments]
        check.report.segments[:0], check.report.damage[:0] = rows, report.damage
        check.report.events += report.events
    return check.report
