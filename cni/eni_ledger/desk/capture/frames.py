"""Reads the link layer of captured packets: Ethernet, and the two forms that Linux gives for its device `any`.

Sources: IEEE 802.3 and 802.1Q; LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2 of www.tcpdump.org/linktypes; RFC 791, 826
and 8200 for what is inside.
"""

from __future__ import annotations

import socket

from eni_ledger.desk.capture.packet import Packet, Tag

ETHERNET, COOKED, COOKED2 = 1, 113, 276
LINK_TYPES = {ETHERNET: "Ethernet", COOKED: "Linux cooked v1", COOKED2: "Linux cooked v2"}
"""Numbers and names of the link layers that are understood."""

_TAGS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMP6", 132: "SCTP"}
_PORTS = (6, 17, 132)
_TYPE_AT = {ETHERNET: (12, 14), COOKED: (14, 16), COOKED2: (0, 20)}
"""Where the type of what is inside stands, and where the link layer ends."""

_TAGGED_END = 18  # of an Ethernet header with one tag
_MOST_TAGS = 8  # no real frame has more


def read(link_type: int, data: bytes) -> Packet:
    """Return what a captured packet tells, as far as it was captured. `link_type` is one of LINK_TYPES."""
    source = target = ""
    if link_type == ETHERNET:
        source, target = _mac(data[6:12]), _mac(data[:6])
    elif link_type == COOKED:
        source = _mac(data[6:12]) if data[4:6] == b"\0\6" else ""
    else:
        source = _mac(data[12:18]) if data[11:12] == b"\6" else ""
    tags, kind, at = _inside(link_type, data)
    return Packet(tags, source, target, *_addresses(kind, data, at))


def key(link_type: int, data: bytes) -> object:
    """Return what packets have in common of which `read` returns the same.

    Of an Ethernet frame with a single tag and IPv4 inside it is ``data[:18] + data[30:38]``, and of no other packet are
    these bytes a key: who looks them up need not look at the types first.
    """
    place, at = _TYPE_AT[link_type]
    kind = data[place : place + 2]
    if kind == b"\x81\0":
        kind, at = data[at + 2 : at + 4], at + 4
    if kind == b"\x08\0" and len(data) >= at + 20:
        decisive = data[:at] + data[at + 12 : at + 20]
        return decisive if at == _TAGGED_END and link_type == ETHERNET else (at, decisive)
    if kind == b"\x86\xdd" and len(data) >= at + 40:
        return at, data[:at] + data[at + 8 : at + 40]
    return read(link_type, data)


def _inside(link_type: int, data: bytes) -> tuple[tuple[Tag, ...], int, int]:
    """Return the VLAN tags, the type of what is behind them, and where that begins."""
    place, at = _TYPE_AT[link_type]
    kind = int.from_bytes(data[place : place + 2], "big")
    tags: list[Tag] = []
    while kind in _TAGS and len(data) >= at + 4 and len(tags) < _MOST_TAGS:
        tags.append(Tag(_TAGS[kind], int.from_bytes(data[at : at + 2], "big") & 0xFFF))
        kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    return tuple(tags), kind, at


def _addresses(kind: int, data: bytes, at: int) -> tuple[str, str]:
    """Return the source and target address of what begins at byte `at`, empty where there is none."""
    if kind == _IPV4 and len(data) >= at + 20:
        return _ipv4(data[at + 12 : at + 16]), _ipv4(data[at + 16 : at + 20])
    if kind == _IPV6 and len(data) >= at + 40:
        return _ipv6(data[at + 8 : at + 24]), _ipv6(data[at + 24 : at + 40])
    if kind == _ARP and len(data) >= at + 28 and data[at : at + 6] == b"\0\1\x08\0\6\4":
        source, target = _ipv4(data[at + 14 : at + 18]), _ipv4(data[at + 24 : at + 28])
        if data[at + 7] == 2:  # a reply: it says who has the sender's address
            target = ""
        return "" if source == "0.0.0.0" else source, target  # noqa: S104 - a probe, RFC 5227
    return "", ""


def _ipv6(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, data)


def _mac(data: bytes) -> str:
    return data.hex(":") if len(data) == 6 else ""


def _ipv4(data: bytes) -> str:
    return ".".join(map(str, data))


def summary(link_type: int, frame: bytes, packet: Packet, length: int) -> str:
    """Return a packet on a line, as far as addresses and ports go."""
    stations = f"{packet.source_mac or '?'} > {packet.target_mac}" if packet.target_mac else packet.source_mac or "?"
    parts = [stations, *(f"vlan {tag.vlan_id}" for tag in packet.tags)]
    _, kind, at = _inside(link_type, frame)
    protocol, ports = _transport(kind, frame, at)
    if packet.source_ip or packet.target_ip:
        ends = [packet.source_ip or "?", packet.target_ip or "?"]
        ends = [f"{end}.{port}" for end, port in zip(ends, ports, strict=True)] if ports else ends
        parts.append(f"{protocol} {' > '.join(ends)}")
    else:
        parts.append(protocol)
    return ", ".join([*parts, f"length {length}"])


def _transport(kind: int, data: bytes, at: int) -> tuple[str, tuple[int, int] | None]:
    """Return the name of the protocol inside, and its ports where it has any in this packet."""
    if kind == _ARP:
        return "ARP", None
    if kind == _IPV4 and len(data) >= at + 20:
        number, begin = data[at + 9], at + 4 * (data[at] & 15)
        whole = not int.from_bytes(data[at + 6 : at + 8], "big") & 0x1FFF  # a later fragment has no ports
    elif kind == _IPV6 and len(data) >= at + 40:
        number, begin, whole = data[at + 6], at + 40, True
    else:
        return f"type 0x{kind:04x}", None
    name = _PROTOCOLS.get(number, f"IP protocol {number}")
    if number in _PORTS and whole and len(data) >= begin + 4:
        return name, (
            int.from_bytes(data[begin : begin + 2], "big"),
            int.from_bytes(data[begin + 2 : begin + 4], "big"),
        )
    return name, None
