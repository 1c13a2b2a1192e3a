"""The plugin as a process: which program is meant, closed streams, what is loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import eni_ledger
from eni_ledger.base import runtime
from helpers.patience import PATIENCE_S
from helpers.plugin import VERSIONS

SOURCE = Path(eni_ledger.__file__).parents[1]
START = "import os, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'eni-ledger'; "
START += "from eni_ledger.entry import main; "
RUN = START + "sys.exit(main())"
CALL = [sys.executable, "-I", "-S", "-c", RUN, str(SOURCE)]


def call(env: dict[str, str], stdin: bytes = b"", **how: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(CALL, input=stdin, env=env, capture_output=True, timeout=PATIENCE_S, check=False, **how)


def add_of(tmp_path: Path) -> tuple[dict[str, str], bytes]:
    env = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c0ffee",
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_NETNS_OVERRIDE": "1",
        "CNI_IFNAME": "lo",
    }
    conf = {
        "cniVersion": "1.0.0",
        "name": "n",
        "stateDir": str(tmp_path / "state"),
        "prevResult": {"cniVersion": "1.0.0"},
    }
    return env, json.dumps(conf).encode()


def test_version_in_an_empty_environment() -> None:
    done = call({"CNI_COMMAND": "VERSION"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["supportedVersions"] == list(VERSIONS)


@pytest.mark.parametrize("name", ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"])
@pytest.mark.parametrize("value", ["", "x"])
def test_any_variable_of_a_call_makes_it_one(name: str, value: str) -> None:
    done = call({name: value})
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 4


def test_add(tmp_path: Path) -> None:
    env, data = add_of(tmp_path)
    done = call(env, data)
    assert (done.returncode, done.stdout) == (0, b'{"cniVersion": "1.0.0"}')
    assert (tmp_path / "state/ledger.jsonl").exists()


def test_stdout_that_nobody_reads(tmp_path: Path) -> None:
    env, data = add_of(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(CALL, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE, env=env) as process:
        os.close(writing)
        _, stderr = process.communicate(data, timeout=PATIENCE_S)
    assert process.returncode == 1
    assert b"Traceback" not in stderr
    assert b"cannot be written to standard output" in stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["ADD", "VERSION"])
def test_closed_streams(tmp_path: Path, closed: str, command: str) -> None:
    env, data = add_of(tmp_path)
    script = f'exec "$@" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *CALL],
        input=data,
        env=env | {"CNI_COMMAND": command},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    if "<&-" in closed and command == "ADD" and ">&- " not in closed:
        assert json.loads(done.stdout)["code"] == 6
    if closed == ">&-":
        assert done.returncode == 1
    if closed == "2>&-":
        assert done.returncode == 0
        json.loads(done.stdout)


ALLOWED = {
    "entry", "journald",
    "base", "base.addresses", "base.config", "base.errors", "base.host", "base.libc", "base.minijson", "base.runtime",
    "base.version",
    "kernel", "kernel.attachment", "kernel.netns", "kernel.rtnetlink", "kernel.setns",
    "ledger", "ledger.format", "ledger.format.directory", "ledger.format.line", "ledger.format.live",
    "ledger.format.segment", "ledger.format.state_file", "ledger.format.supersede",
    "ledger.write", "ledger.write.lock", "ledger.write.spool", "ledger.write.writer",
    "plugin", "plugin.chained", "plugin.cni_result", "plugin.process", "plugin.protocol", "plugin.record",
}  # fmt: skip
# What CPython itself loads before the first line, and the C modules that do the work.
C_MODULES = {
    "_json", "_socket", "_struct", "binascii", "errno", "fcntl", "posix", "time", "__future__",
}  # fmt: skip


def test_what_an_add_loads(tmp_path: Path) -> None:
    """Every import is paid for on each ADD: a new one is to be a decision."""
    env, data = add_of(tmp_path)
    call(env, data)  # the first ADD makes the directory and the ledger, with modules of its own
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import os, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    watch = START + "os._exit = lambda status: sys.exit(' '.join(sys.modules)); main()"
    done = subprocess.run(
        [*CALL[:4], watch, CALL[5]], input=data, env=env, capture_output=True, timeout=PATIENCE_S, check=False
    )
    loaded = set(done.stderr.decode().splitlines()[-1].split()) - set(bare.stdout.split())
    ours = {name.removeprefix("eni_ledger.") for name in loaded if name.startswith("eni_ledger.")}
    assert ours <= ALLOWED
    assert {name for name in loaded if not name.startswith("eni_ledger")} <= C_MODULES


def constants(code: CodeType) -> Iterator[object]:
    """Yield the constants of a module's code and of all code in it."""
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from constants(value)
        else:
            yield from value if isinstance(value, tuple | frozenset) else (value,)


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_no_module_has_a_text_that_takes_the_codecs_to_load(name: str) -> None:
    """A surrogate in a literal: unmarshalling it looks for the codecs, half a millisecond of every call."""
    spec = importlib.util.find_spec(f"eni_ledger.{name}")
    assert spec is not None
    assert spec.origin is not None
    code = compile(Path(spec.origin).read_bytes(), name, "exec")
    texts = "".join(value for value in constants(code) if isinstance(value, str))
    assert not any("\ud800" <= c <= "\udfff" for c in texts)


def test_the_environment_that_a_bundle_hands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"PATH": "/bin", "_PYI_ARCHIVE_FILE": "x", "LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/theirs"}
    assert runtime.original_environment(env) == env
    monkeypatch.setattr(sys, "_MEIPASS", "/bundle", raising=False)  # which that bootloader sets
    assert runtime.original_environment(env) == {"PATH": "/bin", "LD_LIBRARY_PATH": "/theirs"}
    del env["LD_LIBRARY_PATH_ORIG"]
    assert runtime.original_environment(env) == {"PATH": "/bin"}
