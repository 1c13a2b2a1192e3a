"""Plain questions: what is one, and that everything else is left alone. That answers are the same: tests/frozen."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli import quick
from eni_ledger.cli.main import main
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger

AGE = re.compile(r"\s*\b(?:\d+[smhd])+\b")  # it may be a second more when the other one is asked
AT = "2026-11-23T03:12:00Z"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine any question may take too long to be a plain one."""
    monkeypatch.setattr(quick, "PATIENCE", PATIENCE_S)


@pytest.mark.parametrize(
    ("arguments", "words", "options"),
    [
        (["who", "10.0.32.4"], ["who", "10.0.32.4"], {}),
        (["who", "10.0.32.4", "--at", AT], ["who", "10.0.32.4"], {"--at": AT}),
        (["who", "--at", "-15m", "101", "--json"], ["who", "101"], {"--at": "-15m", "--json": "--json"}),
        (["--state-dir", "/x", "who", "101"], ["who", "101"], {"--state-dir": "/x"}),
        (
            ["--no-color", "who", "101", "--state-dir", "who"],
            ["who", "101"],
            {"--no-color": "--no-color", "--state-dir": "who"},
        ),
        (["list"], ["list"], {}),
        (
            ["--state-dir", "/x", "list", "--json", "--at", AT],
            ["list"],
            {"--state-dir": "/x", "--json": "--json", "--at": AT},
        ),
    ],
)
def test_what_is_plain(arguments: list[str], words: list[str], options: dict[str, str]) -> None:
    assert quick._parsed(arguments) == (words, options)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["who"],
        ["who", ""],
        ["who", "a", "b"],
        ["list", "101", "102"],
        ["--since", AT, "list"],
        ["list", "--family", "api", "--family", "web"],
        ["list", "--sort", "vlan"],
        ["list", "--state-dir"],
        ["--json", "list"],
        ["show", "who"],
        ["who", "who", "who"],
        ["who", "--help"],
        ["who", "-h", "101"],
        ["who", "101", "--at"],
        ["who", "101", "--at", ""],
        ["who", "101", f"--at={AT}"],
        ["who", "101", "--a", AT],
        ["who", "101", "--at", AT, "--at", AT],
        ["who", "--", "-1"],
        ["who", "-1"],
        ["who", "101", "--json", "--json"],
        ["who", "101", "--state-dir"],
        ["--state-dir", "/x", "who", "101", "--state-dir", "/y"],
        ["--json", "who", "101"],
        ["--at", AT, "who", "101"],
        ["who", "ä"],
        ["who", "\udcff"],
    ],
)
def test_what_is_for_the_command_line(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(quick._NotPlain):
        quick._parsed(arguments)
    assert quick.main(arguments) is None
    assert capfd.readouterr() == ("", "")


def test_completion_is_for_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ENI_LEDGER_COMPLETE", "bash_complete")
    with pytest.raises(quick._NotPlain):
        quick._parsed(["who", "101"])


def asked(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | None, str, str]:
    """Return what the front door does about a command line: exit status, output, errors."""
    status = quick.main(arguments)
    return (status, *capfd.readouterr())


def test_the_answer_is_the_command_lines(ledger: Ledger, capfd: pytest.CaptureFixture[str]) -> None:
    ledger.add(1, 101, "10.0.32.4/20")
    gone = ledger.delete(1)
    ledger.add(2, 101, "10.0.32.5/20")
    for question in (
        ["list"],
        ["list", "--at", gone["ts"]],
        ["list", "--at", "2020-01-01T00:00:00Z"],
        ["who", "101"],
        ["who", "10.0.32.4"],
        ["who", "10.0.32.4", "--at", gone["ts"]],
        ["who", "10.0.32.5", "--at", gone["ts"]],
    ):
        for form in ([], ["--json"]):
            arguments = ["--state-dir", str(ledger.path), *question, *form]
            status, out, err = asked(capfd, *arguments)
            assert status == main(arguments), question
            theirs = capfd.readouterr()
            assert (AGE.sub("", out), err) == (AGE.sub("", theirs.out), theirs.err), question
    assert status == 1  # the last one, nobody had it


def test_that_nothing_is_live_is_said_where_the_command_line_says_it(
    ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    ledger.add(1, 101, "10.0.32.4/20")
    ledger.delete(1)
    assert asked(capfd, "--state-dir", str(ledger.path), "list") == (0, "", "no live associations\n")


@pytest.mark.parametrize(
    "question", [["10.0.32.4/x"], ["101", "--at", "some day"], ["vlan5000"], ["101", "--at", "2999-01-01T00:00:00Z"]]
)
def test_errors_are_the_command_lines(ledger: Ledger, capfd: pytest.CaptureFixture[str], question: list[str]) -> None:
    ledger.add(1, 101, "10.0.32.4/20")
    assert asked(capfd, "--state-dir", str(ledger.path), "who", *question) == (None, "", "")


def test_no_ledger_and_a_damaged_one_are_the_command_lines(
    ledger: Ledger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert asked(capfd, "--state-dir", str(tmp_path / "nothing"), "who", "101") == (None, "", "")
    ledger.add(1, 101, "10.0.32.4/20")
    ledger.file.write_bytes(ledger.file.read_bytes().replace(b"10.0.32.4", b"10.0.32.5"))
    assert asked(capfd, "--state-dir", str(ledger.path), "who", "101") == (None, "", "")


def test_a_table_on_a_terminal_is_the_command_lines(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    ledger.add(1, 101, "10.0.32.4/20")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert quick.main(["--state-dir", str(ledger.path), "who", "101"]) is None
    assert quick.main(["--state-dir", str(ledger.path), "who", "101", "--json"]) == 0
    assert '"vlan_id":101' in capfd.readouterr().out
    monkeypatch.setattr(sys, "stdout", None)
    assert quick.main(["--state-dir", str(ledger.path), "who", "101"]) is None


def test_what_takes_long_is_the_command_lines(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.settings.rotate_bytes = 1
    for n in range(1, 4):
        ledger.add(n, 100 + n, f"10.0.32.{n}/20")
    arguments = ["--state-dir", str(ledger.path), "who", "0a:12:34:56:78:01", "--json"]
    assert quick.main(arguments) == 0
    monkeypatch.setattr(quick, "PATIENCE", -1)
    assert quick.main(arguments) is None


@pytest.mark.parametrize(
    ("number", "done", "status"), [(28, 0, None), (28, 10, 3), (32, 0, 141), (32, 10, 141)], ids=str
)
def test_an_output_that_does_not_take_it(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: int,
    done: int,
    status: int | None,
) -> None:
    def write(fd: int, data: bytes) -> int:
        nonlocal done
        taken, done = done, 0
        if not taken:
            raise OSError(number, "No space left on device")
        assert (fd, len(data) > taken) == (1, True)
        return taken

    ledger.add(1, 101, "10.0.32.4/20")
    monkeypatch.setattr("eni_ledger.cli.quick.os.write", write)
    assert quick.main(["--state-dir", str(ledger.path), "who", "101", "--json"]) == status
    assert capfd.readouterr().err == ("error: No space left on device\n" if status == 3 else "")


def test_a_plain_list_loads_nothing_of_other_questions(ledger: Ledger) -> None:
    ledger.add(1, 101, "10.0.32.4/20")
    code = (
        "import sys; from eni_ledger.cli import quick; status = quick.main(sys.argv[1:]);"
        "print(status, *sys.modules, file=sys.stderr)"
    )
    for form in ([], ["--json"]):
        command = [sys.executable, "-c", code, "--state-dir", str(ledger.path), "list", *form]
        status, *modules = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()
        others = ("ledger.archive", "ledger.query", "ledger.read.terms", "cli.answers")
        assert status == "0"
        assert not [name for name in modules if name.startswith(tuple(f"eni_ledger.{each}" for each in others))]
