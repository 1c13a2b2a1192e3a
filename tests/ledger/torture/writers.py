"""Writer processes, a reader beside them, and the invariant: each acknowledged event is there once, unchanged."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import writer
from helpers.ledgers import SOURCE, prove, settings, state_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

SCRIPT = Path(__file__).parents[1] / "writing.py"

_ONLY_SAID = frozenset(("spooled", "spooled_because", "ts"))
"""Keys of an acknowledged event that are not, or may be others, in the ledger: `ts` is compared by itself."""


def start(
    where: Path,
    worker: int,
    count: int,
    *,
    go: int = subprocess.DEVNULL,
    out: int | IO[bytes] = subprocess.PIPE,
    source: Path = SOURCE,
    **over: int,
) -> subprocess.Popen[bytes]:
    """Start a writer; it begins when the other end of the pipe `go` is closed. `over` are settings."""
    arguments = [source, where, worker, count, *(f"{name}={value:d}" for name, value in over.items())]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)], stdin=go, stdout=out, stderr=subprocess.PIPE
    )


def acknowledged(output: bytes) -> list[Draft]:
    """Return what a writer was told; a last line without an end it was not."""
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")]


def settle(where: Path) -> list[Draft]:
    """Have one more writer come, which mends and folds in what was left; return all events, proven.

    Raises AssertionError.
    """
    nothing = {"event": "del", "boot_id": "boot", "container_id": "x", "ifname": "x"}
    assert writer.record(settings(where), nothing) is None
    left = [path.name for path in (where / "spool").glob("[!.]*")]
    assert not left, f"left in the spool: {left}"
    report = fsck(str(where))
    assert report.sound, f"fsck: {[str(damage) for damage in report.damage]}"
    return prove(where)


def unlike(said: Draft, found: Draft) -> list[str]:
    """Return a phrase for each key in which the ledger's event differs from what was acknowledged."""
    wrong = [
        f"{key} {value!r} is {found.get(key)!r}"
        for key, value in said.items()
        if key not in _ONLY_SAID and value is not None and found.get(key) != value
    ]
    happened = found.get("spooled_ts", found["ts"]) if said.get("spooled") else found["ts"]
    return wrong if happened == said["ts"] else [*wrong, f"ts {said['ts']} is {happened}"]


def missing(events: Iterable[Draft], said: Iterable[Draft]) -> list[str]:
    """Return a phrase for each acknowledged event that is not among `events`, is there twice, or is another."""
    found: dict[tuple[str, str], Draft] = {}
    wrong = []
    for event in events:
        if event["event"] in ("add", "del"):
            key = (event["event"], event["container_id"])
            if key in found:
                wrong.append(f"{key} is there twice, seq {found[key]['seq']} and {event['seq']}")
            found[key] = event
    for event in said:
        key = (event["event"], event["container_id"])
        if key not in found:
            wrong.append(f"acknowledged and not there: {event}")
        elif different := unlike(event, found[key]):
            wrong.append(f"{key}: {', '.join(different)}")
    return wrong


def problems(where: Path, said: list[Draft]) -> tuple[list[Draft], list[str]]:
    """Return all events once the ledger has settled, and what of the invariant does not hold.

    The chain is sound and without gaps, each acknowledged event is there unchanged, what was not is whole, and
    `state.json` is what a replay gives.
    """
    try:
        events = settle(where)
    except Exception:  # an assertion's words, or what a reader fell over
        return [], [traceback.format_exc().rstrip()]
    wrong = missing(events, said)
    for event in events:
        if event["event"] == "add":
            worker, _, n = event["container_id"].partition("-")
            if event["netns_inode"] != int(worker) * 100_000 + int(n):
                wrong.append(f"wrong content: {event}")
    adds = {event["association_id"] for event in events if event["event"] == "add"}
    live = adds - {event["association_id"] for event in events if event["event"] in ("del", "lost")}
    for name, found in (
        ("replay", History(str(where)).live()),
        ("state.json", state_file(where)["associations"]),
    ):
        if {each["association_id"] for each in found} != live or len(found) != len(live):
            wrong.append(f"{name} has {len(found)} live associations, not the {len(live)} that there are")
    return events, wrong


class Looking(threading.Thread):
    """A reader that asks in a loop, and keeps what it saw that cannot be."""

    def __init__(self, where: Path) -> None:
        super().__init__()
        self._where = where
        self._end = threading.Event()
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()

    @property
    def rounds(self) -> int:
        """Return how often it looked."""
        return self.counts["looks"]

    def run(self) -> None:
        history, seen = History(str(self._where)), 0
        while not self._end.is_set():
            try:
                seqs = [event["seq"] for event in history.events()]
                if seqs != list(range(1, len(seqs) + 1)) or len(seqs) < seen:
                    self.wrong.append(f"{len(seqs)} events after {seen}, {seqs[:3]}...{seqs[-3:]}")
                seen = len(seqs)
                ids = [association["association_id"] for association in history.live()]
                if len(set(ids)) != len(ids):
                    self.wrong.append("twice in live")
                history.who("10.0.0.1")
                report = fsck(str(self._where))
                if not report.sound:
                    self.wrong.append(str(report.damage[0]))
            except Exception as exc:  # any at all is what this looks for
                self.wrong.append(f"{type(exc).__name__}: {exc}")
            self.counts["looks"] += 1

    def stop(self) -> None:
        """Have it end, after the look that it is at."""
        self._end.set()
        self.join()
