"""Once the delegate runs, only its answer counts (build/front/supervise.h)."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.agent import Agent, Branch
from helpers.damage import damage
from helpers.delegate import script
from helpers.journal import Journal
from helpers.patience import PATIENCE_S
from helpers.plugin import own_netns
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.c_front

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])


@pytest.fixture
def agent(tmp_path: Path, front: Path) -> Agent:
    script(tmp_path / "real/vpc-branch-eni", "cat", 'exit "${STATUS:-0}"')
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "real")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failures(agent: Agent) -> list[dict[str, Any]]:
    path = agent.state_dir / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


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
        until(self._found)

    def _found(self) -> bool:
        """Whether there are two children, and one is the recorder; the other has executed the delegate."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = [int(pid) for pid in children if Path(f"/proc/{pid}/exe").readlink().name == "eni-ledger-python"]
        self.recorder = found[0] if found else 0
        return (len(children), len(found)) == (2, 1)

    def answered(self) -> tuple[int, bytes, str]:
        self.go.touch()
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
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


def test_a_directory_of_others_gets_no_file_of_ours(agent: Agent) -> None:
    """Not even the one that says what could not be recorded."""
    agent.state_dir.mkdir(0o750)
    (agent.state_dir / "theirs").touch()
    call = AtWork(agent)
    os.kill(call.recorder, signal.SIGKILL)
    assert call.answered()[:2] == (0, BRANCH.stdin())
    assert [path.name for path in agent.state_dir.iterdir()] == ["theirs"]


def test_a_recorder_that_does_not_go_on(agent: Agent) -> None:
    """The call comes to its end without it; once it goes on, the event is recorded."""
    call = AtWork(agent)
    os.kill(call.recorder, signal.SIGSTOP)
    returned, stdout, stderr = call.answered()
    assert (returned, stdout) == (0, BRANCH.stdin())
    assert "ADD not recorded: it is not done " in stderr
    os.kill(call.recorder, signal.SIGCONT)
    until(lambda: agent.events("add"))


@pytest.mark.usefixtures("agent")
def test_a_recorder_that_begins_late(front: Path, tmp_path: Path) -> None:
    """It does not run before the call is over, and then finds all that it needs."""
    bundle = Path(shutil.copytree(front.resolve().parent, tmp_path / "bundle", symlinks=True, copy_function=os.link))
    interpreter = bundle / "_internal/eni-ledger-python"
    interpreter.rename(interpreter.with_name("interpreter"))
    late = tmp_path / "late"
    script(
        interpreter,
        f"echo $$ > {late}.new",
        f"mv {late}.new {late}",
        "kill -STOP $$",
        'exec "${0%/*}/interpreter" "$@"',
    )
    host = Agent(tmp_path / "host", bundle / "eni-ledger", tmp_path / "real")
    answer = host.call(host.environment("ADD", BRANCH.container_id, own_netns()), BRANCH.stdin())
    assert (answer.status, answer.stdout) == (0, BRANCH.stdin())
    assert "ADD not recorded: it is not done " in answer.stderr
    until(late.exists)
    os.kill(int(late.read_text()), signal.SIGCONT)
    until(lambda: host.events("add"))


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
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=few,
    )
    assert (done.returncode, done.stdout) == (3, BRANCH.stdin())
    assert done.stderr.decode().startswith("eni-ledger: ADD not recorded: ")
    assert why in done.stderr.decode()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return where an ext4 file system is mounted that can be frozen: then no process comes back from writing to it."""
    need(os.geteuid() == 0 and shutil.which("fsfreeze") and shutil.which("mkfs.ext4"), "root, fsfreeze and mkfs.ext4")
    image, mounted = tmp_path / "image", tmp_path / "disk"
    mounted.mkdir()
    image.write_bytes(bytes(16 << 20))
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True, check=False)
    need(done.returncode == 0, f"loop devices ({done.stderr.decode()})")
    try:
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "-u", mounted], capture_output=True, check=False)
        until(lambda: subprocess.run(["umount", mounted], capture_output=True, check=False).returncode == 0)


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_disk_that_does_not_answer(agent: Agent, disk: Path, on_error: str) -> None:
    """Nothing ends a process that waits for it, SIGKILL neither: the call comes to its end all the same."""
    agent.state_dir = disk / "state"
    agent.configure(stateDir=str(agent.state_dir), onError=on_error)
    assert agent.add(BRANCH, own_netns()).status == 0
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    environment = agent.environment("ADD", BRANCH.container_id, own_netns())
    answer = agent.call(environment, BRANCH.stdin())  # `agent.add` would wait for the recorder
    if on_error == "warn":
        assert (answer.status, answer.stdout) == (0, BRANCH.stdin())
    else:
        assert answer.code() == 999
    assert "ADD not recorded: it is not done " in answer.stderr
    assert agent.call(environment | {"STATUS": "3"}, BRANCH.stdin()).status == 3
    subprocess.run(["fsfreeze", "-u", disk], check=True)
    until(lambda: failures(agent))
    if on_error == "warn":
        spool = agent.state_dir / "spool"  # where two wrote at once
        until(lambda: len(agent.events("add", "add_failed")) + len(list(spool.glob("*"))) == 3)


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
@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_standard_error_is_the_delegates(
    agent: Agent, copy: Path, tmp_path: Path, how: str, wrong: str, command: str
) -> None:
    """A runtime takes it for the reason (libcni); what we have to say stands in the journal and failures.jsonl.

    A DEL that fails is no event, so neither a state directory nor a journal is missed.
    """
    _dies(agent, how)
    agent.configure(journald=True)
    agent.state_dir.mkdir(0o750)
    if wrong == "damaged":
        damage(copy)
        (agent.plugins / "vpc-branch-eni").unlink()
        (agent.plugins / "vpc-branch-eni").symlink_to(copy / "eni-ledger")
    elif wrong == "state":
        (agent.state_dir / "lock").mkdir()
    elif wrong == "configuration":
        agent.configure(nonsense=1)
    env = agent.environment(command, BRANCH.container_id, own_netns())
    name = agent.plugins / "vpc-branch-eni"
    with Journal() as journal:
        through = journal.command([str(name)]) if wrong != "journal" else [
            "unshare", "--mount", "sh", "-ec", 'mount -t tmpfs tmpfs /run; exec "$@"', "sh", str(name)
        ]  # fmt: skip
        done = subprocess.run(
            through, input=BRANCH.stdin(), env=env, capture_output=True, timeout=PATIENCE_S, check=False
        )
        alone = subprocess.run(
            [tmp_path / "real/vpc-branch-eni"], input=BRANCH.stdin(), env=env, capture_output=True, check=False
        )
        entries = journal.entries("SYSLOG_IDENTIFIER=eni-ledger", "PRIORITY=3")
    assert alone.stderr == b"its reason\n"
    assert (done.returncode, done.stdout, done.stderr) == (alone.returncode, b"", alone.stderr)
    said = 0 if command == "DEL" and wrong in ("state", "journal") else 1
    assert len(failures(agent)) == said
    assert len(entries) == (0 if wrong == "journal" else said)
