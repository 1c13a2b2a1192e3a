"""ADD through the bundle does what the source does; everything that is no call goes to the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.plugin import Plugin, result
from helpers.prereq import need
from helpers.trunk import Pause, named_netns, run

if TYPE_CHECKING:
    from collections.abc import Iterator

MAC = "0a:1b:2c:3d:01:01"
# What differs from one call to the next.
OF_THE_CALL = ("ts", "took_ms", "association_id", "crc")


@pytest.fixture
def source() -> Path:
    """Return the front door of this Python environment, which runs the source or the wheel."""
    script = Path(sys.prefix, "bin/eni-ledger")
    need(script.exists(), f"{script}, which installing the project makes")
    return script


@pytest.fixture
def pause() -> Iterator[Pause]:
    """Return a pause process whose namespace has an eth0."""
    need(os.geteuid() == 0 and shutil.which("nsenter"), "root and nsenter, for network namespaces")
    with Pause() as made:
        eth0(made.netns)
        yield made


def eth0(netns: str) -> None:
    """Make a veth pair with both ends in the namespace."""
    inside = ("nsenter", f"--net={netns}", "ip")
    run(*inside, "link", "add", "eth0", "address", MAC, "type", "veth", "peer", "name", "peer0")
    run(*inside, "link", "set", "eth0", "up")
    run(*inside, "address", "add", "10.0.32.4/20", "dev", "eth0")


def without_the_calls_own(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in OF_THE_CALL}


def both(front: Path, source: Path, tmp_path: Path, **how: Any) -> tuple[Plugin, Plugin]:
    """Return the plugin from the bundle and from the source, each with a state directory of its own."""
    return Plugin(front, tmp_path / "bundle", **how), Plugin(source, tmp_path / "source", **how)


@pytest.mark.parametrize("version", ["0.2.0", "0.4.0", "1.0.0", "1.1.0"])
def test_add_and_del_as_from_the_source(front: Path, source: Path, tmp_path: Path, pause: Pause, version: str) -> None:
    prev = result(version, mac=MAC, sandbox=pause.netns)
    plugins = both(front, source, tmp_path, version=version)
    for plugin in plugins:
        added = plugin.add(prev, netns=pause.netns)
        assert (added.status, added.json(), added.stderr) == (0, prev, "")
        deleted = plugin.delete(prev, netns="none")
        assert (deleted.status, deleted.stdout, deleted.stderr) == (0, b"", "")
    frozen, plain = ([without_the_calls_own(event) for event in plugin.events("add", "del")] for plugin in plugins)
    assert frozen == plain
    assert frozen[0]["observed_mac"] == MAC


def test_add_needs_nothing_that_is_the_command_lines(copy: Path, tmp_path: Path, pause: Pause) -> None:
    # All Python code but three codecs goes, and every third-party library: an import of one fails.
    (copy / "eni-ledger-cli").unlink()
    codecs = {f"{name}.pyc" for name in ("__init__", "aliases", "utf_8")}
    for path in (copy / "_internal").iterdir():
        if path.is_dir() and path.name != "encodings" and not path.name.startswith("python3"):
            shutil.rmtree(path)
    for path in (copy / "_internal/encodings").iterdir():
        if path.name not in codecs:
            path.unlink()
    plugin = Plugin(copy / "eni-ledger", tmp_path / "state")
    added = plugin.add(result("1.0.0", mac=MAC, sandbox=pause.netns), netns=pause.netns)
    assert (added.status, added.stderr) == (0, "")
    assert len(plugin.events("add")) == 1


def test_namespace_by_name(front: Path, tmp_path: Path) -> None:
    # Entering it takes setns, for which Python 3.11 has nothing but C code outside of libpython.
    need(os.geteuid() == 0 and shutil.which("nsenter"), "root and nsenter, for network namespaces")
    with named_netns(f"eni-ledger-frozen-{os.getpid()}") as netns:
        eth0(netns)
        plugin = Plugin(front, tmp_path / "state")
        added = plugin.add(result("1.0.0", mac=MAC), netns=netns)
        assert (added.status, added.stderr) == (0, "")
        (event,) = plugin.events("add")
        assert (event["observed_mac"], event["netns_inode"]) == (MAC, Path(netns).stat().st_ino)


@pytest.mark.parametrize(
    ("command", "stdin", "code"),
    [
        ("ADD", b"", 6),
        ("ADD", b"[" * 100_000, 6),
        ("ADD", b"\xff", 6),
        ("NONSENSE", b"{}", 4),
        ("ADD", b'{"cniVersion": "9.9.9", "name": "n", "type": "eni-ledger"}', 1),
        ("CHECK", b'{"cniVersion": "0.3.1", "name": "n", "type": "eni-ledger"}', 1),
    ],
)
def test_errors_as_from_the_source(
    front: Path, source: Path, tmp_path: Path, command: str, stdin: bytes, code: int
) -> None:
    answers = [
        plugin.call(command, stdin, netns="/proc/1/ns/net", env={"ENI_LEDGER_STATE_DIR": str(tmp_path / "s")})
        for plugin in both(front, source, tmp_path)
    ]
    frozen, plain = ((answer.status, answer.stdout, answer.stderr) for answer in answers)
    assert frozen == plain
    assert json.loads(frozen[1])["code"] == code


def test_status_and_gc_as_from_the_source(front: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command, state_dir in (("STATUS", tmp_path / "new"), ("STATUS", tmp_path / "file"), ("GC", tmp_path / "new")):
        answers = []
        for executable in (front, source):
            plugin = Plugin(executable, state_dir, version="1.1.0")
            conf = plugin.net_conf(**{"cni.dev/valid-attachments": []})
            answer = plugin.call(command, conf, container_id=None, ifname=None)
            answers.append((answer.status, answer.stdout, answer.stderr))
        assert answers[0] == answers[1]


def test_add_with_onerror_fail_and_a_bad_state_directory(front: Path, tmp_path: Path, pause: Pause) -> None:
    (tmp_path / "state").symlink_to(tmp_path)
    answer = Plugin(front, tmp_path / "state", config={"onError": "fail"}).add(
        result("1.0.0", mac=MAC), netns=pause.netns
    )
    assert answer.code() == 100


@pytest.fixture
def stub(copy: Path) -> Path:
    """Return a front door whose command line program tells what it was called with instead."""
    program = copy / "eni-ledger-cli"
    program.unlink()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@" --\nenv\nexit 42\n')
    program.chmod(0o755)
    return copy / "eni-ledger"


def handed_over(stub: Path, *arguments: str, env: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment that reach the command line; its exit status must come back."""
    done = subprocess.run([stub, *arguments], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (42, "")
    words, _, rest = done.stdout.partition("--\n")
    variables = dict(line.split("=", 1) for line in rest.splitlines())
    for name in ("PWD", "SHLVL", "_", "OLDPWD"):  # the shell's own
        variables.pop(name, None)
    return words.splitlines(), variables


def test_arguments_and_exit_status(stub: Path) -> None:
    arguments = ["who", "10.0.32.4", "--at", "tuesday 03:12", "", "größe", "-x"]
    words, _ = handed_over(stub, *arguments, env={})
    assert words == [str(stub.parent / "eni-ledger-cli"), *arguments]


def test_arguments_win_over_cni_variables(stub: Path) -> None:
    words, variables = handed_over(stub, "list", env={"CNI_COMMAND": "ADD"})
    assert words[1:] == ["list"]
    assert variables == {"CNI_COMMAND": "ADD"}


@pytest.mark.parametrize(
    "path", [None, pytest.param("", marks=pytest.mark.c_front), "/opt/lib", "/opt/lib:/usr/local/lib"]
)
def test_library_path_stays_what_it_is(stub: Path, path: str | None) -> None:
    env = {"HOME": "/root"} | ({} if path is None else {"LD_LIBRARY_PATH": path})
    _, variables = handed_over(stub, "list", env=env)
    assert variables == env


def test_through_a_symlink_the_sibling_is_the_bundles(stub: Path, tmp_path: Path) -> None:
    link = tmp_path / "eni-ledger"
    link.symlink_to(stub)
    words, _ = handed_over(link, "list", env={})
    assert words[0] == str(stub.parent / "eni-ledger-cli")


def test_missing_command_line(stub: Path) -> None:
    (stub.parent / "eni-ledger-cli").unlink()
    done = subprocess.run([stub, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "\ntry: " in done.stderr


def test_command_line_of_the_bundle(front: Path, tmp_path: Path) -> None:
    def commands(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {"ENI_LEDGER_STATE_DIR": str(tmp_path / "none")}
        return subprocess.run([front, *arguments], env=env, capture_output=True, text=True, check=False)

    assert commands("version").stdout.startswith("eni-ledger ")
    assert commands("--help").stdout.startswith("Usage: eni-ledger ")
    assert commands("nonsense").returncode == 2
    assert commands("list").returncode == 3
    for name in ("event", "state", "config"):
        kept = Path(__file__).parents[2] / f"conf/schema/{name}.json"
        assert json.loads(commands("schema", name).stdout) == json.loads(kept.read_text())
