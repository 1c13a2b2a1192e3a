"""Reads the lines that tcpdump prints (4.99; tcpdump(1), "OUTPUT FORMAT")::

    TIME MAC > MAC, ethertype 802.1Q (0x8100), length 70: vlan 101, p 0, ethertype IPv4 (0x0800), A.port > B.port: ...
    TIME MAC > MAC, 802.1Q, length 70: vlan 101, p 0, IPv4, A.port > B.port: ...                  -q
    TIME MAC > MAC, ethertype 802.1Q (0x8100), length 46: vlan 101, p 0, DEI, ethertype ARP (0x0806), Request ...
    TIME MAC > MAC, ethertype 802.1Q-QinQ (0x88a8), length 62: vlan 7, p 0, ethertype 802.1Q (0x8100), vlan 101, ...
    TIME eth0  In  ifindex 2 MAC ethertype 802.1Q (0x8100), length 52: vlan 101, ...              -i any
    TIME IP A.port > B.port: ...                                                                  without -e

With -v what follows the link layer of IPv4 is ``(tos ...)``, and the addresses are on a line of their own behind four
spaces. Without -n a MAC address can have its vendor behind it, and names in place of addresses, which are not looked
up.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from eni_ledger.base.addresses import ip
from eni_ledger.desk.capture import stamps
from eni_ledger.desk.capture.packet import Packet, Tag

_LINE = re.compile(rb"(?P<number> *\d+  )?(?:" + stamps.STAMP + rb")?(?=\S)")
_MAC = rb"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}"
_STATION = rb"(" + _MAC + rb"|[A-Za-z][\w.-]*)(?: \(oui [^)]*\))?"  # a name: Broadcast, or one of /etc/ethers
_TYPE = rb"(?:ethertype )?([\w.-]+)(?: \(0x([0-9a-f]{4})\))?"
_ETHERNET = re.compile(_STATION + rb" > " + _STATION + rb", " + _TYPE + rb", length \d+: ")
_COOKED = re.compile(
    rb"(?:\S+ +)?(?P<way>In|Out|B|M|P) +(?:ifindex \d+ )?(?P<mac>" + _MAC + rb")(?: \(oui [^)]*\))? " + _TYPE + rb","
    rb" length \d+: "
)
_NO_LINK = re.compile(rb"(?:\S+ +(?:In|Out|B|M|P) +)?(?:ethertype [\w.-]+, )?(?=(?:IP6?|ARP)(?:,| ))")
_VLAN = re.compile(rb"vlan (\d{1,4}), p [0-7], (?:DEI, )?" + _TYPE + rb", ")
_IP = re.compile(rb"(?:(?:IP6? )?(?:\((?:[^()]|\([^()]*\))*\) )?)?([0-9a-fA-F:.]+|\S+) > ([0-9a-fA-F:.]+|\S+): ")
_SECOND_LINE = re.compile(rb"    (\S+) > (\S+): ")
_ARP = re.compile(
    rb"(?:ARP, )?(?:Ethernet \(len 6\), IPv4 \(len 4\), )?(?:Request who-has (?P<target>[\d.]+)(?: \([^)]*\))? tell"
    rb" (?P<source>[\d.]+)|Reply (?P<owner>[\d.]+) is-at )"
)
_IPV4 = re.compile(rb"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:\.[\w-]+)?")
_PROTOCOLS = {b"8100": "802.1Q", b"88a8": "802.1ad", b"802.1Q": "802.1Q", b"802.1Q-QinQ": "802.1ad"}


class Line(NamedTuple):
    """One line that tells of a packet. `stamp` is its time stamp, of the form `form`, from byte `begin` to `end`.

    With `goes_on` the addresses are on the next line.
    """

    form: str
    stamp: bytes
    begin: int
    end: int
    packet: Packet
    goes_on: bool


def read(line: bytes) -> Line | None:
    """Return what a line, without its end, tells of a packet; None for one that is no packet's first line."""
    head = _LINE.match(line)
    if head is None:
        return None
    form = head.lastgroup if head.lastgroup not in (None, "number") else stamps.NONE
    stamp = head[form] if form != stamps.NONE else b""
    begin = head.start(form) if form != stamps.NONE else head.end()
    packet, goes_on = _packet(line, head.end())
    if packet is None:
        return None
    # Of a stamp the space behind it is left, of a line without one nothing: what follows is alike for alike packets.
    return Line(form or stamps.NONE, stamp, begin, begin + len(stamp), packet, goes_on)


def read_second(line: bytes) -> Packet | None:
    """Return the addresses of the line that follows one that `goes_on`, None for any other line."""
    match = _SECOND_LINE.match(line)
    if match is None:
        return None
    return Packet(source_ip=_address(match[1]), target_ip=_address(match[2]))


def _packet(line: bytes, at: int) -> tuple[Packet | None, bool]:
    """Return the packet whose link layer begins at byte `at`, and whether it goes on in the next line."""
    source = target = b""
    if match := _ETHERNET.match(line, at):
        source, target, kind, number = match.groups()
    elif match := _COOKED.match(line, at):
        source, kind, number = match["mac"], match[3], match[4]
    elif match := _NO_LINK.match(line, at):
        goes_on = line.startswith(b"IP (tos ", match.end())
        found = Packet((), "", "", *_addresses(line, match.end(), None))
        return (found, goes_on) if found or goes_on else (None, False)
    else:
        return None, False
    at = match.end()
    tags = []
    while (protocol := _PROTOCOLS.get(number or kind)) and (match := _VLAN.match(line, at)):
        tags.append(Tag(protocol, int(match[1])))
        kind, number, at = match[2], match[3], match.end()
    found = Packet(tuple(tags), _station(source), _station(target), *_addresses(line, at, kind))
    return found, kind == b"IPv4" and line.startswith(b"(tos ", at)


def _addresses(line: bytes, at: int, kind: bytes | None) -> tuple[str, str]:
    """Return the source and target address of what begins at byte `at`, empty where there is none."""
    if kind == b"ARP" or (kind is None and line.startswith(b"ARP", at)):
        match = _ARP.match(line, at)
        if match is None:
            return "", ""
        if match["owner"]:
            return _address(match["owner"]), ""
        source = _address(match["source"])
        return "" if source == "0.0.0.0" else source, _address(match["target"])  # noqa: S104 - a probe, RFC 5227
    if kind not in (b"IPv4", b"IPv6", None):
        return "", ""
    match = _IP.match(line, at)
    return (_address(match[1]), _address(match[2])) if match else ("", "")


def _station(text: bytes) -> str:
    if text == b"Broadcast":
        return "ff:ff:ff:ff:ff:ff"
    return text.decode().lower() if text.count(b":") == 5 else ""


def _address(text: bytes) -> str:
    """Return an address without its port, empty for a name."""
    if match := _IPV4.fullmatch(text):
        return ip(match[1].decode()) or ""
    if b":" not in text:
        return ""
    # The port is behind a dot; so is the last part of ::ffff:10.0.0.1, which then has three.
    address, dot, _ = text.rpartition(b".")
    return ip((address if dot and address.count(b".") != 2 else text).decode(errors="replace")) or ""
