"""Questions with filters and intervals, put to a million events: milliseconds of the whole process.

The ledger is that of `past`, packed as `prune` leaves it, which is as an operator has it; plain, for comparison. Every
round asks every question once, in an order that is drawn anew, and `aws --version` among them; a ratio is the median
of the ratios within a round. With `--before` the plain questions are also put to another bundle.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.__main__ import FRONT, say
from bench.past import histories
from bench.scene import own_run

AWS = "aws --version"
PLAIN = ("list", "who 17 --at 2016-06-29T12:00:00Z")
MS, OF_AWS, DAY_MS, ALL_MS, LIKE_BEFORE = 150.0, 0.5, 200.0, 3000.0, 1.05
_DAY = "--since 2016-06-29T00:00:00Z --until 2016-06-30T00:00:00Z"
_AT = "--at 2016-06-29T12:00:00Z"


@dataclass(frozen=True)
class Question:
    """A command line of eni-ledger, what it may take in milliseconds, and whether its output is a terminal."""

    words: str
    most_ms: float
    terminal: bool = False
    to_aws: bool = True

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return f"{self.words}{' (terminal)' if self.terminal else ''}"


QUESTIONS = [
    *(Question(words, MS) for words in PLAIN),
    *(Question(words, MS, terminal=True) for words in PLAIN),
    Question(f"list {_AT}", MS),
    Question(f"list {_DAY}", MS),
    Question(f"list --family api {_AT}", MS),
    Question(f"list --family api {_DAY}", MS),
    Question(f"list --vlan 17 --trunk enp40s0 {_DAY}", MS),
    Question(f"who 10.0.33.32 {_DAY}", MS),
    Question(f"who family:api {_AT}", MS),
    Question(f"who 10.0.33.0/24 {_DAY}", DAY_MS),
    Question(f"who family:api {_DAY}", DAY_MS),
    Question("who 10.0.33.0/28", ALL_MS, to_aws=False),
    Question("who family:api", ALL_MS, to_aws=False),
]


def asked(program: Path, question: Question, ledger: Path) -> float:
    """Return the milliseconds that a question takes, from the start to the end of the process."""
    command = [str(program), "--state-dir", str(ledger), *question.words.split()]
    began = perf_counter()
    if question.terminal:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(command[0], command)
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:  # the other side of the terminal is closed
            pass
        os.waitpid(pid, 0)
        os.close(terminal)
    else:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (perf_counter() - began) * 1e3


def once(command: list[str]) -> float:
    """Return the milliseconds that a command takes."""
    began = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (perf_counter() - began) * 1e3


def measure(
    ledger: Path, plain: Path, rounds: int, chance: random.Random, before: Path | None
) -> dict[str, list[float]]:
    """Return the milliseconds of everything in each round."""
    aws = shutil.which("aws")
    takes: dict[str, Callable[[], float]] = {
        question.name: partial(asked, FRONT, question, ledger) for question in QUESTIONS
    }
    if aws is not None:
        takes[AWS] = partial(once, [aws, "--version"])
    for question in QUESTIONS[: len(PLAIN)] if before is not None else ():
        assert before is not None
        # Of a ledger that is not packed: a bundle does not read the indexes of later ones.
        takes[f"{question.name}, not packed"] = partial(asked, FRONT, question, plain)
        takes[f"{question.name}, not packed, before"] = partial(asked, before, question, plain)
    times: dict[str, list[float]] = {name: [] for name in takes}
    for take in takes.values():
        take()  # page cache
    for number in range(rounds):
        if number % 5 == 0:
            say(f"round {number} of {rounds}")
        for name in chance.sample(list(takes), len(takes)):
            times[name].append(takes[name]())
    return times


def ratio(times: dict[str, list[float]], of: str, to: str) -> float | None:
    """Return the median of the ratios within a round; None if one was not measured."""
    if of not in times or to not in times:
        return None
    return median(one / other for one, other in zip(times[of], times[to], strict=True))


def print_table(times: dict[str, list[float]]) -> None:
    """Print medians, ratios, and whether the targets are met."""
    print(f"{'':13} {'ms':>8} {'of aws':>7}  question")
    for question in QUESTIONS:
        ms, of_aws = median(times[question.name]), ratio(times, question.name, AWS)
        met = ms <= question.most_ms and (not question.to_aws or of_aws is None or of_aws <= OF_AWS)
        share = "-" if of_aws is None else f"{of_aws:.2f}"
        print(f"{'met' if met else 'NOT MET':13} {ms:8.1f} {share:>7}  {question.name}, target {question.most_ms:g} ms")
    for words in PLAIN:
        like = ratio(times, f"{words}, not packed", f"{words}, not packed, before")
        if like is not None:
            word = "met" if like <= LIKE_BEFORE else "NOT MET"
            print(f"{word:13} {like:8.3f}          {words}, not packed, of the bundle before, target {LIKE_BEFORE:g}")
    print(f"{AWS}: {median(times[AWS]):.1f} ms" if AWS in times else f"{AWS}: not here (pip install awscli)")


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --questions")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--before", type=Path, metavar="DIRECTORY", help="another bundle, for the plain questions")
    parser.add_argument("--plain", action="store_true", help="the ledger before it is packed")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    own_run()
    plain, packed, _ = histories(options.events)
    before = options.before / "eni-ledger" if options.before else None
    ledger = plain if options.plain else packed
    times = measure(ledger, plain, options.rounds, random.Random(options.seed), before)
    if options.json:
        print(json.dumps({name: median(each) for name, each in times.items()}, indent=1))
    else:
        print_table(times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
