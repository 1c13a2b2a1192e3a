"""README: every command in it is one, questions are answered, and what they print is what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli.main import COMMANDS, load, main

if TYPE_CHECKING:
    from unit.cli.conftest import Run

README = Path(__file__).parents[3] / "README.md"
TEXT = README.read_text(encoding="utf-8")
MOST_WORDS = 1200  # by `wc -w`
QUESTIONS = ("list", "who", "log", "show", "topology", "describe-trunk-interface-associations", "names", "export")


def commands() -> list[list[str]]:
    """Return the arguments of each command line of eni-ledger in the README, those between backticks too."""
    fences = re.findall(r"^```\w*\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    lines = [line[2:] for fence in fences for line in fence.splitlines() if line.startswith(("# eni", "$ eni"))]
    lines += re.findall(r"`([^`\n]*eni-ledger [^`\n]*)`", prose)
    parts = [shlex.split(part, comments=True) for line in lines for part in re.split(r"\\?\|", line)]
    return [words[1:] for words in parts if words[:1] == ["eni-ledger"]]


def test_its_length() -> None:
    assert len(TEXT.split()) <= MOST_WORDS


def test_every_command_of_the_program_is_in_it() -> None:
    assert set(COMMANDS) - {arguments[0] for arguments in commands() if arguments} == set()


@pytest.mark.parametrize("arguments", [each for each in commands() if each], ids=" ".join)
def test_a_command_line_is_understood(arguments: list[str]) -> None:
    name, *rest = arguments
    command = load(name)
    assert command is not None
    if rest in ([], ["COMMAND"]) or "ID" in rest:
        return
    with command.make_context(name, [word for word in rest if word not in ("...",)]):
        pass


@pytest.mark.parametrize("arguments", [each for each in commands() if each and each[0] in QUESTIONS], ids=" ".join)
def test_a_question_is_answered(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "-" in arguments or "ID" in arguments:
        pytest.skip("asks for what is typed")
    monkeypatch.chdir(tmp_path)
    sample = [] if "--sample" in arguments else ["--sample"]
    assert main([arguments[0], *sample, *arguments[1:]]) in (0, 1), capsys.readouterr().err


def test_what_it_shows_is_what_is_printed(run: Run) -> None:
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    shown = [block for block in blocks if "--sample" in block]
    assert shown
    for block in shown:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, expected = part.partition("\n")
            printed = run(*shlex.split(line)[1:]).out
            assert settled(printed) == settled(expected), line


def settled(text: str) -> str:
    """Return what was printed without the distance from now, which grows."""
    return re.sub(r", [0-9a-z]+ ago\)", ", ... ago)", text).rstrip("\n")
