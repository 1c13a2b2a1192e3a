"""Anything in any order, held against a plain model after every step."""

from __future__ import annotations

import shutil
import traceback
from typing import TYPE_CHECKING, Any

from ledger.torture.trial import Run, Trial
from ledger.torture.world import HOUR, World

if TYPE_CHECKING:
    from random import Random

STEPS = 40
_KINDS = ("add",) * 6 + ("delete",) * 3 + ("gc", "adopt", "identify", "identify", "lose") + ("world",) * 4


def anything(chance: Random) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return what happens next: a method of `World` and its arguments."""
    how: dict[str, Any] = {"rotate": chance.random() < 0.15}
    luck = chance.random()
    if luck < 0.2:
        how["locked"] = True
    elif luck < 0.4:
        how["crash"] = (chance.randint(1, 14), round(chance.random(), 2))
    elif luck < 0.5:
        how["fault"] = chance.randint(1, 14)
    n, vlan, inode = chance.randrange(6), chance.randint(1, 4), chance.randrange(4)
    match chance.choice(_KINDS):
        case "add":
            return "add", (n, vlan, inode), {"trunk": chance.randrange(6), **how}
        case "delete":
            said = {"vlan": chance.choice((0, 0, vlan)), "inode": chance.choice((-1, -1, inode))}
            return "delete", (n,), {**said, **how}
        case "adopt":
            return "add", (n, vlan, inode), {"kind": "adopt", **how}
        case "gc":
            return "gc", ({chance.randrange(6) for _ in range(vlan)},), how
        case "world":
            return _of_the_world(chance, n)
        case kind:
            return kind, (n,), how


def _of_the_world(chance: Random, n: int) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if n < 2:
        return "step", (chance.choice((-5 * HOUR, -HOUR, -1_000_000, HOUR)),), {}
    if n == 2:
        return "reboot", (), {}
    if n == 3:
        return "tear", (chance.choice((chance.randbytes(30), b'{"ts":"2026-11-25T0')),), {}
    return "spoil_state", (chance.randrange(3),), {}


def run(trial: Run) -> None:
    """Each round is a host with STEPS things happening on it."""
    for _, chance, where in trial.each():
        world = World(where)
        done: list[str] = []
        try:
            for _ in range(STEPS):
                world.tick(chance.choice((0, 1, 1_000, 1_000_000, 60_000_000)))
                name, arguments, how = anything(chance)
                done.append(f"{name}{arguments} {how} at {world.clock}")
                getattr(world, name)(*arguments, **how)
                world.check(chance)
        except Exception as exc:  # whatever it is, it is a failure, and the other rounds go on
            last = "".join(traceback.format_exception(exc)[-2:])
            trial.check(False, f"{last}after {'; '.join(done[-4:])}; see {where}")
        else:
            shutil.rmtree(where, ignore_errors=True)
        trial.counts.update(world.counts)


TRIAL = Trial("fuzz", "anything in any order against a plain model", run, rounds=2000, short=25)
