"""Finding the delegate and running it; its process as such is the subject of tests/linux/test_interposed.py."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import pytest

import eni_ledger
from eni_ledger.base.errors import DelegateError
from eni_ledger.plugin import delegate, process
from helpers.delegate import script
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_find_the_program_that_we_were_called_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, other = script(tmp_path / "eni-ledger"), script(tmp_path / "vpc-branch-eni")
    (tmp_path / "vpc-eni").symlink_to(program)
    monkeypatch.setattr(sys, "argv", [str(program)])
    with pytest.raises(DelegateError, match="itself"):
        delegate.find(str(tmp_path), "vpc-eni")
    assert delegate.find(str(tmp_path), "vpc-branch-eni") == str(other)
    monkeypatch.setattr(sys, "argv", ["eni-ledger"])  # found on PATH, and no file here
    assert delegate.find(str(tmp_path), "vpc-eni") == f"{tmp_path}/vpc-eni"


def test_why_the_bundle_could_not_start_it(tmp_path: Path) -> None:
    """What stands there explains it, unless execve(2) has said itself what is wrong."""
    assert delegate.refusal(str(tmp_path), "vpc-eni", 0).details == f"{tmp_path}/vpc-eni: No such file or directory"
    script(tmp_path / "vpc-eni")
    for failed, reason in ((errno.EACCES, "Permission denied"), (errno.ENOEXEC, "Exec format error"), (0, "Success")):
        refused = delegate.refusal(str(tmp_path), "vpc-eni", failed)
        assert (refused.msg, refused.details) == ("the delegate cannot be executed", f"{tmp_path}/vpc-eni: {reason}")
        assert "delegateDir" in refused.hint


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


PREPARE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from eni_ledger.plugin import delegate
delegate.prepare_process()
delegate.exec_delegate(sys.argv[2], {"A": "b"})
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", ""])
def test_a_delegate_finds_its_first_descriptors_open(tmp_path: Path, closed: str) -> None:
    path = script(
        tmp_path / "delegate", f"(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 > {tmp_path}/open)", "exit 0"
    )
    command = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-I", "-S", "-c", PREPARE]
    done = subprocess.run([*command, SOURCE, path], capture_output=True, timeout=PATIENCE_S, check=False, input=b"")
    assert done.returncode == 0, done
    opened = (tmp_path / "open").read_text().split()
    assert [name == "/dev/null" for name in opened] == [f"{fd}" in closed for fd in range(3)]


def test_a_delegate_that_cannot_take_our_place(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", PREPARE, str(SOURCE), f"{tmp_path}/none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert f"the delegate cannot be executed: {tmp_path}/none: No such file or directory" in done.stderr


ANSWERING = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from eni_ledger.base.errors import IoFailure
from eni_ledger.plugin import delegate
began = time.monotonic()
running = delegate.Running(sys.argv[2], {}, b"")
status, answer, took_ms = running.wait()
assert 0 < took_ms <= (time.monotonic() - began) * 1000, took_ms
reading, writing = os.pipe()
os.dup2(writing, 1)
os.set_blocking(1, False)
read = bytearray()
def drain():
    while len(read) < len(answer):
        time.sleep(0.002)
        read.extend(os.read(reading, 50000))
drained = threading.Thread(target=drain)
drained.start()
running.forward_answer(answer)
drained.join()
assert read == answer
os.close(reading)
try:
    running.forward_answer(b"x")
except IoFailure as exc:
    print(len(answer), answer[-2:], exc, file=sys.stderr)
"""


def test_a_long_answer_into_a_pipe_that_is_slow_and_then_closed(tmp_path: Path) -> None:
    path = script(tmp_path / "delegate", "head -c 3145729 /dev/zero", "echo")
    command = [sys.executable, "-I", "-S", "-c", ANSWERING, str(SOURCE), str(path)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("3145730 b'\\x00\\n' the answer cannot be written to standard output: ")


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 15])
def test_a_signal_for_us_reaches_it_and_its_end_is_ours(tmp_path: Path, number: int) -> None:
    """With and without work to do meanwhile; a shell that traps it says so, and then ends by it."""
    trap = f"trap 'echo got {number}; trap - {number}; kill -{number} $$' {number}"
    path = script(tmp_path / "delegate", trap, "echo ready >&2", "while :; do sleep 0.01; done")
    work = "running.wait(lambda ended: 0.01)"
    for code in (RUN, RUN.replace("running.wait()", work)):
        command = [sys.executable, "-I", "-S", "-c", code, str(SOURCE), str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as process:  # type: ignore[call-overload]  # mypy takes the keywords for others
            assert process.stdin
            process.stdin.close()
            assert process.stderr.readline() == b"ready\n"
            process.send_signal(number)
            out = process.stdout.read()
        said = [word for index, word in enumerate(out.split()) if index != 1]  # how long it took
        assert (process.returncode, said) == (-number, [b"%d" % number, b"got", b"%d" % number])


class Supervisor:
    """What the bundle has in C: the delegate ends when it has been asked for so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
        self.timeouts: list[int] = []
        self._left = asked
        monkeypatch.setattr(process, "has_ended", self.has_ended)
        monkeypatch.setattr(process, "wait", lambda: (0, b"answer", 12.5))

    def has_ended(self, timeout_ms: int) -> bool:
        self.timeouts.append(timeout_ms)
        self._left -= 1
        return self._left < 0


def test_supervised_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(monkeypatch, 0)
    assert delegate.Supervised(b"in").wait() == (0, b"answer", 12.5)
    assert supervisor.timeouts == []


def test_supervised_with_work_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(monkeypatch, 3)
    asked = []

    def work(has_ended: Callable[[], bool]) -> float:
        asked.append(has_ended())
        return 0.25

    assert delegate.Supervised(b"in").wait(work) == (0, b"answer", 12.5)
    assert asked == [False, False]
    assert supervisor.timeouts == [0, 250, 0, 250]


def test_supervised_with_work_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(monkeypatch, 9)
    pauses = iter([0.0, 0.5, None])
    delegate.Supervised(b"in").wait(lambda _: next(pauses))
    assert supervisor.timeouts == [0, 500]
    assert list(pauses) == []


def test_without_libffi_nothing_is_known_of_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise ImportError

    monkeypatch.setattr("eni_ledger.base.libc.call", missing)
    assert not process.is_marked()
