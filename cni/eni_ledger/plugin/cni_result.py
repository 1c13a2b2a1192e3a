"""What a CNI result declares about one attachment, and how that compares with what the kernel shows.

Results come from other people's plugins. Nothing here raises on a malformed one: what cannot be understood is
left out, and the kernel's word stands in for it.
"""

from __future__ import annotations

from eni_ledger.base.addresses import cidr, ip, mac_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# An ENI has at most 50 addresses of each family; this only keeps a strange result from filling the ledger.
_ADDRESSES_MAX = 256
_NAME_MAX = 255
_DEFAULT = ("0.0.0.0/0", "::/0")


class Declared:
    """What a result declares of one attachment.

    `mac` of the container's interface, None without one; `ifname`, its name, where that is not the one that was asked
    for, else None. `addresses` with prefix length, all but those `elsewhere`: on the container's other interfaces, by
    their names. `gateways`; `default`, those that a default route was declared to go to.
    """

    def __init__(self) -> None:
        self.mac: str | None = None
        self.ifname: str | None = None
        self.addresses: list[str] = []
        self.elsewhere: dict[str, list[str]] = {}
        self.gateways: list[str] = []
        self.default: list[str] = []

    def all_addresses(self) -> list[str]:
        """Return the addresses, those elsewhere last."""
        addresses = list(self.addresses)
        for listed in self.elsewhere.values():
            for address in listed:
                _put(addresses, address)
        return addresses


def attachment(prev: dict[str, Any], ifname: str) -> Declared:
    """Return what `prev`, a result of any version, declares of the attachment `ifname`.

    `ip4` and `ip6` up to 0.2.0, `ips` after that. An entry of `ips` on one of the container's other interfaces is
    that one's. All others are the attachment's: also what has no interface, or the host's end of the pair.
    """
    declared = Declared()
    interfaces = [entry if isinstance(entry, dict) else {} for entry in _list(prev.get("interfaces"))]
    inside = [index for index, entry in enumerate(interfaces) if entry.get("sandbox")]
    ours = _ours(interfaces, inside, ifname)
    if ours is not None:
        declared.mac = mac_text(interfaces[ours].get("mac"))
        name = _name(interfaces[ours])
        declared.ifname = name if name and name != ifname else None
    for entry in _objects([prev.get("ip4"), prev.get("ip6"), *_list(prev.get("ips"))]):
        owner = entry.get("interface")
        address = cidr(entry.get("address", entry.get("ip")))
        other = _name(interfaces[owner]) if type(owner) is int and owner in inside and owner != ours else None
        if other and other != ifname:
            _put(declared.elsewhere.setdefault(other, []), address)
            continue
        _put(declared.addresses, address)
        _put(declared.gateways, ip(entry.get("gateway")))
    if len(inside) < 2:  # a route does not say whose it is
        _add_routes(declared, prev)
    return declared


def _ours(interfaces: list[dict[str, Any]], inside: list[int], ifname: str) -> int | None:
    """Return the index of the container's interface: the one asked for, else the first that is in a sandbox."""
    named = [index for index in inside if interfaces[index].get("name") == ifname]
    if not inside:  # a result without any sandbox
        named = [index for index, entry in enumerate(interfaces) if entry.get("name") == ifname]
    return next(iter(named or inside), None)


def _name(interface: dict[str, Any]) -> str | None:
    name = interface.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= _NAME_MAX else None


def _add_routes(declared: Declared, prev: dict[str, Any]) -> None:
    """Add the gateways of default routes; one without a gateway goes to that of an address of its family."""
    of_old = [_list(old.get("routes")) for old in (prev.get("ip4"), prev.get("ip6")) if isinstance(old, dict)]
    for route in _objects([*_list(prev.get("routes")), *(route for routes in of_old for route in routes)]):
        if route.get("dst") in _DEFAULT:
            gateway = ip(route.get("gw"))
            _put(declared.gateways, gateway)
            family = ":" in route["dst"]
            for each in [gateway] if gateway else [known for known in declared.gateways if (":" in known) == family]:
                _put(declared.default, each)


def mac(prev: object, ifname: str) -> str | None:
    """Return the MAC that a result declares for the container's interface, lower case with colons."""
    return attachment(prev, ifname).mac if isinstance(prev, dict) else None


def result_mismatches(declared: Declared, seen: dict[str, Any], mac_key: str) -> list[str]:
    """Return which of `ifname`, `mac_key`, `addresses` and `gateways` the kernel shows otherwise than declared.

    What the kernel has beyond what was declared (IPv6 by router advertisement) is no difference, and what could not be
    looked at is none either. A gateway is only one where a default route to it was declared.
    """
    different = ["ifname"] if declared.ifname else []
    if "addresses" not in seen:  # the namespace could not be entered
        return different
    if declared.mac and declared.mac != seen.get("observed_mac"):
        different.append(mac_key)
    there = seen.get("elsewhere", {})
    lacking = any(not set(listed) <= set(there.get(name, ())) for name, listed in declared.elsewhere.items())
    if lacking or not set(declared.addresses) <= set(seen["addresses"]):
        different.append("addresses")
    if "gateways" in seen and not set(declared.default) <= set(seen["gateways"]):
        different.append("gateways")
    return different


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _put(to: list[str], value: str | None) -> None:
    if value is not None and value not in to and len(to) < _ADDRESSES_MAX:
        to.append(value)
