from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.desk.capture import frames
from eni_ledger.desk.capture.frames import COOKED, COOKED2, ETHERNET, summary
from eni_ledger.desk.capture.packet import Packet, Tag
from helpers.packets import ROUTER, frame, mac

TAG = (Tag("802.1Q", 101),)
ONE = frame(mac(1), ROUTER)


def cooked(data: bytes) -> bytes:
    return struct.pack(">HHH", 4, 1, 6) + data[6:12] + b"\0\0" + data[12:]


def cooked2(data: bytes) -> bytes:
    return data[12:14] + b"\0\0" + struct.pack(">IHBB", 2, 1, 4, 6) + data[6:12] + b"\0\0" + data[14:]


def arp(operation: int) -> bytes:
    body = struct.pack(">HHBBH", 1, 0x800, 6, 4, operation) + bytes(6) + socket.inet_aton("10.0.32.1")
    return ONE[:16] + b"\x08\x06" + body + bytes(6) + socket.inet_aton("10.0.32.9")


def test_each_link_layer() -> None:
    whole = Packet(TAG, mac(1), ROUTER, "10.0.32.1", "10.0.0.2")
    assert frames.read(ETHERNET, ONE) == whole
    assert frames.read(COOKED, cooked(ONE)) == whole._replace(target_mac="")
    assert frames.read(COOKED2, cooked2(ONE)) == whole._replace(target_mac="")


def test_two_tags() -> None:
    data = ONE[:12] + b"\x88\xa8\0\7" + ONE[12:]
    assert frames.read(ETHERNET, data).tags == (Tag("802.1ad", 7), *TAG)


def test_priority_is_no_part_of_the_vlan_id() -> None:
    assert frames.read(ETHERNET, ONE[:14] + b"\xf0\x65" + ONE[16:]).tags == TAG


def test_ipv6() -> None:
    header = (
        struct.pack(">IHBB", 6 << 28, 0, 59, 64) + socket.inet_pton(10, "fe80::1") + socket.inet_pton(10, "ff02::1")
    )
    found = frames.read(ETHERNET, ONE[:16] + b"\x86\xdd" + header)
    assert (found.source_ip, found.target_ip) == ("fe80::1", "ff02::1")


def test_arp() -> None:
    assert frames.read(ETHERNET, arp(1))[3:] == ("10.0.32.1", "10.0.32.9")
    assert frames.read(ETHERNET, arp(2))[3:] == ("10.0.32.1", "")


@pytest.mark.parametrize("length", range(len(ONE)))
def test_a_packet_that_was_captured_in_part(length: int) -> None:
    found = frames.read(ETHERNET, ONE[:length])
    assert found.tags == (TAG if length >= 18 else ())
    assert found.source_ip == ("10.0.32.1" if length >= 38 else "")
    assert summary(ETHERNET, ONE[:length], found, len(ONE))


def test_summary() -> None:
    packet = frames.read(ETHERNET, ONE)
    text = f"{mac(1)} > {ROUTER}, vlan 101, TCP 10.0.32.1.5000 > 10.0.0.2.80, length 58"
    assert summary(ETHERNET, ONE, packet, 58) == text


@given(st.sampled_from([ETHERNET, COOKED, COOKED2]), st.binary(max_size=120))
def test_any_bytes(link_type: int, data: bytes) -> None:
    assert summary(link_type, data, frames.read(link_type, data), len(data)).isprintable()


def ipv6(data: bytes, source: str = "2600:1f14::1") -> bytes:
    addresses = socket.inet_pton(10, source) + socket.inet_pton(10, "2600:1f14::5")
    return data[:16] + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, 4, 6, 64) + addresses + data[38:]


ALIKE = [
    ONE,
    frame(mac(1), ROUTER, None),
    frame(mac(1), ROUTER, None, "8.1.0.69"),
    frame(mac(2), ROUTER, 101),
    frame(mac(1), ROUTER, 102),
    frame(mac(1), ROUTER, 101, "10.0.32.2"),
    ONE[:12] + b"\x88\xa8\0\7" + ONE[12:],
    ONE[:12] + b"\x81\0\0\7" + ONE[12:],
    ipv6(ONE),
    ipv6(ONE, "2600:1f14::2"),
    arp(1),
    arp(2),
]


@pytest.mark.parametrize(("link_type", "make"), [(ETHERNET, bytes), (COOKED, cooked), (COOKED2, cooked2)])
def test_packets_with_the_same_key_are_read_alike(link_type: int, make: Callable[[bytes], bytes]) -> None:
    read: dict[object, Packet] = {}
    for data in map(make, ALIKE):
        for end in range(len(data) + 1):
            found = frames.read(link_type, data[:end])
            assert read.setdefault(frames.key(link_type, data[:end]), found) == found
    assert frames.key(link_type, make(ONE)) == frames.key(link_type, make(ONE[:-4] + b"port"))


def test_the_key_of_a_tagged_packet_is_no_other_ones() -> None:
    keys = [(frames.key(ETHERNET, data[:end]), data[:end]) for data in ALIKE for end in range(len(data) + 1)]
    known = {key: frames.read(ETHERNET, data) for key, data in keys if isinstance(key, bytes)}
    assert known
    for _, data in keys:
        assert known.get(data[:18] + data[30:38], frames.read(ETHERNET, data)) == frames.read(ETHERNET, data)
