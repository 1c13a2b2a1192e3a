"""Reading the kernel: which VLAN link is meant, /proc, netlink messages. Real namespaces are in tests/linux."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import ObserveError
from eni_ledger.kernel import attachment, rtnetlink
from eni_ledger.kernel import netns as netns_file

if TYPE_CHECKING:
    from collections.abc import Iterator

LINK, MASTER, NETNSID = 5, 10, 37


def attribute(kind: int, value: bytes) -> bytes:
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def link(index: int, name: str, kind: str = "", vlan_id: int | None = None, **numbers: int) -> rtnetlink.Link:
    """Return a link as it is parsed from what the kernel sends."""
    info = attribute(1, kind.encode() + b"\0")
    if vlan_id is not None:
        protocol = attribute(5, struct.pack(">H", numbers.get("protocol", 0x8100)))
        info += attribute(2, attribute(1, struct.pack("=H", vlan_id)) + protocol)
    attrs = {1: bytes.fromhex("0a1b2c3d0001"), 3: name.encode() + b"\0", 18: info}
    for key, number in {"parent": LINK, "master": MASTER, "nsid": NETNSID}.items():
        if key in numbers:
            attrs[number] = struct.pack("=i", numbers[key])
    return rtnetlink.Link(index, attrs)


def test_link() -> None:
    found = link(2, "eth0", "vlan", 101, parent=3, nsid=0)
    assert (found.name, found.mac, found.kind, found.vlan_id) == ("eth0", "0a:1b:2c:3d:00:01", "vlan", 101)
    assert (found.parent, found.parent_nsid, found.master) == (3, 0, None)
    assert found.vlan_protocol == "802.1Q"
    assert link(2, "eth0", "vlan", 101, protocol=0x88A8).vlan_protocol == "802.1ad"
    assert link(2, "eth0", "vlan", 101, protocol=0x9100).vlan_protocol == "0x9100"
    assert rtnetlink.Link(1, {}).name == ""
    assert rtnetlink.Link(1, {}).vlan_protocol is None


def test_the_vlan_link_itself() -> None:
    eth0 = link(2, "eth0", "vlan", 101, parent=3, nsid=0)
    assert attachment.find_vlan([link(1, "lo"), eth0, link(4, "eth1", "vlan", 102)], eth0) is eth0


def test_the_vlan_link_beneath() -> None:
    vlan = link(2, "trunk.101", "vlan", 101, parent=3, nsid=0)
    macvlan = link(5, "m", "macvlan", parent=2)
    eth0 = link(6, "eth0", "macvtap", parent=5)
    assert attachment.find_vlan([vlan, macvlan, eth0], eth0) is vlan


def test_the_vlan_link_in_the_same_bridge() -> None:
    vlan = link(2, "trunk.101", "vlan", 101, parent=3, nsid=0, master=7)
    tap = link(6, "eth0", "tun", master=7)
    assert attachment.find_vlan([vlan, link(7, "virbr101", "bridge"), tap], tap) is vlan


def test_another_interface_is_not_on_the_branch() -> None:
    """ecs-bridge makes `ecs-eth0` in a namespace that has its branch already."""
    vlan = link(2, "eth0", "vlan", 101, parent=3, nsid=0)
    veth = link(6, "ecs-eth0", "veth", parent=8, nsid=0)
    assert attachment.find_vlan([vlan, veth], veth) is None


def test_an_interface_of_another_namespace_with_the_same_index_is_not_beneath() -> None:
    vlan = link(2, "eth0", "vlan", 101, parent=3, nsid=0)
    veth = link(6, "eth1", "veth", parent=2, nsid=0)
    assert attachment.find_vlan([vlan, veth], veth) is None


def test_the_only_vlan_link_stands_in_for_a_missing_interface() -> None:
    vlan, other = link(2, "a", "vlan", 101), link(3, "b", "vlan", 102)
    assert attachment.find_vlan([vlan], None) is vlan
    assert attachment.find_vlan([vlan, other], None) is None
    assert attachment.find_vlan([], None) is None


def test_links_that_go_round_in_circles() -> None:
    a, b, c = link(1, "a", parent=2), link(2, "b", parent=1), link(3, "c", parent=3)
    assert attachment.find_vlan([a, b, c], a) is None
    assert attachment.find_vlan([a, b, c], c) is None


@pytest.mark.parametrize(
    ("path", "pid"),
    [
        ("/proc/1234/ns/net", 1234),
        ("/host/proc/1234/ns/net", 1234),
        ("/proc/1234/ns/net/", None),
        ("/proc/1234/ns/mnt", None),
        ("/proc/self/ns/net", None),
        ("/proc/²/ns/net", None),
        ("/proc//ns/net", None),
        ("/x/proc/1/ns/net", None),
        ("/var/run/netns/1234", None),
    ],
)
def test_the_process_in_a_path(path: str, pid: int | None) -> None:
    assert netns_file._process_of(path)[1] == pid


def test_own_process() -> None:
    netns = netns_file.Netns(f"/proc/{os.getpid()}/ns/net")
    try:
        assert netns.is_own()
        fields = netns.fields()
        # The name of this process may hold spaces and parentheses, so field 22 is counted from the end here.
        assert fields["pid_start"] == int(Path("/proc/self/stat").read_text().split()[21 - 52])
        assert fields["pid"] == os.getpid()
        assert fields["netns_inode"] == Path("/proc/self/ns/net").stat().st_ino
    finally:
        netns.close()


def test_observe_loopback() -> None:
    netns = netns_file.Netns("/proc/self/ns/net")
    try:
        found = attachment.observe(netns, "lo")
        assert found["observed_mac"] == "00:00:00:00:00:00"
        assert not {"vlan_id", "branch_mac", "trunk_netns_inode", "elsewhere"} & set(found)
        assert (found["gateways"], isinstance(found["addresses"], list)) == ([], True)  # looked for, and none there
        assert "gateways" not in attachment.observe(netns, "lo", gateways=False)
        assert attachment.observe(netns, "nosuch0", instead="lo")["observed_mac"] == "00:00:00:00:00:00"
        assert attachment.observe(netns, "lo", others=["lo", "nosuch0"])["elsewhere"] == {"lo": found["addresses"]}
        with pytest.raises(attachment.NoInterfaceError, match="nosuch0"):
            attachment.observe(netns, "nosuch0")
    finally:
        netns.close()


def test_addresses_and_names_agree_with_the_kernel() -> None:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with sock:
        found = {each.index: each.name for each in rtnetlink.links(sock)}
        assert found == dict(socket.if_nameindex())
        for index, name in found.items():
            path = Path(f"/sys/class/net/{name}/address")
            assert attachment.own_trunk_fields(index)["trunk_ifname"] == name
            if path.read_text().count(":") == 5 and name != "lo":
                assert attachment.own_trunk_fields(index)["trunk_mac"] == path.read_text().strip()
    assert attachment.own_trunk_fields(2**31 - 1) == {}


def test_vlan_config_file(tmp_path: Path) -> None:
    (tmp_path / "net/vlan").mkdir(parents=True)
    (tmp_path / "net/vlan/config").write_text(
        "VLAN Dev name	 | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n"
        "eth1           | 102  | enp40s0\neth0           | 101  | enp40s0\nbroken\n"
    )
    assert attachment._from_proc(str(tmp_path), "eth0") == {
        "vlan_id": 101,
        "observed_vlan_id": 101,
        "protocol": "vlan",
        "trunk_ifname": "enp40s0",
    }
    assert attachment._from_proc(str(tmp_path), "eth2") is None
    assert attachment._from_proc(str(tmp_path / "gone"), "eth0") is None
    assert attachment._from_proc("", "eth0") is None


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(0.05)
    with ours, kernel:
        yield ours, kernel


def message(kind: int, body: bytes, sequence: int = 18) -> bytes:
    data = struct.pack("=LHHLL", 16 + len(body), kind, 0, sequence, 0) + body
    return data + bytes(-len(data) % 4)


def test_an_error_from_the_kernel(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].send(message(2, struct.pack("=i", -1)))
    with pytest.raises(PermissionError):
        rtnetlink.links(pair[0])


def test_answers_to_other_questions_are_left_out(pair: tuple[socket.socket, socket.socket]) -> None:
    body = struct.pack("=BxHiLL", 0, 0, 7, 0, 0) + attribute(3, b"x\0")
    pair[1].send(message(16, body, sequence=99) + message(16, body))
    pair[1].send(message(3, b"\0\0\0\0"))
    assert [each.name for each in rtnetlink.links(pair[0])] == ["x"]


def test_a_kernel_that_says_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        rtnetlink.links(pair[0])


@given(st.lists(st.binary(max_size=200) | st.builds(message, st.integers(0, 30), st.binary(max_size=100)), max_size=4))
def test_no_answer_makes_it_fail_in_a_way_that_is_not_expected(answers: list[bytes]) -> None:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        ours.setblocking(False)
        for answer in answers:
            kernel.send(answer)
        kernel.send(message(3, b""))
        for ask in (
            rtnetlink.links,
            rtnetlink.addresses,
            lambda sock: rtnetlink.default_gateways(sock, 1),
        ):
            try:
                assert isinstance(ask(ours), list | dict)
            except (OSError, ObserveError):
                continue


def test_a_namespace_without_end_is_not_read_to_the_end() -> None:
    body = struct.pack("=BxHiLL", 0, 0, 7, 0, 0) + attribute(3, b"x" * 60_000)

    class Endless:
        def send(self, data: bytes) -> int:
            return len(data)

        def recv(self, size: int) -> bytes:
            return message(16, body)[:size]

    with pytest.raises(ObserveError, match="more than can be read"):
        rtnetlink.links(Endless())  # type: ignore[arg-type]
