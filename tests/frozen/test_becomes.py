"""What is neither ADD nor DEL becomes the delegate before there is an interpreter; one that calls us is ended."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.patience import PATIENCE_S
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
def test_a_configuration_of_others_names_no_program(front: Path, tmp_path: Path, command: str, spoilt: str) -> None:
    need(os.geteuid() == 0, "root, to give files away")
    script(tmp_path / "theirs/vpc-branch-eni", f"touch {tmp_path}/taken", "cat")
    agent = Agent(tmp_path / "eni-ledger", front, tmp_path / "theirs")
    config = agent.home / "config.json"
    if spoilt == "file":
        config.chmod(0o666)
    elif spoilt == "directory":
        agent.home.chmod(0o777)
    elif spoilt == "owner":
        os.chown(config, 12345, 0)
    else:
        config.rename(agent.home / "real.json")
        config.symlink_to("real.json")
    answer = agent.call(agent.environment(command, BRANCH.container_id, "none"), BRANCH.stdin())
    assert not (tmp_path / "taken").exists()
    assert answer.code() == 113  # /amazon-ecs-cni-plugins is not here
    assert "/amazon-ecs-cni-plugins/vpc-branch-eni" in answer.stdout.decode()
    if command == "ADD":
        assert f"the configuration file is not used: {config}" in answer.stderr


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
