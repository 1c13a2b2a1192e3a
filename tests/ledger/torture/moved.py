"""The state directory is deleted, moved away, or replaced while a writer is at work in it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from eni_ledger.ledger.check.fsck import fsck
from helpers.ledgers import add_event, record
from ledger.torture.faults import Server, again, boundaries
from ledger.torture.scenarios import SCENARIOS, ledger
from ledger.torture.trial import Run
from ledger.torture.verdict import NEXT, acknowledged, recovered

OLD = 70
"""The attachment in the ledger that comes in the place of the one that was taken away."""


def deleted(where: Path) -> None:
    """The whole directory."""
    shutil.rmtree(where)


def emptied(where: Path) -> None:
    """All that is in it."""
    for path in where.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def renamed(where: Path) -> None:
    """It has another name now."""
    where.rename(where.with_name("taken away"))


def replaced(where: Path) -> None:
    """Another one is in its place, with a ledger that others have begun."""
    renamed(where)
    record(where, add_event(OLD))


def replaced_by_an_older(where: Path) -> None:
    """A copy of how it was before is in its place, as from a backup."""
    renamed(where)
    ledger(where)


WAYS: tuple[Callable[[Path], None], ...] = (deleted, emptied, renamed, replaced, replaced_by_an_older)
SITUATIONS = ("the first event", "add", "rotation", "fold of three", "spooling")


def everything(run: Run, writers: Server, directory: Path, chance: random.Random) -> None:
    """Stop a writer at each of its calls, take its directory away, and let it go on."""
    for scenario in (each for each in SCENARIOS if each.name in SITUATIONS):
        template = directory / f"{scenario.name} to be moved"
        scenario.prepare(template)
        where = directory / "moved"
        calls = boundaries(writers.ask(scenario.do, again(template, where), **scenario.over)["calls"])
        for at, call in enumerate(calls, 1):
            for way in chance.sample(WAYS, 2):
                shutil.rmtree(where.with_name("taken away"), ignore_errors=True)
                again(template, where)
                writers.ask(scenario.do, where, {"at": at, "how": "stop"}, **scenario.over)
                if where.exists():
                    way(where)
                answer = writers.go_on()
                run.counts["state directories taken away"] += 1
                what = f"{scenario.name}, {way.__name__} before {call['call']} {call['file'] or call['about']} ({at})"
                _judge(run, writers, where, answer, way, what)


def _judge(
    run: Run, writers: Server, where: Path, answer: dict[str, object], way: Callable[[Path], None], what: str
) -> None:
    """Check that what was acknowledged is in the directory that is there now, and that the rest was told."""
    said = acknowledged(answer.get("said"))
    run.counts["recorded in the one that is there"] += bool(said)
    run.counts["refused and told as it was"] += "error" in answer
    if not said:
        run.check("error" in answer, f"{what}: neither recorded nor refused: {answer}")
        return
    wrong = []
    last = writers.ask(["record", add_event(NEXT)], where)
    report = fsck(str(where))
    if way is emptied:  # what was there is missing, and that is said: of the ledger before, of nothing else
        wrong += [str(each) for each in report.damage if "are missing" not in str(each)]
    else:
        wrong += map(str, report.damage)
    wrong += recovered(where, [*said, *acknowledged(last.get("said"))])
    run.check("said" in last and not wrong, f"{what}: {'; '.join(wrong)}; then {last}")
