"""A real client: containerd's `ctr run --cni` with `bridge` and then `eni-ledger`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.install import runtimes
from eni_ledger.install.tree import Tree
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
        "declared_mac": mac,
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
    none_of_it = {"vlan_id", "observed_vlan_id", "protocol", "branch_mac", "trunk_mac", "mismatch", "error_code"}
    assert not none_of_it & set(add)
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


CONFIGURATIONS = {
    "version 1": '[plugins.cri.cni]\nbin_dir = "/usr/lib/cni"\n',
    "version 2": 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/a"\nconf_dir = "/b"\n',
    "none of it": "version = 2\n",
    "imported": 'version = 2\nimports = ["more/x.toml"]\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/a"\n',
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_its_configuration_is_read_as_it_reads_it(tmp_path: Path, name: str) -> None:
    need(shutil.which("containerd"), "containerd")
    path = tmp_path / "etc/containerd/config.toml"
    (path.parent / "more").mkdir(parents=True)
    path.write_text(CONFIGURATIONS[name])
    if (status := Path("/var/lib/dpkg/status")).exists():  # the default is that of the distribution's package
        (tmp_path / "var/lib/dpkg").mkdir(parents=True)
        shutil.copy(status, tmp_path / "var/lib/dpkg/status")
    more = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nconf_dir = "/c"\n'
    (path.parent / "more/x.toml").write_text(more)
    done = subprocess.run(
        ["containerd", "--config", path, "config", "dump"], capture_output=True, text=True, check=True
    )
    plugins = tomllib.loads(done.stdout)["plugins"]
    cri = plugins.get("io.containerd.cri.v1.runtime") or plugins["io.containerd.grpc.v1.cri"]
    (found,) = [one for one in runtimes.find(Tree(str(tmp_path))) if one.name == "containerd"]
    assert found.bin_dirs == (cri["cni"].get("bin_dirs") or [cri["cni"]["bin_dir"]])
    assert found.conf_dirs == [cri["cni"]["conf_dir"]]


def test_installed_into_the_chain_of_one_that_runs(front_door: Path, tmp_path: Path) -> None:
    """`install cni` finds its directory of plugins; what it then calls is recorded; `uninstall` leaves it as it was."""
    need(os.geteuid() == 0, "root, for containers")
    need((front_door.resolve().parent / "_internal").exists(), "the built bundle; build/bundle makes it")
    program = front_door.resolve()
    without = conflist(tmp_path)
    without["plugins"].pop()
    path = "/etc/cni/net.d/10-test.conflist"
    with Containerd(tmp_path / "containerd", without, front_door) as running:
        # ctr looks into /opt/cni/bin whatever is configured.
        text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/opt/cni/bin"\n'
        script = f"mount -t tmpfs tmpfs /usr/local/bin; rm /opt/cni/bin/eni-ledger; printf '{text}' > $0"
        assert running.beside("sh", "-c", script, "/etc/containerd/config.toml").returncode == 0
        before = running.beside("cat", path).stdout
        done = running.beside(program, "install", "cni", "--conflist", path, "--bundle", program.parent)
        assert done.returncode == 0, done.stderr
        chained = json.loads(running.beside(program, "doctor", "--json").stdout)["checks"]
        assert next(one for one in chained if one["name"] == "chained")["status"] == "ok"
        assert running.run("one", "true").returncode == 0, running.log()
        events = [json.loads(line) for line in running.beside(program, "log", "--json").stdout.splitlines()]
        assert [one["event"] for one in events if one["event"] in ("add", "del")] == ["add", "del"]
        assert running.beside(program, "uninstall", "cni").returncode == 0
        assert running.beside("cat", path).stdout == before
        assert running.run("two", "true").returncode == 0, running.log()
