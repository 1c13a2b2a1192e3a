"""EC2's NetworkInterfaces, made of the ledger's associations: those of branches. What is not known is absent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eni_ledger.desk.ec2.associations import Resource, addresses, branches_with, tag_list, tags
from eni_ledger.desk.ec2.filters import predicate, text_values
from eni_ledger.render.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

OPERATION = "DescribeNetworkInterfaces"
RESULT = "NetworkInterfaces"
LARGEST = 1000
"""MaxResults, by the service model."""


def _ipv4(association: Fields) -> list[str]:
    return [address for address in addresses(association) if ":" not in address]


def item_of(association: Fields) -> dict[str, Any]:
    """Return the NetworkInterface; its status is `in-use` while a task has it, as far as the ledger knows."""
    ipv4, ipv6 = _ipv4(association), [address for address in addresses(association) if ":" in address]
    item = {
        "InterfaceType": "branch",
        "Ipv6Addresses": [{"Ipv6Address": address} for address in ipv6] or None,
        "MacAddress": _text(association.get("branch_mac")),
        "NetworkInterfaceId": _text(association.get("eni_id")),
        "PrivateDnsName": _text(association.get("private_dns_name")),
        "PrivateIpAddress": ipv4[0] if ipv4 else None,
        "PrivateIpAddresses": [
            {"Primary": number == 0, "PrivateIpAddress": address} for number, address in enumerate(ipv4)
        ],
        "Status": "in-use",
        "TagSet": tag_list(association),
    }
    return {key: value for key, value in item.items() if value is not None}


def _text(value: object) -> str | None:
    return None if value is None else safe(value)


INTERFACE = Resource("eni_id", "networkInterface", "InvalidNetworkInterfaceID.NotFound")
FIELDS: dict[str, Callable[[Fields], Sequence[str]]] = {
    "network-interface-id": text_values("eni_id"),
    "mac-address": text_values("branch_mac"),
    "addresses.private-ip-address": _ipv4,
}


def choose(
    associations: Sequence[Fields],
    interface_ids: Sequence[str] = (),
    filters: Sequence[tuple[str, Sequence[str]]] = (),
) -> list[Fields]:
    """Return those of branches that have one of `interface_ids` (any, without one) and for which `filters` hold.

    Raises Refused for an ID that none of them has, and for filters as `predicate` does.
    """
    return branches_with(associations, INTERFACE, interface_ids, predicate(filters, FIELDS, tags))
