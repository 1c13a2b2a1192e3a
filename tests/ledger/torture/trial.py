"""What a trial is, and what it tells.

Each module beside this one that has a `TRIAL` is one. It breaks something, again and again, and after each time holds
the ledger against the one invariant: what was acknowledged is there, once, with the content that was acknowledged; no
seq is missing or used twice; every damage is named with file and offset.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from helpers.ledgers import SOURCE


class Unfit(Exception):
    """The machinery of a trial failed, which says nothing about the ledger. The text says what failed."""


@dataclass
class Run:
    """One run of a trial: in the empty directory `where`, for `rounds` rounds or until `seconds` are over.

    `seed` decides everything that is left to chance, as far as the machine lets it; `counts` is what was tried and what
    survived, in the words of the table that is printed; `failures` each say what was not as promised, and in which
    round. `source` is the directory that processes of the trial import eni_ledger from: a test puts a broken one there.
    """

    where: Path
    seed: int
    rounds: int
    seconds: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    progress: Callable[[int, int], None] | None = None
    source: Path = SOURCE
    _began: float = field(default_factory=time.monotonic)

    def each(self) -> Iterator[tuple[int, random.Random, Path]]:
        """Yield `(number, chance, directory)` of each round: chance of its own, a directory that is not there yet.

        Ends after `rounds` rounds, or after the first that ends later than `seconds` after the beginning. The directory
        of a round without a failure is removed.
        """
        for number in range(1, self.rounds + 1):
            if number > 1 and self.seconds is not None and time.monotonic() - self._began >= self.seconds:
                return
            failed, directory = len(self.failures), self.where / f"{number:06}"
            yield number, random.Random(f"{self.seed}-{number}"), directory
            if len(self.failures) == failed:
                shutil.rmtree(directory, ignore_errors=True)
            self.counts["rounds"] += 1
            if self.progress:
                self.progress(number, self.rounds)

    def check(self, fine: bool, what: str) -> bool:
        """Note a failure unless `fine`; return `fine`."""
        if not fine:
            self.failures.append(f"round {self.counts['rounds'] + 1}: {what}")
        return fine


@dataclass(frozen=True)
class Trial:
    """`name` as it is typed, `what` is tried in one line, `rounds` of a whole run and of a `short` one in `build/test`.

    `run` does it; it may raise Unfit. `needs` returns the reason why it cannot be done here, or nothing.
    """

    name: str
    what: str
    run: Callable[[Run], None]
    rounds: int
    short: int
    needs: Callable[[], str] = lambda: ""
