"""Bytes that others made, changed at random: refused in our words or taken, never an exception, never without end.

Each round is some hundred inputs for one of `targets.TARGETS`, made from good ones with the round's own chance. With a
minute or more, and where there is atheris, it is libFuzzer with coverage of our code that makes them: the targets in
turn, each for its part of the time.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.torture.targets import TARGETS, Target, build
from ledger.torture.trial import Run, Trial

if TYPE_CHECKING:
    from random import Random

INPUTS = 200
SECONDS = 10
"""After this an input counts as one without end; most take a millisecond."""

GUIDED_FROM = 60.0


def changed(data: bytes, target: Target, chance: Random) -> bytes:
    """Return an input made from a good one by a few changes."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at, end = sorted((chance.randint(0, len(out)), chance.randint(0, len(out))))
        match chance.randrange(7):
            case 0 if out:
                out[min(at, len(out) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                out[at:at] = chance.choice(target.words)
            case 2:
                out[at : min(end, at + 40)] = chance.choice(target.words)
            case 3:
                del out[at:end]
            case 4:
                out[at:at] = out[at : min(end, at + 200)] * chance.choice((1, 1, 30))
            case 5:
                other = chance.choice(target.seeds)
                out[at:] = other[chance.randint(0, len(other)) :]
            case _:
                out[at : at + 1] = chance.randbytes(chance.randint(1, 4))
    return bytes(out)


class _EndlessError(Exception):
    """An input took too long."""


def _alarm(*_: object) -> None:
    raise _EndlessError(f"more than {SECONDS} s")


def _round(trial: Run, name: str, chance: Random, where: Path) -> None:
    target = build(name, where)
    before = signal.signal(signal.SIGALRM, _alarm)
    try:
        for number in range(INPUTS):
            data = target.seeds[number] if number < len(target.seeds) else b""
            if number >= len(target.seeds):
                data = changed(chance.choice(target.seeds), target, chance)
            signal.alarm(SECONDS)
            try:
                target.call(data)
            except Exception as exc:
                last = "".join(traceback.format_exception(exc)[-3:])
                trial.check(False, f"{name}: {last} of {data!r:.1500}")
            finally:
                signal.alarm(0)
            trial.counts[name] += 1
    finally:
        signal.signal(signal.SIGALRM, before)
        shutil.rmtree(where, ignore_errors=True)


def _guided(trial: Run, name: str, seconds: int, where: Path) -> None:
    """Let atheris do it, and say what it says."""
    where.mkdir(parents=True)
    script = Path(__file__).with_name("under_atheris.py")
    command = [sys.executable, str(script), name, str(seconds), str(trial.seed), str(where)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds * 4 + 120,
        check=False,
        env=os.environ,
    )
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    trial.counts[name] += int(executions[1]) if executions else 0
    if not trial.check(done.returncode == 0, f"{name}: {done.stdout[-1500:]} {done.stderr[-1500:]}, input in {where}"):
        return
    shutil.rmtree(where, ignore_errors=True)


def run(trial: Run) -> None:
    """One target a round, in turn."""
    names = list(TARGETS)
    if (trial.seconds or 0) >= GUIDED_FROM and importlib.util.find_spec("atheris"):
        for number, name in enumerate(names):
            _guided(trial, name, int((trial.seconds or 0) / len(names)), trial.where / name)
            trial.counts["rounds"] += 1
            if trial.progress:
                trial.progress(number + 1, len(names))
        return
    for number, chance, where in trial.each():
        _round(trial, names[(number - 1) % len(names)], chance, where)


TRIAL = Trial(
    "fuzz-bytes", "bytes that others made, changed at random", run, rounds=len(TARGETS) * 20, short=len(TARGETS)
)
