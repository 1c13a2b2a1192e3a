"""A real client: containerd's `ctr run --cni` with `bridge` and then `eni-ledger`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.containerd import Containerd
from helpers.plugin import Plugin
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the container knows of itself, in the order in which it is asked.
ASK = "readlink /proc/self/ns/net; cat /sys/class/net/eth0/address; ip -o -4 address show dev eth0"


def conflist(state_dir: Path, **ledger: Any) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "branches",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "elbr0",
                "isGateway": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "10.77.0.0/24"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/host-local",
                },
            },
            {"type": "eni-ledger", "stateDir": str(state_dir), "journald": False, **ledger},
        ],
    }


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def containerd(front_door: Path, tmp_path: Path, state_dir: Path) -> Iterator[Containerd]:
    need(os.geteuid() == 0, "root, for containers")
    with Containerd(tmp_path / "containerd", conflist(state_dir), front_door) as running:
        yield running


def test_a_container_from_add_to_del(containerd: Containerd, front_door: Path, state_dir: Path) -> None:
    done = containerd.run("one", "sh", "-c", ASK)
    assert done.returncode == 0, done.stderr + containerd.log()
    netns, mac, address = done.stdout.splitlines()
    add, delete = Plugin(front_door, state_dir).events("add", "del")
    expected = {
        "container_id": f"{containerd.namespace}-one",
        "ifname": "eth0",
        "network": "branches",
        "branch_mac": mac,
        "observed_mac": mac,
        "netns_inode": int(netns.removeprefix("net:[").removesuffix("]")),
        "addresses": [address.split()[3]],
        "gateways": ["10.77.0.1"],
        "via": "chained",
        "cni_version": "1.0.0",
    }
    assert {key: add.get(key) for key in expected} == expected
    assert add["netns"] == f"/proc/{add['pid']}/ns/net"
    # Honest after a plugin that makes no VLAN.
    assert not {"vlan_id", "observed_vlan_id", "protocol", "trunk_mac", "mismatch", "error_code"} & set(add)
    assert delete["association_id"] == add["association_id"]
    assert delete["addresses"] == add["addresses"]


def test_two_containers_one_after_the_other(containerd: Containerd, front_door: Path, state_dir: Path) -> None:
    for name in ("one", "two"):
        assert containerd.run(name, "true").returncode == 0
    events = Plugin(front_door, state_dir).events("add", "del")
    assert [(event["event"], event["container_id"]) for event in events] == [
        ("add", f"{containerd.namespace}-one"),
        ("del", f"{containerd.namespace}-one"),
        ("add", f"{containerd.namespace}-two"),
        ("del", f"{containerd.namespace}-two"),
    ]


def test_a_broken_ledger_does_not_keep_a_container_from_starting(containerd: Containerd, state_dir: Path) -> None:
    state_dir.symlink_to("/nonexistent")
    done = containerd.run("one", "sh", "-c", ASK)
    assert done.returncode == 0, done.stderr
    assert "10.77.0." in done.stdout


def test_a_broken_ledger_with_on_error_fail(front_door: Path, tmp_path: Path, state_dir: Path) -> None:
    need(os.geteuid() == 0, "root, for containers")
    state_dir.symlink_to("/nonexistent")
    with Containerd(tmp_path / "containerd", conflist(state_dir, onError="fail"), front_door) as running:
        done = running.run("one", "true")
    assert done.returncode != 0
    assert "the state directory is a symbolic link" in done.stderr
