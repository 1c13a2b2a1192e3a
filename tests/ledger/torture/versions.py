"""Two versions of the plugin that write at once, as during an upgrade: older, newer, and of a later format."""

from __future__ import annotations

import json
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from helpers.ledgers import SOURCE, plain, segments
from helpers.patience import PATIENCE_S
from ledger.torture.scenarios import waiting
from ledger.torture.stuck import come
from ledger.torture.trial import Run
from ledger.torture.writers import acknowledged, missing, problems, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

REPOSITORY = Path(__file__).parents[3]
OLDER = ("16ffaff", "15d1451", "84aef22", "68e9c61")
"""Commits whose format is version 1 as it is now."""

Change = tuple[str, str, str]
NEWER: tuple[Change, ...] = (
    (
        "ledger/format/line.py",
        "ordered = {key",
        'event = {**event, "shine": {"of": ["a", 1]}, "zz": "new"}\n    ordered = {key',
    ),
    (
        "ledger/write/writer.py",
        "written = session.add(event)\n",
        'written = session.add(event)\n                session.append({"event": "resize", "to": 9})\n',
    ),
)
"""A minor version to come: keys that this one does not know, and a kind of event."""
FUTURE: tuple[Change, ...] = (("ledger/format/line.py", "VERSION = 1\n", "VERSION = 2\n"),)


def changed(to: Path, changes: Sequence[Change], source: Path = SOURCE) -> Path:
    """Make `to` a copy of the package with `changes` (file, old, new) in it, and return it. Raises ValueError."""
    shutil.copytree(source / "eni_ledger", to / "eni_ledger", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in changes:
        path = to / "eni_ledger" / name
        text = path.read_text()
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in {name}")
        path.write_text(text.replace(old, new))
    return to


def older(to: Path, number: int) -> Path | None:
    """Make `to` one of the older versions and return it; None where the history is not there."""
    archive = ("git", "-C", str(REPOSITORY), "archive", OLDER[number % len(OLDER)], "cni")
    try:
        done = subprocess.run(archive, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    to.mkdir()
    subprocess.run(["tar", "-xC", str(to)], input=done.stdout, check=True)
    return to / "cni"


def everything(run: Run, directory: Path, number: int) -> None:
    """Have each pair write at once."""
    newer = changed(directory / "newer", NEWER, run.source)
    together(run, directory / "with newer", newer, "newer")
    if old := older(directory / "older", number):
        together(run, directory / "with older", old, "older")
    later(run, directory / "with later", changed(directory / "later", FUTURE, run.source))


def together(run: Run, where: Path, other: Path, name: str) -> None:
    """Four times eight writers, by turns of this version and of another that write the same format."""
    said: list[Draft] = []
    wrong: list[str] = []
    for turn, source in enumerate((run.source, other) * 2):
        here, complaints = _mixed(where, run.source, other, 1 + turn * 100) if turn else come(where, 3, source=source)
        said += here
        wrong += complaints
    events, more = problems(where, said)
    wrong += more
    run.counts[f"acknowledged, with a {name} version beside"] += len(said)
    if name == "newer":
        strange = sum(1 for event in events if event["event"] == "resize" and event["zz"] == "new")
        run.check(strange > 0, "the newer version wrote nothing that this one does not know")
        run.counts["events of a kind that this version does not know"] += strange
    run.check(not wrong, f"with a {name} version: {'; '.join(wrong)}")


def _mixed(where: Path, one: Path, other: Path, first: int) -> tuple[list[Draft], list[str]]:
    """Have writers of both versions come at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: come(where, 3, first + each[0], each[1]), ((0, one), (20, other))))
    return [event for said, _ in results for event in said], [each for _, wrong in results for each in wrong]


def later(run: Run, where: Path, future: Path) -> None:
    """A version of a later format has written: this one leaves its ledger alone and spools; that one folds it in."""
    said, wrong = come(where, 3, source=run.source)
    more, complaints = come(where, 3, 100, source=future)
    said, wrong = said + more, wrong + complaints
    before = [plain(path) for path in segments(where)]
    waited, complaints = come(where, 3, 200, source=run.source)
    wrong += complaints
    run.check([plain(path) for path in segments(where)] == before, "this version wrote to a ledger of a later format")
    run.check(all(event.get("spooled") for event in waited), "not through the spool, though of a later format")
    more, complaints = come(where, 3, 300, source=future)
    wrong += complaints
    # One more alone: the last of those may have gone to the spool while another of them had the lock.
    out, err = start(where, 400, 1, source=future, lock_wait_ms=60_000).communicate(timeout=PATIENCE_S)
    more += acknowledged(out)
    wrong += [err.decode(errors="replace")] if err else []
    wrong += missing(_chained(where), said + waited + more)
    if waiting(where):
        wrong.append(f"left in the spool: {waiting(where)}")
    run.counts["acknowledged, with a later format beside"] += len(said + waited + more)
    run.check(not wrong, f"with a later format: {'; '.join(wrong)}")


def _chained(where: Path) -> list[Draft]:
    """Return all events, whatever version; raise AssertionError where seq or chain do not hold."""
    events: list[Draft] = []
    crc = 0
    for line in b"".join(plain(path) for path in segments(where)).splitlines():
        event = json.loads(line)
        crc = zlib.crc32(line[: line.rindex(b',"crc":')], crc)
        assert event["crc"] == f"{crc:08x}", event
        assert event["seq"] == len(events) + 1, event
        events.append(event)
    return events
