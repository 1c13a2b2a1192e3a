"""Calls that fail: each of a writer, in every scenario; and of the chained plugin, which has to answer all the same."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.ledgers import BOOT
from ledger.torture.faults import Server, again, boundaries
from ledger.torture.scenarios import ACTED, SCENARIOS, Before, Scenario
from ledger.torture.trial import Run
from ledger.torture.verdict import after_a_fault, counted, next_writer, recovered, synced_again

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
MOST_DESCRIPTORS = 24
"""More than a writer ever has open, with those of the server it is forked from."""

PREV = '{ "cniVersion":"1.0.0", "interfaces":[ {"name":"lo","sandbox":"/x"} ],"\\u0061":1.50 }'
ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": f"{ACTED:064x}",
    "CNI_NETNS": "/proc/self/ns/net",
    "CNI_IFNAME": "lo",
    "CNI_NETNS_OVERRIDE": "1",
    "CNI_PATH": "/",
}


def faults(calls: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield a fault at each call: with one error or another, for this call or for all from it on."""
    for at, call in enumerate(boundaries(calls), 1):
        fault: dict[str, Any] = {"at": at, "how": "fail", "errno": chance.choice(ERRORS)}
        if chance.random() < 0.5:
            fault["from"] = True
        if call["call"] == "write" and chance.random() < 0.7:
            fault["part"] = chance.random()
        yield fault


def writer(run: Run, writers: Server, scenario: Scenario, template: Path, chance: random.Random) -> None:
    """Have each call of a scenario fail."""
    before, where = Before.of(template), template.with_name(scenario.name)
    undisturbed = writers.ask(scenario.do, again(template, where), **scenario.over)
    limits = [{"how": "nofile", "limit": n} for n in range(3, MOST_DESCRIPTORS)]
    for fault in [*faults(undisturbed["calls"], chance), *chance.sample(limits, 2)]:
        again(template, where)
        answer = writers.ask(scenario.do, where, fault, **scenario.over)
        words = errno.errorcode[fault["errno"]] if "errno" in fault else "EMFILE"
        run.counts[f"of {words}"] += 1
        run.counts.update(counted(answer))
        wrong = after_a_fault(writers, scenario, where, before, answer)
        if not run.check(not wrong, f"{scenario.name}, {fault} at {_last(answer)}: {'; '.join(wrong)}"):
            return


def _last(answer: dict[str, Any]) -> str:
    failed = [call for call in answer["calls"] if call.get("failed")]
    return f"{failed[0]['call']} {failed[0]['file'] or failed[0]['about']}" if failed else "no call"


def plugin(run: Run, writers: Server, scenario: Scenario, template: Path, chance: random.Random) -> None:
    """Have each call fail while the chained plugin serves an ADD: status 0 and prevResult, or with `fail` an error."""
    before, where = Before.of(template), template.with_name(f"{scenario.name} of a plugin")
    for on_error in ("warn", "fail"):
        conf: dict[str, Any] = {
            "cniVersion": "1.0.0",
            "name": "ecs-trunk",
            "type": "eni-ledger",
            "stateDir": str(where),
        }
        conf |= {"journald": False, "onError": on_error}
        do = ["plugin", ENVIRONMENT, f'{json.dumps(conf)[:-1]},"prevResult":{PREV}}}']
        undisturbed = writers.ask(do, again(template, where), **scenario.over)
        limits = [{"how": "nofile", "limit": n} for n in range(3, MOST_DESCRIPTORS)]
        every = [*faults(undisturbed["calls"], chance), *limits]
        for fault in chance.sample(every, len(every) // 2):
            answer = writers.ask(do, again(template, where), fault)
            run.counts["ADDs of a chained plugin among them"] += 1
            wrong = _answered(answer, where, on_error)
            failed = Before.of(where)
            wrong += before.lost(failed, retains=scenario.retains)
            wrong += next_writer(writers, scenario, where, before, failed)
            if "not recorded" not in answer["err"] and answer["exit"] == 0:
                wrong += recovered(where, [_added(where)])
            if not run.check(not wrong, f"{scenario.name}, {on_error}, {fault} at {_last(answer)}: {'; '.join(wrong)}"):
                return


def _added(where: Path) -> dict[str, Any]:
    """Return what of the plugin's event is known here."""
    from ledger.torture.verdict import events_of

    there = [each for each in events_of(where) if each.get("container_id") == f"{ACTED:064x}"]
    return {"event": "add", "container_id": f"{ACTED:064x}", "ifname": "lo", "ts": there[0]["ts"] if there else BOOT}


def _answered(answer: dict[str, Any], where: Path, on_error: str) -> list[str]:
    """Return what of the answer harms the task, or hides that nothing was recorded."""
    wrong = synced_again(answer["calls"])
    told = "eni-ledger: ADD not recorded: " in answer["err"]
    if on_error == "fail" and answer["exit"]:
        code = json.loads(answer["out"]).get("code", 0)
        return wrong if code >= 100 and code != 999 else [*wrong, f"error {answer}"]
    if answer["exit"] or answer["out"] != PREV or "Traceback" in answer["err"]:
        wrong.append(f"answered {answer}")
    if not told and not where.exists():
        wrong.append("there is no ledger and nothing was said")
    return wrong


def everything(run: Run, writers: Server, directory: Path, chance: random.Random) -> None:
    """Do all of it once."""
    for scenario in SCENARIOS:
        template = directory / f"{scenario.name} before"
        scenario.prepare(template)
        writer(run, writers, scenario, template, chance)
        if scenario.name in ("the first event", "add", "torn tail", "fold of three"):
            plugin(run, writers, scenario, template, chance)
