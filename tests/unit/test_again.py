"""The line that repeats a test which failed, as pytest prints it and as a shell takes it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
FAILING = """
import pytest

IDS = ["a b", "--filters Name=x,Values=1", "it's - so", 'a "$HOME"', "x[1]"]


@pytest.mark.parametrize("text", [*IDS, "fine"], ids=str)
def test_one(text):
    assert text == "fine"


@pytest.fixture
def broken():
    raise OSError("no")


def test_error(broken):
    pass
"""


def pytest_in(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout


def again(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("again: ")]


def test_each_line_repeats_its_test(tmp_path: Path) -> None:
    (tmp_path / "tests/unit").mkdir(parents=True)
    (tmp_path / "tests/helpers").symlink_to(TESTS / "helpers")
    shutil.copy(TESTS / "conftest.py", tmp_path / "tests")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["tests"]\n')
    (tmp_path / "tests/unit/test_x.py").write_text(FAILING)
    lines = again(pytest_in(tmp_path, "tests/unit"))
    commands = [shlex.split(line) for line in lines]
    assert len(lines) == 6
    assert {tuple(words[:4]) for words in commands} == {("again:", "build/test", "unit", "--")}
    said = pytest_in(tmp_path, *(test for words in commands for test in words[4:]))
    assert "5 failed, 1 error in " in said
    assert again(said) == lines
