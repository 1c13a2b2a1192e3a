"""The clock goes back and forth by hours while ADDs are made, the host is booted anew with everything used again.

Every answer is held against a list of intervals, at random moments and exactly at those of events. What is asked is
time as the ledger counts it: where the clock was set back `ts` is held, and intervals of the meantime have no length.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

from eni_ledger.ledger.query import clock_note
from eni_ledger.ledger.query.questions import History
from ledger.torture.model import Model, Span, number, text
from ledger.torture.trial import Run, Trial
from ledger.torture.world import HOUR, World

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association

CALLS = 60
MOMENTS = 40
_SLOTS = 5


def _day(world: World, chance: random.Random) -> None:
    """Let CALLS things happen: mostly ADDs and DELs, with VLANs and namespaces that were used before."""
    for _ in range(CALLS):
        world.tick(chance.choice((1, 999, 1_000_000, 90_000_000, 1_200_000_000)))
        slot = chance.randrange(_SLOTS)
        how: dict[str, Any] = {"rotate": chance.random() < 0.2}
        luck = chance.random()
        if luck < 0.2:
            how["locked"] = True  # it waits in the spool, perhaps until after a step or a reboot
        if luck > 0.9:
            world.step(chance.choice((-7 * HOUR, -2 * HOUR, -HOUR // 3600, HOUR, 5 * HOUR)))
        elif luck > 0.84:
            # The same PIDs, inodes and VLAN IDs are there again, for other containers or for the same.
            world.reboot()
            if chance.random() < 0.5:
                world.step(chance.choice((-HOUR, HOUR)))
        if chance.random() < 0.65:
            world.add(slot + chance.choice((0, 0, 10)), slot + 1, slot, **how)
        else:
            world.delete(slot + chance.choice((0, 10)), **how)


def _ask(trial: Run, world: World, chance: random.Random) -> None:
    """Ask at MOMENTS moments, and for the time between two of them."""
    history = History(str(world.where))
    edges = sorted({number(e["ts"]) for e in history.events()} | {s.since for s in world.model.spans} | world.moments)
    begin = number(next(iter(history.events()))["ts"])
    for _ in range(MOMENTS):
        exact = chance.choice(edges) + chance.choice((-1, 0, 0, 0, 1))
        moment = max(begin, chance.choice((exact, chance.randint(edges[0], edges[-1]))))
        expected = world.model.at(moment)
        same = _ids(history.at(text(moment))) == sorted(span.id for span in expected)
        trial.check(same, f"at {text(moment)} in {world.where}")
        slot = chance.randrange(_SLOTS) + 1
        found = _ids(history.who(f"vlan{slot}", text(moment)))
        right = sorted(span.id for span in expected if span.fields["vlan_id"] == slot)
        trial.check(found == right, f"who had VLAN {slot} at {text(moment)} in {world.where}: {found}, not {right}")
        trial.check(len(found) < 2, f"VLAN {slot} had two at {text(moment)} in {world.where}")
        trial.counts["moments asked about"] += 1
        if any("step" in event and event["ts"] == moment for event in world.model.events):
            continue  # the moment that is held: whether it came twice itself is a question of words
        twice = world.model.again(moment)
        steps = clock_note.set_back(history, text(moment), text(moment))
        trial.check(len(steps) == twice, f"{text(moment)} came again: {steps}, not {twice} times in {world.where}")
        trial.counts["came twice"] += twice
    everything = list(history.events())
    for _ in range(4):
        first = chance.choice(edges)
        last = first + chance.choice((0, 999_999, HOUR))
        these = set(_ids(history.find(first=text(first), last=text(last))))
        true = {span.id for span in _during(world.model, first, last)}
        # What began and ended within the range and was not in the chain by then may be missing.
        late = {
            event["association_id"] for event in world.model.events if event["event"] == "add" and "spooled" in event
        }
        fine = true - late <= these <= true
        trial.check(fine, f"from {text(first)} to {text(last)} in {world.where}: {these}, not {true}")
        between = [event["seq"] for event in everything if text(first) <= event["ts"] <= text(last)]
        logged = [event["seq"] for event in history.events(text(first), text(last))]
        if any(event["event"] == "checkpoint" and event["ts"] == text(first) for event in everything):
            between = between[-len(logged) :]  # of segments that begin at the same time only the last is read
        trial.check(
            logged == between, f"events from {text(first)} to {text(last)} in {world.where}: {logged}, {between}"
        )
        trial.counts["ranges asked about"] += 1


def _during(model: Model, first: int, last: int) -> list[Span]:
    """Return what was live at any moment from `first` to `last`, and what has no length and lies between them."""
    return [span for span in model.spans if span.since <= last and (span.until is None or first < span.until)]


def _ids(found: list[Association]) -> list[str]:
    return sorted(str(one["association_id"]) for one in found)


def _rebooted(trial: Run, world: World) -> None:
    """Whatever was live when the host was booted anew has ended as `rebooted`, at the boot or before."""
    boots = [event for event in world.model.events if event["event"] == "boot"]
    spans = {one["association_id"]: one for one in History(str(world.where)).all()}
    for event in boots:
        for span in world.model.spans:
            if span.add_seq < event["seq"] and (span.end_seq is None or span.end_seq >= event["seq"]):
                ended = spans[span.id].get("ended_by")
                trial.check(ended == "rebooted", f"{span.id} ended as {ended} by a boot in {world.where}")
                trial.counts["ended by a reboot"] += 1


def _one(trial: Run, where: Path, chance: random.Random) -> None:
    world = World(where)
    world.add(0, 1, 0)
    _day(world, chance)
    world.add(99, 99, 99)  # folds in what still waits
    world.check(chance)
    _ask(trial, world, chance)
    _rebooted(trial, world)
    trial.counts.update(world.counts)


def run(trial: Run) -> None:
    """Each round is one host that has a bad day."""
    for _, chance, where in trial.each():
        failed = len(trial.failures)
        try:
            _one(trial, where, chance)
        except AssertionError as exc:
            trial.check(False, f"{exc} in {where}")
        if len(trial.failures) == failed:
            shutil.rmtree(where)


TRIAL = Trial("time", "clock set back and forth by hours, reboots with everything used again", run, rounds=300, short=8)
