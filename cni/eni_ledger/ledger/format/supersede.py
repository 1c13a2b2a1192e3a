"""The writer's rules for which live associations an add supersedes and which one a del ends.

The line states the result (`supersedes`, `association_id`), and readers take it from there. So the answers about old
events do not change when these rules do. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

from eni_ledger.base.errors import AmbiguousAttachment
from eni_ledger.ledger.format.live import is_well_formed, text_of
from eni_ledger.ledger.format.state_file import parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from eni_ledger.base.events import Association, Fields


#: Keys by which a `del` selects its association beside container ID and ifname. Its line has the recorded values.
HINTS = ("netns", "vlan_id", "branch_mac", "declared_mac")

_MACS = ("branch_mac", "observed_mac", "declared_mac")


def ended_by(lines: list[bytes], event: Fields) -> list[str]:
    """Return the IDs of the live associations that certainly cannot exist beside the add or adopt `event`.

    `lines` are those of `state.json`. Only lines that contain the container ID, namespace or VLAN ID of the event are
    parsed: with 120 live associations, an ADD costs a search through their bytes instead of parsing 120 objects.
    """
    needles = [
        b'%b":%b' % (key.encode(), text_of(value))
        for key, value in (
            ("container_id", event.get("container_id")),
            ("netns_inode", event.get("netns_inode")),
            ("vlan_id", event.get("vlan_id")),  # also finds observed_vlan_id
            ("vlan_id", event.get("observed_vlan_id")),
        )
        if value is not None
    ]
    touched = (parsed(line) for line in lines if any(needle in line for needle in needles))
    return [
        association["association_id"]
        for association in touched
        if is_well_formed(association) and excludes(event, association)
    ]


def excludes(one: Fields, other: Fields) -> bool:
    """Return whether two associations certainly cannot exist at the same time.

    They have the same interface of the same namespace, the same VLAN of the same trunk, or are the same attachment.
    """
    return _same_interface(one, other) or _same_vlan(one, other) or _same_attachment(one, other)


def _same_interface(one: Fields, other: Fields) -> bool:
    return one.get("netns_inode") is not None and all(
        one.get(key) == other.get(key) for key in ("netns_inode", "netns_dev", "ifname")
    )


def _same_vlan(one: Fields, other: Fields) -> bool:
    """Return whether both have the same VLAN ID and protocol on the same trunk.

    The trunk is the link that the kernel shows, identified by its index and its namespace. Stacked links share a MAC
    address, so the MAC of the trunk counts only if neither association has a link.
    """
    if one.get("vlan_protocol") != other.get("vlan_protocol"):
        return False
    if one.get("trunk_ifindex") is None and other.get("trunk_ifindex") is None:
        return None not in (one.get("vlan_id"), one.get("trunk_mac")) and all(
            one[key] == other.get(key) for key in ("vlan_id", "trunk_mac")
        )
    link, vlan_id = trunk_link(one), on_link(one)
    return None not in (link, vlan_id) and link == trunk_link(other) and vlan_id == on_link(other)


def on_link(association: Fields) -> Any:
    """Return the VLAN ID of an association on the link of the trunk: the kernel's if known, else the declared one."""
    observed = association.get("observed_vlan_id")
    return association.get("vlan_id") if observed is None else observed


def trunk_link(association: Fields) -> tuple[Any, Any] | None:
    """Return namespace (inode) and index of the link of the trunk, or None unless both are known."""
    link = (association.get("trunk_netns_inode"), association.get("trunk_ifindex"))
    return None if None in link else link


def _same_attachment(one: Fields, other: Fields) -> bool:
    """Return whether both are the same CNI attachment (container ID, ifname).

    Some runtimes use one container ID for all attachments; these differ in namespace, VLAN ID or MAC address.
    """
    return (
        one.get("container_id") is not None
        and all(one.get(key) == other.get(key) for key in ("container_id", "ifname"))
        and not _differ(one, other, "vlan_id")
        and not (_differ(one, other, "netns_inode") or _differ(one, other, "netns_dev"))
        and _may_share(_macs(one), _macs(other))
    )


def _differ(one: Fields, other: Fields, key: str) -> bool:
    """Return whether both have the key, with different values."""
    return None not in (one.get(key), other.get(key)) and one[key] != other[key]


def _macs(association: Fields) -> set[Any]:
    return {association[key] for key in _MACS if association.get(key) is not None}


def _may_share(some: set[Any], others: set[Any]) -> bool:
    return not (some and others and some.isdisjoint(others))


def ended_by_del(lines: list[bytes], event: Fields) -> Association | None:
    """Return the live association that a `del` ends, or None. Raises AmbiguousAttachment.

    A del that waited in the spool does not end an association that began after it.
    """
    needle = text_of(event["container_id"])
    occurred = event.get("spooled_ts", "~")
    touched = (parsed(line) for line in lines if needle in line)
    earlier = (
        association for association in touched if is_well_formed(association) and association["since"] <= occurred
    )
    return meant_by(earlier, event)


def meant_by(live: Iterable[Association], event: Fields) -> Association | None:
    """Return the live association of a DEL or CHECK with `container_id` and `ifname`, or None.

    An association with another `vlan_id`, or another MAC than `branch_mac`, does not match. If several match, the path
    `netns` decides (which is gone or `none` in many DELs), then the MAC `declared_mac` (which a later plugin of the
    chain may have changed). Raises AmbiguousAttachment if these do not decide either.
    """
    matches = [
        association
        for association in live
        if is_well_formed(association)
        and all(association.get(key) == event[key] for key in ("container_id", "ifname"))
        and not _differ(association, event, "vlan_id")
        and (event.get("branch_mac") is None or _may_share(_macs(association), {event["branch_mac"]}))
    ]
    if len(matches) > 1 and event.get("netns"):
        matches = [match for match in matches if match.get("netns") == event["netns"]] or matches
    if len(matches) > 1 and event.get("declared_mac"):
        matches = [match for match in matches if event["declared_mac"] in _macs(match)] or matches
    if len(matches) > 1:
        ids = ", ".join(match["association_id"] for match in matches)
        details = f"{event['container_id']} {event['ifname']}: {ids}"
        hint = "eni-ledger verify --mark-lost ends those that are gone"
        raise AmbiguousAttachment("several live attachments have this container ID and ifname", details, hint)
    return matches[0] if matches else None
