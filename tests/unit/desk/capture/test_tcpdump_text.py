from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eni_ledger.base import addresses
from eni_ledger.desk.capture import stamps
from eni_ledger.desk.capture.packet import Packet, Tag
from eni_ledger.desk.capture.tcpdump_text import read, read_second

LINK = "0a:1b:2c:3d:01:01 > 0a:aa:bb:cc:dd:01"
MACS = ("0a:1b:2c:3d:01:01", "0a:aa:bb:cc:dd:01")
VLAN = "ethertype 802.1Q (0x8100), length 46: vlan 101, p 0, "
TAG = (Tag("802.1Q", 101),)
IPS = ("10.0.32.1", "10.0.0.2")
IPV4 = "ethertype IPv4 (0x0800), 10.0.32.1.1234 > 10.0.0.2.53: domain"

PACKETS = {
    f"{LINK}, {VLAN}{IPV4}": Packet(TAG, *MACS, *IPS),
    f"{LINK}, {VLAN}ethertype IPv4 (0x0800), 10.0.32.1 > 10.0.0.2: ICMP echo": Packet(TAG, *MACS, *IPS),
    f"{LINK}, 802.1Q, length 46: vlan 101, p 0, IPv4, 10.0.32.1.5000 > 10.0.0.2.80: tcp 0": Packet(TAG, *MACS, *IPS),
    f"{LINK}, ethertype 802.1Q (0x8100), length 78: vlan 101, p 3, DEI, ethertype IPv6 (0x86dd),"
    " 2600:1f14::4.5000 > 2600:1f14::5.80: Flags [S]": Packet(TAG, *MACS, "2600:1f14::4", "2600:1f14::5"),
    f"{LINK}, {VLAN}ethertype IPv6 (0x86dd), (hlim 64, next-header TCP (6) payload length: 20)"
    " 2600:1f14::4.5000 > ::ffff:10.0.0.1.80: Flags [S]": Packet(TAG, *MACS, "2600:1f14::4", "::ffff:10.0.0.1"),
    f"{LINK}, {VLAN}ethertype IPv6 (0x86dd), fe80::1 > ff02::1:ff00:4: ICMP6, neighbor solicitation": Packet(
        TAG, *MACS, "fe80::1", "ff02::1:ff00:4"
    ),
    f"{LINK}, ethertype 802.1Q-QinQ (0x88a8), length 62: vlan 7, p 0, ethertype 802.1Q (0x8100), vlan 101, p 0,"
    f" {IPV4}": Packet((Tag("802.1ad", 7), *TAG), *MACS, *IPS),
    f"{LINK}, 802.1Q-QinQ, length 62: vlan 7, p 0, 802.1Q, vlan 101, p 0, IPv4, 10.0.32.1.5 > 10.0.0.2.80: tcp": Packet(
        (Tag("802.1ad", 7), *TAG), *MACS, *IPS
    ),
    f"{LINK}, {VLAN}ethertype ARP (0x0806), Request who-has 10.0.0.2 tell 10.0.32.1": Packet(TAG, *MACS, *IPS),
    f"{LINK}, {VLAN}ethertype ARP (0x0806), Ethernet (len 6), IPv4 (len 4), Request who-has 10.0.0.2"
    " (ff:ff:ff:ff:ff:ff) tell 10.0.32.1, length 28": Packet(TAG, *MACS, *IPS),
    f"{LINK}, {VLAN}ethertype ARP (0x0806), Request who-has 10.0.0.2 tell 0.0.0.0, length 28": Packet(
        TAG, *MACS, "", "10.0.0.2"
    ),
    f"{LINK}, {VLAN}ethertype ARP (0x0806), Reply 10.0.32.1 is-at 0a:1b:2c:3d:01:01, length 28": Packet(
        TAG, *MACS, "10.0.32.1"
    ),
    f"{LINK}, {VLAN}ethertype LLDP (0x88cc), LLDP, length 9": Packet(TAG, *MACS),
    f"{LINK}, ethertype IPv4 (0x0800), length 54: 10.0.32.1.5000 > 10.0.0.2.80: Flags [S]": Packet((), *MACS, *IPS),
    "0A:1B:2C:3D:01:01 (oui Unknown) > Broadcast, ethertype IPv4 (0x0800), length 54: x > 10.0.0.2.http: F": Packet(
        (), MACS[0], "ff:ff:ff:ff:ff:ff", "", "10.0.0.2"
    ),
    "eth0  Out ifindex 2 0a:1b:2c:3d:01:01 ethertype 802.1Q (0x8100), length 52: vlan 101, p 0, ethertype IPv4,"
    " 10.0.32.1.1234 > 10.0.0.2.53: domain": Packet(TAG, MACS[0], "", *IPS),
    "Out 0a:1b:2c:3d:01:01 ethertype IPv4 (0x0800), length 56: 10.0.32.1.50 > 10.0.0.2.80: Flags [S]": Packet(
        (), MACS[0], "", *IPS
    ),
    "IP 10.0.32.1.1234 > 10.0.0.2.53: domain": Packet((), "", "", *IPS),
    "IP6 2600:1f14::4.5000 > 2600:1f14::5.80: Flags [S]": Packet((), "", "", "2600:1f14::4", "2600:1f14::5"),
    "ARP, Request who-has 10.0.0.2 tell 10.0.32.1, length 28": Packet((), "", "", *IPS),
    "ifb0  Out ethertype IPv4, IP 10.0.32.1 > 10.0.0.2: ICMP echo request": Packet((), "", "", *IPS),
}  # fmt: skip
"""Lines of tcpdump 4.99.3 behind their time."""

STAMPS = {
    "": (stamps.NONE, ""),
    "03:20:00.000005 ": (stamps.CLOCK, "03:20:00.000005"),
    "03:20:00.000005123 ": (stamps.CLOCK, "03:20:00.000005123"),
    "1764300000.000005 ": (stamps.EPOCH, "1764300000.000005"),
    " 00:00:01.000000 ": (stamps.DISTANCE, " 00:00:01.000000"),
    "2025-11-28 03:20:00.000005 ": (stamps.DATED, "2025-11-28 03:20:00.000005"),
    "    1  03:20:00.000005 ": (stamps.CLOCK, "03:20:00.000005"),
    "123456  2025-11-28 03:20:00.000005 ": (stamps.DATED, "2025-11-28 03:20:00.000005"),
}


@pytest.mark.parametrize("text", PACKETS)
@pytest.mark.parametrize("stamp", STAMPS)
def test_a_packet(text: str, stamp: str) -> None:
    found = read((stamp + text).encode())
    assert found is not None
    assert found.packet == PACKETS[text]
    assert not found.goes_on
    form, shown = STAMPS[stamp]
    assert (found.form, found.stamp.decode()) == (form, shown)
    assert (stamp + text).encode()[found.begin : found.end] == found.stamp


@pytest.mark.parametrize("link", [f"{LINK}, {VLAN}ethertype IPv4 (0x0800), ", "IP "])
def test_a_packet_whose_addresses_are_on_the_next_line(link: str) -> None:
    found = read(f"03:20:00.000005 {link}(tos 0x0, ttl 64, id 1, proto UDP (17), length 28)".encode())
    assert found is not None
    assert found.goes_on
    assert found.packet.source_ip == ""
    assert read_second(b"    10.0.32.1.1234 > 10.0.0.2.53: domain") == Packet(source_ip=IPS[0], target_ip=IPS[1])
    assert read_second(b"\t0x0000:  4500 001c") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "IP is what it speaks > of: x",
        "\t0x0000:  0aaa bbcc dd01 0a1b 2c3d 0101 8100 0065  ........,=.....e",
        "    10.0.32.1.1234 > 10.0.0.2.53: domain",
        "reading from file odd.pcap, link-type EN10MB (Ethernet), snapshot length 262144",
        "03:20:00.000005 something else",
        "14 packets captured",
    ],
)
def test_no_packet(text: str) -> None:
    assert read(text.encode()) is None


@example(b"0a:00:00:00:00:01 > 0a:00:00:00:00:02, ethertype ARP (0x0806), length 60: Reply 10.0.32.01 is-at ")
@example(b"IP 999.0.0.1.80 > 10.0.32.1.5000: Flags [S]")
@given(st.binary(max_size=200) | st.sampled_from(sorted(PACKETS)).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.binary(max_size=8)).map(
        lambda cut: text.encode()[: cut[0]] + cut[1] + text.encode()[cut[0] :])
))  # fmt: skip
def test_any_line_is_a_packet_of_possible_values_or_none(data: bytes) -> None:
    for line in data.split(b"\n"):
        lines = [found for found in (read(b"03:20:00.000005 " + line), read(line)) if found]
        for packet in (*(found.packet for found in lines), read_second(b"    " + line)):
            if packet:
                assert all(0 <= tag.vlan_id <= 4095 for tag in packet.tags), line
                assert all(addresses.ip(ip) == ip for ip in (packet.source_ip, packet.target_ip) if ip), line
