"""The ledger's live associations held against the kernel: what is as recorded, gone, changed, or nobody's.

Only `adopt` and `lost` events come of it, and only on request; they are chosen with the writers' lock held, so that an
attachment which a runtime records meanwhile is neither adopted nor lost.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from eni_ledger.config import Settings
from eni_ledger.kernel.scan import PROC, Link, Namespace, Scan, attachments, start_of
from eni_ledger.ledger.batch import record_found
from eni_ledger.ledger.state import exclusive_keys, identity_of

Association = dict[str, Any]
Event = dict[str, Any]

_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?$")


@dataclass(slots=True)
class Verdict:
    """What became of one association: `fine`, `gone`, `changed` or `unknown`, and in `why` what shows that."""

    association: Association
    status: str
    why: str = ""
    namespace_gone: bool = False


@dataclass(slots=True)
class Report:
    """The verdicts on the live associations, the attachments that are `unrecorded`, what was `unreadable`."""

    verdicts: list[Verdict] = field(default_factory=list)
    unrecorded: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether ledger and kernel agree; not, while there is something that could not be decided."""
        return not self.unrecorded and all(verdict.status == "fine" for verdict in self.verdicts)

    def count(self, status: str) -> int:
        """Return how many associations have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)


def compare(live: list[Association], found: Scan, proc: str = PROC) -> Report:
    """Return how the live associations stand against what the scan found."""
    report = Report(unreadable=found.unreadable)
    seen: set[tuple[int, int, str]] = set()
    for association in live:
        verdict, link, namespace = _judge(association, found, proc)
        report.verdicts.append(verdict)
        if link is not None and namespace is not None:
            seen.add((namespace.dev, namespace.inode, link.name))
    report.unrecorded = [
        each for each in attachments(found) if (each["netns_dev"], each["netns_inode"], each["ifname"]) not in seen
    ]
    return report


def _judge(association: Association, found: Scan, proc: str) -> tuple[Verdict, Link | None, Namespace | None]:
    inode = association.get("netns_inode")
    if inode is None:
        return Verdict(association, "unknown", "its namespace was not recorded"), None, None
    namespace = found.find(association.get("netns_dev"), inode)
    if namespace is None:
        if found.unreadable:
            return (
                Verdict(association, "unknown", "its namespace was not found, and not all could be looked at"),
                None,
                None,
            )
        return Verdict(association, "gone", "its namespace is not there any more", namespace_gone=True), None, None
    link = _link(association, namespace)
    if link is None:
        if _other_process(association, proc):
            why = "its namespace is not there any more; another has its inode"
            return Verdict(association, "gone", why, namespace_gone=True), None, namespace
        why = f"its namespace has no interface {association.get('ifname')}"
        return Verdict(association, "gone", why), None, namespace
    differences = _differences(association, link, found)
    return Verdict(association, "changed" if differences else "fine", "; ".join(differences)), link, namespace


def _link(association: Association, namespace: Namespace) -> Link | None:
    """Return the association's interface: of its name, or the VLAN link (tap and macvtap have another name)."""
    named = next((link for link in namespace.links if link.name == association.get("ifname")), None)
    vlan = association.get("vlan_id")
    if vlan is None or (named is not None and named.vlan_id is not None):
        return named
    return next((link for link in namespace.links if link.vlan_id == vlan), named)


def _other_process(association: Association, proc: str) -> bool:
    """Whether the process that the namespace was named by has ended."""
    pid, start = association.get("pid"), association.get("pid_start")
    return pid is not None and start is not None and start_of(pid, proc) != start


def _differences(association: Association, link: Link, found: Scan) -> list[str]:
    """Return in words what the kernel has otherwise than it had when this was recorded."""
    said = {
        "VLAN ID": association.get("observed_vlan_id", association.get("vlan_id")),
        "MAC": association.get("observed_mac", association.get("branch_mac")),
    }
    shown: dict[str, Any] = {"VLAN ID": link.vlan_id, "MAC": link.mac}
    if link.vlan_id is not None and link.parent_is_ours and association.get("trunk_mac"):
        said["trunk"] = association["trunk_mac"]
        shown["trunk"] = next((each.mac for each in found.own if each.index == link.parent), None)
    return [
        f"{name} {said[name]} recorded, {shown[name] if shown[name] is not None else 'none'} in the kernel"
        for name in said
        if said[name] is not None and said[name] != shown[name]
    ]


def adopt(settings: Settings, about: Event, unrecorded: list[dict[str, Any]], proc: str = PROC) -> list[Event]:
    """Record `adopt` events for attachments that nobody recorded; return them as written. Raises LedgerError.

    `about` has the host's fields. One whose place has been taken by a live association in the meantime is left alone.
    """
    events = [
        {"event": "adopt", "via": "scan", **attachment, **_process(attachment, proc)} for attachment in unrecorded
    ]

    def choose(live: list[Association]) -> list[Event]:
        taken = {key for association in live for key in exclusive_keys(association)}
        return [event for event in events if taken.isdisjoint(exclusive_keys(event))]

    return record_found(settings, about, choose)


def mark_lost(settings: Settings, about: Event, verdicts: list[Verdict]) -> list[Event]:
    """Record `lost` events, reason `verify`, for associations whose namespace is gone; return them as written.

    Raises LedgerError.
    """
    gone = {verdict.association["association_id"] for verdict in verdicts if verdict.namespace_gone}

    def choose(live: list[Association]) -> list[Event]:
        return [
            {**identity_of(one), "event": "lost", "reason": "verify", "via": "scan"}
            for one in live
            if one["association_id"] in gone
        ]

    return record_found(settings, about, choose)


def _process(attachment: dict[str, Any], proc: str) -> dict[str, Any]:
    """Return start time and container of the namespace's oldest process: on ECS the pause process."""
    pid = attachment.get("pid")
    if pid is None:
        return {}
    found = {"pid_start": start_of(pid, proc), "container_id": container_of(pid, proc)}
    return {key: value for key, value in found.items() if value is not None}


def container_of(pid: int, proc: str = PROC) -> str | None:
    """Return the container ID (64 hex digits) that the process's control group is named by, None without one.

    Docker names it `.../<id>` or `docker-<id>.scope`, containerd's CRI `cri-containerd-<id>.scope`.
    """
    try:
        with open(os.path.join(proc, str(pid), "cgroup"), encoding="utf-8", errors="replace") as file:
            for line in file:
                match = _CONTAINER.search(line.strip())
                if match:
                    return match[1]
    except OSError:
        return None
    return None
