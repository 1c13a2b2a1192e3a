"""Between agent and delegate nothing changes: each call is made twice, of the delegate alone and through eni-ledger."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import agent_db
from helpers.agent import Agent, Branch, Pauses
from helpers.bolt import BoltWriter
from helpers.delegate import script
from helpers.ledgers import stuck_holder
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.trunk import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CONTAINER = "0123456789abcdef" * 4
MAC = "0a:1b:2c:3d:00:01"
BRANCH = Branch(CONTAINER, 101, MAC, ["10.0.32.4/20"])
# Not as any JSON library would write it, so that what comes out is what went in.
RESULT = '{ "cniVersion":"0.3.0",\\t"interfaces":[{"name":"eth0","mac":"0A:1b:2c:3d:00:01","sandbox":"/x"}] }'
SUCCESS = f"printf '{RESULT}'"
FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)


@pytest.fixture
def delegates(tmp_path: Path) -> Path:
    return tmp_path / "amazon-ecs-cni-plugins"


@pytest.fixture
def agent(tmp_path: Path, front_door: Path, delegates: Path) -> Agent:
    return Agent(tmp_path / "eni-ledger", front_door, delegates)


@pytest.fixture
def delegate(delegates: Path) -> Callable[..., Path]:
    """Give a way to say what vpc-branch-eni does."""

    def write(*lines: str) -> Path:
        return script(delegates / "vpc-branch-eni", *lines)

    return write


@pytest.fixture(scope="module")
def pauses() -> Iterator[Pauses]:
    need(os.geteuid() == 0, "root, for network namespaces")
    with Pauses() as made:
        yield made


@pytest.fixture
def netns(pauses: Pauses) -> Iterator[str]:
    """Give the namespace of a pause process in which the delegate's work is done: eth0 with the branch's MAC."""
    pid = pauses.start()
    inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip")
    run(*inside, "link", "add", "eth0", "address", MAC, "type", "veth", "peer", "name", "peer0")
    run(*inside, "address", "add", "10.0.32.4/20", "dev", "eth0")
    run(*inside, "link", "set", "eth0", "up")
    run(*inside, "route", "add", "default", "via", "10.0.32.1")
    yield f"/proc/{pid}/ns/net"
    pauses.stop(pid)


class Both:
    """One call of the delegate alone and one through eni-ledger, with the same arguments, environment and input."""

    def __init__(self, agent: Agent, delegates: Path, netns: str) -> None:
        self.agent, self.delegates, self.netns = agent, delegates, netns
        self.more: dict[str, str] = {}

    def env(self, command: str, **more: str) -> dict[str, str]:
        netns = self.netns if command == "ADD" else "none"
        return self.agent.environment(command, CONTAINER, netns, **self.more, **more)

    def call(
        self,
        command: str = "ADD",
        stdin: bytes | None = None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **how: Any,
    ) -> list[subprocess.CompletedProcess[bytes]]:
        name = self.agent.plugins / "vpc-branch-eni"
        return [
            subprocess.run(
                [name, *arguments],
                executable=executable,
                input=BRANCH.stdin() if stdin is None else stdin,
                env=dict(self.env(command) if env is None else env),
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
                **how,
            )
            for executable in (self.delegates / "vpc-branch-eni", name)
        ]

    def same(self, *arguments: Any, **how: Any) -> subprocess.CompletedProcess[bytes]:
        """Assert that there is no difference to be seen, and return what came of it."""
        alone, through = self.call(*arguments, **how)
        assert (through.returncode, through.stdout, through.stderr) == (alone.returncode, alone.stdout, alone.stderr)
        return through


@pytest.fixture
def both(agent: Agent, delegates: Path, netns: str) -> Both:
    return Both(agent, delegates, netns)


@pytest.fixture(params=["as ever", "by Python"])
def either_way(request: pytest.FixtureRequest, both: Both) -> None:
    """Have the bundle start the delegate before its interpreter, as it does; and not, as where it cannot."""
    if request.param == "by Python":
        both.more["ENI_LEDGER_CONFIG"] = str(both.agent.home / "config.json")


# --- what the runtime gets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_success(both: Both, delegate: Callable[..., Path], command: str) -> None:
    delegate("cat >/dev/null", "echo 'a word for the log' >&2", SUCCESS)
    done = both.same(command)
    assert (done.returncode, done.stdout.decode()) == (0, RESULT.replace("\\t", "\t"))
    if command == "ADD":
        (event,) = both.agent.events("add")
        assert (event["branch_mac"], event["observed_mac"], event["netns"]) == (MAC, MAC, both.netns)
        assert event["mismatch"] == ["vlan_id"]  # this kernel has no VLAN links
        assert event["gateways"] == ["10.0.32.1"]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("command", ["ADD", "DEL"])
@pytest.mark.parametrize("status", [1, 2, 3, 100, 127, 128, 137, 255])
def test_exit_status(both: Both, delegate: Callable[..., Path], command: str, status: int) -> None:
    delegate("""printf '{"code": 999, "msg": "no trunk", "details": "eth1"}'""", f"exit {status}")
    done = both.same(command)
    assert done.returncode == status
    events = both.agent.events("add_failed", "add", "del")
    assert [(e["event"], e["error_code"], e["error_msg"]) for e in events] == (
        [("add_failed", 999, "no trunk: eth1")] if command == "ADD" else []
    )


@pytest.mark.parametrize("number", [1, 2, 3, 6, 8, 9, 11, 13, 14, 15, 25, 34, 64])
def test_ended_by_a_signal(both: Both, delegate: Callable[..., Path], number: int) -> None:
    delegate("printf half", f"kill -{number} $$")
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    try:
        assert both.same().returncode == -number
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    (event,) = both.agent.events("add_failed")
    assert event["error_msg"] == f"the delegate was ended by signal {number}"


def test_no_core_of_ours_in_the_place_of_the_delegates(
    both: Both, delegate: Callable[..., Path], tmp_path: Path
) -> None:
    need(Path("/proc/sys/kernel/core_pattern").read_text().strip() == "core", "a core_pattern of `core`")
    dies = "kill -QUIT $$"

    def dumped(program: Path) -> bool:
        """Whether the kernel says that it has written a core of this process."""

        def may() -> None:
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        process = subprocess.Popen(
            [program], env=both.env("ADD"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path,
            preexec_fn=may,
        )  # fmt: skip
        _, status = os.waitpid(process.pid, 0)
        process.returncode = status
        assert os.WTERMSIG(status) == signal.SIGQUIT
        return os.WCOREDUMP(status)

    need(dumped(delegate(dies)), "a kernel that writes cores here")
    delegate("ulimit -c 0", dies)
    assert not dumped(both.agent.plugins / "vpc-branch-eni")


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_megabytes_of_output(both: Both, delegate: Callable[..., Path], stream: str) -> None:
    delegate(f"yes 'a line of output' | head -c 5000003 {stream}")
    done = both.same()
    assert len(done.stderr if stream else done.stdout) == 5_000_003


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_input_reaches_the_delegate(both: Both, delegate: Callable[..., Path], size: int) -> None:
    delegate("cat")
    data = bytes(range(256)) * (size // 256 + 1)
    alone, through = both.call(stdin=data[:size])
    assert through.stdout == alone.stdout == data[:size]
    assert through.returncode == 0
    (event,) = both.agent.events("add")  # the kernel shows it, whatever the configuration was
    assert (event["container_id"], event["observed_mac"], event["error_code"]) == (CONTAINER, MAC, 6)
    assert through.stderr.decode().startswith("eni-ledger: recorded, but not in full: ")


@pytest.mark.parametrize("conf", [{"cniVersion": "9.9.9"}, {"name": ""}, {"name": "a b"}, {"cniVersion": 3}])
def test_a_configuration_that_the_delegate_accepts(
    both: Both, delegate: Callable[..., Path], conf: dict[str, object]
) -> None:
    """Agents until 2020 gave the network no name. What is wrong with it is the delegate's to say."""
    delegate(SUCCESS)
    both.same(stdin=json.dumps(json.loads(BRANCH.stdin()) | conf).encode())
    (event,) = both.agent.events("add")
    assert (event["vlan_id"], event["branch_mac"], event["mismatch"]) == (101, MAC, ["vlan_id"])
    assert "error_code" not in event


def test_a_default_route_that_was_not_made(both: Both, delegate: Callable[..., Path]) -> None:
    """With `blockInstanceMetadata` the real plugin ends with 0 though its gateway was unreachable."""
    delegate(SUCCESS)
    run("nsenter", f"--net={both.netns}", "ip", "route", "del", "default")
    both.same()
    (event,) = both.agent.events("add")
    assert event["mismatch"] == ["vlan_id", "gateways"]
    assert (event["gateways"], event["observed_gateways"]) == (["10.0.32.1"], [])


@pytest.mark.parametrize("command", ["ADD", "DEL", "VERSION", "CHECK", "", "NONSENSE"])
@pytest.mark.parametrize("arguments", [(), ("--version",), ("--capabilities",), ("-x", "", "größe", "a b\n")])
def test_arguments(both: Both, delegate: Callable[..., Path], command: str, arguments: tuple[str, ...]) -> None:
    delegate("""printf '<%s>' "$#" "$@" """, "cat", "echo said >&2", "exit 7")
    env = {**both.env("ADD"), "CNI_COMMAND": command}
    if not command:
        env = {key: value for key, value in env.items() if not key.startswith("CNI_")}
    assert both.same(env=env, arguments=arguments).returncode == 7
    assert bool(both.agent.events()) == (command == "ADD" and not arguments)


# --- what the delegate gets ---------------------------------------------------------------------------------------

SELF = (
    # Without another process: dash blocks all signals while it starts one.
    "while read -r key rest; do case $key in Sig[BIC]*|Shd*|Cap*|NoNew*|Umask*|Seccomp*|Cpus*|Groups*|Uid*) "
    "echo $key $rest; esac; done </proc/$$/status",
    "for each in /proc/$$/fd/*; do case ${each##*/} in [012]|10) ;; *) echo $each; readlink $each; esac; done",
    "cat /proc/$$/environ /proc/$$/cmdline /proc/$$/oom_score_adj; pwd; umask; ulimit -a",
)
ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"LD_LIBRARY_PATH": "/opt/lib:/usr/local/lib"},
    {"LANG": "C"},
    {"LANG": "C.UTF-8", "LC_ALL": "de_DE.ISO-8859-1"},
    {"PYTHONHOME": "/nonexistent"},
    {"NOT_UTF8": "\udcff\udcfe", "EMPTY": ""},
    {"ENI_LEDGER_LOCK_WAIT": "x"},
)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("command", ["ADD", "VERSION"])
@pytest.mark.parametrize("more", ENVIRONMENTS, ids=lambda more: next(iter(more), "plain"))
def test_the_delegates_process(
    both: Both, delegate: Callable[..., Path], front_door: Path, command: str, more: dict[str, str]
) -> None:
    bundle = (front_door.resolve().parent / "_internal").exists()
    need(bundle or not {"PYTHONHOME", "LANG"} & set(more), "the bundle (a bare Python minds)")
    delegate(*SELF)
    alone, through = both.call(env={**both.env(command), "LC_ALL": "C.UTF-8", **more})
    assert _plain(through.stdout) == _plain(alone.stdout)
    assert through.returncode == 0


def _plain(text: bytes) -> bytes:
    """Return what SELF printed without the process's own number."""
    return re.sub(rb"/proc/\d+/", b"", text)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("command", ["ADD", "VERSION"])
def test_signal_mask_dispositions_and_descriptors(both: Both, delegate: Callable[..., Path], command: str) -> None:
    delegate(*SELF)
    kept = os.open("/dev/zero", os.O_RDONLY)

    def strange() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGWINCH})
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)

    for prepare in (None, strange):
        env = both.env(command, LC_ALL="C.UTF-8")  # else a bare Python sets LC_CTYPE
        alone, through = both.call(env=env, preexec_fn=prepare, pass_fds=[kept])
        assert _plain(through.stdout) == _plain(alone.stdout)
        assert (through.returncode, through.stderr) == (0, b"")
    os.close(kept)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("ignored", [False, True])
def test_whether_the_delegate_ignores_its_children(both: Both, delegates: Path, ignored: bool) -> None:
    """Seen without a shell, which sets SIGCHLD for itself."""
    delegates.mkdir()
    (delegates / "vpc-branch-eni").write_text(
        f"#!{sys.executable} -IS\nimport _signal, os\nos.write(1, str(_signal.getsignal(_signal.SIGCHLD)).encode())\n"
    )
    (delegates / "vpc-branch-eni").chmod(0o755)

    def prepare() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignored else signal.SIG_DFL)

    alone, through = both.call(preexec_fn=prepare)
    assert (through.returncode, through.stdout) == (0, alone.stdout)
    assert alone.stdout == str(int(signal.SIG_IGN if ignored else signal.SIG_DFL)).encode()


@pytest.mark.parametrize("command", ["ADD", "VERSION"])
def test_the_name_it_is_called_by(both: Both, delegates: Path, command: str) -> None:
    delegates.mkdir()
    (delegates / "vpc-branch-eni").symlink_to(shutil.which("dash") or "/bin/sh")  # a program that is no script
    done = both.same(env={**both.env(command), "ENI_LEDGER_CONFIG": str(both.agent.home / "config.json")},
                     stdin=b"cat /proc/$$/cmdline\n") if command == "VERSION" else both.call(
        stdin=b"cat /proc/$$/cmdline\n")[1]  # fmt: skip
    assert done.stdout == os.fsencode(both.agent.plugins / "vpc-branch-eni") + b"\0"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(both: Both, delegate: Callable[..., Path], closed: str, tmp_path: Path) -> None:
    delegate(f"cat >{tmp_path}/input", "echo answer; echo said >&2", "exit 3")
    name = both.agent.plugins / "vpc-branch-eni"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" {closed}', name],
        input=BRANCH.stdin(),
        env=both.env("ADD"),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == (b"" if ">&- " in closed or closed == ">&-" else b"answer\n")
    assert done.stderr == (b"" if "2>&-" in closed else b"said\n")
    assert (tmp_path / "input").read_bytes() == (b"" if "<&-" in closed else BRANCH.stdin())
    assert [e["event"] for e in both.agent.events("add", "add_failed")] == ["add_failed"]


@pytest.mark.parametrize("full", [False, True])
def test_answer_that_cannot_be_written(both: Both, delegate: Callable[..., Path], full: bool) -> None:
    """Nobody has it, so the call is none that has gone well; what was done is recorded."""
    delegate(SUCCESS)
    reading, writing = os.pipe()
    os.close(reading)
    if full:
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    name = both.agent.plugins / "vpc-branch-eni"
    done = subprocess.run(
        [name], input=BRANCH.stdin(), env=both.env("ADD"), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode == 1
    assert b"the answer cannot be written to standard output" in done.stderr
    assert len(both.agent.events("add")) == 1


def test_answer_into_a_full_pipe_that_does_not_block(both: Both, delegate: Callable[..., Path]) -> None:
    delegate("yes | head -c 300000")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    name = both.agent.plugins / "vpc-branch-eni"
    with subprocess.Popen([name], stdin=subprocess.DEVNULL, env=both.env("DEL"), stdout=writing) as process:
        os.close(writing)
        time.sleep(0.3)
        with os.fdopen(reading, "rb") as stream:
            assert len(stream.read()) == 300_000
    assert process.returncode == 0


# --- delegates that cannot be run ---------------------------------------------------------------------------------


def refused(agent: Agent, netns: str, *arguments: str, command: str = "ADD") -> dict[str, Any]:
    """Return the error document of a call that must be refused."""
    answer = agent.call(agent.environment(command, CONTAINER, netns), BRANCH.stdin(), *arguments)
    assert answer.status == 1, answer
    assert "Traceback" not in answer.stderr
    document = answer.json()
    assert document["code"] == 113
    assert isinstance(document, dict)
    return document


def spoil(kind: str, path: Path, front_door: Path) -> None:
    """Put something at `path` that is no delegate."""
    path.parent.mkdir(parents=True)
    if kind == "not executable":
        path.write_text("#!/bin/sh\n")
    elif kind == "directory":
        path.mkdir()
    elif kind == "no program":
        script(path).write_bytes(b"\x7fELF nothing of the kind")
    elif kind == "no interpreter":
        script(path).write_text("#!/nonexistent/interpreter\n")
    elif kind == "dangling":
        path.symlink_to("/nonexistent/vpc-branch-eni")
    elif kind == "link to us":
        path.symlink_to(front_door)
    elif kind == "link to the link":
        path.symlink_to(path.parents[1] / "eni-ledger/plugins/vpc-branch-eni")
    elif kind == "script that calls us":
        script(path, f'{path.parents[1]}/eni-ledger/plugins/vpc-branch-eni "$@"; exit $?')


@pytest.mark.parametrize(
    "kind",
    ["missing", "not executable", "directory", "no program", "no interpreter", "dangling", "link to us",
     "link to the link", "script that calls us"],
)  # fmt: skip
def test_no_delegate(agent: Agent, delegates: Path, front_door: Path, netns: str, kind: str) -> None:
    spoil(kind, delegates / "vpc-branch-eni", front_door)
    document = refused(agent, netns)
    if kind != "script that calls us":  # there the inner one says it, and is the delegate that failed
        assert document["cniVersion"] == "0.3.0"
        assert str(delegates) in document["details"]
        assert "delegateDir" in document["details"]
    events = agent.events("add_failed")
    assert {(event["error_code"], event["vlan_id"], event["branch_mac"]) for event in events} == {(113, 101, MAC)}
    assert refused(agent, "none", command="DEL")["msg"] == document["msg"]
    if kind != "script that calls us":
        assert refused(agent, "", "--capabilities", command="")["msg"] == document["msg"]
    assert agent.events("add", "del") == []


def test_a_copy_of_the_bundle_as_the_delegate(
    agent: Agent, delegates: Path, front_door: Path, netns: str, tmp_path: Path
) -> None:
    bundle = front_door.resolve().parent
    need((bundle / "_internal").exists(), "the bundle")
    copied = shutil.copytree(bundle, tmp_path / "copied", symlinks=True)
    delegates.mkdir()
    (delegates / "vpc-branch-eni").symlink_to(copied / "eni-ledger")
    for _ in range(2):
        assert "eni-ledger" in refused(agent, netns)["msg"]
    assert "eni-ledger" in refused(agent, "", "--version", command="")["msg"]


# --- signals ------------------------------------------------------------------------------------------------------


def started(both: Both, ready: Path, command: str = "ADD", **how: Any) -> subprocess.Popen[bytes]:
    """Start a call and return when its delegate has made the file `ready`."""
    process = subprocess.Popen(
        [both.agent.plugins / "vpc-branch-eni"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=both.env(command),
        **how,
    )
    assert process.stdin is not None
    process.stdin.write(BRANCH.stdin())
    process.stdin.close()
    process.stdin = None
    until(ready.exists)
    return process


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_sigkill_takes_the_delegate_along(
    both: Both, delegate: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    delegate("trap '' TERM", f"echo $$ >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid", "while :; do sleep 1; done")
    process = started(both, tmp_path / "pid", command)
    pid = int((tmp_path / "pid").read_text())
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    until(lambda: gone(pid))
    assert both.agent.events() == []


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("number", FORWARDED, ids=lambda number: number.name)
def test_signals_reach_the_delegate(
    both: Both, delegate: Callable[..., Path], tmp_path: Path, number: signal.Signals
) -> None:
    delegate(f"trap 'printf caught; exit 5' {number.name[3:]}", f"echo >{tmp_path}/ready",
             "while :; do sleep 0.05; done")  # fmt: skip
    process = started(both, tmp_path / "ready")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout, stderr) == (5, b"caught", b"")


@pytest.mark.parametrize("number", FORWARDED, ids=lambda number: number.name)
def test_signals_that_end_the_delegate(
    both: Both, delegate: Callable[..., Path], tmp_path: Path, number: signal.Signals
) -> None:
    delegate("printf half", f"echo >{tmp_path}/ready", "while :; do sleep 0.05; done")
    process = started(both, tmp_path / "ready")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout, stderr) == (-number, b"half", b"")
    assert len(both.agent.events("add_failed")) == 1


def test_a_delegate_that_ignores_sigterm_is_waited_for(
    both: Both, delegate: Callable[..., Path], tmp_path: Path
) -> None:
    delegate("trap '' TERM", f"echo >{tmp_path}/ready", f"while [ -e {tmp_path}/ready ]; do sleep 0.05; done", SUCCESS)
    process = started(both, tmp_path / "ready")
    for _ in range(3):
        process.terminate()
    (tmp_path / "ready").unlink()
    stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout.decode()) == (0, RESULT.replace("\\t", "\t"))
    assert len(both.agent.events("add")) == 1


def test_what_a_delegate_leaves_behind_keeps_nobody_waiting(
    both: Both, delegate: Callable[..., Path], tmp_path: Path
) -> None:
    # It holds the delegate's stdout; of stderr, which is the runtime's own pipe, it has to let go itself.
    late = f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; echo late; exec setsid sleep 300"
    delegate(f"({late}) 2>/dev/null & echo $! >{tmp_path}/pid", SUCCESS)
    name = both.agent.plugins / "vpc-branch-eni"
    done = subprocess.run(
        [name], input=BRANCH.stdin(), env=both.env("ADD"), capture_output=True, timeout=PATIENCE_S, check=False
    )
    pid = int((tmp_path / "pid").read_text())
    (tmp_path / "go").touch()  # and it can still write there
    until(lambda: gone(pid) or b"sleep\x00300" in Path(f"/proc/{pid}/cmdline").read_bytes())
    assert not gone(pid)
    os.kill(pid, signal.SIGKILL)
    assert done.returncode == 0
    assert RESULT.replace("\\t", "\t") in done.stdout.decode()


# --- faults of eni-ledger -----------------------------------------------------------------------------------------


def nothing(agent: Agent) -> None:
    agent.agent_db.unlink(missing_ok=True)


def garbage(agent: Agent) -> None:
    agent.agent_db.write_bytes(os.urandom(1 << 16))


def truncated(agent: Agent) -> None:
    whole = Path(__file__).parents[1] / "fixtures/agent-db/small.db"
    agent.agent_db.write_bytes(whole.read_bytes()[:20_000])


def fifo(agent: Agent) -> None:
    os.mkfifo(agent.agent_db)


def directory(agent: Agent) -> None:
    agent.agent_db.mkdir()


@pytest.mark.parametrize("spoilt", [nothing, garbage, truncated, fifo, directory])
def test_agent_db_that_does_not_help(
    both: Both, delegate: Callable[..., Path], spoilt: Callable[[Agent], None]
) -> None:
    spoilt(both.agent)
    delegate(SUCCESS)
    assert both.same().stderr == b""
    (event,) = both.agent.events("add")
    assert not {"eni_id", "task_arn", "error_code"} & set(event)


def known_task(path: Path) -> Path:
    """Write a database in which the agent has saved the branch's task."""
    writer = BoltWriter(str(path))
    writer.commit({b"tasks": dict([agent_db.task("a" * 32, agent_db.eni_id(1, 1), MAC, vlan=101, ip="10.0.32.4")])})
    writer.close()
    return path


def test_agent_db_that_can_be_read_when_the_delegate_is_about_to_answer(
    both: Both, delegate: Callable[..., Path], tmp_path: Path
) -> None:
    whole = known_task(tmp_path / "whole.db")
    truncated(both.agent)
    delegate(f"cat {whole} >{both.agent.agent_db}", SUCCESS)
    assert both.agent.add(BRANCH, both.netns).status == 0
    (event,) = both.agent.events("add")
    assert (event["eni_id"], event["task_arn"]) == (agent_db.eni_id(1, 1), f"{agent_db.CLUSTER}/{'a' * 32}")


def test_agent_db_that_can_be_read_at_del(both: Both, delegate: Callable[..., Path]) -> None:
    truncated(both.agent)
    delegate(SUCCESS)
    both.agent.add(BRANCH, both.netns)
    known_task(both.agent.agent_db)
    both.agent.delete(BRANCH)
    identified, ended = both.agent.events("identify", "del")
    assert (identified["eni_id"], identified["identity_source"]) == (agent_db.eni_id(1, 1), "agent-db")
    assert (ended["event"], ended["eni_id"]) == ("del", agent_db.eni_id(1, 1))


def test_agent_db_that_is_locked(both: Both, delegate: Callable[..., Path]) -> None:
    import fcntl

    whole = Path(__file__).parents[1] / "fixtures/agent-db"
    shutil.copy(whole / "small.db", both.agent.agent_db)
    delegate(SUCCESS)
    with both.agent.agent_db.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert both.same().stderr == b""


def unusable(agent: Agent) -> None:
    agent.state_dir.symlink_to("/nonexistent")


def in_the_way(agent: Agent) -> None:
    agent.state_dir.write_text("")


def bad_config(agent: Agent) -> None:
    agent.configure(stateDir=7)


def unknown_key(agent: Agent) -> None:
    agent.configure(stateDirectory="/x")


@pytest.mark.parametrize("spoilt", [unusable, in_the_way])
def test_state_that_cannot_be_used(both: Both, delegate: Callable[..., Path], spoilt: Callable[[Agent], None]) -> None:
    spoilt(both.agent)
    delegate("cat >/dev/null", "echo said >&2", SUCCESS, "exit ${STATUS:-0}")
    for command, status in (("ADD", 0), ("ADD", 4), ("DEL", 0), ("DEL", 4)):
        env = {**both.env(command), "STATUS": str(status)}
        alone, through = both.call(env=env)
        assert (through.returncode, through.stdout) == (status, alone.stdout)
        quiet = command == "DEL" and status  # nothing was to be recorded
        assert through.stderr.startswith(b"said\n" + (b"" if quiet else f"eni-ledger: {command} not recorded".encode()))
    both.agent.configure(onError="fail")
    answer = both.agent.add(BRANCH, both.netns)
    assert answer.code() == 100
    alone, through = both.call(env={**both.env("ADD"), "STATUS": "4"})  # its own failure goes first
    assert (through.returncode, through.stdout) == (4, alone.stdout)


@pytest.mark.parametrize("spoilt", [bad_config, unknown_key])
def test_configuration_that_cannot_be_read(
    both: Both, front_door: Path, delegate: Callable[..., Path], spoilt: Callable[[Agent], None]
) -> None:
    """What is valid in it holds, and the state directory lies beside it: the answer and the record are as ever."""
    spoilt(both.agent)
    delegate("cat >/dev/null", SUCCESS)
    alone, through = both.call()
    assert (through.returncode, through.stdout) == (0, alone.stdout)
    assert b"the configuration is at fault" in through.stderr
    assert [event["event"] for event in both.agent.events("add")] == ["add"]


def test_a_configuration_that_is_no_json(both: Both, front_door: Path, delegate: Callable[..., Path]) -> None:
    """It says where the delegates are: without it they are looked for where the agent has them."""
    (both.agent.home / "config.json").write_text("{")
    delegate(SUCCESS)
    document = refused(both.agent, both.netns)
    assert "/amazon-ecs-cni-plugins/vpc-branch-eni" in document["details"]


def test_a_lock_that_is_held(both: Both, delegate: Callable[..., Path]) -> None:
    delegate(SUCCESS)
    assert both.agent.add(BRANCH, both.netns).status == 0
    with stuck_holder(both.agent.state_dir):
        alone, through = both.call()
    assert (through.returncode, through.stdout) == (0, alone.stdout)
    assert b"waits in the spool" in through.stderr
    assert both.agent.delete(BRANCH).stderr == ""
    assert [event["event"] for event in both.agent.events("add", "del")] == ["add", "add", "del"]


@pytest.mark.usefixtures("either_way")
def test_no_more_processes(both: Both, delegate: Callable[..., Path]) -> None:
    """Where we cannot stand beside the delegate we step aside: unrecorded, but run."""
    need(shutil.which("setpriv"), "setpriv, for a user without privileges")
    marker = "for each in /proc/$$/fd/*; do :; done"
    delegate(marker, "read -r line", "printf '%s' \"$line\"")
    for path in (both.agent.home, *both.agent.home.parents):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o055)

    def only_this_one() -> None:
        os.setgid(54321)
        os.setuid(54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

    name = both.agent.plugins / "vpc-branch-eni"
    done = subprocess.run(
        [name], input=BRANCH.stdin(), env=both.env("ADD"), capture_output=True, check=False, preexec_fn=only_this_one
    )
    assert (done.returncode, done.stdout) == (0, BRANCH.stdin()), done.stderr
    assert (
        done.stderr.startswith(b"eni-ledger: ADD not recorded: ") or b"\neni-ledger: ADD not recorded: " in done.stderr
    )


# --- what is recorded ---------------------------------------------------------------------------------------------


def test_del_again_and_of_the_unknown_without_a_word(both: Both, delegate: Callable[..., Path]) -> None:
    delegate(SUCCESS)
    for _ in range(2):
        assert both.agent.add(BRANCH, both.netns).stderr == ""
    for _ in range(3):
        assert both.agent.delete(BRANCH).stderr == ""
    stranger = Branch("f" * 64, 102, MAC, [])
    assert both.agent.delete(stranger).stderr == ""
    first, second, ended = both.agent.events("add", "del")
    assert second["supersedes"] == [first["association_id"]]
    assert (ended["event"], ended["association_id"]) == ("del", second["association_id"])
    assert ended["vlan_id"] == 101


def test_del_whose_configuration_is_damaged_still_ends_the_association(
    both: Both, delegate: Callable[..., Path]
) -> None:
    delegate(SUCCESS)
    both.agent.add(BRANCH, both.netns)
    answer = both.agent.call(both.env("DEL"), b"{")
    assert answer.status == 0
    assert len(both.agent.events("del")) == 1


def test_an_error_with_status_0(both: Both, delegate: Callable[..., Path]) -> None:
    """As the real plugins answer after a panic; libcni sees success."""
    delegate("""printf '{"code": 100, "msg": "index out of range", "details": "goroutine 1"}'""")
    assert both.same().returncode == 0
    (event,) = both.agent.events("add")
    assert (event["error_code"], event["error_msg"]) == (100, "index out of range: goroutine 1")
    assert event["observed_mac"] == MAC


def test_vpc_eni(both: Both, delegates: Path) -> None:
    script(delegates / "vpc-eni", "sleep 0.03", SUCCESS)
    conf = {
        "cniVersion": "0.3.0",
        "name": "network-name",
        "type": "vpc-eni",
        "eniMACAddress": MAC,
        "eniIPAddresses": ["10.0.32.4/20"],
        "gatewayIPAddresses": ["10.0.32.1"],
        "blockInstanceMetadata": False,
    }
    answer = both.agent.call(both.env("ADD"), json.dumps(conf).encode(), plugin="vpc-eni")
    assert (answer.status, answer.stderr) == (0, "")
    (event,) = both.agent.events("add")
    expected = {
        "plugin": "vpc-eni",
        "protocol": "default",
        "branch_mac": MAC,
        "observed_mac": MAC,
        "addresses": ["10.0.32.4/20"],
        "gateways": ["10.0.32.1"],
        "block_instance_metadata": False,
        "cni_version": "0.3.0",
        "network": "network-name",
    }
    assert {key: event.get(key) for key in expected} == expected
    assert not {"vlan_id", "trunk_mac", "mismatch", "error_code"} & set(event)
    assert event["took_ms"] >= 30


def test_ecs_eni(both: Both, delegates: Path) -> None:
    """As agents before September 2023 call it for whole ENIs; its own configuration has the ENI ID."""
    script(delegates / "ecs-eni", SUCCESS)
    conf = {
        "cniVersion": "0.3.0",
        "name": "network-name",
        "type": "ecs-eni",
        "eni": "eni-0123456789abcdef0",
        "mac": MAC,
        "ip-addresses": ["10.0.32.4/20"],
        "gateway-ip-addresses": ["10.0.32.1"],
        "block-instance-metadata": True,
    }
    answer = both.agent.call(both.env("ADD"), json.dumps(conf).encode(), plugin="ecs-eni")
    assert (answer.status, answer.stderr) == (0, "")
    (event,) = both.agent.events("add")
    expected = {
        "plugin": "ecs-eni",
        "protocol": "default",
        "eni_id": "eni-0123456789abcdef0",
        "branch_mac": MAC,
        "observed_mac": MAC,
        "addresses": ["10.0.32.4/20"],
        "gateways": ["10.0.32.1"],
        "block_instance_metadata": True,
    }
    assert {key: event.get(key) for key in expected} == expected
    assert not {"vlan_id", "trunk_mac", "mismatch", "error_code"} & set(event)
    assert both.agent.call(both.env("DEL"), json.dumps(conf).encode(), plugin="ecs-eni").status == 0
    assert [one["event"] for one in both.agent.events()][-1] == "del"


@pytest.mark.parametrize(
    ("said", "code", "msg"),
    [
        ('{"code": 7, "msg": "m"}', 7, "m"),
        ('{"code": "7", "msg": "m"}', 999, "the delegate ended with status 1"),
        ('{"code": true, "msg": "m"}', 999, "the delegate ended with status 1"),
        ('{"msg": "m"', 999, "the delegate ended with status 1"),
        ("[1]", 999, "the delegate ended with status 1"),
        ("", 999, "the delegate ended with status 1"),
        ('{"code": 1, "msg": "a\\\\u0000\\\\ud800 b"}', 1, None),
        ('{"code": 100000000000000000000000000, "msg": "m"}', 100000000000000000000000000, "m"),
    ],
)
def test_what_a_failing_delegate_said(
    both: Both, delegate: Callable[..., Path], said: str, code: int, msg: str | None
) -> None:
    delegate(f"printf '{said}'", "exit 1")
    both.same()
    (event,) = both.agent.events("add_failed")
    assert event["error_code"] == code
    assert msg is None or event["error_msg"] == msg
