"""The bundle starts an ordinary call's delegate before its interpreter (build/front/early.h), and else as ever."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger import journald
from eni_ledger.base import config, errors, runtime
from eni_ledger.ledger.write import probe
from eni_ledger.plugin import delegate, process, protocol
from helpers.agent import Agent, Branch
from helpers.damage import damage
from helpers.delegate import script
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCES = Path(__file__).parents[2] / "build/front"
BRANCH = Branch("c" * 64, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])


@pytest.fixture
def agent(tmp_path: Path, front: Path) -> Agent:
    script(tmp_path / "real/vpc-branch-eni", "cat", 'exit "${STATUS:-0}"')
    return Agent(tmp_path / "eni-ledger", front, tmp_path / "real")


@pytest.fixture
def damaged(tmp_path: Path, copy: Path) -> Callable[..., Agent]:
    """Give a bundle in which eni-ledger's Python cannot run."""

    def make(*lines: str, **settings: object) -> Agent:
        damage(copy)
        script(tmp_path / "real/vpc-branch-eni", *lines)
        return Agent(tmp_path / "eni-ledger", copy / "eni-ledger", tmp_path / "real", **settings)

    return make


def test_it_knows_what_the_python_knows() -> None:
    text = "".join(path.read_text() for path in (*SOURCES.glob("*.h"), *SOURCES.glob("*.c")))

    def defined(name: str) -> str:
        found = re.search(rf"#define {name} +(\([^)]*\)|\S+)", text)
        assert found, name
        return found[1].strip('"')

    def number(name: str) -> int:
        return int(eval(defined(name), {}))

    def listed(name: str) -> list[str]:
        found = re.search(rf"{name}\[\] = \{{(.*)\}}", text)
        assert found, name
        return [word.strip('"') for word in found[1].split(", ")]

    assert number("DEEPEST") == config.CONFIG_DEPTH_LIMIT
    assert number("CONFIG_LIMIT") == config.CONFIG_FILE_LIMIT
    assert number("STDIN_LIMIT") == protocol.STDIN_LIMIT
    assert number("FAILURES_LIMIT") == probe.FAILURES_LIMIT
    assert (number("MARK"), number("MARK_OF")) == (process._MARK, process._MARK_OF)
    assert (number("INTERNAL"), defined("LATEST")) == (errors.EniLedgerError.code, protocol.LATEST)
    assert (defined("FAILURES"), defined("FAILURE_ID")) == (probe.FAILURES, journald.FAILURE_ID)
    assert defined("COMMANDS") == f"/{runtime.CLI}"
    assert defined("STATE_DIRECTORY") == config.DEFAULT_STATE_DIR
    assert tuple(listed("JOURNAL")) == journald.SOCKETS
    assert tuple(listed("VERSIONS")) == protocol.VERSIONS
    assert defined("PLUGIN_DIRECTORY") == config.AGENT_PLUGIN_DIR
    assert defined("CONFIG_FILE") == config.CONFIG_FILE
    assert tuple(listed("INTERPOSED")) == runtime.INTERPOSED
    *numbers, end = listed("FORWARDED")
    assert (end, tuple(int(signal.Signals[name]) for name in numbers)) == ("0", delegate._FORWARDED)


def test_no_call_outlives_its_delegate_by_a_second() -> None:
    """The waits of the front door that come after the delegate's end; test_supervised.py has what it waits for."""
    text = (SOURCES / "supervise.h").read_text()
    record = re.search(r"#define RECORD_NS (\d+) ", text)  # for the recorder
    note = re.search(r"#define NOTE_MS (\d+) ", text)  # for a line in failures.jsonl
    assert record
    assert note
    assert int(record[1]) / 1e9 + int(note[1]) / 1e3 < 1


# What is there as it is, what only Python understands, what it does not understand either.
CONFIGURATIONS = [
    '{"delegateDir":"%s"}',
    '\n{ "delegateDir" :\t"%s" ,\r\n "sync": false, "journald": true, "lockWaitMs": 0, "rotateBytes": 4096 } \n',
    '{"delegateDir": "%s", "onError": "fail"}',
    '{"onError": "none", "delegateDir": "%s"}',
    '{"lockWaitMs": 007, "delegateDir": "%s"}',
    '{"lockWaitMs": 1.0, "delegateDir": "%s"}',
    '{"lockWaitMs": -1, "delegateDir": "%s"}',
    '{"lockWaitMs": 99999999999999999999, "delegateDir": "%s"}',
    '{"stateDirectory": "/x", "delegateDir": "%s"}',
    '{"sync": null, "delegateDir": "%s"}',
    '{"sync": tru, "delegateDir": "%s"}',
    '{"x": [], "delegateDir": "%s"}',
    '{"x": {"delegateDir": "/nonexistent"}, "delegateDir": "%s"}',
    '{"x": "\\"", "delegateDir": "%s"}',
    '{"x": "\u00e9", "delegateDir": "%s"}',
    '{"x": "\t", "delegateDir": "%s"}',
    '{"x": "delegateDir", "delegateDir": "%s"}',
    '{"delegateDi": "/nonexistent", "delegateDirs": "/nonexistent", "delegateDir": "%s"}',
    '{"delegateDir": "/nonexistent", "delegateDir": "%s"}',
    '{"delegateDir": "%s", "delegateDir": "/nonexistent"}',
    '{"\\u0064elegateDir": "%s"}',
    '{"delegateDir": "%s", "onError": "fail", "onError": "warn"}',
    '{"delegateDir": ".%s"}',
    '{"delegateDir": ["%s"]}',
    '{"delegateDir": "%s",}',
    '{"delegateDir": "%s"}}',
    '{"delegateDir": "%s"} x',
    '{"delegateDir": "%s"}\0',
    '{"delegateDir": "%s"',
    '{"delegateDir": "%s", "x": "' + "y" * 5000 + '"}',
    '{"delegateDir": "%s", "x": "' + "y" * 70000 + '"}',
    '{"x": "\\ud83d\\ude00 \\ud800 \\u00e9", "delegateDir": "%s"}',
    '{"x": "\\ud83dx", "y": [1e5, -0, 0.5E-7, [], {}, [[{"a": null}]]], "delegateDir": "%s"}',
    '{"delegateDir": "/nonexistent\\u0000", "x": "%s"}',
    '{"delegateDir": "/nonexistent\\ud800"}',
    '{"delegateDir": "/nonexistent", "delegateDir": null}',
    '{"x": "\\x", "delegateDir": "%s"}',
    '{"x": "\\u12g4", "delegateDir": "%s"}',
    '{"x": 01, "delegateDir": "%s"}',
    '{"x": 1., "delegateDir": "%s"}',
    '{"x": .5, "delegateDir": "%s"}',
    '{"x": 1e, "delegateDir": "%s"}',
    '{"x": NaN, "delegateDir": "%s"}',
    '{"x": [1,], "delegateDir": "%s"}',
    '{"x": [1 2], "delegateDir": "%s"}',
    '{"x" 1, "delegateDir": "%s"}',
    '{"x": [}, "delegateDir": "%s"}',
    '{"x": ' + "[" * 400 + "]" * 400 + ', "delegateDir": "%s"}',
    '{"x": ' + "[" * 499 + "]" * 499 + ', "delegateDir": "%s"}',
    '{"x": ' + "[" * 500 + "]" * 500 + ', "delegateDir": "%s"}',
    '{"x": "' + "[" * 600 + '\\\\", "delegateDir": "%s"}',
    '{"x": ' + "[" * 5000 + "]" * 5000 + ', "delegateDir": "%s"}',
    '\ufeff{"delegateDir": "%s"}',
    '{"x": "\udcff", "delegateDir": "%s"}',
    '["delegateDir", "%s"]',
    '"delegateDir"',
    "{}",
    "",
]


@pytest.mark.parametrize("text", CONFIGURATIONS, ids=lambda text: text[:60])
def test_a_configuration_means_what_it_means_to_python(agent: Agent, tmp_path: Path, text: str) -> None:
    path = agent.home / "config.json"
    path.write_text(text.replace("%s", str(tmp_path / "real")), errors="surrogateescape")
    settings = config.load({}, {}, beside=str(path), problems=[])
    answer = agent.delete(BRANCH)
    if settings.delegate_dir == str(tmp_path / "real"):
        assert (answer.status, answer.stdout) == (0, BRANCH.stdin())
    else:
        assert answer.code() == 113
        assert settings.delegate_dir in answer.stdout.decode()


@pytest.mark.parametrize("called", ["./plugins/vpc-branch-eni", "../eni-ledger/plugins/vpc-branch-eni"])
def test_called_by_a_relative_path(agent: Agent, called: str) -> None:
    env = agent.environment("DEL", BRANCH.container_id, "none")
    done = subprocess.run(
        [called], cwd=agent.home, env=env, input=BRANCH.stdin(), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, BRANCH.stdin(), b"")


@pytest.mark.c_front
def test_standard_input_that_cannot_be_read(agent: Agent, tmp_path: Path) -> None:
    """The delegate gets the input as it is; recorded is what the environment says."""
    script(tmp_path / "real/vpc-branch-eni", "readlink /proc/self/fd/0")
    env = agent.environment("DEL", BRANCH.container_id, "none")
    directory = os.open(tmp_path, os.O_RDONLY)
    done = subprocess.run(
        [agent.plugins / "vpc-branch-eni"],
        env=env,
        stdin=directory,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(directory)
    assert (done.returncode, done.stdout.decode()) == (0, f"{tmp_path}\n")
    assert done.stderr == b""


@pytest.mark.c_front
def test_standard_input_that_comes_late_and_does_not_block(agent: Agent) -> None:
    env = agent.environment("DEL", BRANCH.container_id, "none")
    there, here = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    name = agent.plugins / "vpc-branch-eni"
    with subprocess.Popen([name], stdin=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        os.close(there)
        for part in (BRANCH.stdin()[:20], BRANCH.stdin()[20:]):
            time.sleep(0.1)  # so that it has looked, and there was nothing
            os.write(here, part)
        os.close(here)
        answer = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, *answer) == (0, BRANCH.stdin(), b"")


# --- a bundle that is damaged -------------------------------------------------------------------------------------


@pytest.mark.c_front
@pytest.mark.parametrize("status", [0, 1, 100, 255])
def test_the_answer_is_handed_on(damaged: Callable[..., Agent], status: int) -> None:
    agent = damaged("cat", "yes | head -c 300000", "echo said >&2", f"exit {status}")
    answer = agent.delete(BRANCH)
    assert (answer.status, answer.stdout) == (status, BRANCH.stdin() + b"y\n" * 150_000)
    assert answer.stderr.startswith("said\n") or answer.stderr.endswith("said\n")
    assert "the installation is damaged: " in answer.stderr


@pytest.mark.c_front
@pytest.mark.parametrize("number", [6, 9, 15])
def test_the_signal_that_ended_it_is_handed_on(damaged: Callable[..., Agent], number: int) -> None:
    agent = damaged("ulimit -c 0", "printf half", f"kill -{number} $$")
    assert (agent.delete(BRANCH).status, agent.delete(BRANCH).stdout) == (-number, b"half")


@pytest.mark.c_front
def test_signals_reach_it(damaged: Callable[..., Agent], tmp_path: Path) -> None:
    agent = damaged("trap 'echo ended; exit 5' TERM", f"touch {tmp_path}/ready", "while :; do sleep 0.01; done")
    env = agent.environment("DEL", BRANCH.container_id, "none")
    name = agent.plugins / "vpc-branch-eni"
    with subprocess.Popen([name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout) == (5, b"ended\n")


@pytest.mark.c_front
def test_success_is_none_where_what_is_not_recorded_is_to_fail(damaged: Callable[..., Agent]) -> None:
    agent = damaged("cat", 'exit "${STATUS:-0}"', onError="fail")
    answer = agent.delete(BRANCH)
    assert answer.code() == 999
    assert answer.json()["msg"] == "the call is not recorded"
    failed = agent.delete(BRANCH, STATUS="4")
    assert (failed.status, failed.stdout) == (4, BRANCH.stdin())
