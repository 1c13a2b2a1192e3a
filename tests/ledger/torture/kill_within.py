"""A writer killed before each call that changes something, and half way through each write, whatever it was doing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eni_ledger.ledger.history import History
from helpers.ledgers import add_event, prove, state_file
from ledger.torture.faults import Server, again, boundaries, server
from ledger.torture.scenarios import ACTED, SCENARIOS, Before, Scenario, waiting
from ledger.torture.trial import Run, Trial

SECOND, NEXT = 60, 61
"""The attachments of the writers that come after."""


def kill_within(run: Run) -> None:
    """Each round is every call of every scenario; from the second on the next writer is killed somewhere, too."""
    with server(run.source, dry=True) as writers:
        for number, chance, directory in run.each():
            directory.mkdir()
            for scenario in SCENARIOS:
                template = directory / f"{scenario.name} before"
                scenario.prepare(template)
                _scenario(run, writers, scenario, template, chance if number > 1 else None)


def _faults(calls: list[dict[str, Any]], chance: random.Random | None) -> Iterator[dict[str, Any]]:
    """Yield a kill before each call, and one in the middle of each write."""
    for at, call in enumerate(boundaries(calls), 1):
        yield {"at": at, "how": "kill"}
        if call["call"] == "write":
            yield {"at": at, "how": "kill", "part": chance.random() if chance else 0.5}


def _scenario(run: Run, writers: Server, scenario: Scenario, template: Path, chance: random.Random | None) -> None:
    before = Before.of(template)
    where = template.with_name(scenario.name)
    undisturbed = writers.ask(scenario.do, again(template, where), **scenario.over)
    run.check("said" in undisturbed, f"{scenario.name}, undisturbed: {undisturbed}")
    run.counts["scenarios"] += 1
    for fault in _faults(undisturbed["calls"], chance):
        again(template, where)
        answer = writers.ask(scenario.do, where, fault, **scenario.over)
        run.counts["kills"] += 1
        run.counts["kills half way through a write"] += "part" in fault
        last = answer["calls"][-1]
        about = (
            f"{scenario.name}, killed at call {fault['at']} ({last['call']} {last['file'] or last['about']}, {fault})"
        )
        if not run.check(answer["status"] == 9, f"{about}: not killed, {answer}"):
            continue
        wrong = _after(run, writers, scenario, where, before, chance)
        if not run.check(not wrong, f"{about}: {'; '.join(wrong)}"):
            return  # its files are kept


def _after(
    run: Run, writers: Server, scenario: Scenario, where: Path, before: Before, chance: random.Random | None
) -> list[str]:
    """Return what is not as promised: to readers at once, and when the next writer has been there."""
    killed = Before.of(where)
    wrong = [f"before the next writer: {each}" for each in before.lost(killed, retains=scenario.retains)]
    if chance:
        fault = {"at": chance.randrange(1, 25), "how": "kill", "part": chance.choice((0, chance.random()))}
        second = writers.ask(["record", add_event(SECOND)], where, fault, **scenario.over)
        run.counts["second kills"] += second["status"] == 9
        between = Before.of(where)
        wrong += [f"after the second kill: {each}" for each in killed.lost(between, retains=scenario.retains)]
        killed = between
    answer = writers.ask(["record", add_event(NEXT)], where)
    if "said" not in answer or answer["said"].get("spooled"):
        return [*wrong, f"the next writer: {answer}"]
    now = Before.of(where)
    wrong += [f"after the next writer: {each}" for each in before.lost(now, retains=scenario.retains, settled=True)]
    wrong += [f"after the next writer: {each}" for each in killed.lost(now, retains=scenario.retains)]
    if left := waiting(where):
        wrong.append(f"left in the spool: {left}")
    wrong += _whole(where, sound=not before.damage)
    run.counts["recoveries"] += not wrong
    return wrong


def _whole(where: Path, *, sound: bool) -> list[str]:
    """Return what is wrong with the ledger as a whole: nothing twice, sound where it was, state.json what it should."""
    history = History(str(where))
    wrong = []
    if sound:
        events = prove(where)
        for n in (ACTED, SECOND, NEXT):
            count = sum(1 for each in events if each["event"] == "add" and each["container_id"] == f"{n:064x}")
            if count > 1 or (n == NEXT and count != 1):
                wrong.append(f"the add of {n} is there {count} times")
        if [event["seq"] for event in history.events()] != [event["seq"] for event in events]:
            wrong.append("History has other events than the files")
    live = {each["association_id"]: each["container_id"] for each in history.live()}
    kept = {each["association_id"]: each["container_id"] for each in state_file(where)["associations"]}
    if live != kept or f"{NEXT:064x}" not in live.values():
        wrong.append(f"live are {live}, state.json has {kept}")
    return wrong


TRIAL = Trial(
    "kill-within",
    f"a writer killed at each of its calls in {len(SCENARIOS)} situations; then the next one, too",
    kill_within,
    20,
    1,
)
