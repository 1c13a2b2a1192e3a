"""What is neither ADD nor DEL becomes the delegate before there is an interpreter; one that calls us is ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.patience import PATIENCE_S
from helpers.plugin import Answer
from helpers.prereq import need

BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
# Command and arguments of calls that are not ours to record.
OTHERS: list[tuple[str, tuple[str, ...]]] = [
    ("", ("--capabilities",)),
    ("", ("--version",)),
    ("ADD", ("--x",)),
    ("CHECK", ()),
    ("GC", ()),
    ("STATUS", ()),
    ("VERSION", ()),
    ("add", ()),
    ("", ()),
]
# All but the first are left to no interpreter either, whatever is in the file.
CONFIGURATIONS = [
    '{"delegateDir": "%s"}',
    '{"onError": "fail", "x": [1, {"y": null}], "\\u0064elegateDir": "%s"}',
    '{"delegateDir": "/nonexistent", "x": "' + "y" * 9000 + '", "delegateDir": "%s"}',
]


@pytest.fixture
def agent(tmp_path: Path, bundle: Path) -> Agent:
    """Return an agent with a bundle in which no Python of ours can run: its two programs, and nothing in _internal/."""
    copy = tmp_path / "opt/elsewhere"
    copy.mkdir(parents=True)
    for name in ("eni-ledger", "eni-ledger-cli"):
        shutil.copy(bundle / name, copy)
    script(tmp_path / "real/vpc-branch-eni", 'printf "<%s>" "$CNI_COMMAND" "$@"', "cat", "echo said >&2", "exit 7")
    return Agent(tmp_path / "eni-ledger", copy / "eni-ledger", tmp_path / "real")


@pytest.mark.c_front
@pytest.mark.parametrize("text", CONFIGURATIONS, ids=["plain", "escapes", "long"])
@pytest.mark.parametrize(("command", "arguments"), OTHERS)
def test_of_a_damaged_bundle(agent: Agent, command: str, arguments: tuple[str, ...], text: str) -> None:
    (agent.home / "config.json").write_text(text.replace("%s", str(agent.home.parent / "real")))
    env = agent.environment(command, BRANCH.container_id, "none")
    answer = agent.call(env, BRANCH.stdin(), *arguments)
    said = "".join(f"<{word}>" for word in (command, *arguments)).encode() + BRANCH.stdin()
    assert (answer.status, answer.stdout, answer.stderr) == (7, said, "said\n")


@pytest.mark.c_front
@pytest.mark.parametrize("how", ["name", "relative", "search path"])
def test_however_it_is_called(agent: Agent, how: str) -> None:
    config = str(agent.home / "config.json")
    env = {
        **agent.environment("CHECK", BRANCH.container_id, "none"),
        "PATH": f"{agent.plugins}:{os.environ['PATH']}",
        **({"ENI_LEDGER_CONFIG": config} if how == "search path" else {}),
    }
    called = {"name": str(agent.plugins / "vpc-branch-eni"), "relative": "./vpc-branch-eni"}.get(how, "vpc-branch-eni")
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0"', called],
        cwd=agent.plugins, env=env, input=b"", capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, b"<CHECK>")


@pytest.mark.c_front
def test_a_delegate_that_is_not_there(agent: Agent) -> None:
    """There is no interpreter to say it: the error of the specification comes all the same."""
    (agent.home.parent / "real/vpc-branch-eni").unlink()
    for command in ("ADD", "CHECK", ""):
        answer = agent.call(agent.environment(command, BRANCH.container_id, "none"), BRANCH.stdin())
        assert answer.code() == 999
        assert answer.json()["cniVersion"] == "0.3.0"


# --- a configuration that others may write to -------------------------------------------------------------------------


@pytest.mark.parametrize("spoilt", ["file", "directory", "owner", "link"])
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
@pytest.mark.parametrize("place", ["beside", "named", "etc"])
def test_a_configuration_of_others_names_no_program(
    theirs: Agent, tmp_path: Path, command: str, spoilt: str, place: str
) -> None:
    file = config = theirs.home / "config.json"
    env = theirs.environment(command, BRANCH.container_id, "none", ENI_LEDGER_STATE_DIR=str(theirs.state_dir))
    prefix: list[str] = []
    if place == "named":
        (tmp_path / "elsewhere").mkdir()
        file = config = config.rename(tmp_path / "elsewhere/named.json")
        env["ENI_LEDGER_CONFIG"] = str(config)
    elif place == "etc":
        (tmp_path / "etc/eni-ledger").mkdir(parents=True)
        file, config = config.rename(tmp_path / "etc/eni-ledger/config.json"), Path("/etc/eni-ledger/config.json")
        prefix = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc; exec "$@"', str(tmp_path / "etc")]
    theirs.state_dir.mkdir(0o750)
    spoil(file, spoilt)
    name = str(theirs.plugins / "vpc-branch-eni")
    answer = Answer(
        subprocess.run(
            [*prefix, name], input=BRANCH.stdin(), env=env, capture_output=True, timeout=PATIENCE_S, check=False
        )
    )
    assert not (tmp_path / "taken").exists()
    assert answer.code() == 113  # /amazon-ecs-cni-plugins is not here
    assert "/amazon-ecs-cni-plugins/vpc-branch-eni" in answer.stdout.decode()
    assert times_reported(theirs, answer, f"the configuration file is not used: {config}") == (1, 1)


def spoil(config: Path, how: str) -> None:
    """Have another user able to write the configuration file, or what stands in its place."""
    if how == "file":
        config.chmod(0o666)
    elif how == "directory":
        config.parent.chmod(0o777)
    elif how == "owner":
        os.chown(config, 12345, 0)
    else:
        config.rename(config.parent / "real.json")
        config.symlink_to("real.json")


def times_reported(agent: Agent, answer: Answer, fault: str) -> tuple[int, int]:
    """Return how often a fault stands on standard error, and in failures.jsonl."""
    path = agent.state_dir / "failures.jsonl"
    noted = [json.loads(line)["msg"] for line in path.read_text().splitlines()] if path.exists() else []
    return answer.stderr.count(fault), sum(fault in msg for msg in noted)


@pytest.mark.parametrize("status", [0, 3], ids=["success", "failure"])
@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_a_fault_of_the_configuration_is_reported_whatever_comes_of_the_call(
    front: Path, tmp_path: Path, command: str, status: int
) -> None:
    """Also of a DEL that ends nothing, and of one whose delegate fails: neither is an event."""
    script(tmp_path / "real/vpc-branch-eni", "cat", f"exit {status}")
    agent = Agent(tmp_path / "eni-ledger", front, tmp_path / "real", nonsense=1)
    agent.state_dir.mkdir(0o750)
    answer = (agent.add if command == "ADD" else lambda branch, _: agent.delete(branch))(BRANCH, "none")
    assert (answer.status, answer.stdout) == (status, BRANCH.stdin())
    assert times_reported(agent, answer, "unknown key in the configuration file: 'nonsense'") == (1, 1)


@pytest.fixture
def theirs(front: Path, tmp_path: Path) -> Agent:
    """Return an agent whose configuration names a delegate that leaves a file `taken` behind."""
    need(os.geteuid() == 0, "root, to give files away and to mount")
    script(tmp_path / "theirs/vpc-branch-eni", f"touch {tmp_path}/taken", "cat")
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "theirs")


# --- a delegate that calls the plugin path ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", ['"$plugin" "$@"; exit $?', 'exec "$plugin" "$@"', 'sh -c \'"$0" "$@"; exit $?\' "$plugin" "$@"']
)
@pytest.mark.parametrize(("command", "arguments"), [*OTHERS, ("ADD", ()), ("DEL", ())])
def test_a_delegate_that_calls_us_is_ended(
    front: Path, tmp_path: Path, command: str, arguments: tuple[str, ...], call: str
) -> None:
    agent = Agent(tmp_path / "eni-ledger", front, tmp_path / "real")
    plugin = agent.plugins / "vpc-branch-eni"
    script(tmp_path / "real/vpc-branch-eni", f"echo >>{tmp_path}/calls", f"plugin={plugin}", call)
    answer = agent.call(agent.environment(command, BRANCH.container_id, "none"), BRANCH.stdin(), *arguments)
    assert answer.code() == 113
    assert "another eni-ledger" in answer.stdout.decode()
    assert (tmp_path / "calls").read_text() == "\n"
