"""What a CNI result declares about one attachment, and how that compares with what the kernel shows.

Results come from other people's plugins. Nothing here raises on a malformed one: what cannot be understood is
left out, and the kernel's word stands in for it.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEX = frozenset("0123456789abcdef")
# An ENI has at most 50 addresses of each family; this only keeps a strange result from filling the ledger.
_ADDRESSES_MAX = 256


def attachment(prev: dict[str, Any], ifname: str) -> dict[str, Any]:
    """Return `branch_mac` (None without one), `addresses` with prefix length, `gateways` of an interface.

    `prev` is a result of any version: `ip4` and `ip6` up to 0.2.0, `ips` after that. An entry of `ips`
    belongs to the interface that its index names, or to the only one there is when it has none.
    """
    found: dict[str, list[str]] = {"addresses": [], "gateways": []}
    entries, alone = _entries(prev, ifname)
    for entry in entries:
        _put(found["addresses"], cidr(entry.get("address", entry.get("ip"))))
        _put(found["gateways"], ip(entry.get("gateway")))
    for route in _objects(prev.get("routes")) if alone else []:  # a route does not say whose it is
        if route.get("dst") in ("0.0.0.0/0", "::/0"):
            _put(found["gateways"], ip(route.get("gw")))
    return {"branch_mac": mac(prev, ifname), **found}


def mac(prev: dict[str, Any], ifname: str) -> str | None:
    """Return the MAC that a result declares for the container's interface, lower case with colons."""
    for entry in _objects(prev.get("interfaces")):
        if entry.get("name") == ifname and entry.get("sandbox"):
            return mac_text(entry.get("mac"))
    return None


def differences(said: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Return which of `branch_mac` and `addresses` the kernel shows otherwise than declared.

    Addresses that the kernel has beyond those declared (IPv6 by router advertisement) are no difference.
    """
    found = []
    if said["branch_mac"] and said["branch_mac"] != seen.get("observed_mac"):
        found.append("branch_mac")
    if not set(said["addresses"]) <= set(seen.get("addresses", ())):
        found.append("addresses")
    return found


def cidr(value: object) -> str | None:
    """Return an address with prefix length in its canonical form, None for what is none."""
    if not isinstance(value, str):
        return None
    address, slash, prefix = value.partition("/")
    canonical = ip(address)
    if canonical is None or not slash or not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= 3):
        return None
    return f"{canonical}/{int(prefix)}" if int(prefix) <= (128 if ":" in canonical else 32) else None


def ip(value: object) -> str | None:
    """Return an IP address in its canonical form, None for what is none."""
    if isinstance(value, str) and value.isascii():
        for family in (_socket.AF_INET, _socket.AF_INET6):
            try:
                return _socket.inet_ntop(family, _socket.inet_pton(family, value))
            except (OSError, ValueError):
                continue
    return None


def mac_text(value: object) -> str | None:
    """Return a MAC in the kernel's form, `0a:1b:...` in lower case, None for what is none."""
    if not isinstance(value, str):
        return None
    octets = value.lower().replace("-", ":").split(":")
    fine = len(octets) == 6 and all(len(octet) == 2 and _HEX.issuperset(octet) for octet in octets)
    return ":".join(octets) if fine else None


def eni_id(value: object) -> str | None:
    """Return an ENI ID (`eni-` and 8 or 17 hex digits), None for what is none."""
    if isinstance(value, str) and value.startswith("eni-") and len(value) in (12, 21) and _HEX.issuperset(value[4:]):
        return value
    return None


def _entries(prev: dict[str, Any], ifname: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the IP configurations of the interface, and whether they could belong to no other."""
    ours, inside = set(), 0
    for index, interface in enumerate(_list(prev.get("interfaces"))):
        if isinstance(interface, dict) and interface.get("sandbox"):
            inside += 1
            if interface.get("name") == ifname:
                ours.add(index)
    alone = inside == 0 or (inside == 1 and bool(ours))
    found = [entry for entry in (prev.get("ip4"), prev.get("ip6")) if isinstance(entry, dict)]
    for entry in _objects(prev.get("ips")):
        owner = entry.get("interface")
        if alone if owner is None else type(owner) is int and owner in ours:
            found.append(entry)
    return found, alone


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _put(to: list[str], value: str | None) -> None:
    if value is not None and value not in to and len(to) < _ADDRESSES_MAX:
        to.append(value)
