from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.query.questions import History
from helpers import trunk
from helpers.cni_client import Client
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLUGINS = Path("/usr/lib/cni")


@pytest.fixture(scope="session", autouse=True)
def _real_trunks() -> None:
    need(shutil.which("ip") and shutil.which("nsenter"), "ip (iproute2) and nsenter")
    need(trunk.kernel_has_trunks(), "root and a kernel with 802.1Q: build/test trunk runs these in the lab")
    need((PLUGINS / "vlan").exists(), "the CNI plugins of containernetworking-plugins")


@pytest.fixture(scope="session")
def the_trunk(_real_trunks: None) -> Iterator[trunk.Trunk]:
    with trunk.trunk() as made:
        yield made


@pytest.fixture
def client(front_door: Path) -> Client:
    return Client([PLUGINS], {"eni-ledger": front_door})


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def pause() -> Iterator[Callable[[], trunk.Pause]]:
    """Give a maker of pause processes; all are ended with the test."""
    made: list[trunk.Pause] = []

    def make() -> trunk.Pause:
        made.append(trunk.Pause())
        return made[-1]

    yield make
    for each in made:
        each.stop()
    for vlan in {101, 102, 103, 104}:
        trunk.wait_for_no_vlan(vlan)


@pytest.fixture
def history(state_dir: Path) -> History:
    """Give the reader, in this process: to start the command line takes seconds in the virtual machine."""
    return History(os.fspath(state_dir))


@pytest.fixture
def events(state_dir: Path) -> Callable[[], list[dict[str, Any]]]:
    """Give a way to read the ledger as a stranger would: one JSON document a line."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (state_dir / "ledger.jsonl").read_text().splitlines()]

    return read
