"""`build/torture`: the trials one after the other, and a table of what was tried and what survived."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ledger.torture.discover import Outcome, attempt, trials
from ledger.torture.trial import Run, Trial


def say(text: str) -> None:
    """Tell about progress, on stderr."""
    print(f"torture: {text}", file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """Return what the command line says; usage itself is printed by build/torture."""
    parser = argparse.ArgumentParser(prog="build/torture", add_help=False, allow_abbrev=False)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("trial", nargs="*", metavar="TRIAL")
    found = parser.parse_args()
    if (found.rounds is not None and found.rounds < 1) or (found.seconds is not None and found.seconds < 0):
        parser.error("--rounds and --seconds are positive")
    return found


def one(trial: Trial, chosen: argparse.Namespace, seed: int, console: Console) -> Outcome:
    """Run one trial with a bar of its progress, on a terminal; its files are kept when it failed."""
    where = Path(tempfile.mkdtemp(prefix=f"torture-{trial.name}-"))
    rounds = chosen.rounds or (trial.short if chosen.short else trial.rounds)
    run = Run(where, seed, rounds, chosen.seconds)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(trial.name, total=rounds)
            run.progress = lambda done, total: progress.update(task, completed=done, total=total)
            outcome = attempt(trial, run)
    else:
        say(f"{trial.name}: {trial.what}")
        outcome = attempt(trial, run)
    say(f"{trial.name}: {outcome.result}, {run.counts['rounds']} rounds in {outcome.seconds:.1f} s")
    if run.failures:
        outcome.kept = where
    else:
        shutil.rmtree(where, ignore_errors=True)
    return outcome


def table(outcomes: list[Outcome]) -> Table:
    """Return the table of what was tried and what survived."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("TRIAL", no_wrap=True)
    made.add_column("ROUNDS", justify="right")
    made.add_column("TRIED, AND WHAT SURVIVED", ratio=1)
    made.add_column("RESULT")
    made.add_column("SECONDS", justify="right")
    for each in outcomes:
        tried = ", ".join(f"{count:,} {name}" for name, count in each.counts.items())
        style = "red" if each.run.failures else "yellow" if each.cannot or each.interrupted else "green"
        rounds = f"{each.run.counts['rounds']:,}"
        made.add_row(each.trial.name, rounds, tried, f"[{style}]{each.result}[/]", f"{each.seconds:.1f}")
    return made


def tell(outcomes: list[Outcome], seed: int, *, as_json: bool) -> None:
    """Print the result on stdout, failures last."""
    if as_json:
        print(json.dumps({"seed": seed, "trials": [each.document() for each in outcomes]}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 140)
    console.print(table(outcomes))
    for each in outcomes:
        for failure in each.run.failures:
            console.print(f"\n{each.trial.name}: {failure}", markup=False, soft_wrap=True)
        if each.run.failures:
            console.print(f"again: {each.repeat}\nfiles: {each.kept}", markup=False, soft_wrap=True)


def main() -> int:
    """Do what the command line says; return the exit status."""
    chosen, known = options(), trials()
    if unknown := [name for name in chosen.trial if name not in known]:
        say(f"there is no trial {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    if chosen.list:
        for trial in known.values():
            print(f"{trial.name:<14} {trial.rounds:>7,} {trial.short:>6,}  {trial.what}")
        return 0
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    say(f"seed {seed}")
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    for name in dict.fromkeys(chosen.trial or known):
        outcomes.append(one(known[name], chosen, seed, console))
        if outcomes[-1].interrupted:
            break
    tell(outcomes, seed, as_json=chosen.json)
    if any(each.run.failures for each in outcomes):
        return 1
    if outcomes and outcomes[-1].interrupted:
        return 130
    # One that was not named and has no prerequisites here is left out; one that broke off is not.
    return 3 if any(each.cannot and (chosen.trial or each.seconds) for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
