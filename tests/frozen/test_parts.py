"""The front door is small and at work at once; the interpreter is a program of its own that it starts (build/front)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.runtime import CLI
from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.patience import PATIENCE_S
from helpers.plugin import own_netns
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.c_front

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
PYTHON = "_internal/eni-ledger-python"


@pytest.mark.parametrize(("program", "limit"), [("eni-ledger", 200), (PYTHON, 20_000)])
def test_what_there_is_to_relocate(bundle: Path, program: str, limit: int) -> None:
    """It is done before `main`, in pages that each process copies for it: the task waits for the front door's."""
    need(shutil.which("readelf"), "readelf (binutils)")
    command = ["readelf", "--wide", "--relocs", str(bundle / program)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 0 < len(re.findall(r"^[0-9a-f]{12,}  ", shown, re.MULTILINE)) < limit


def _missing(path: Path) -> None:
    path.unlink()


def _no_program(path: Path) -> None:
    path.write_bytes(b"\x7fELF")


def _not_executable(path: Path) -> None:
    path.chmod(0o644)


def _dies(path: Path) -> None:
    script(path, "kill -ABRT $$")


DAMAGES = [_missing, _no_program, _not_executable, _dies]


@pytest.fixture(params=DAMAGES, ids=lambda damage: damage.__name__)
def damaged(request: pytest.FixtureRequest, copy: Path) -> Path:
    """Return a bundle whose interpreter cannot do its work."""
    request.param(copy / PYTHON)
    return copy


@pytest.mark.parametrize("status", [0, 3])
def test_the_delegates_answer_needs_no_interpreter(damaged: Path, tmp_path: Path, status: int) -> None:
    script(tmp_path / "real/vpc-branch-eni", "cat", f"exit {status}")
    agent = Agent(tmp_path / "eni-ledger", damaged / "eni-ledger", tmp_path / "real")
    answer = agent.call(agent.environment("ADD", BRANCH.container_id, own_netns()), BRANCH.stdin())
    assert (answer.status, answer.stdout) == (status, BRANCH.stdin())
    assert answer.stderr.startswith("eni-ledger: ADD not recorded: ")


def test_a_command_needs_no_interpreter(damaged: Path) -> None:
    done = subprocess.run([damaged / "eni-ledger", "version"], capture_output=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("damage", DAMAGES[:3], ids=lambda damage: damage.__name__)
def test_a_question_goes_to_the_command_line_instead(
    copy: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(copy / PYTHON)
    words = ["list", "--state-dir", str(tmp_path / "none")]
    asked, expected = (
        subprocess.run([copy / name, *words], capture_output=True, timeout=PATIENCE_S, check=False)
        for name in ("eni-ledger", CLI)
    )
    assert (asked.returncode, asked.stdout, asked.stderr) == (expected.returncode, expected.stdout, expected.stderr)


@pytest.mark.parametrize("damage", DAMAGES[:3], ids=lambda damage: damage.__name__)
def test_a_chained_call_ends_in_the_error_of_the_specification(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy / PYTHON)
    done = subprocess.run(
        [copy / "eni-ledger"],
        input=b'{"cniVersion":"0.4.0","name":"n","type":"eni-ledger"}',
        env={"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c", "CNI_IFNAME": "eth0", "CNI_NETNS": "/proc/1/ns/net"},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["cniVersion"], document["code"]) == (1, "0.4.0", 999)
    assert document["msg"] == "the installation is damaged"
    assert document["details"].startswith(f"{copy / PYTHON}: ")


def test_neither_program_is_there(copy: Path) -> None:
    (copy / PYTHON).unlink()
    (copy / CLI).unlink()
    done = subprocess.run([copy / "eni-ledger", "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {copy / PYTHON}: No such file or directory\ntry: ")


def test_the_interpreter_does_nothing_alone(interpreter: Path) -> None:
    for arguments in ([], ["version"], ["call"], ["nonsense", "eni-ledger"]):
        done = subprocess.run([interpreter, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "does nothing alone" in done.stderr


def test_what_the_delegate_gets_does_not_wait_for_the_recorder(copy: Path, tmp_path: Path) -> None:
    """More than a socket and a pipe hold, and a recorder that reads nothing of it."""
    script(copy / PYTHON, "exec sleep 5")
    script(tmp_path / "real/vpc-branch-eni", "wc -c")
    agent = Agent(tmp_path / "eni-ledger", copy / "eni-ledger", tmp_path / "real")
    answer = agent.call(agent.environment("ADD", BRANCH.container_id, own_netns()), b" " * 3_000_000)
    assert (answer.status, answer.stdout.strip()) == (0, b"3000000")
    assert "ADD not recorded: it is not done " in answer.stderr
