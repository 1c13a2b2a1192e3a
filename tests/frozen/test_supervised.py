"""Once the delegate runs, only its answer counts (build/bundle.d/supervise.h)."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.journal import Journal
from helpers.plugin import own_netns
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
KIB = 1024


@pytest.fixture
def agent(tmp_path: Path, front: Path) -> Agent:
    script(tmp_path / "real/vpc-branch-eni", "cat", 'exit "${STATUS:-0}"')
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "real")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failures(agent: Agent) -> list[dict[str, Any]]:
    path = agent.state_dir / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- limits -------------------------------------------------------------------------------------------------------


def limited(agent: Agent, kind: int, limit: int, command: str = "DEL") -> subprocess.CompletedProcess[bytes]:
    env = agent.environment(command, BRANCH.container_id, "none", STATUS="3")
    name = agent.plugins / "vpc-branch-eni"
    return subprocess.run(
        [name],
        input=BRANCH.stdin(),
        env=env,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )


@pytest.mark.parametrize(
    ("kind", "start", "highest", "end"),
    [("RLIMIT_AS", 8000, 11000, 16000), ("RLIMIT_DATA", 1400, 2500, 4600)],
)
def test_less_memory_than_the_interpreter_takes(agent: Agent, kind: str, start: int, highest: int, end: int) -> None:
    """From where this program can be loaded at all (a STATUS becomes the delegate) the answer is the delegate's."""
    number, lowest, recorded = getattr(resource, kind), 0, 0
    step = (end - start) // 110
    for size in [*range(start, end, step), 1 << 20]:
        if not lowest and limited(agent, number, size * KIB, "STATUS").returncode != 3:
            continue
        lowest = lowest or size
        before = len(agent.events("add_failed"))
        done = limited(agent, number, size * KIB, "ADD")
        assert (done.returncode, done.stdout) == (3, BRANCH.stdin()), (size, done)
        recorded = len(agent.events("add_failed")) - before
        assert recorded or b"ADD not recorded: " in done.stderr, (size, done)
    assert 0 < lowest <= highest
    assert recorded  # with enough of it


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
        timeout=60,
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
    return subprocess.run(command, input=BRANCH.stdin(), env=env, capture_output=True, timeout=120, check=False)


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


# --- the recorder -----------------------------------------------------------------------------------------------------


class AtWork:
    """An ADD whose delegate works until it is told to answer, and whose recorder is known."""

    def __init__(self, agent: Agent, prefix: Sequence[str] = (), **env: str) -> None:
        self.go = agent.home / "go"
        lines = ("cat", f"while [ ! -e {self.go} ]; do sleep 0.01; done", 'exit "${STATUS:-0}"')
        script(agent.home.parent / "real/vpc-branch-eni", *lines)
        self.process = subprocess.Popen(
            [*prefix, str(agent.plugins / "vpc-branch-eni")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=agent.environment("ADD", BRANCH.container_id, own_netns(), **env),
        )
        assert self.process.stdin is not None
        self.process.stdin.write(BRANCH.stdin())
        self.process.stdin.close()
        self.process.stdin = None
        until(self._recorders)
        (self.recorder,) = self._recorders()

    def _recorders(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if Path(f"/proc/{pid}/exe").readlink().name == "eni-ledger"]

    def answered(self) -> tuple[int, bytes, str]:
        self.go.touch()
        stdout, stderr = self.process.communicate(timeout=60)
        self.go.unlink()
        return self.process.returncode, stdout, stderr.decode()


FATAL = [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL, signal.SIGSYS]


@pytest.fixture
def _no_cores() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, limits)


@pytest.mark.usefixtures("_no_cores")
@pytest.mark.parametrize("number", FATAL, ids=lambda number: number.name)
def test_a_recorder_that_is_ended(agent: Agent, number: signal.Signals) -> None:
    agent.state_dir.mkdir(0o750)
    for status in (0, 4):
        call = AtWork(agent, STATUS=str(status))
        os.kill(call.recorder, number)
        returned, stdout, stderr = call.answered()
        assert (returned, stdout) == (status, BRANCH.stdin())
        assert stderr == f"eni-ledger: ADD not recorded: the recorder was ended by signal {int(number)}\n"
    assert [(each["event"], each["container_id"], each["code"]) for each in failures(agent)] == [
        ("add", BRANCH.container_id, 999)
    ] * 2


def test_a_recorder_that_does_not_go_on(agent: Agent) -> None:
    """The call comes to its end without it; once it goes on, the event is recorded."""
    call = AtWork(agent)
    os.kill(call.recorder, signal.SIGSTOP)
    returned, stdout, stderr = call.answered()
    assert (returned, stdout) == (0, BRANCH.stdin())
    assert "ADD not recorded: it is not done " in stderr
    os.kill(call.recorder, signal.SIGCONT)
    until(lambda: agent.events("add"))


@pytest.mark.parametrize(("processes", "why"), [(2, "no process to do it"), (1, "there can be no process")])
def test_no_process_for_the_recorder_or_for_the_delegate(agent: Agent, processes: int, why: str) -> None:
    """Unrecorded, but run, with what standard input gave."""
    need(shutil.which("setpriv"), "setpriv, for a user without privileges")
    script(agent.home.parent / "real/vpc-branch-eni", "read -r line", 'printf "%s" "$line"', "exit 3")
    for path in (agent.home, *agent.home.parents):
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o055)

    def few() -> None:
        os.setgid(54321)
        os.setuid(54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))

    done = subprocess.run(
        [agent.plugins / "vpc-branch-eni"],
        input=BRANCH.stdin(),
        env=agent.environment("ADD", BRANCH.container_id, "none"),
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=few,
    )
    assert (done.returncode, done.stdout) == (3, BRANCH.stdin())
    assert done.stderr.decode().startswith("eni-ledger: ADD not recorded: ")
    assert why in done.stderr.decode()


@pytest.mark.usefixtures("_no_cores")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGSTOP], ids=lambda number: number.name)
def test_success_that_is_not_recorded_fails_where_that_is_wanted(agent: Agent, number: signal.Signals) -> None:
    agent.configure(onError="fail")
    call = AtWork(agent)
    os.kill(call.recorder, number)
    returned, stdout, _ = call.answered()
    document = json.loads(stdout)
    assert (returned, document["code"], document["msg"]) == (1, 999, "the call is not recorded")
    assert document["cniVersion"] == "0.3.0"
    assert agent.events("add") == []
    failed = AtWork(agent, STATUS="4")  # its own failure goes first
    os.kill(failed.recorder, number)
    assert failed.answered()[:2] == (4, BRANCH.stdin())


# --- what is said when the delegate fails without an answer -----------------------------------------------------------


def _dies(agent: Agent, how: str) -> None:
    script(agent.home.parent / "real/vpc-branch-eni", "ulimit -c 0", "cat >/dev/null", "echo its reason >&2", how)


@pytest.mark.usefixtures("_no_cores")
@pytest.mark.parametrize("how", ["exit 1", "kill -SEGV $$", "kill -KILL $$"])
@pytest.mark.parametrize("wrong", ["state", "damaged", "configuration", "journal"])
def test_standard_error_is_the_delegates(agent: Agent, copy: Path, tmp_path: Path, how: str, wrong: str) -> None:
    """A runtime takes it for the reason (libcni); what we have to say stands in the journal and failures.jsonl."""
    _dies(agent, how)
    agent.configure(journald=True)
    agent.state_dir.mkdir(0o750)
    if wrong == "damaged":
        for path in copy.rglob("_json.*"):
            path.unlink()
        (agent.plugins / "vpc-branch-eni").unlink()
        (agent.plugins / "vpc-branch-eni").symlink_to(copy / "eni-ledger")
    elif wrong == "state":
        (agent.state_dir / "ledger.jsonl").symlink_to("/nonexistent/x")
    elif wrong == "configuration":
        agent.configure(nonsense=1)
    env = agent.environment("ADD", BRANCH.container_id, own_netns())
    name = agent.plugins / "vpc-branch-eni"
    with Journal() as journal:
        command = journal.command([str(name)]) if wrong != "journal" else [
            "unshare", "--mount", "sh", "-ec", 'mount -t tmpfs tmpfs /run; exec "$@"', "sh", str(name)
        ]  # fmt: skip
        done = subprocess.run(command, input=BRANCH.stdin(), env=env, capture_output=True, timeout=60, check=False)
        alone = subprocess.run(
            [tmp_path / "real/vpc-branch-eni"], input=BRANCH.stdin(), env=env, capture_output=True, check=False
        )
        entries = journal.entries("SYSLOG_IDENTIFIER=eni-ledger", "PRIORITY=3")
    assert alone.stderr == b"its reason\n"
    assert (done.returncode, done.stdout, done.stderr) == (alone.returncode, b"", alone.stderr)
    assert len(failures(agent)) == 1
    assert len(entries) == (0 if wrong == "journal" else 1)
