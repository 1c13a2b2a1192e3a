"""A writer that is stopped while it holds the lock, and eight others that come."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

from eni_ledger.ledger.check.fsck import fsck
from helpers.ledgers import SOURCE, add_event, prove, stuck_holder
from helpers.patience import PATIENCE_S
from ledger.torture.faults import Server, again, boundaries
from ledger.torture.scenarios import ACTED, SCENARIOS
from ledger.torture.trial import Run
from ledger.torture.verdict import NEXT, acknowledged, recovered
from ledger.torture.writers import acknowledged as told
from ledger.torture.writers import problems, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

WRITERS, EVENTS = 8, 6
LOCKED = ("add", "del", "rotation", "torn tail", "fold of three", "damaged end")
"""Scenarios in which a writer is stopped at each of its calls."""


def come(where: Path, count: int, first: int = 1, source: Path = SOURCE) -> tuple[list[Draft], list[str]]:
    """Have `WRITERS` writers come at once; return what was acknowledged to them, and what they complained of.

    Each of them has to end, whichever process is stopped.
    """
    go, hold = os.pipe()
    processes = [start(where, first + n, count, go=go, source=source, lock_wait_ms=20) for n in range(WRITERS)]
    os.close(go)
    os.close(hold)
    said: list[Draft] = []
    wrong = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            wrong.append("a writer came to no end")
        said += told(out)
        if err:
            wrong.append(err.decode(errors="replace"))
    return said, wrong


def in_order(events: list[Draft]) -> list[str]:
    """Return a phrase for each event that was folded in, in one go with an earlier one, before that one."""
    wrong, last = [], ""
    for event in events:
        if "spool" not in event:
            last = ""
        elif event["spool"] < last:
            wrong.append(f"seq {event['seq']}: {event['spool']} was folded in after {last}")
        else:
            last = event["spool"]
    return wrong


def held(run: Run, directory: Path) -> None:
    """The lock is held by an idle process: all go to the spool, and later they are folded in, in order."""
    where = directory / "held"
    said, wrong = come(where, EVENTS, source=run.source)
    with stuck_holder(where):
        waited, complaints = come(where, EVENTS, 1 + WRITERS, source=run.source)
    wrong += complaints
    direct = [event for event in waited if not event.get("spooled")]
    run.check(not direct, f"recorded past the holder of the lock: {direct[:1]}")
    events, more = problems(where, said + waited)
    wrong += more + in_order(events)
    run.counts["events while the lock was held"] += len(waited)
    run.counts["of them folded in later"] += sum(1 for event in events if "spool" in event)
    run.check(not wrong, f"held: {'; '.join(wrong)}")


def stopped(run: Run, writers: Server, directory: Path, chance: random.Random) -> None:
    """A writer is stopped before a call, others come and go, it goes on: nothing is lost, nothing is twice."""
    for scenario in (each for each in SCENARIOS if each.name in LOCKED):
        template = directory / f"{scenario.name} with a stop"
        scenario.prepare(template)
        where = directory / "stopped"
        calls = boundaries(writers.ask(scenario.do, again(template, where), **scenario.over)["calls"])
        for at in chance.sample(range(2, len(calls) + 1), 2):  # the first call makes the lock file: it is not held yet
            again(template, where)
            writers.ask(scenario.do, where, {"at": at, "how": "stop"}, **scenario.over)
            others = _others(run, where)
            answer = writers.go_on()
            run.counts["writers stopped with the lock"] += 1
            wrong = [f"the stopped one: {answer}"] if "said" not in answer else recovered(where, [answer["said"]])
            late = {**add_event(ACTED + 5)}
            last = writers.ask(["record", late], where)
            wrong += recovered(where, [*others, last.get("said") or {"event": "none", "ts": ""}])
            if scenario.name != "damaged end":
                wrong += in_order(prove(where))
            run.check(not wrong, f"{scenario.name}, stopped at {at}, {calls[at - 1]}: {'; '.join(wrong)}")


def stale(run: Run, writers: Server, directory: Path) -> None:
    """A writer is stopped with the lock, another process removes the lock file as stale, others write."""
    for scenario in (each for each in SCENARIOS if each.name in ("torn tail", "fold of what is folded")):
        template = directory / f"{scenario.name} with a stale lock"
        scenario.prepare(template)
        where = again(template, directory / "stale")
        writers.ask(scenario.do, where, {"at": 3, "how": "stop"})
        (where / "lock").unlink()
        said = _others(run, where, through_spool=False)
        answer = writers.go_on()
        last = writers.ask(["record", add_event(NEXT)], where)
        run.counts["lock files removed"] += 1
        wrong = recovered(where, [*said, *acknowledged(answer.get("said")), *acknowledged(last.get("said"))])
        wrong += [str(damage) for damage in fsck(str(where)).damage]
        run.check("said" in last and not wrong, f"{scenario.name}, lock removed: {'; '.join(wrong)}; {answer}")


def _others(run: Run, where: Path, *, through_spool: bool = True) -> list[Draft]:
    """Have others come while the holder is stopped; all of them go to the spool while they cannot have the lock."""
    said: list[Draft] = []
    other = Server(run.source, dry=True)
    try:
        for n in range(3):
            answer = other.ask(["record", add_event(ACTED + 1 + n)], where, lock_wait_ms=1)
            spooled = bool(answer.get("said", {}).get("spooled"))
            run.check(spooled == through_spool, f"{'not ' * through_spool}through the spool: {answer}")
            said += acknowledged(answer.get("said"))
    finally:
        other.close()
    run.counts["events while it was"] += len(said)
    return said
