"""The command line in the bundle looks into namespaces: pyroute2 works there, without TLS and the test framework."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from helpers.ledgers import add_event, del_event, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.trunk import Pause


def configured(state_dir: Path) -> dict[str, str]:
    """Return an environment in which the ledger is this host's: elsewhere, one of another boot is a copy."""
    return {**os.environ, "ENI_LEDGER_STATE_DIR": str(state_dir)}


def test_verify_enters_namespaces(front: Path, tmp_path: Path) -> None:
    need(os.geteuid() == 0 and shutil.which("unshare"), "root and unshare, for network namespaces")
    record(tmp_path / "state", add_event(1))  # a ledger; what it says has ended
    record(tmp_path / "state", del_event(1))
    with Pause() as pause:
        done = subprocess.run(
            [front, "verify", "--json"],
            env=configured(tmp_path / "state"),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert (found["agrees"], found["associations"], done.returncode) == (
            not found["unrecorded"] and not found["unreadable"],
            [],
            done.returncode,
        )
        assert not [line for line in found["unreadable"] if f"/proc/{pause.pid}/" in line]


def test_the_doctor_asks_everything(front: Path, tmp_path: Path) -> None:
    record(tmp_path / "state", add_event(1))
    record(tmp_path / "state", del_event(1))
    done = subprocess.run(
        [front, "doctor", "--json"],
        env=configured(tmp_path / "state"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stderr == ""
    checks = {each["name"]: each["status"] for each in json.loads(done.stdout)["checks"]}
    assert len(checks) == 18
    assert checks["kernel"] != "skipped"
