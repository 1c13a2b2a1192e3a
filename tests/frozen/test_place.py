"""The front door does not know where it lies: nothing of the current directory is run in the place of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.runtime import CLI
from eni_ledger.entry import UNKNOWN_PLACE
from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
NO_PROC = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs -o ro tmpfs /proc; exec "$@"', "sh"]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a directory with programs and modules that must not be taken for ours."""
    for directory in (tmp_path, tmp_path / "(unreachable)"):
        script(directory / CLI, f"touch {tmp_path}/taken")
        lib = directory / "_internal/python3.11/lib-dynload"
        lib.mkdir(parents=True)
        (lib / "_json.cpython-311-x86_64-linux-gnu.so").write_text("no module")
    return tmp_path


def asked(command: list[str | Path], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.c_front
@pytest.mark.parametrize("words", [["version"], ["list"], ["who", "10.0.32.4"], ["doctor"], []])
def test_without_proc(front: Path, trap: Path, words: list[str]) -> None:
    need(os.geteuid() == 0, "root, for mounts")
    done = asked([*NO_PROC, front, *words], trap)
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {UNKNOWN_PLACE}\ntry: ")


@pytest.mark.c_front
def test_a_call_without_proc(front: Path, trap: Path) -> None:
    need(os.geteuid() == 0, "root, for mounts")
    done = asked([*NO_PROC, front], trap, CNI_COMMAND="VERSION")
    assert done.returncode == 1
    assert UNKNOWN_PLACE in done.stdout
    assert UNKNOWN_PLACE in done.stderr


@pytest.mark.c_front
@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_an_interposed_call_without_proc_has_the_delegates_answer(
    front: Path, trap: Path, tmp_path: Path, command: str, status: int
) -> None:
    """Nothing is recorded: where the interpreter lies is not known. Of an ADD and a DEL, that is said."""
    need(os.geteuid() == 0, "root, for mounts")
    agent = interposed(tmp_path, front, status)
    env = agent.environment(command, BRANCH.container_id, "none")
    name = agent.plugins / "vpc-branch-eni"
    done = subprocess.run(
        [*NO_PROC, name], cwd=trap, env=env, input=BRANCH.stdin(), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (status, BRANCH.stdin())
    assert (UNKNOWN_PLACE in done.stderr.decode()) == (command != "CHECK")
    assert (f"{command} not recorded: " in done.stderr.decode()) == (command != "CHECK")


@pytest.mark.c_front
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_an_interposed_call_of_a_path_that_is_too_long(front: Path, trap: Path, tmp_path: Path, command: str) -> None:
    """As above. A relative path is short enough to be called by."""
    agent = interposed(tmp_path, front, 3)
    env = agent.environment(command, BRANCH.container_id, "none", ENI_LEDGER_CONFIG=str(agent.home / "config.json"))
    with deep_directory(tmp_path / "deep"):
        shutil.copy(front, "vpc-branch-eni")
        script(Path(CLI), f"touch {tmp_path}/taken")
        done = subprocess.run(
            ["./vpc-branch-eni"], env=env, input=BRANCH.stdin(), capture_output=True, timeout=PATIENCE_S, check=False
        )
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (3, BRANCH.stdin())
    assert (UNKNOWN_PLACE in done.stderr.decode()) == (command != "CHECK")


def interposed(tmp_path: Path, front: Path, status: int) -> Agent:
    """Return an agent whose delegate repeats its standard input and ends with `status`."""
    script(tmp_path / "real/vpc-branch-eni", "cat", f"exit {status}")
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "real")


@contextmanager
def deep_directory(deep: Path) -> Iterator[None]:
    """Be in a new directory below `deep` whose path has more than 4096 bytes, until the end."""
    here = Path.cwd()
    deep.mkdir()
    try:
        os.chdir(deep)
        for _ in range(17):  # by steps: no path of that length can be opened
            Path("x" * 250).mkdir()
            os.chdir("x" * 250)
        yield
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", deep], check=True)


@pytest.mark.c_front
def test_a_path_that_is_longer_than_the_kernel_tells(bundle: Path, trap: Path, tmp_path: Path) -> None:
    with deep_directory(tmp_path / "deep"):
        shutil.copy(bundle / "eni-ledger", "eni-ledger")
        script(Path(CLI), f"touch {tmp_path}/taken")
        done = subprocess.run(["./eni-ledger", "version"], env={}, capture_output=True, text=True, check=False)
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (3, "")
    assert UNKNOWN_PLACE in done.stderr
