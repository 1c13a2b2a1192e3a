"""What is shipped to be copied works as it is: the conflists of conf/cni, and the demonstration."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.cni_client import Attachment, Client
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.trunk import Pause, Trunk

REPOSITORY = Path(__file__).parents[2]
CONFLISTS = sorted((REPOSITORY / "conf/cni").glob("*.conflist"))


@pytest.fixture(autouse=True)
def _in_the_lab() -> None:
    need(os.environ.get("ENI_LEDGER_LAB"), "the lab (build/lab): these write to /var/lib/eni-ledger and /etc/cni")


def test_there_is_a_conflist_for_a_trunk_and_one_without() -> None:
    assert [path.name for path in CONFLISTS] == [
        "10-eni-ledger-vlan.conflist",
        "20-eni-ledger-bridge.conflist",
    ]


@pytest.mark.parametrize("path", CONFLISTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("the_trunk")
def test_a_conflist_works_as_it_is(path: Path, client: Client, front_door: Path, pause: Callable[[], Pause]) -> None:
    conflist = json.loads(path.read_text())
    attachment = Attachment("copied", pause().netns)
    client.add(conflist, attachment)
    client.check(conflist, attachment)
    listed = subprocess.run([front_door, "list", "--json"], capture_output=True, text=True, check=True)
    found = [each["network"] for each in json.loads(listed.stdout)["associations"]]
    client.delete(conflist, attachment)
    assert found == [conflist["name"]]
    assert conflist["plugins"][-1]["type"] == "eni-ledger"


def test_the_demonstration_runs_to_its_end(front_door: Path, the_trunk: Trunk) -> None:
    bundle = REPOSITORY / "dist/eni-ledger/eni-ledger"
    need(front_door.resolve() == bundle.resolve(), "the bundle (build/bundle), which the demonstration shows")
    done = subprocess.run(
        ["unshare", "--net", "build/lab.d/demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("demo: 4 ADDs and 1 DEL on a real trunk")
    assert the_trunk.name not in done.stderr
