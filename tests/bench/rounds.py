"""Rounds in which everything takes its turn, in two conditions and an order that is drawn anew.

What ran before decides how long a process takes: after delegates that sleep the processor has gone idle, after another
plugin it is warm. So each is taken back to back and after idleness, and what is compared stands side by side: a pair is
taken one right after the other, which one first is drawn, and what is told is the median of the ratios of pairs, never
the ratio of medians.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bench.figures import BUSY, CONDITIONS, IDLE_MS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from bench.figures import Figures

_T = TypeVar("_T")

Taken = tuple[float, float | None]
"""Milliseconds by the clock and of processor time, None where that is not known."""


@dataclass(frozen=True)
class Measured:
    """What is measured: `take` does it once."""

    name: str
    take: Callable[[], Taken]


@dataclass(frozen=True)
class Pair:
    """Two that are compared: how much longer `of` takes than `to`."""

    of: Measured
    to: Measured


class Rounds:
    """Fills `figures`; `chance` draws the orders, `warm` is done before what is taken back to back."""

    def __init__(self, figures: Figures, chance: random.Random, warm: Callable[[], object]) -> None:
        self._figures = figures
        self._chance = chance
        self._warm = warm

    def run(self, what: str, pairs: Sequence[Pair], rounds: int) -> None:
        """Take each pair `rounds` times in each condition."""
        for pair in pairs:
            self._figures.expect(pair.of.name, pair.to.name)
        for n in range(rounds):
            if n % 20 == 0 and rounds > 1:
                print(f"bench: {what}, round {n} of {rounds}", file=sys.stderr, flush=True)
            for condition in self._drawn(CONDITIONS):
                if condition == BUSY:
                    self._warm()
                for pair in self._drawn(pairs):
                    taken = {one.name: self.take(condition, one) for one in self._drawn((pair.of, pair.to))}
                    self._figures.compare(condition, pair.of.name, pair.to.name, taken)

    def in_order(self, condition: str, of: Measured, to: Measured) -> None:
        """Take a pair whose order is given: `of`, then `to`."""
        self._figures.expect(of.name, to.name)
        if condition == BUSY:
            self._warm()
        taken = {one.name: self.take(condition, one) for one in (of, to)}
        self._figures.compare(condition, of.name, to.name, taken)

    def take(self, condition: str, one: Measured) -> float:
        """Take the time of one once; return milliseconds."""
        if condition != BUSY:
            time.sleep(IDLE_MS / 1000)
        wall, processor = one.take()
        self._figures.note(condition, one.name, wall, processor)
        return wall

    def _drawn(self, among: Sequence[_T]) -> list[_T]:
        return self._chance.sample(list(among), len(among))
