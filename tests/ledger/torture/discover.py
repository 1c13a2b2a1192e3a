"""Finds the trials, and runs one."""

from __future__ import annotations

import importlib
import pkgutil
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ledger.torture
from ledger.torture.trial import Run, Trial, Unfit


def trials() -> dict[str, Trial]:
    """Return the trials of all modules beside this one by their names."""
    found: dict[str, Trial] = {}
    for module in pkgutil.iter_modules(ledger.torture.__path__):
        if module.name == "__main__":
            continue
        trial = getattr(importlib.import_module(f"ledger.torture.{module.name}"), "TRIAL", None)
        if isinstance(trial, Trial):
            if trial.name in found:
                raise ValueError(f"two trials are called {trial.name}")
            found[trial.name] = trial
    return found


@dataclass
class Outcome:
    """What came of a trial.

    `cannot` is why it could not be run, or not to its end; `seconds` how long it took, `kept` its files.
    """

    trial: Trial
    run: Run
    cannot: str = ""
    seconds: float = 0.0
    kept: Path | None = None
    interrupted: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """Return in words what came of it."""
        failed = len(self.run.failures)
        if self.cannot and not failed:
            return f"cannot be run here: {self.cannot}"
        words = "1 failure" if failed == 1 else f"{failed} failures" if failed else "ok"
        return f"{words}, interrupted" if self.interrupted else words

    @property
    def repeat(self) -> str:
        """Return the command that does the same again."""
        rounds = self.run.counts["rounds"] + (1 if self.run.failures else 0)
        return f"build/torture --seed {self.run.seed} --rounds {min(rounds, self.run.rounds)} {self.trial.name}"

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "trial": self.trial.name,
            "what": self.trial.what,
            "result": self.result,
            "rounds": self.run.counts["rounds"],
            "counts": self.counts,
            "failures": self.run.failures,
            "repeat": self.repeat,
            "kept": str(self.kept) if self.kept else None,
            "seconds": round(self.seconds, 1),
        }


def attempt(trial: Trial, run: Run) -> Outcome:
    """Run a trial; an exception that it does not expect is a failure, Ctrl-C ends it with what it has.

    A trial whose machinery fails has no result: that is no finding, and no success either.
    """
    outcome = Outcome(trial, run)
    if cannot := trial.needs():
        outcome.cannot = cannot
        return outcome
    began = time.monotonic()
    try:
        trial.run(run)
    except KeyboardInterrupt:
        outcome.interrupted = True
    except Unfit as exc:
        outcome.cannot = str(exc)
    except Exception:  # whatever it is, it was not promised
        run.check(fine=False, what=traceback.format_exc().rstrip())
    outcome.seconds = time.monotonic() - began
    outcome.counts = {name: count for name, count in run.counts.items() if name != "rounds"}
    return outcome
