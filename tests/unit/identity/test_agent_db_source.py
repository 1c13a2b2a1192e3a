"""`agent.db` as a source of `identify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.identity.agent_db_source import AgentDb
from eni_ledger.identity.source import Unavailable
from helpers.agent_db import CLUSTER, eni_id, mac, task
from helpers.bolt import BoltWriter

if TYPE_CHECKING:
    from pathlib import Path

ENDED = {"until": "2026-11-23T14:00:00.000000Z"}


def database(path: Path, *tasks: tuple[bytes, bytes]) -> AgentDb:
    BoltWriter(str(path / "agent.db")).commit({b"tasks": dict(tasks), b"metadata": {}})
    return AgentDb([str(path / "missing.db"), str(path / "agent.db")])


def test_eni_and_task_of_what_is_live(tmp_path: Path) -> None:
    source = database(tmp_path, task("a" * 32, eni_id(1, 1), mac(1), vlan=101, ip="10.0.32.4"))
    found = source.ask({"branch_mac": mac(1), "vlan_id": 101, "addresses": ["10.0.32.4/20"]})
    assert found == {
        "eni_id": eni_id(1, 1),
        "task_arn": f"{CLUSTER}/{'a' * 32}",
        "cluster": "prod",
        "task_family": "web",
        "task_revision": "7",
    }
    assert source.ask({"branch_mac": mac(1), "vlan_id": 102}) == {}
    assert source.ask({"vlan_id": 101}) == {}


def test_a_stopped_task_counts_only_for_what_has_ended(tmp_path: Path) -> None:
    source = database(tmp_path, task("a" * 32, eni_id(1, 1), mac(1), vlan=101, status="STOPPED"))
    branch = {"branch_mac": mac(1), "vlan_id": 101}
    assert source.ask(branch) == {}
    assert source.ask({**branch, **ENDED})["eni_id"] == eni_id(1, 1)


def test_a_mac_that_was_given_out_again_names_nobody_who_has_ended(tmp_path: Path) -> None:
    source = database(
        tmp_path,
        task("a" * 32, eni_id(1, 1), mac(1), vlan=101, status="STOPPED"),
        task("b" * 32, eni_id(2, 1), mac(1), vlan=101),
    )
    branch = {"branch_mac": mac(1), "vlan_id": 101}
    assert source.ask({**branch, **ENDED}) == {}
    assert source.ask(branch)["eni_id"] == eni_id(2, 1)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no agent\.db"):
        AgentDb([str(tmp_path / "agent.db")]).ask({"branch_mac": mac(1)})


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"x" * 9000)
    with pytest.raises(Unavailable, match=r"agent\.db cannot be read"):
        AgentDb([str(tmp_path / "agent.db")]).ask({"branch_mac": mac(1)})
