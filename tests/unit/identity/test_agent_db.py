from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.identity import agent_db
from helpers.agent_db import CLUSTER, known, task
from helpers.bolt import BoltWriter

FIXTURES = Path(__file__).parents[2] / "fixtures" / "agent-db"
MAC = "0a:1b:2c:3d:00:01"
ENI_A, ENI_B = "eni-0000000000000000a", "eni-0000000000000000b"
LONG = 30.0  # seconds; none of these tests is about time


def database(path: Path, *tasks: tuple[bytes, bytes], **buckets: dict[bytes, bytes]) -> str:
    writer = BoltWriter(str(path))
    writer.commit({b"tasks": dict(tasks), **{name.encode(): items for name, items in buckets.items()}})
    writer.close()
    return str(path)


def ask(path: str, mac: str = MAC, **more: Any) -> Any:
    return known(path, mac, LONG, **more)


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_database_of_bbolt_1_4_3_yields_what_it_must(name: str) -> None:
    path = str(FIXTURES / f"{name}.db")
    expected = json.loads((FIXTURES / f"{name}.expected.json").read_text())
    found = []
    for entry in expected:
        identity = ask(path, entry["mac"])
        assert identity is not None, entry["mac"]
        found.append(
            {
                "eni_id": identity["eni_id"],
                "eni_stored_as_single_object": entry["eni_stored_as_single_object"],
                "family": identity["task_family"],
                "mac": identity["branch_mac"],
                "protocol": identity["protocol"],
                "revision": identity["task_revision"],
                "task_arn": identity["task_arn"],
            }
        )
    assert found == expected
    everything = agent_db.tasks(path, LONG)
    assert everything is not None
    assert sorted(identity["eni_id"] for identity in everything) == sorted(entry["eni_id"] for entry in expected)
    assert agent_db.problem(path, LONG) is None


def test_every_field_of_a_branch_and_of_a_whole_eni() -> None:
    path = str(FIXTURES / "small.db")
    arn = "arn:aws:ecs:eu-west-1:123456789012:task/prod-cluster/00000000000000000000000000abc00"
    common = {"cluster": "prod-cluster", "task_family": "web", "service": "web-svc"}
    assert ask(path, "0a:1b:2c:3d:00:04") == {
        "eni_id": "eni-000000000feed0004",
        "branch_mac": "0a:1b:2c:3d:00:04",
        "addresses": ["10.0.32.8", "2a05:d018:abc:1::4"],
        "vlan_id": 5,
        "trunk_mac": "0a:ff:ee:dd:cc:bb",
        "protocol": "vlan",
        "task_arn": arn + "4",
        "task_revision": "3",
        "private_dns_name": "ip-10-0-32-8.eu-west-1.compute.internal",
        **common,
    }
    assert ask(path, "0A:1B:2C:3D:00:03") == {
        "eni_id": "eni-000000000feed0003",
        "branch_mac": "0a:1b:2c:3d:00:03",
        "addresses": ["10.0.32.7"],
        "protocol": "default",
        "task_arn": arn + "3",
        "task_revision": "6",
        "private_dns_name": "ip-10-0-32-7.eu-west-1.compute.internal",
        **common,
    }


def test_what_is_on_freed_pages_only_is_not_known() -> None:
    data = (FIXTURES / "large.db").read_bytes()
    live = {entry["eni_id"] for entry in json.loads((FIXTURES / "large.expected.json").read_text())}
    assert data.count(b'"ec2Id"') > len(live)  # there is something to be wrong about
    found = agent_db.tasks(str(FIXTURES / "large.db"), LONG)
    assert found is not None
    assert {identity["eni_id"] for identity in found} == live


def test_the_trunk_and_a_stranger_are_not_known() -> None:
    path = str(FIXTURES / "large.db")
    assert ask(path, "0a:ff:ee:dd:cc:bb") is None  # it stands in every task, but is nobody's ENI
    assert ask(path, "0a:1b:2c:3d:ff:ff") is None
    for bad in ("", "0a:1b:2c:3d:00", "0a:1b:2c:3d:00:0g", "eth0\n", "\ud800"):
        assert ask(path, bad) is None


def test_metadata() -> None:
    assert agent_db.metadata(str(FIXTURES / "small.db"), LONG) == {
        "cluster": "prod-cluster",
        "instance_id": "i-0a1b2c3d4e5f60718",
        "container_instance_arn": "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod-cluster/"
        "5e7c0a5d9b0c4f7e8a1b2c3d4e5f6071",
        "availability_zone": "eu-west-1b",
        "agent_version": "1.105.0",
    }


def test_the_lock_that_the_agent_holds_is_neither_waited_for_nor_taken(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC))
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert ask(path)["eni_id"] == ENI_A
    fcntl.flock(holder, fcntl.LOCK_UN)
    other = os.open(path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(holder)
    os.close(other)


def test_two_running_tasks_with_the_mac_are_not_known_without_a_hint(tmp_path: Path) -> None:
    path = database(
        tmp_path / "agent.db",
        task("a", ENI_A, MAC, vlan=101, ip="10.0.0.1"),
        task("b", ENI_B, MAC, vlan=102, ip="10.0.0.2"),
    )
    assert ask(path) is None
    assert ask(path, vlan_id=102)["eni_id"] == ENI_B
    assert ask(path, addresses=["10.0.0.1/20", "2a05::1/64"])["eni_id"] == ENI_A
    assert ask(path, vlan_id=101, addresses=["10.0.0.2"]) is None
    assert ask(path, vlan_id=103) is None


def test_a_single_task_that_contradicts_the_hint_is_not_the_one(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC, vlan=101, ip="10.0.0.1"))
    assert ask(path, vlan_id=101, addresses=["10.0.0.1/20"])["task_arn"] == f"{CLUSTER}/a"
    assert ask(path, vlan_id=102) is None
    assert ask(path, addresses=["10.0.0.9/20"]) is None


def test_a_hint_that_the_file_says_nothing_about_does_not_count(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC))
    assert ask(path, vlan_id=101, addresses=["10.0.0.1/20"])["eni_id"] == ENI_A
    assert ask(path, addresses=["not an address"])["eni_id"] == ENI_A


def test_a_stopped_task_counts_only_for_the_past(tmp_path: Path) -> None:
    stopped = task("a", ENI_A, MAC, status="STOPPED", DesiredStatus="STOPPED")
    path = database(tmp_path / "stopped.db", stopped)
    assert ask(path) is None
    assert ask(path, stopped=True)["eni_id"] == ENI_A
    path = database(tmp_path / "both.db", stopped, task("b", ENI_B, MAC, status="CREATED"))
    assert ask(path)["eni_id"] == ENI_B
    assert ask(path, stopped=True) is None  # the MAC was given out again: which of the two it was is not known


def test_a_task_that_is_told_to_stop_while_it_starts_is_known(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC, status="NONE", DesiredStatus="STOPPED"))
    assert ask(path)["eni_id"] == ENI_A


def test_two_tasks_with_one_eni_give_the_eni_and_what_they_agree_on(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC), task("b", ENI_A, MAC, ServiceName="other"))
    found = ask(path)
    assert found["eni_id"] == ENI_A
    assert "task_arn" not in found
    assert "service" not in found


def test_two_tasks_without_an_eni_id_are_not_known(tmp_path: Path) -> None:
    """They may be of two ENIs."""
    path = database(tmp_path / "agent.db", task("a", "", MAC), task("b", "", MAC))
    assert ask(path) is None
    assert ask(database(tmp_path / "one.db", task("a", "", MAC)))["task_arn"] == f"{CLUSTER}/a"
    path = database(tmp_path / "three.db", task("a", ENI_A, MAC), task("b", ENI_B, MAC), task("c", "", MAC))
    assert ask(path) is None


@pytest.mark.parametrize(
    ("arn", "task_arn", "cluster"),
    [
        ("arn:aws:ecs:eu-west-1:1:task/prod/a", True, "prod"),
        ("arn:aws:ecs:eu-west-1:1:task/prod/a/b", True, None),
        ("arn:aws:ecs:eu-west-1:1:service/prod/a", False, None),
        ("arn:aws:ecs:eu-west-1:task/prod/a", False, None),
        ("xrn:aws:ecs:eu-west-1:1:task/prod/a", False, None),
        ("arn:task", False, None),
    ],
)
def test_arns(tmp_path: Path, arn: str, task_arn: bool, cluster: str | None) -> None:
    found = ask(database(tmp_path / "agent.db", task("a", ENI_A, MAC, Arn=arn)))
    assert (found.get("task_arn"), found.get("cluster")) == (arn if task_arn else None, cluster)


def test_a_task_of_the_old_arn_format_has_no_cluster(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC, Arn="arn:aws:ecs:eu-west-1:123456789012:task/abc"))
    found = ask(path)
    assert found["task_arn"] == "arn:aws:ecs:eu-west-1:123456789012:task/abc"
    assert "cluster" not in found


@pytest.mark.parametrize(
    "member",
    [
        {"ENI": None},
        {"ENI": "eni"},
        {"ENI": [None, 7, {"MacAddress": 7}]},
        {"ENI": []},
    ],
)
def test_an_eni_of_another_shape_is_not_known(tmp_path: Path, member: dict[str, Any]) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC, mentions=MAC, **member))
    assert ask(path) is None
    assert agent_db.problem(path, LONG) is None


def test_fields_of_another_shape_are_left_out(tmp_path: Path) -> None:
    eni = {
        "ec2Id": ENI_A.upper(),
        "MacAddress": MAC,
        "IPV4Addresses": [
            7,
            {"Address": "10.0.0.300"},
            {"Address": "10.0.0.2"},
            {"Primary": True, "Address": "10.0.0.1"},
        ],
        "IPV6Addresses": {"Address": "::1"},
        "InterfaceAssociationProtocol": "x",
        "InterfaceVlanProperties": {"VlanID": "5000", "TrunkInterfaceMacAddress": None},
    }
    more: dict[str, Any] = {"Arn": ["arn"], "Family": "a\ud800", "Version": 7, "ServiceName": "x" * 9999, "ENI": eni}
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC, **more))
    assert ask(path) == {"branch_mac": MAC, "addresses": ["10.0.0.1", "10.0.0.2"]}


@pytest.mark.parametrize("value", [b"[]", b"7", b"{", b"\xff{}", b"[" * 100_000, b'{"ENI":NaN}'])
def test_a_value_with_the_mac_that_is_no_task_makes_it_not_known(tmp_path: Path, value: bytes) -> None:
    """It might have been the right one."""
    other = (b"z", value + b'"' + MAC.encode() + b'"')
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC), other)
    assert ask(path) is None
    assert agent_db.tasks(path, LONG) is None
    assert agent_db.problem(path, LONG)


def test_a_value_without_the_mac_does_not_matter(tmp_path: Path) -> None:
    path = database(tmp_path / "agent.db", task("a", ENI_A, MAC), (b"z", b"{"))
    assert ask(path)["eni_id"] == ENI_A


def test_a_database_without_the_buckets_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    writer = BoltWriter(str(path))
    assert ask(str(path)) is None
    assert agent_db.tasks(str(path), LONG) == []
    assert agent_db.metadata(str(path), LONG) == {}
    writer.commit({b"tasks": {}, b"metadata": {b"cluster-name": b"7", b"other": b'"x"'}})
    assert agent_db.metadata(str(path), LONG) == {}
    writer.commit({b"tasks": {}, b"metadata": {b"cluster-name": b'"', b"other": b"{"}})
    assert agent_db.tasks(str(path), LONG) == []
    assert agent_db.metadata(str(path), LONG) == {}
    writer.close()


def test_no_time_left_is_not_known() -> None:
    path = str(FIXTURES / "small.db")
    assert known(path, "0a:1b:2c:3d:00:01", -1) is None
    assert agent_db.tasks(path, -1) is None
    assert agent_db.metadata(path, -1) == {}
    assert agent_db.problem(path, -1) == "not read in time"


def test_what_is_no_regular_file_is_not_known(tmp_path: Path) -> None:
    sound = database(tmp_path / "agent.db", task("a", ENI_A, MAC))
    (tmp_path / "link.db").symlink_to(sound)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "zeros").write_bytes(bytes(65536))
    (tmp_path / "text").write_text("agent " * 10_000)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.write(Path(sound).read_bytes())
        sparse.truncate(1 << 40)
    for name in ("link.db", "fifo", "empty", "zeros", "text", "sparse", "missing", "", "a/b", "nul\0", "x" * 300):
        path = str(tmp_path / name)
        assert ask(path) is None, name
        assert agent_db.tasks(path, LONG) is None, name
        assert agent_db.metadata(path, LONG) == {}, name
        assert agent_db.problem(path, LONG), name
    assert ask("/dev/zero") is None
