"""Which live associations an add supersedes, and which one a del ends: the writer's rules.

What they come to is in the line (`supersedes`, `association_id`), and readers take it from there. So a ledger keeps
its answers when these rules change. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

from eni_ledger.base.errors import AmbiguousAttachment
from eni_ledger.ledger.format.live import is_well_formed, text_of
from eni_ledger.ledger.format.state_file import parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Association = dict[str, Any]
    Event = dict[str, Any]

#: What an attachment's `del` says of it besides container ID and ifname; the line has what was recorded instead.
HINTS = ("netns", "vlan_id", "branch_mac", "declared_mac")

_MACS = ("branch_mac", "observed_mac", "declared_mac")


def ended_by(lines: list[bytes], event: Event) -> list[str]:
    """Return the IDs of the live associations that certainly cannot be true beside the add or adopt `event`.

    `lines` are those of `state.json`. Only what has the event's container ID, namespace or VLAN ID in it is parsed: an
    ADD among 120 live associations costs a search through their bytes and not 120 times JSON.
    """
    needles = [
        b'%b":%b' % (key.encode(), text_of(value))
        for key, value in (
            ("container_id", event.get("container_id")),
            ("netns_inode", event.get("netns_inode")),
            ("vlan_id", event.get("vlan_id")),  # of observed_vlan_id, too
            ("vlan_id", event.get("observed_vlan_id")),
        )
        if value is not None
    ]
    touched = (parsed(line) for line in lines if any(needle in line for needle in needles))
    return [one["association_id"] for one in touched if is_well_formed(one) and excludes(event, one)]


def excludes(one: Association, other: Association) -> bool:
    """Tell whether two associations certainly cannot both be true.

    They have the same interface of the same namespace; the same VLAN of the same trunk; or they are one attachment.
    """
    return _same_interface(one, other) or _same_vlan(one, other) or _same_attachment(one, other)


def _same_interface(one: Association, other: Association) -> bool:
    return one.get("netns_inode") is not None and all(
        one.get(key) == other.get(key) for key in ("netns_inode", "netns_dev", "ifname")
    )


def _same_vlan(one: Association, other: Association) -> bool:
    """Tell whether both have the same VLAN ID of the same protocol on the same trunk.

    The trunk is the link that the kernel showed, by its index and the namespace that this is an index of. MAC addresses
    are shared by links that are stacked on each other; so the trunk's stands in only where neither has a link.
    """
    if one.get("vlan_protocol") != other.get("vlan_protocol"):
        return False
    if one.get("trunk_ifindex") is None and other.get("trunk_ifindex") is None:
        return None not in (one.get("vlan_id"), one.get("trunk_mac")) and all(
            one[key] == other.get(key) for key in ("vlan_id", "trunk_mac")
        )
    link, vlan_id = trunk_link(one), on_link(one)
    return None not in (link, vlan_id) and link == trunk_link(other) and vlan_id == on_link(other)


def on_link(association: Association) -> Any:
    """Return the VLAN ID that an association has on the trunk's link: the kernel's, if it showed one."""
    seen = association.get("observed_vlan_id")
    return association.get("vlan_id") if seen is None else seen


def trunk_link(association: Association) -> tuple[Any, Any] | None:
    """Return namespace (inode) and index of the trunk's link, None unless both are known."""
    link = (association.get("trunk_netns_inode"), association.get("trunk_ifindex"))
    return None if None in link else link


def _same_attachment(one: Association, other: Association) -> bool:
    """Tell whether both are the CNI attachment (container ID, ifname).

    Some runtimes have one container ID for all; then namespace, VLAN ID or MAC address differ.
    """
    return (
        one.get("container_id") is not None
        and all(one.get(key) == other.get(key) for key in ("container_id", "ifname"))
        and not _differ(one, other, "vlan_id")
        and not (_differ(one, other, "netns_inode") or _differ(one, other, "netns_dev"))
        and _may_share(_macs(one), _macs(other))
    )


def _differ(one: Association, other: Association, key: str) -> bool:
    """Tell whether both have the key, with different values."""
    return None not in (one.get(key), other.get(key)) and one[key] != other[key]


def _macs(association: Association) -> set[Any]:
    return {association[key] for key in _MACS if association.get(key) is not None}


def _may_share(some: set[Any], others: set[Any]) -> bool:
    return not (some and others and some.isdisjoint(others))


def ended_by_del(lines: list[bytes], event: Event) -> Association | None:
    """Return the live association that a `del` ends, None when there is none. Raises AmbiguousAttachment.

    One that waited in the spool does not end what began after it.
    """
    needle = text_of(event["container_id"])
    occurred = event.get("spooled_ts", "~")
    found = (parsed(line) for line in lines if needle in line)
    return meant_by((one for one in found if is_well_formed(one) and one["since"] <= occurred), event)


def meant_by(live: Iterable[Association], event: Event) -> Association | None:
    """Return the live association that a del or CHECK of `container_id` and `ifname` is of, None when there is none.

    One with another `vlan_id` or another MAC than `branch_mac` is not it. Of several it is the one that was recorded
    with the path `netns` (which is gone or `none` at many a DEL) or has the MAC `declared_mac` (which a later plugin
    of the chain may have changed). Raises AmbiguousAttachment when that does not tell either.
    """
    found = [
        one
        for one in live
        if is_well_formed(one)
        and all(one.get(key) == event[key] for key in ("container_id", "ifname"))
        and not _differ(one, event, "vlan_id")
        and (event.get("branch_mac") is None or _may_share(_macs(one), {event["branch_mac"]}))
    ]
    if len(found) > 1 and event.get("netns"):
        found = [one for one in found if one.get("netns") == event["netns"]] or found
    if len(found) > 1 and event.get("declared_mac"):
        found = [one for one in found if event["declared_mac"] in _macs(one)] or found
    if len(found) > 1:
        who = f"{event['container_id']} {event['ifname']}: {', '.join(one['association_id'] for one in found)}"
        hint = "eni-ledger verify --mark-lost ends those that are gone"
        raise AmbiguousAttachment("several live attachments have this container ID and ifname", who, hint)
    return found[0] if found else None
