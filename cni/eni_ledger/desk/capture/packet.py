"""What of a packet says whose it is: VLAN tags, MAC addresses, IP addresses."""

from __future__ import annotations

from typing import NamedTuple

MULTICAST_BIT = "13579bdf"
"""Second digits of MAC addresses that are no station's: multicast and broadcast (IEEE 802, the I/G bit)."""


class Tag(NamedTuple):
    """A VLAN tag; `protocol` is ``802.1Q`` or ``802.1ad``, as in `vlan_protocol` of the ledger."""

    protocol: str
    vlan_id: int


class Packet(NamedTuple):
    """The part of a packet that is looked up. Texts are in lower case, IPv6 as of inet_ntop(3); empty: not known.

    `tags` stand outermost first.
    """

    tags: tuple[Tag, ...] = ()
    source_mac: str = ""
    target_mac: str = ""
    source_ip: str = ""
    target_ip: str = ""

    @property
    def to_many(self) -> bool:
        """Whether it goes to a multicast or broadcast MAC address."""
        return self.target_mac[1:2] in MULTICAST_BIT if self.target_mac else False

    def __bool__(self) -> bool:
        """Whether there is anything to look up."""
        return any(self)
