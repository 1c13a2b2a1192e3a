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
        found = list(self.addresses)
        for listed in self.elsewhere.values():
            for address in listed:
                _put(found, address)
        return found


def attachment(prev: dict[str, Any], ifname: str) -> Declared:
    """Return what `prev`, a result of any version, declares of the attachment `ifname`.

    `ip4` and `ip6` up to 0.2.0, `ips` after that. An entry of `ips` on one of the container's other interfaces is
    that one's. All others are the attachment's: also what has no interface, or the host's end of the pair.
    """
    said = Declared()
    interfaces = [one if isinstance(one, dict) else {} for one in _list(prev.get("interfaces"))]
    inside = [index for index, one in enumerate(interfaces) if one.get("sandbox")]
    ours = _ours(interfaces, inside, ifname)
    if ours is not None:
        said.mac = mac_text(interfaces[ours].get("mac"))
        name = _name(interfaces[ours])
        said.ifname = name if name and name != ifname else None
    for entry in _objects([prev.get("ip4"), prev.get("ip6"), *_list(prev.get("ips"))]):
        owner = entry.get("interface")
        address = cidr(entry.get("address", entry.get("ip")))
        other = _name(interfaces[owner]) if type(owner) is int and owner in inside and owner != ours else None
        if other and other != ifname:
            _put(said.elsewhere.setdefault(other, []), address)
            continue
        _put(said.addresses, address)
        _put(said.gateways, ip(entry.get("gateway")))
    if len(inside) < 2:  # a route does not say whose it is
        _add_routes(said, prev)
    return said


def _ours(interfaces: list[dict[str, Any]], inside: list[int], ifname: str) -> int | None:
    """Return the index of the container's interface: the one asked for, else the first that is in a sandbox."""
    named = [index for index in inside if interfaces[index].get("name") == ifname]
    if not inside:  # a result that says of none where it is
        named = [index for index, one in enumerate(interfaces) if one.get("name") == ifname]
    return next(iter(named or inside), None)


def _name(interface: dict[str, Any]) -> str | None:
    name = interface.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= _NAME_MAX else None


def _add_routes(said: Declared, prev: dict[str, Any]) -> None:
    """Add the gateways of default routes; one without a gateway goes to that of an address of its family."""
    of_old = [_list(old.get("routes")) for old in (prev.get("ip4"), prev.get("ip6")) if isinstance(old, dict)]
    for route in _objects([*_list(prev.get("routes")), *(route for routes in of_old for route in routes)]):
        if route.get("dst") in _DEFAULT:
            gateway = ip(route.get("gw"))
            _put(said.gateways, gateway)
            family = ":" in route["dst"]
            for each in [gateway] if gateway else [one for one in said.gateways if (":" in one) == family]:
                _put(said.default, each)


def mac(prev: object, ifname: str) -> str | None:
    """Return the MAC that a result declares for the container's interface, lower case with colons."""
    return attachment(prev, ifname).mac if isinstance(prev, dict) else None


def result_mismatches(said: Declared, seen: dict[str, Any], mac_key: str) -> list[str]:
    """Return which of `ifname`, `mac_key`, `addresses` and `gateways` the kernel shows otherwise than declared.

    What the kernel has beyond what was declared (IPv6 by router advertisement) is no difference, and what could not be
    looked at is none either. A gateway is only one where a default route to it was declared.
    """
    found = ["ifname"] if said.ifname else []
    if "addresses" not in seen:  # the namespace could not be entered
        return found
    if said.mac and said.mac != seen.get("observed_mac"):
        found.append(mac_key)
    there = seen.get("elsewhere", {})
    lacking = any(not set(listed) <= set(there.get(name, ())) for name, listed in said.elsewhere.items())
    if lacking or not set(said.addresses) <= set(seen["addresses"]):
        found.append("addresses")
    if "gateways" in seen and not set(said.default) <= set(seen["gateways"]):
        found.append("gateways")
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _put(to: list[str], value: str | None) -> None:
    if value is not None and value not in to and len(to) < _ADDRESSES_MAX:
        to.append(value)
