"""Finding the delegate and running it; its process as such is the subject of tests/linux/test_interposed.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

import eni_ledger
from eni_ledger.base.errors import DelegateError
from eni_ledger.plugin import delegate, process
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
def test_memory_file(data: bytes) -> None:
    with os.fdopen(delegate.memory_file(data), "rb") as kept:
        assert kept.read() == data


def test_below_a_delegate_there_is_none(tmp_path: Path) -> None:
    """One that calls us by way of the plugin path would go on without end, by fork as by execve."""
    script(tmp_path / "vpc-eni")
    find = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from eni_ledger.plugin import delegate; "
        f"print(delegate.find({str(tmp_path)!r}, 'vpc-eni'))"
    )
    mark = f"import os, sys; sys.path.insert(0, {str(SOURCE)!r}); from eni_ledger.plugin import process; " + (
        "process.restore_default_signals(); os.execv(sys.argv[1], sys.argv[1:])"
    )
    python = [sys.executable, "-I", "-S", "-c"]
    shell = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
    for between in ([], shell):
        for prefix, refused in (([], False), ([*python, mark], True)):
            done = subprocess.run([*prefix, *between, *python, find], capture_output=True, text=True, check=False)
            assert ("is another eni-ledger" in done.stderr) == refused, done


RUN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from eni_ledger.plugin import delegate
from eni_ledger.base.errors import DelegateError
path = sys.argv[2]
sys.argv = ["/plugins/vpc-eni", "a b"]
try:
    running = delegate.Running(path, {"A": "b"}, sys.stdin.buffer.read())
    status, answer, took_ms = running.wait()
except DelegateError as exc:
    print(exc)
    sys.exit(9)
running.forward_answer(b"%d %d " % (status, took_ms >= 20) + answer)
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


WORK = """
calls = []
def work(ended):
    calls.append(ended())
    return 0.01
status, answer, took_ms = running.wait(work)
print(calls[0], len(calls) > 2, flush=True)
"""


def test_work_while_it_works(tmp_path: Path) -> None:
    code = RUN.replace("    status, answer, took_ms = running.wait()\n", indent(WORK, "    "))
    command = [sys.executable, "-I", "-S", "-c", code, str(SOURCE), str(script(tmp_path / "delegate", "sleep 0.5"))]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.stdout.split()[:3] == [b"False", b"True", b"0"], done


def test_there_is_none_yet_without_the_bundle() -> None:
    assert process.early() is None


@pytest.mark.parametrize(("text", "reason"), [("#!/nonexistent\n", b"No such file"), ("nothing", b"Exec format error")])
def test_what_cannot_be_executed(tmp_path: Path, text: str, reason: bytes) -> None:
    script(tmp_path / "delegate").write_text(text)
    done = run(tmp_path / "delegate")
    assert done.returncode == 9
    assert b"the delegate cannot be executed: " in done.stdout
    assert reason in done.stdout
