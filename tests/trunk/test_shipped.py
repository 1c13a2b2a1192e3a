"""What is shipped to be copied works as it is: the conflists of conf/cni, and the demonstration."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.cni_client import Attachment, Client
from helpers.ledgers import add_event, contents, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture
def ledgers_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Give a machine with three ledgers, one for each place that says where a ledger is."""
    default, configured, from_environment = Path("/var/lib/eni-ledger"), tmp_path / "configured", tmp_path / "exported"
    config = Path("/etc/eni-ledger/config.json")
    had = config.read_bytes() if config.exists() else None
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps({"stateDir": str(configured), "journald": False}))
    named = tmp_path / "config.json"
    named.write_bytes(config.read_bytes())
    monkeypatch.setenv("ENI_LEDGER_CONFIG", str(named))
    monkeypatch.setenv("ENI_LEDGER_STATE_DIR", str(from_environment))
    for n, state_dir in enumerate((default, configured, from_environment)):
        record(state_dir, add_event(n, container_id=f"of-the-machine-{n}", vlan_id=102))
    yield [default, configured, from_environment]
    config.unlink()
    if had is not None:
        config.write_bytes(had)


def test_the_demonstration_has_a_ledger_of_its_own(
    front_door: Path, the_trunk: Trunk, ledgers_of_the_machine: list[Path]
) -> None:
    bundle = REPOSITORY / "dist/eni-ledger/eni-ledger"
    need(front_door.resolve() == bundle.resolve(), "the bundle (build/bundle), which the demonstration shows")
    before = [contents(state_dir) for state_dir in ledgers_of_the_machine]
    done = subprocess.run(
        ["unshare", "--net", "build/lab.d/demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("demo: 4 ADDs and 1 DEL on a real trunk")
    assert the_trunk.name not in done.stderr
    assert "of-the-machine" not in done.stdout
    assert [contents(state_dir) for state_dir in ledgers_of_the_machine] == before
