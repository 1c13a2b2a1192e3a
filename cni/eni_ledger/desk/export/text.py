"""Export as CSV, as JSON lines, and in the shape of EKS's annotation `vpc.amazonaws.com/pod-eni`."""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterable, Sequence
from typing import IO, Any

from eni_ledger.ledger.format.schema import Association
from eni_ledger.render.screen import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields


def to_csv(rows: Iterable[Fields], file: IO[str]) -> None:
    """Write one line for each association under a header of all keys: RFC 4180, lines end in CR LF.

    A list of texts has a space between them, containers are JSON; nothing stands for what is not known.
    """
    writer = csv.writer(file)
    writer.writerow(Association.model_fields)
    writer.writerows([_cell(row.get(key)) for key in Association.model_fields] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return one_line(value) if isinstance(value, list | dict) else value


def to_jsonl(rows: Iterable[Fields], file: IO[str]) -> None:
    """Write one JSON object a line, with the keys of the ledger; absent ones are not known."""
    for row in rows:
        file.write(one_line(row) + "\n")


def to_pod_eni(rows: Iterable[Fields], file: IO[str]) -> None:
    """Write one JSON array with an object for each branch, with the keys of the annotation.

    The keys are those of amazon-vpc-resource-controller-k8s, pkg/provider/branch/trunk: eniId, ifAddress, privateIp,
    ipv6Addr, vlanId, subnetCidr, subnetV6Cidr, associationID. Those that are not known are left out.
    """
    branches = (row for row in rows if row.get("vlan_id") is not None and row.get("branch_mac"))
    file.write("[" + ",\n".join(one_line(_pod_eni(row)) for row in branches) + "]\n")


def _pod_eni(row: Fields) -> dict[str, Any]:
    v4, v6 = (_first(row.get("addresses") or (), version) for version in (4, 6))
    made = {
        "eniId": row.get("eni_id"),
        "ifAddress": row.get("branch_mac"),
        "privateIp": str(v4.ip) if v4 else None,
        "ipv6Addr": str(v6.ip) if v6 else None,
        "vlanId": row.get("vlan_id"),
        "subnetCidr": _subnet(v4),
        "subnetV6Cidr": _subnet(v6),
        "associationID": row.get("association_id"),
    }
    return {key: value for key, value in made.items() if value is not None}


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _first(addresses: Sequence[str], version: int) -> Interface | None:
    """Return the first address of that IP version, None without one."""
    for text in addresses:
        try:
            address = ipaddress.ip_interface(text)
        except ValueError:
            continue
        if address.version == version:
            return address
    return None


def _subnet(address: Interface | None) -> str | None:
    """Return the subnet of an address; None for one without a prefix length."""
    return str(address.network) if address and address.network.prefixlen < address.max_prefixlen else None
