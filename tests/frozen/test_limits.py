"""Whatever limits this process has, and whichever system call fails: an interposed call has the delegate's answer."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.patience import PATIENCE_S
from helpers.plugin import own_netns
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Sequence

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
KIB = 1024


@pytest.fixture
def agent(tmp_path: Path, front: Path) -> Agent:
    script(tmp_path / "real/vpc-branch-eni", "cat", 'exit "${STATUS:-0}"')
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "real")


# --- limits -------------------------------------------------------------------------------------------------------


def limited(agent: Agent, kind: int, limit: int, command: str = "DEL") -> subprocess.CompletedProcess[bytes]:
    env = agent.environment(command, BRANCH.container_id, "none", STATUS="3")
    name = agent.plugins / "vpc-branch-eni"
    return subprocess.run(
        [name],
        input=BRANCH.stdin(),
        env=env,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )


@pytest.mark.c_front
@pytest.mark.parametrize(
    ("kind", "start", "highest", "end"),
    [("RLIMIT_AS", 2000, 5000, 16000), ("RLIMIT_DATA", 100, 1000, 4600)],
)
def test_less_memory_than_the_interpreter_takes(agent: Agent, kind: str, start: int, highest: int, end: int) -> None:
    """From where the delegate alone still answers (a STATUS becomes it) the answer is the delegate's."""
    number, lowest, recorded = getattr(resource, kind), 0, 0
    step = (end - start) // 110
    for size in [*range(start, end, step), 1 << 20]:
        if not lowest and limited(agent, number, size * KIB, "STATUS").stdout != BRANCH.stdin():
            continue
        lowest = lowest or size
        before = len(agent.events("add_failed"))
        done = limited(agent, number, size * KIB, "ADD")
        assert (done.returncode, done.stdout) == (3, BRANCH.stdin()), (size, done)
        recorded = len(agent.events("add_failed")) - before
        assert recorded or b"ADD not recorded: " in done.stderr, (size, done)
    assert 0 < lowest <= highest
    assert recorded  # with enough of it


@pytest.mark.c_front
@pytest.mark.parametrize("command", ["ADD", "DEL"])
@pytest.mark.parametrize(
    ("kind", "start", "end"), [("RLIMIT_DATA", 3680, 3820), ("RLIMIT_AS", 11_400, 11_550)], ids=["data", "space"]
)
def test_where_the_interpreter_fails_after_it_has_begun(
    agent: Agent, kind: str, start: int, end: int, command: str
) -> None:
    """In smaller steps: here calls of a bundle with the interpreter in the front door hung or were aborted."""
    for size in range(start, end + 1, 20):
        done = limited(agent, getattr(resource, kind), size * KIB, command)
        assert (done.returncode, done.stdout) == (3, BRANCH.stdin()), (size, done)


@pytest.mark.c_front
@pytest.mark.parametrize("size", [0, 1, 100, 1000, 4096, 100_000])
@pytest.mark.parametrize("stdin", [BRANCH.stdin(), b"x" * 300_000], ids=["ordinary", "long"])
def test_a_limit_on_the_size_of_files(agent: Agent, size: int, stdin: bytes) -> None:
    """It is on what is written to files, the ledger too, and not on what goes through pipes."""
    env = agent.environment("ADD", BRANCH.container_id, own_netns())
    done = subprocess.run(
        ["prlimit", f"--fsize={size}", "--", agent.plugins / "vpc-branch-eni"],
        input=stdin,
        env=env,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, stdin)


@pytest.mark.parametrize("limit", range(3, 20))
def test_few_descriptors(agent: Agent, limit: int) -> None:
    script(agent.home.parent / "real/vpc-branch-eni", 'read -r line; echo "$line"; exit 3')
    done = limited(agent, resource.RLIMIT_NOFILE, limit)
    alone = subprocess.run(
        ["prlimit", f"--nofile={limit}", "--", agent.home.parent / "real/vpc-branch-eni"],
        input=BRANCH.stdin(), capture_output=True, check=False,
    )  # fmt: skip
    if alone.returncode == 3:
        assert (done.returncode, done.stdout) == (3, alone.stdout)


# --- system calls that fail -----------------------------------------------------------------------------------------

# strace follows the front door alone here: neither the delegate nor the recorder.
CANNOT_FAIL = ("exit_group", "rt_sigreturn", "getpid")
_CALL = re.compile(r"^(\w+)\(")


@pytest.fixture
def strace() -> list[str]:
    found = shutil.which("strace")
    need(found and subprocess.run([found, "-o", "/dev/null", "true"], check=False).returncode == 0, "strace")
    return [str(found)]


def traced(agent: Agent, strace: Sequence[str], *how: str, status: int) -> subprocess.CompletedProcess[bytes]:
    env = agent.environment("ADD", BRANCH.container_id, own_netns(), STATUS=str(status))
    command = [*strace, *how, str(agent.plugins / "vpc-branch-eni")]
    return subprocess.run(command, input=BRANCH.stdin(), env=env, capture_output=True, timeout=PATIENCE_S, check=False)


def after_stdin(trace: Path) -> list[tuple[str, int]]:
    """Return each system call behind the first read of standard input: its name, and which of that name it is."""
    found, counts, reading = [], {}, False  # type: ignore[var-annotated]
    for line in trace.read_text().splitlines():
        if match := _CALL.match(line):
            name = match[1]
            counts[name] = counts.get(name, 0) + 1
            reading = reading or line.startswith("read(0,")
            if reading and name not in CANNOT_FAIL:
                found.append((name, counts[name]))
    return found


@pytest.mark.c_front
@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("error", ["ENOMEM", "EINTR"])
def test_each_system_call_fails_once(agent: Agent, strace: list[str], tmp_path: Path, error: str, status: int) -> None:
    trace = tmp_path / "trace"
    assert traced(agent, strace, "-o", str(trace), status=status).stdout == BRANCH.stdin()
    calls = after_stdin(trace)
    assert {"read", "write", "vfork", "pipe2", "socketpair", "ppoll", "wait4"} <= {name for name, _ in calls}
    for name, which in calls:
        inject = f"inject={name}:error={error}:when={which}"
        done = traced(agent, strace, "-o", "/dev/null", "-e", inject, status=status)
        assert (done.returncode, done.stdout) == (status, BRANCH.stdin()), (inject, done)
