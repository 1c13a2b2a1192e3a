"""What is going to be done, as a list: printed by `--dry-run`, executed otherwise, the same either way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Step:
    """One thing to do: `what` says it in the imperative, `path` is what it changes."""

    def __init__(self, what: str, path: str, do: Callable[[], None]) -> None:
        self.what = what
        self.path = path
        self.do = do


class Plan:
    """Steps in their order, and notes for whoever reads them. Only what is still to be done is in a plan."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.notes: list[str] = []

    def add(self, what: str, path: str, do: Callable[..., None], *args: Any) -> None:
        """Append the step that calls `do` with `args`."""
        self.steps.append(Step(what, path, lambda: do(*args)))

    def note(self, text: str) -> None:
        """Append something that the reader should know."""
        self.notes.append(text)

    def run(self, done: Callable[[Step], None]) -> None:
        """Do everything, calling `done` after each step."""
        for step in self.steps:
            step.do()
            done(step)
