"""Starting a delegate that dies with us: what the C of the bundle does, in Python."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

from eni_ledger.plugin import process
from helpers.ledgers import SOURCE
from helpers.patience import PATIENCE_S


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code with `process` in an interpreter of its own."""
    start = f"import os, sys; sys.path.insert(0, {str(SOURCE)!r})\nfrom eni_ledger.plugin import process\n"
    command = [sys.executable, "-I", "-S", "-c", start + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


SPAWN = """
pid, failed, awaited = process.spawn({path!r}, {arguments!r}, {{}}, 0, os.memfd_create("out") if {out!r} else 1, ())
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if not failed else -failed)
"""


def spawn(path: str, *arguments: str, before: str = "", out: bool = False) -> list[str]:
    """Return the lines that a program prints which is spawned, then its exit status."""
    done = run(before + SPAWN.format(path=path, arguments=[path, *arguments], out=out))
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_exit_status_is_the_programs() -> None:
    assert spawn("/bin/sh", "-c", "exit 3") == ["3"]


def test_what_cannot_be_executed_says_why() -> None:
    assert spawn("/nonexistent") == [str(-errno.ENOENT)]


def test_it_is_not_executed_when_we_died_before_it_could_be_told(tmp_path: Path) -> None:
    """The death signal goes by the parent of the moment at which it is asked for."""
    made = tmp_path / "executed"
    for parent in (1, 1 << 22):
        assert spawn("/bin/touch", str(made), before=f"os.getppid = lambda: {parent}\n") == ["127"]
    assert not made.exists()
    assert spawn("/bin/touch", str(made)) == ["0"]
    assert made.exists()


def ignored(lines: list[str]) -> int:
    """Return the mask of the ignored signals in a /proc/PID/status."""
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))


def test_it_inherits_what_was_ignored_before_the_interpreter_and_nothing_of_the_interpreters() -> None:
    before = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
    )
    done = ignored(spawn("/bin/cat", "/proc/self/status", before=before))
    assert not done & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))  # Python ignores these
    assert done & 1 << (signal.SIGUSR1 - 1)
    assert done & 1 << (signal.SIGCHLD - 1)


def test_no_core_of_it_is_written() -> None:
    done = run("process.undumpable(); print(process.libc.call('prctl', 3, 0))")  # PR_GET_DUMPABLE
    assert done.stdout == "0\n"


def test_an_interrupt_ends_it_as_any_other_program() -> None:
    # What starts the tests in the background may have SIGINT ignored: an interpreter then installs no handler.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    done = run(f"{start}process.without_handlers(); os.kill(os.getpid(), signal.SIGINT)")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    done = run(
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); process.without_handlers()\n"
        "os.kill(os.getpid(), signal.SIGINT); print('ignored')"
    )
    assert done.stdout == "ignored\n"


def test_without_the_bundle_nothing_was_started_early() -> None:
    assert process.early() is None
