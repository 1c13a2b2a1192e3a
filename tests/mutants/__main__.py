"""`build/mutants`: a sample of mutants, two at a time, and which of them no test notices."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mutants import equivalent
from mutants.copies import PACKAGE, REPOSITORY, Copy
from mutants.covering import FAILED, Broken, Covering, covering
from mutants.mutations import Mutant, modules, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = REPOSITORY / "tests/mutants.txt"
AT_ONCE = 2


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "noticed", "equivalent" (listed, not run) or "SURVIVED", and what noticed it."""

    mutant: Mutant
    result: str
    by: str
    seconds: float = 0.0


def say(text: str) -> None:
    """Print progress, on stderr."""
    print(f"mutants: {text}", file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """Return the options of the command line; build/mutants prints the usage."""
    parser = argparse.ArgumentParser(prog="build/mutants", add_help=False, allow_abbrev=False)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args()
    if chosen.count < 1:
        parser.error("--count is positive")
    return chosen


def attempt(mutant: Mutant, copies: SimpleQueue[Copy], cover: Covering, seconds: Path) -> Outcome:
    """Run the tests of a mutant until the first one that fails."""
    began = time.monotonic()
    copy = copies.get()
    arguments = copy.directory / ".arguments"
    arguments.write_text("\n".join(cover.tests(mutant.module, mutant.change.lines)))
    try:
        with copy.changed(mutant):
            status, output = copy.pytest(["-x", f"@{arguments}"], {"MUTANTS_SECONDS": str(seconds)})
    finally:
        copies.put(copy)
    failed = FAILED.search(output)
    by = failed[1] if failed else "the end of pytest: a crash, or a test without end"
    return Outcome(mutant, "noticed" if status else "SURVIVED", by if status else "", time.monotonic() - began)


def run(mutants: list[Mutant], entries: dict[equivalent.Entry, str], where: Path) -> Iterator[Outcome]:
    """Yield the outcome of each mutant, in the order in which they are known."""
    unknown = [mutant for mutant in mutants if equivalent.entry_of(mutant) not in entries]
    for mutant in mutants:
        if mutant not in unknown:
            yield Outcome(mutant, "equivalent", entries[equivalent.entry_of(mutant)])
    if not unknown:
        return
    copies: SimpleQueue[Copy] = SimpleQueue()
    say(f"copying the work tree to {where}")
    for number in range(AT_ONCE):
        copies.put(Copy(where / str(number)))
    say("recording which test runs which line, where that is not known yet")
    copy = copies.get()
    cover = covering(copy)
    copies.put(copy)
    seconds = where / "seconds.json"
    seconds.write_text(json.dumps(cover.seconds))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        attempts = [pool.submit(attempt, mutant, copies, cover, seconds) for mutant in unknown]
        yield from (each.result() for each in as_completed(attempts))


def summary(outcomes: list[Outcome], seed: int, seconds: float) -> int:
    """Print the survivors as entries of the list, and the totals; return the exit status."""
    survived = [outcome for outcome in outcomes if outcome.result == "SURVIVED"]
    for outcome in survived:
        print(f"{equivalent.entry_of(outcome.mutant)}\n")
    totals = [sum(outcome.result == result for outcome in outcomes) for result in ("noticed", "equivalent")]
    print(
        f"{len(outcomes)} mutants: {totals[0]} noticed, {totals[1]} listed as equivalent, {len(survived)} survived; "
        f"seed {seed}, {seconds:.0f} s"
    )
    return 1 if survived else 0


def main() -> int:
    """Run the command line; return the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, and tests send it
    chosen = options()
    entries = equivalent.read(LIST)
    root = REPOSITORY / PACKAGE
    names = chosen.only or modules(root)
    if unknown := [name for name in names if not (root / name).is_file()]:
        say(f"no such module below {PACKAGE}: {', '.join(unknown)}")
        return 2
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    say(f"seed {seed}")
    mutants = list(itertools.islice(sample(root, names, seed), chosen.count))
    if chosen.list:
        print("\n\n".join(str(equivalent.entry_of(mutant)) for mutant in mutants))
        return 0
    began, outcomes = time.monotonic(), []
    where = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        for outcome in run(mutants, entries, where):
            outcomes.append(outcome)
            change = outcome.mutant.change
            place = f"{outcome.mutant.module}:{change.lines.start} {change.function}"
            say(f"{len(outcomes)}/{len(mutants)} {outcome.result:<10} {outcome.seconds:5.1f} s  {place}  {outcome.by}")
    except Broken as failure:
        say(f"tests fail without a mutant:\n{failure}")
        return 3
    finally:
        shutil.rmtree(where, ignore_errors=True)
    return summary(outcomes, seed, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
