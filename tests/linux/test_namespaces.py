"""Attachments in real network namespaces: by pid and by name, what is seen, and that we come back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.kernel import attachment, rtnetlink
from eni_ledger.kernel import netns as netns_file
from helpers.plugin import Plugin, result
from helpers.prereq import need
from helpers.trunk import Pause, link, named_netns, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("namespaces")

MAC = "0a:1b:2c:3d:01:01"


@pytest.fixture
def plugin(front_door: Path, tmp_path: Path) -> Plugin:
    return Plugin(front_door, tmp_path / "state")


def veth(netns: str, ifname: str = "eth0", address: str = "10.9.0.2/24") -> None:
    """Make a veth pair with both ends in `netns`: nothing of it is ever on the machine."""
    inside = ("nsenter", f"--net={netns}", "ip")
    run(*inside, "link", "add", ifname, "address", MAC, "type", "veth", "peer", "name", "peer0")
    run(*inside, "link", "set", "peer0", "up")
    run(*inside, "link", "set", ifname, "up")
    run(*inside, "address", "add", address, "dev", ifname)
    run(*inside, "-6", "address", "add", "2001:db8::2/64", "dev", ifname, "nodad")


def default_route(netns: str, ifname: str = "eth0") -> None:
    inside = ("nsenter", f"--net={netns}", "ip")
    run(*inside, "route", "add", "10.20.0.0/16", "via", "10.9.0.7")
    run(*inside, "route", "add", "default", "via", "10.9.0.1")
    run(*inside, "route", "add", "default", "via", "10.9.0.9", "table", "77")
    run(*inside, "-6", "route", "add", "default", "via", "fe80::1", "dev", ifname)


def test_by_pid(plugin: Plugin, pause: Pause) -> None:
    veth(pause.netns)
    default_route(pause.netns)
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "mac": MAC, "sandbox": pause.netns}]}
    answer = plugin.add(prev, netns=pause.netns)
    assert (answer.status, answer.json(), answer.stderr) == (0, prev, "")
    (event,) = plugin.events("add")
    inode = Path(pause.netns).stat()
    # From the right: the process's name may hold anything.
    start = int(Path(f"/proc/{pause.pid}/stat").read_text().rpartition(")")[2].split()[19])
    expected = {
        "netns": pause.netns,
        "netns_inode": inode.st_ino,
        "netns_dev": inode.st_dev,
        "pid": pause.pid,
        "pid_start": start,
        "declared_mac": MAC,
        "observed_mac": MAC,
        "addresses": ["10.9.0.2/24", "2001:db8::2/64"],
        "gateways": ["10.9.0.1", "fe80::1"],
    }
    assert {key: event.get(key) for key in expected} == expected
    assert not {"vlan_id", "branch_mac", "mismatch"} & set(event)


def test_by_name(plugin: Plugin) -> None:
    with named_netns(f"eni-ledger-{os.getpid()}") as netns:
        veth(netns)
        answer = plugin.add(result("1.0.0", mac=MAC, addresses=("10.9.0.2/24",), gateway="10.9.0.1"), netns=netns)
        assert (answer.status, answer.stderr) == (0, "")
        (event,) = plugin.events("add")
        assert (event["observed_mac"], event["netns_inode"]) == (MAC, Path(netns).stat().st_ino)
        assert event["addresses"] == ["10.9.0.2/24"]
        assert event["gateways"] == ["10.9.0.1"]
        assert "pid" not in event


def test_by_the_hosts_proc_in_the_agents_container(front_door: Path, tmp_path: Path, pause: Pause) -> None:
    veth(pause.netns)
    script = 'mount -t tmpfs tmpfs /host; mkdir /host/proc; mount --rbind /proc /host/proc; exec "$@"'
    need(not Path("/host").exists(), "no /host of its own on this machine")
    Path("/host").mkdir()
    try:
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
        plugin = Plugin(front_door, tmp_path / "state", prefix=prefix)
        answer = plugin.add(result("1.0.0", mac=MAC), netns=f"/host{pause.netns}")
        assert answer.status == 0
    finally:
        Path("/host").rmdir()
    (event,) = plugin.events("add")
    assert (event["pid"], event["observed_mac"]) == (pause.pid, MAC)
    assert event["netns"] == f"/host{pause.netns}"
    assert event["pid_start"] > 0


def test_what_differs_is_a_finding(plugin: Plugin, pause: Pause) -> None:
    veth(pause.netns)
    prev = result("1.0.0", mac="0a:00:00:00:00:99", addresses=("10.9.0.2/24", "10.9.0.3/24"))
    answer = plugin.add(prev, netns=pause.netns)
    assert (answer.status, answer.json()) == (0, prev)
    (event,) = plugin.events("add")
    assert event["mismatch"] == ["declared_mac", "addresses"]
    assert (event["declared_mac"], event["observed_mac"]) == ("0a:00:00:00:00:99", MAC)
    assert event["addresses"] == ["10.9.0.2/24", "10.9.0.3/24"]
    assert "10.9.0.3/24" not in event["observed_addresses"]


def test_add_check_del_over_the_life_of_a_namespace(plugin: Plugin, pause: Pause) -> None:
    veth(pause.netns)
    prev = result("1.0.0", mac=MAC, addresses=("10.9.0.2/24",))
    where: dict[str, Any] = {"netns": pause.netns}
    plugin.add(prev, **where)
    assert plugin.call("CHECK", plugin.net_conf(prev), **where).status == 0
    run("nsenter", f"--net={pause.netns}", "ip", "link", "set", "eth0", "address", "0a:1b:2c:3d:01:99")
    changed = plugin.call("CHECK", plugin.net_conf(prev), **where)
    assert changed.code() == 111
    assert "observed_mac" in changed.json()["details"]
    run("nsenter", f"--net={pause.netns}", "ip", "link", "del", "eth0")
    assert plugin.call("CHECK", plugin.net_conf(prev), **where).code() == 111
    pause.stop()
    assert plugin.call("CHECK", plugin.net_conf(prev), **where).code() == 3
    answer = plugin.delete(prev, **where)
    assert (answer.status, answer.stdout, answer.stderr) == (0, b"", "")
    assert plugin.events("del")[0]["netns_inode"] == plugin.events("add")[0]["netns_inode"]


def test_check_of_another_namespace(plugin: Plugin, pause: Pause) -> None:
    veth(pause.netns)
    prev = result("1.0.0", mac=MAC)
    plugin.add(prev, netns=pause.netns)
    with Pause() as other:
        veth(other.netns)
        answer = plugin.call("CHECK", plugin.net_conf(prev), netns=other.netns)
    assert answer.code() == 111
    assert "netns_inode" in answer.json()["details"]


def test_the_namespace_of_the_plugin_itself(plugin: Plugin) -> None:
    answer = plugin.add(result("1.0.0"), netns="/proc/self/ns/net", ifname="lo")
    assert answer.code() == 8
    assert plugin.events() == []


def test_coming_back(pause: Pause) -> None:
    veth(pause.netns)
    before = rtnetlink.identity(rtnetlink.OWN_NETNS)
    netns = netns_file.Netns(pause.netns)
    try:
        assert not netns.is_own()
        found = attachment.observe(netns, "eth0")
        assert found["observed_mac"] == MAC
        with pytest.raises(attachment.NoInterfaceError):
            attachment.observe(netns, "eth9")
    finally:
        netns.close()
    assert rtnetlink.identity(rtnetlink.OWN_NETNS) == before


def test_no_descriptor_is_left_open(pause: Pause) -> None:
    veth(pause.netns)

    def once() -> None:
        netns = netns_file.Netns(pause.netns)
        try:
            attachment.observe(netns, "eth0")
        finally:
            netns.close()

    once()
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    once()
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


def test_a_way_back_that_is_barred(pause: Pause) -> None:
    """In a child, for it ends up where it must never go on: the descriptor for the way back is no namespace."""
    script = (
        "import os, sys\n"
        "from eni_ledger.kernel import rtnetlink as r\n"
        "there = os.open(sys.argv[1], os.O_RDONLY)\n"
        "home = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
        "enter = r._setns\n"
        "def bar(fd):\n"
        "    enter(fd)\n"
        "    os.dup2(os.open('/etc/passwd', os.O_RDONLY), home)\n"
        "r._setns = bar\n"
        "try:\n"
        "    r.open_socket(there, home)\n"
        "except r.StrayedError as exc:\n"
        "    print('strayed', exc)\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, pause.netns], capture_output=True, text=True, env=env, check=False
    )
    assert done.stdout.startswith("strayed"), done


@pytest.fixture
def parent() -> Iterator[str]:
    """Give a link of our own namespace that others can be stacked on."""
    name = f"elp{os.getpid() % 100_000}"
    run("ip", "link", "add", name, "address", "0a:1b:2c:3d:00:01", "type", "veth", "peer", "name", f"{name}p")
    try:
        yield name
    finally:
        run("ip", "link", "del", name)


def beneath(path: str) -> tuple[rtnetlink.Link, dict[str, Any]]:
    """Return the macvlan in a namespace and what is found of the link beneath it, as for a trunk."""
    netns = netns_file.Netns(path)
    try:
        with closing(rtnetlink.open_socket(netns.fd, netns.own_fd)) as sock:
            links = rtnetlink.links(sock)
            macvlan = next(each for each in links if each.name == "elm0")
            return macvlan, attachment._trunk(sock, netns, links, macvlan)
    finally:
        netns.close()


def test_the_link_beneath_in_our_own_namespace(parent: str, pause: Pause) -> None:
    """As with a trunk; this kernel may have no VLAN links, so a macvlan stands in for one."""
    run("ip", "link", "add", "link", parent, "name", "elm0", "netns", str(pause.pid), "type", "macvlan")
    index = link(pause.netns, "elm0")["link_index"]
    macvlan, found = beneath(pause.netns)
    assert (macvlan.kind, macvlan.parent) == ("macvlan", index)
    own = Path("/proc/self/ns/net").stat().st_ino
    assert found == {
        "trunk_ifindex": index,
        "trunk_netns_inode": own,
        "trunk_ifname": parent,
        "trunk_mac": "0a:1b:2c:3d:00:01",
    }


def test_the_link_beneath_in_a_third_namespace(pause: Pause) -> None:
    """Its index means nothing to us: our own link of the same index is not it."""
    veth(pause.netns, "base0")
    with Pause() as third:
        inside = ("nsenter", f"--net={pause.netns}", "ip")
        run(*inside, "link", "add", "link", "base0", "name", "elm0", "netns", str(third.pid), "type", "macvlan")
        macvlan, found = beneath(third.netns)
    assert found == {"trunk_ifindex": macvlan.parent}


def test_the_link_beneath_in_the_same_namespace(pause: Pause) -> None:
    veth(pause.netns, "base0")
    run("nsenter", f"--net={pause.netns}", "ip", "link", "add", "link", "base0", "name", "elm0", "type", "macvlan")
    macvlan, found = beneath(pause.netns)
    here = {"trunk_ifindex": macvlan.parent, "trunk_netns_inode": Path(pause.netns).stat().st_ino}
    assert found == {**here, "trunk_ifname": "base0", "trunk_mac": MAC}
