"""The front door does not know where it lies: nothing of the current directory is run in the place of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from eni_ledger.base.runtime import CLI
from eni_ledger.entry import UNKNOWN_PLACE
from helpers.delegate import script
from helpers.patience import PATIENCE_S
from helpers.prereq import need

NO_PROC = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs -o ro tmpfs /proc; exec "$@"', "sh"]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a directory with programs and modules that must not be taken for ours."""
    for directory in (tmp_path, tmp_path / "(unreachable)"):
        script(directory / CLI, f"touch {tmp_path}/taken")
        lib = directory / "_internal/python3.11/lib-dynload"
        lib.mkdir(parents=True)
        (lib / "_json.cpython-311-x86_64-linux-gnu.so").write_text("no module")
    return tmp_path


def asked(command: list[str | Path], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.c_front
@pytest.mark.parametrize("words", [["version"], ["list"], ["who", "10.0.32.4"], ["doctor"], []])
def test_without_proc(front: Path, trap: Path, words: list[str]) -> None:
    need(os.geteuid() == 0, "root, for mounts")
    done = asked([*NO_PROC, front, *words], trap)
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {UNKNOWN_PLACE}\ntry: ")


@pytest.mark.c_front
def test_a_call_without_proc(front: Path, trap: Path) -> None:
    need(os.geteuid() == 0, "root, for mounts")
    done = asked([*NO_PROC, front], trap, CNI_COMMAND="VERSION")
    assert done.returncode == 1
    assert UNKNOWN_PLACE in done.stdout
    assert UNKNOWN_PLACE in done.stderr


@pytest.mark.c_front
def test_a_path_that_is_longer_than_the_kernel_tells(bundle: Path, trap: Path, tmp_path: Path) -> None:
    deep, here = tmp_path / "deep", Path.cwd()
    deep.mkdir()
    try:
        os.chdir(deep)
        for _ in range(17):  # by steps: no path of that length can be opened
            Path("x" * 250).mkdir()
            os.chdir("x" * 250)
        shutil.copy(bundle / "eni-ledger", "eni-ledger")
        script(Path(CLI), f"touch {tmp_path}/taken")
        done = subprocess.run(["./eni-ledger", "version"], env={}, capture_output=True, text=True, check=False)
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", deep], check=True)
    assert not (trap / "taken").exists()
    assert (done.returncode, done.stdout) == (3, "")
    assert UNKNOWN_PLACE in done.stderr
