"""`tests/mutants.txt`: the mutants that behave like the original, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mutants.mutations import Mutant


@dataclass(frozen=True)
class Entry:
    """A listed mutant: module, function, and the statement before and after."""

    module: str
    function: str
    before: str
    after: str
    nth: int = 1

    def __str__(self) -> str:
        place = f"{self.module} {self.function or '(module)'}" + (f" #{self.nth}" if self.nth > 1 else "")
        return "\n".join([place, *_marked("-", self.before), *_marked("+", self.after)])


def _marked(mark: str, text: str) -> list[str]:
    return [f"  {mark} {line}" for line in text.splitlines() or [""]]


def entry_of(mutant: Mutant) -> Entry:
    """Return the entry by which `mutant` can be listed."""
    change = mutant.change
    return Entry(mutant.module, change.function, change.before, change.after, change.nth)


def read(path: Path) -> dict[Entry, str]:
    """Return the entries of the file with their reasons.

    Raises:
        ValueError: an entry has no place, no change or no reason; the text says which.
    """
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")] if path.exists() else []
    return dict(_entry(block) for block in "\n".join(lines).split("\n\n") if block.strip())


def _entry(block: str) -> tuple[Entry, str]:
    place, *rest = block.strip().splitlines()
    parts = {mark: [line[4:] for line in rest if line.startswith(f"  {mark}")] for mark in "-+"}
    reason = " ".join(line.strip() for line in rest if not line.startswith(("  -", "  +")))
    words = place.split(" ")
    if len(words) not in (2, 3) or not parts["-"] or not reason:
        raise ValueError(f"not a place, a change and a reason:\n{block.strip()}")
    nth = int(words[2].removeprefix("#")) if len(words) == 3 else 1
    function = "" if words[1] == "(module)" else words[1]
    return Entry(words[0], function, "\n".join(parts["-"]), "\n".join(parts["+"]), nth), reason
