"""The virtual machine of build/lab: one that does not come up is not the command's failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import qemu
from helpers.patience import PATIENCE_S
from helpers.prereq import need

LAB = Path(__file__).parents[2] / "build/lab"


@pytest.fixture(autouse=True)
def _machine() -> None:
    need(os.uname().machine == "x86_64" and shutil.which(qemu.PROGRAM), "x86-64 and qemu; build/setup installs it")


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAB, "run", "--vm", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def test_a_machine_that_panics_while_it_boots_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = qemu.panics_first(tmp_path / "bin", 1, monkeypatch)
    done = lab("--", "sh", "-c", "echo here; exit 7")
    assert (done.returncode, done.stdout, starts()) == (7, "here\n", 2)
    assert "lab: the virtual machine did not come up (attempt 1 of 3): it ended\n" in done.stderr


def test_the_guest_kernel_does_not_check_its_timer() -> None:
    """On a busy machine the check fails by chance, and the guest panics."""
    done = lab("--", "cat", "/proc/cmdline")
    assert (done.returncode, "no_timer_check" in done.stdout.split()) == (0, True)


def test_not_more_than_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = qemu.hangs_first(tmp_path / "bin", 9, monkeypatch)
    done = lab("--patience", "1", "--", "echo", "here")
    assert (done.returncode, done.stdout, starts()) == (125, "", 3)
    assert "lab: the virtual machine did not come up (attempt 1 of 3): not up after 1 s\n" in done.stderr
    assert done.stderr.endswith("lab: the virtual machine did not come up\n")


def test_a_command_is_never_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = qemu.panics_first(tmp_path / "bin", 0, monkeypatch)
    done = lab("--", "sh", "-c", "echo here; echo c >/proc/sysrq-trigger; sleep 100")
    assert (done.returncode, done.stdout, starts()) == (125, "here\n", 1)
    assert done.stderr.endswith("lab: the virtual machine ended before the command\n")


def test_a_command_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = qemu.panics_first(tmp_path / "bin", 0, monkeypatch)
    done = lab("--timeout", "1", "--", "sleep", "1000")
    assert (done.returncode, starts()) == (124, 1)
    assert done.stderr.endswith("lab: no end after 1 s\n")
