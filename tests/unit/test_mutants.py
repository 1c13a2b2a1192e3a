"""build/mutants: how a mutant is named, drawn and listed."""

from __future__ import annotations

import ast
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from mutants import equivalent
from mutants.copies import PACKAGE, REPOSITORY
from mutants.mutations import modules, sample
from mutants.statements import Change, change_between

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    from a import b
LIMIT = 2
class C:
    def size(self, of: int | None) -> int:
        if of == 1:
            return 0
        if of == 1:
            return 3
        return 2 + LIMIT
"""


def changed(old: str, new: str, source: str = SOURCE) -> Change | None:
    assert old in source
    return change_between(ast.parse(source), ast.parse(new.join(source.rsplit(old, 1))))


def test_a_mutant_is_named_by_function_and_statement() -> None:
    assert changed("2 + LIMIT", "2 - LIMIT") == Change(
        "C.size", "return 2 + LIMIT", "return 2 - LIMIT", 1, range(13, 14)
    )
    assert changed("LIMIT = 2", "LIMIT = 3") == Change("", "LIMIT = 2", "LIMIT = 3", 1, range(6, 7))


def test_of_a_compound_statement_the_head_and_which_of_two() -> None:
    assert changed("of == 1", "of != 1") == Change("C.size", "if of == 1:", "if of != 1:", 2, range(11, 12))


def test_the_name_does_not_change_with_the_lines_above_or_with_the_layout() -> None:
    moved = SOURCE.replace("LIMIT = 2", "LIMIT = 2\nOTHER = 1\n").replace("2 + LIMIT", "(\n  2 + LIMIT\n )")
    before, after = changed("2 + LIMIT", "2 - LIMIT"), changed("2 + LIMIT", "2 - LIMIT", moved)
    assert before
    assert after
    assert (before.function, before.before, before.after) == (after.function, after.before, after.after)
    assert before.lines != after.lines


@pytest.mark.parametrize(
    ("old", "new"), [("int | None", "int & None"), ("if TYPE_CHECKING", "if not TYPE_CHECKING"), ("False", "True")]
)
def test_annotations_and_imports_for_mypy_are_left_alone(old: str, new: str) -> None:
    assert changed(old, new) is None


def test_a_seed_draws_the_same_mutants_and_another_seed_others(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin/one.py").write_text(SOURCE)
    first, again, other = ([*sample(tmp_path, modules(tmp_path), seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({mutant.source for mutant in first}) == len(first)
    assert all(mutant.module == "plugin/one.py" and mutant.source != SOURCE for mutant in first)


def test_a_survivor_is_printed_as_the_list_has_it(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin/one.py").write_text(SOURCE)
    entries = [equivalent.entry_of(mutant) for mutant in sample(tmp_path, modules(tmp_path), 1)]
    (tmp_path / "list").write_text(
        "# why\n\n" + "\n\n".join(f"{entry}\n  because\n  of it" for entry in entries) + "\n"
    )
    assert equivalent.read(tmp_path / "list") == dict.fromkeys(entries, "because of it")


@pytest.mark.parametrize("text", ["plugin/one.py f\n  - a\n  + b\n", "plugin/one.py f\n  why\n", "- a\n+ b\n  why\n"])
def test_an_entry_without_place_change_or_reason_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(ValueError, match="not a place"):
        equivalent.read(tmp_path / "list")


def test_what_is_listed_names_modules_that_exist() -> None:
    root = REPOSITORY / PACKAGE
    assert {entry.module for entry in equivalent.read(REPOSITORY / "tests/mutants.txt")} <= set(modules(root))
    assert list(islice(sample(root, ["plugin/record.py"], 1), 1))
