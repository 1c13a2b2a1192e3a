"""`verify` on a real trunk: ledger and kernel held against each other while branches come and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base import host
from eni_ledger.base.host import process_start
from eni_ledger.cli.main import main
from eni_ledger.kernel.scan import attachments, scan
from helpers import trunk
from helpers.cni_client import Attachment
from helpers.ledgers import add_event, del_event, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.ledger.query.questions import History
    from helpers.cni_client import Client

CONTAINER = "c" * 64


@pytest.fixture
def verify(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Give a way to run the command: exit status and document."""

    def run(*options: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main(
            ["verify", "--json", *(() if "--state-dir" in options else ("--state-dir", str(state_dir))), *options]
        )
        return code, json.loads(capsys.readouterr().out)

    return run


def branch(the_trunk: trunk.Trunk, netns: str, vlan: int, mac: str) -> None:
    """Make a branch as vpc-branch-eni does: a VLAN link of the trunk, moved and renamed; nobody records it."""
    name = f"{the_trunk.name}.{vlan}"
    trunk.run("ip", "link", "add", "link", the_trunk.name, "name", name, "type", "vlan", "id", str(vlan))
    trunk.run("ip", "link", "set", name, "netns", netns.split("/")[2])
    inside = ("nsenter", f"--net={netns}", "ip")
    trunk.run(*inside, "link", "set", name, "name", "eth0", "address", mac)
    trunk.run(*inside, "link", "set", "eth0", "up")
    trunk.run(*inside, "address", "add", "10.0.32.9/20", "dev", "eth0")


def test_recorded_and_in_place(
    client: Client,
    the_trunk: trunk.Trunk,
    pause: Callable[[], trunk.Pause],
    state_dir: Path,
    verify: Callable[..., tuple[int, Any]],
    history: History,
) -> None:
    first = pause()
    client.add(trunk.branch(the_trunk.name, 1, state_dir), Attachment(CONTAINER, first.netns))
    code, found = verify()
    assert (code, [one["status"] for one in found["associations"]], found["unrecorded"]) == (0, ["fine"], [])

    trunk.run("nsenter", f"--net={first.netns}", "ip", "link", "set", "eth0", "address", "0a:00:00:00:09:09")
    code, found = verify("--mark-lost")
    assert (code, found["associations"][0]["status"], found["written"]) == (1, "changed", [])
    assert "0a:00:00:00:09:09 in the kernel" in found["associations"][0]["why"]

    first.stop()
    trunk.wait_for_no_vlan(101)
    code, found = verify("--mark-lost")
    assert (code, [event["reason"] for event in found["written"]], found["remaining"]) == (0, ["verify"], 0)
    assert history.live() == []
    nothing: dict[str, Any] = {key: [] for key in ("associations", "unrecorded", "conflicts", "unreadable", "written")}
    assert verify() == (0, {"agrees": True, **nothing, "remaining": 0})


def test_what_nobody_recorded_is_adopted(
    the_trunk: trunk.Trunk,
    pause: Callable[[], trunk.Pause],
    state_dir: Path,
    verify: Callable[..., tuple[int, Any]],
    history: History,
) -> None:
    process = pause()
    boot = host.boot_id()  # of another boot it would be a copy, for which the kernel is not asked
    record(state_dir, add_event(1, boot_id=boot))  # a ledger; what it says has ended
    record(state_dir, del_event(1, boot_id=boot))
    branch(the_trunk, process.netns, 102, "0a:1b:2c:3d:01:02")
    code, found = verify()
    (attachment,) = found["unrecorded"]
    assert code == 1
    assert found["written"] == []
    identity = Path(process.netns).stat()
    expected = {
        "ifname": "eth0",
        "vlan_id": 102,
        "branch_mac": "0a:1b:2c:3d:01:02",
        "addresses": ["10.0.32.9/20"],
        "trunk_mac": the_trunk.mac,
        "trunk_ifname": the_trunk.name,
        "trunk_ifindex": the_trunk.index,
        "trunk_netns_inode": Path("/proc/self/ns/net").stat().st_ino,
        "vlan_protocol": "802.1Q",
        "netns": process.netns,
        "netns_inode": identity.st_ino,
        "netns_dev": identity.st_dev,
        "pid": process.pid,
        "protocol": "vlan",
    }
    assert expected.items() <= attachment.items()
    code, found = verify("--adopt")
    assert (code, [event["event"] for event in found["written"]]) == (0, ["adopt"])
    (live,) = history.live()
    assert expected.items() <= live.items()
    assert (live["via"], live["pid_start"]) == ("scan", process_start(f"/proc/{process.pid}"))
    assert verify("--adopt")[0] == 0


def test_four_vlans_with_the_same_mac_and_id_are_four(
    client: Client,
    the_trunk: trunk.Trunk,
    pause: Callable[[], trunk.Pause],
    state_dir: Path,
    tmp_path: Path,
    verify: Callable[..., tuple[int, Any]],
    history: History,
) -> None:
    """Two stacked on outer VLANs of the trunk, one on the trunk, one of 802.1ad: all have MAC and VLAN ID in common."""
    outer = [("out.2", "802.1ad", "2", the_trunk.name), ("out.3", "802.1ad", "3", the_trunk.name)]
    inner = [("in.1", "802.1Q", "out.2"), ("in.2", "802.1Q", "out.3"), ("in.3", "802.1Q", the_trunk.name)]
    try:
        for name, protocol, number, beneath in outer:
            kind = ("type", "vlan", "protocol", protocol, "id", number)
            trunk.run("ip", "link", "add", "link", beneath, "name", name, *kind)
            trunk.run("ip", "link", "set", name, "up")
        for at, (name, protocol, beneath) in enumerate([*inner, ("in.4", "802.1ad", the_trunk.name)]):
            process = pause()
            kind = ("type", "vlan", "protocol", protocol, "id", "100")
            trunk.run("ip", "link", "add", "link", beneath, "name", name, *kind)
            trunk.run("ip", "link", "set", name, "netns", process.netns.split("/")[2])
            trunk.run("nsenter", f"--net={process.netns}", "ip", "link", "set", name, "name", "eth0")
            prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": process.netns}]}
            plugin = trunk.branch(the_trunk.name, 1, state_dir)["plugins"][2]
            conf = {"cniVersion": "1.0.0", "name": "branches", "plugins": []}
            assert client.call("ADD", conf, plugin, Attachment(f"task-{at}", process.netns), prev) == prev
        live = history.live()
        assert [one["container_id"] for one in live] == [f"task-{at}" for at in range(4)]
        assert [one["vlan_protocol"] for one in live] == ["802.1Q"] * 3 + ["802.1ad"]
        assert len({(one["trunk_ifindex"], one["vlan_protocol"]) for one in live}) == 4
        assert len({(one["branch_mac"], one["vlan_id"], one["trunk_netns_inode"]) for one in live}) == 1
        code, found = verify()
        assert (code, [one["status"] for one in found["associations"]]) == (0, ["fine"] * 4)
        assert (found["unrecorded"], found["conflicts"]) == ([], [])
        code, found = verify("--adopt", "--state-dir", str(tmp_path / "another"))
        assert (code, [event["event"] for event in found["written"]]) == (0, ["adopt"] * 4)
    finally:
        for name, *_ in outer:
            trunk.run("ip", "link", "del", name)


def test_vlan_links_that_are_no_branches(the_trunk: trunk.Trunk, pause: Callable[[], trunk.Pause]) -> None:
    process = pause()
    branch(the_trunk, process.netns, 103, "0a:1b:2c:3d:01:03")
    inside = ("nsenter", f"--net={process.netns}", "ip")
    trunk.run(*inside, "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", "7")
    trunk.run("ip", "link", "add", "link", the_trunk.name, "name", "own.8", "type", "vlan", "id", "8")
    try:
        assert [one["vlan_id"] for one in attachments(scan())] == [103]
    finally:
        trunk.run("ip", "link", "del", "own.8")
