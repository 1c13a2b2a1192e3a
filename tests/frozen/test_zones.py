"""The bundle carries the time zones: a host may have none."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from helpers.ledgers import add_event, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_ZONES = 'mount -t tmpfs none /usr/share/zoneinfo && exec "$@"'


def ask(front: Path, where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command line where /usr/share/zoneinfo is empty."""
    need(os.geteuid() == 0, "root, to hide the zones of the host")
    command = ["unshare", "-m", "sh", "-c", WITHOUT_ZONES, "sh", str(front), "--state-dir", str(where), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("zone", "header"), [("Europe/Berlin", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("JST", "JST")]
)
def test_a_zone_on_a_host_without_zones(front: Path, tmp_path: Path, zone: str, header: str) -> None:
    record(tmp_path / "state", add_event(1, vlan_id=101))
    done = ask(front, tmp_path / "state", "who", "101", "--tz", zone)
    assert (done.returncode, f"FROM ({header})" in done.stdout) == (0, True), done.stderr


def test_an_ambiguous_zone_on_a_host_without_zones(front: Path, tmp_path: Path) -> None:
    record(tmp_path / "state", add_event(1, vlan_id=101))
    done = ask(front, tmp_path / "state", "who", "101", "--tz", "CST")
    assert (done.returncode, "CST is the time of several zones: America/Chicago" in done.stderr) == (2, True)
