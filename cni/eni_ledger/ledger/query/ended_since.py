"""What has ended since `identify` ran last, and the mark that it leaves: `identified.json`.

The mark has seq and time of the last event that a run has seen. It is derived: without it a run goes back a day, which
is longer than the agent keeps a task that has stopped (three hours unless it is told otherwise).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eni_ledger.base.errors import LedgerDamaged, LedgerError
from eni_ledger.base.minijson import dumps, loads
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format import state_file
from eni_ledger.ledger.format.directory import open_file, open_state_dir, write_file
from eni_ledger.ledger.format.line import VERSION, format_ts, now_us
from eni_ledger.ledger.query import as_of
from eni_ledger.ledger.query.late import Late
from eni_ledger.ledger.read.selection import Lookup

if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.ledger.query.questions import History


MARK_FILE = "identified.json"
_MARK_MAX = 4096
_FIRST_US = 24 * 3600 * 1_000_000


@dataclass(slots=True)
class Ended:
    """What has ended since the mark, oldest end first, with what was identified since; and the mark of this run."""

    associations: list[Association] = field(default_factory=list)
    seq: int = 0
    ts: str = ""


def ended(history: History) -> Ended:
    """Return what has ended since the mark; of a damaged ledger what can be proven.

    Raises StateDirError, LedgerError, OSError.
    """
    dir_fd = open_state_dir(history.state_dir)
    try:
        seq, ts = _mark(dir_fd)
        known = state_file.read(dir_fd)
    finally:
        os.close(dir_fd)
    if known is not None and (known.head["seq"], known.head.get("ts")) == (seq, ts):
        return Ended([], seq, ts)
    since = ts or format_ts(now_us() - _FIRST_US)
    found, late, live = Ended(seq=seq, ts=ts), Late(), live_state.Live()
    damage: list[LedgerDamaged] = []
    with history.snapshot() as snapshot:
        lookup = Lookup(snapshot, damage)
        first = as_of.segments_at(snapshot.segments, since)[0] if snapshot.segments else 0
        for number in range(first, len(snapshot.segments)):
            for event in lookup.events(number):
                late.note(event)
                # Whatever the mark is of, a later time is later: the ledger may have been begun anew.
                new = event["ts"] > since or (ts and event["seq"] > seq)
                ends = [as_of.ended(old, event, why) for old, why in live.apply(event)]
                found.associations += ends if new else ()
                found.seq, found.ts = event["seq"], event["ts"]
    found.associations = [late.complete(association) for association in found.associations]
    return found


def leave_mark(state_dir: str, run: Ended) -> None:
    """Have the next run begin where this one has ended. What fails means that it sees the same again."""
    try:
        dir_fd = open_state_dir(state_dir)
        try:
            if run.ts and (run.seq, run.ts) != _mark(dir_fd):
                mark = dumps({"v": VERSION, "seq": run.seq, "ts": run.ts}).encode() + b"\n"
                write_file(dir_fd, MARK_FILE, mark, sync=False)
        finally:
            os.close(dir_fd)
    except (LedgerError, OSError):
        pass


def _mark(dir_fd: int) -> tuple[int, str]:
    """Return seq and time of the mark; 0 and an empty text when there is none that can be used."""
    try:
        fd = open_file(dir_fd, MARK_FILE, os.O_RDONLY)
    except (LedgerError, OSError):
        return 0, ""
    try:
        found = loads(os.pread(fd, _MARK_MAX, 0))
        seq, ts = found["seq"], found["ts"]
        if type(seq) is int and isinstance(ts, str) and len(ts) == len(format_ts(0)):
            return seq, ts
    except (OSError, ValueError, KeyError, TypeError):
        pass
    finally:
        os.close(fd)
    return 0, ""
