"""Finding the delegate and running it; its process as such is the subject of tests/linux/test_interposed.py."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import eni_ledger
from eni_ledger.errors import DelegateError
from eni_ledger.plugin import delegate
from helpers.delegate import script
from helpers.patience import PATIENCE_S

SOURCE = Path(eni_ledger.__file__).parents[1]


def test_find(tmp_path: Path) -> None:
    made = script(tmp_path / "vpc-eni")
    assert delegate.find(str(tmp_path), "vpc-eni") == str(made)


def test_find_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "vpc-eni").symlink_to(script(tmp_path / "elsewhere/vpc-eni"))
    assert delegate.find(str(tmp_path), "vpc-eni") == f"{tmp_path}/vpc-eni"


@pytest.mark.parametrize(
    ("directory", "details"),
    [
        ("/nonexistent", "No such file"),
        ("/dev/null", "Not a directory"),
        ("/" + "x" * 5000, "too long"),
        ("/\0", "null"),
    ],
)
def test_find_in_what_is_no_directory(directory: str, details: str) -> None:
    with pytest.raises(DelegateError) as caught:
        delegate.find(directory, "vpc-eni")
    assert details in caught.value.details
    assert "delegateDir" in caught.value.hint


def test_find_what_is_not_executable(tmp_path: Path) -> None:
    (tmp_path / "vpc-eni").write_text("#!/bin/sh\n")
    (tmp_path / "vpc-branch-eni").mkdir()
    for name in ("vpc-eni", "vpc-branch-eni"):
        with pytest.raises(DelegateError, match="cannot be executed"):
            delegate.find(str(tmp_path), name)


def test_find_the_interpreter_that_we_are(tmp_path: Path) -> None:
    (tmp_path / "vpc-eni").symlink_to(sys.executable)
    with pytest.raises(DelegateError, match="itself"):
        delegate.find(str(tmp_path), "vpc-eni")


@pytest.mark.parametrize("data", [b"", b"x", b"\0\xff" * 2_000_000])
def test_stdin_is_kept(data: bytes) -> None:
    fd = delegate.keep_stdin(io.BytesIO(data))
    with os.fdopen(fd, "rb") as kept:
        assert kept.read() == data


def test_stdin_that_is_closed_is_empty() -> None:
    with os.fdopen(delegate.keep_stdin(None), "rb") as kept:
        assert kept.read() == b""


RUN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from eni_ledger.plugin import delegate
from eni_ledger.errors import DelegateError
path = sys.argv[2]
sys.argv = ["/plugins/vpc-eni", "a b"]
try:
    running = delegate.Running(path, {"A": "b"}, delegate.keep_stdin(sys.stdin.buffer))
    status, answer, took_ms = running.wait()
except DelegateError as exc:
    print(exc)
    sys.exit(9)
delegate.hand_on(b"%d %d " % (status, took_ms >= 20) + answer)
running.leave(status)
"""


def run(path: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", "-c", RUN, str(SOURCE), str(path)]
    return subprocess.run(command, input=b"in", capture_output=True, timeout=PATIENCE_S, check=False)


def test_running(tmp_path: Path) -> None:
    path = script(tmp_path / "delegate", "sleep 0.02", 'printf \'%s \' "$A" "$@"', "cat", "echo word >&2", "exit 3")
    done = run(path)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"768 1 b a b in", b"word\n")


def test_running_into_a_signal(tmp_path: Path) -> None:
    done = run(script(tmp_path / "delegate", "kill -KILL $$"))
    assert (done.returncode, done.stdout[:2]) == (-9, b"9 ")


def test_there_is_none_yet_without_the_bundle() -> None:
    assert delegate.Running.early() is None


EARLY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from time import monotonic_ns
from eni_ledger.plugin import delegate, process
kept, out, started = delegate.keep_stdin(sys.stdin.buffer), os.memfd_create("stdout"), monotonic_ns()
pid, _, awaited = process.spawn(sys.argv[2], sys.argv, os.environ, kept, out, delegate._FORWARDED)
process.early = lambda: (kept, out, started, pid, awaited)
running = delegate.Running.early()
status, answer, took_ms = running.wait()
delegate.hand_on(b"%d %d %d " % (running.stdin_fd == kept, status, took_ms >= 20) + answer)
running.leave(status)
"""


def test_one_that_was_started_before_is_taken_over(tmp_path: Path) -> None:
    path = script(tmp_path / "delegate", "sleep 0.02", "cat", "exit 3")
    command = [sys.executable, "-I", "-S", "-c", EARLY, str(SOURCE), str(path)]
    done = subprocess.run(command, input=b"in", capture_output=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (3, b"1 768 1 in")


@pytest.mark.parametrize(("text", "reason"), [("#!/nonexistent\n", b"No such file"), ("nothing", b"Exec format error")])
def test_what_cannot_be_executed(tmp_path: Path, text: str, reason: bytes) -> None:
    script(tmp_path / "delegate").write_text(text)
    done = run(tmp_path / "delegate")
    assert done.returncode == 9
    assert b"the delegate cannot be executed: " in done.stdout
    assert reason in done.stdout
