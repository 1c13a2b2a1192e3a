from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.patience import PATIENCE_S
from helpers.prereq import need

REPOSITORY = Path(__file__).parents[2]
UNITS = Path("/run/systemd/system")


@pytest.fixture(scope="session", autouse=True)
def installed(front_door: Path) -> None:
    """Lay the bundle and its units out as a package does, in a machine that is thrown away."""
    process_1 = Path("/proc/1/comm").read_text() == "systemd\n"
    need(process_1 and Path("/run/lab/systemd").exists(), "systemd in the lab: build/test systemd runs these there")
    bundle = front_door.resolve().parent
    need((bundle / "_internal").exists(), "the built bundle; build/bundle makes it")
    # Not linked to where it was built: that may be a home directory, which the units do not see.
    shutil.copytree(bundle, "/opt/eni-ledger", symlinks=True)
    Path("/usr/bin/eni-ledger").symlink_to("/opt/eni-ledger/eni-ledger")
    for unit in (REPOSITORY / "conf/systemd").iterdir():
        shutil.copy(unit, UNITS)
    systemctl("daemon-reload")


def systemctl(*words: str, status: int = 0) -> str:
    """Return what systemctl printed; the test fails when it ends with another status, and shows what the unit said."""
    done = subprocess.run(
        ["systemctl", "--no-pager", *words], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    said = journal("-u", words[-1]) if done.returncode != status else ""
    assert done.returncode == status, f"{done.stdout}{done.stderr}{said}"
    return done.stdout


def journal(*words: str) -> str:
    """Return the messages of the journal that match."""
    subprocess.run(["journalctl", "--sync"], check=True, timeout=PATIENCE_S)
    done = subprocess.run(
        ["journalctl", "--no-pager", "-q", "-o", "cat", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout
