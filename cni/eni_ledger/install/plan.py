"""The list of changes to make: `--dry-run` prints it, otherwise it is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Step:
    """One change: `what` describes it in the imperative, `path` is the file or directory it changes."""

    def __init__(self, what: str, path: str, do: Callable[[], None]) -> None:
        self.what = what
        self.path = path
        self.do = do


class Plan:
    """Steps in order, and notes for the operator. A plan has only the changes that are still missing."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.notes: list[str] = []

    def add(self, what: str, path: str, do: Callable[..., None], *args: Any) -> None:
        """Append the step that calls `do` with `args`."""
        self.steps.append(Step(what, path, lambda: do(*args)))

    def note(self, text: str) -> None:
        """Append a note for the operator."""
        self.notes.append(text)

    def run(self, done: Callable[[Step], None]) -> None:
        """Execute the steps in order, and call `done` after each."""
        for step in self.steps:
            step.do()
            done(step)
