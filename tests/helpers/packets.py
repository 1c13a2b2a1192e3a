"""Packets of a trunk, and pcap files of them."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUTER = "0a:ff:00:00:00:fe"


def mac(number: int) -> str:
    """Return the MAC address of a task."""
    return f"0a:00:00:00:00:{number:02x}"


def frame(
    source: str, target: str, vlan: int | None = 101, source_ip: str = "10.0.32.1", target_ip: str = "10.0.0.2"
) -> bytes:
    """Return a TCP packet in an Ethernet frame, with a tag unless `vlan` is None."""
    tcp = struct.pack(">HHIIBBHHH", 5000, 80, 1, 0, 0x50, 2, 500, 0, 0)
    addresses = socket.inet_aton(source_ip) + socket.inet_aton(target_ip)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses
    tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
    link = bytes.fromhex((target + source).replace(":", "")) + tag
    return link + b"\x08\0" + header + tcp


def pcap(packets: Iterable[tuple[int, bytes]], order: str = "<", per_second: int = 10**6) -> bytes:
    """Return a pcap file of packets, each with its time in microseconds since 1970."""
    magic, scale = {10**6: 0xA1B2C3D4, 10**9: 0xA1B23C4D}[per_second], per_second // 10**6
    data = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)]
    for at, captured in packets:
        head = at // 10**6, at % 10**6 * scale, len(captured), len(captured)
        data += [struct.pack(f"{order}IIII", *head), captured]
    return b"".join(data)
