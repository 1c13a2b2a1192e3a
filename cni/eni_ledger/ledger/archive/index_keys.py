"""What an event can be found by, as the keys of an index (`index`): numbers of 64 bits.

Of names, which are also looked for by their beginning, the first eight bytes; of everything else its CRC-32, which as a
number is below all names. An `identify` has a second key for each, since it is looked for apart: it may be far from the
add.
"""

from __future__ import annotations

from binascii import crc32

_HEX = frozenset("0123456789abcdef")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eni_ledger.base.events import Fields

    Range = tuple[int, int]


ADDRESSES = ("addresses", "observed_addresses")
MACS = ("branch_mac", "observed_mac", "declared_mac", "trunk_mac")
ENIS = ("eni_id", "trunk_eni_id")
VLANS = ("vlan_id", "observed_vlan_id")
NUMBERS = (*VLANS, "netns_inode", "pid")
OWNERS = ("task_family", "service", "cluster", "trunk_ifname", "instance_id")
"""Fields in which things of one kind stand, the one first by which an association is told."""

_BARE = 12
"""Hex digits from which on what follows a `-` is a container's ID behind the name of its namespace."""


def exact(kind: str, value: object) -> Range:
    """Return the range with the one key of a value that is looked for as a whole; `kind` tells equal ones apart."""
    key = crc32(f"{kind}:{value}".encode("utf-8", "replace"))
    return key, key


def name(text: str) -> Range:
    """Return the range of the keys of all names that begin with `text`."""
    start = text.encode("utf-8", "replace")[:8]
    return int.from_bytes(start.ljust(8, b"\0"), "big"), int.from_bytes(start.ljust(8, b"\xff"), "big")


def whole_name(text: str) -> Range:
    """Return the range with the key of one whole name, which other names may have, too: it is of eight bytes."""
    key, _ = name(text)
    return key, key


def association(association_id: str) -> Range:
    """Return the range of the keys of associations whose ID begins with this."""
    return name(association_id.removeprefix("assoc-"))


def address(text: str) -> Range:
    """Return the range with the key of an IP address, however it is written."""
    plain = text.partition("/")[0]
    if ":" in plain:  # IPv4 has one way to be written
        import ipaddress  # takes its time, and IPv6 is rare

        try:
            plain = str(ipaddress.ip_interface(text).ip)
        except ValueError:
            pass
    return exact("ip", plain)


def netns_path(path: str) -> str:
    """Return a path of a namespace as it is compared: /var/run is /run.

    What the ECS agent's container has of the host below /host is there without it.
    """
    if path.startswith(("/host/proc/", "/host/run/", "/host/var/run/")):
        path = path[len("/host") :]
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def mac(value: object) -> str:
    """Return a MAC as it is compared, empty for none."""
    return str(value).lower().replace("-", ":") if value else ""


def bare_names(container_id: str) -> set[str]:
    """Return what may be the container's own name or ID in `<namespace>-<ID>`: what nerdctl, ctr tell a CNI plugin.

    The name of a namespace may have a `-` in it, and so may that of a container; nothing for an ID without one.
    """
    _, dash, behind_first = container_id.partition("-")
    return {behind_first, container_id.rpartition("-")[2]} - {""} if dash else set()


def bare_id(text: str) -> str:
    """Return the ID of `<namespace>-<ID>` when it is one of a runtime's (12 hex digits or more); else all of `text`."""
    behind = text.rpartition("-")[2]
    return behind if len(behind) >= _BARE and _HEX.issuperset(behind) else text


def of_fields(event: Fields) -> Iterator[int]:
    """Yield the keys of all that an event tells of an association, less its ID.

    What an association has is in its add, and in an identify. What else there is about it is found by its ID, and so is
    an add by the IDs of those that it superseded.
    """
    for each in {mac(event.get(field)) for field in MACS} - {""}:
        yield exact("mac", each)[0]
    for field in ENIS:
        if event.get(field):
            yield exact("eni", event[field])[0]
    for number in {str(event[field]) for field in NUMBERS if event.get(field) is not None}:
        yield exact("number", number)[0]
    if event.get("netns"):
        yield exact("path", netns_path(str(event["netns"])))[0]
    if event.get("task_arn"):
        yield name(task_id(str(event["task_arn"])))[0]
    if event.get("container_id"):
        container = str(event["container_id"])
        for each in (container, *bare_names(container)):
            yield name(each)[0]
    yield from _of_containers(event)
    for field in ADDRESSES:
        for text in event.get(field) or ():
            yield address(str(text))[0]


def _of_containers(event: Fields) -> Iterator[int]:
    """Yield the keys of the names of a task's containers, of their hostname, and of their IDs."""
    containers = event.get("containers")
    each = [one for one in containers if isinstance(one, dict)] if isinstance(containers, list) else []
    for container in each:
        yield name(str(container.get("id") or ""))[0]
    names = [event.get("pause_name"), *(one.get(key) for one in each for key in ("name", "docker_name"))]
    for text in {str(text) for text in names if text}:
        yield exact("container", text)[0]
    if event.get("private_dns_name"):
        yield exact("host", str(event["private_dns_name"]).partition(".")[0])[0]


def of_owners(event: Fields) -> Iterator[int]:
    """Yield the keys of the names that many associations share: of family, service, cluster, trunk and instance.

    An index of version 3 does not have them.
    """
    for field in OWNERS:
        if event.get(field):
            yield name(str(event[field]))[0]


def task_id(arn: str) -> str:
    """Return the ID at the end of a task's ARN."""
    return arn.rpartition("/")[2]


def ranges_of(association: Fields) -> Iterator[Range]:
    """Yield the ranges that find whatever has the MAC, the VLAN ID or the container of an association."""
    if association.get("branch_mac"):
        yield exact("mac", mac(association["branch_mac"]))
    if association.get("vlan_id") is not None:
        yield exact("number", association["vlan_id"])
    if association.get("container_id"):
        yield name(str(association["container_id"]))


def identified(ranges: Iterable[Range]) -> Iterator[Range]:
    """Yield the ranges that find no more than the `identify` events with what `ranges` would find."""
    for low, _ in ranges:
        yield exact("identify", low)
