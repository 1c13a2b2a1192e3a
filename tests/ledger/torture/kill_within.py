"""A writer killed before each call that changes something, and half way through each write, whatever it was doing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.ledgers import add_event
from ledger.torture.faults import Server, again, boundaries, server
from ledger.torture.scenarios import SCENARIOS, Before, Scenario
from ledger.torture.trial import Run, Trial
from ledger.torture.verdict import SECOND, next_writer


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
    wrong += next_writer(writers, scenario, where, before, killed)
    run.counts["recoveries"] += not wrong
    return wrong


TRIAL = Trial(
    "kill-within",
    f"a writer killed at each of its calls in {len(SCENARIOS)} situations; then the next one, too",
    kill_within,
    20,
    1,
)
