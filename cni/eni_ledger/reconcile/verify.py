"""Compare the ledger's live associations with the kernel: as recorded, gone, changed or unrecorded.

On request it records `adopt` and `lost` events. They are chosen under the writers' lock, so that an attachment which a
runtime records meanwhile is neither adopted nor lost.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from eni_ledger.base.config import Settings
from eni_ledger.base.host import process_start
from eni_ledger.kernel.scan import PROC, Namespace, Scan, ScannedLink, attachments
from eni_ledger.ledger.format.live import identity_of
from eni_ledger.ledger.format.supersede import excludes
from eni_ledger.ledger.write.batch import record_found
from eni_ledger.reconcile.conflict import Conflict, conflicts

Association = dict[str, Any]
Event = dict[str, Any]

# Keys of what was declared: what to call it, and the key of what the kernel shows.
_PAIRS = (
    ("vlan_id", "VLAN ID", "observed_vlan_id"),
    ("branch_mac", "MAC", "observed_mac"),
    ("declared_mac", "MAC", "observed_mac"),
)
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?$")


@dataclass(slots=True)
class Verdict:
    """What became of one association: `fine`, `gone`, `changed` or `unknown`, and in `why` what shows that.

    One that is fine has a `why` too when its ADD was declared otherwise than the kernel had it from the start.
    """

    association: Association
    status: str
    why: str = ""


@dataclass(slots=True)
class VerifyReport:
    """The verdicts on the live associations, the attachments that are `unrecorded`, what was `unreadable`; `conflicts`
    between associations that are not gone.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    unrecorded: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether ledger and kernel agree; not, while there is something that could not be looked at or decided."""
        open_questions = self.unrecorded or self.unreadable or self.conflicts
        return not open_questions and all(one.status == "fine" for one in self.verdicts)

    def count(self, status: str) -> int:
        """Return how many associations have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)


def compare(live: list[Association], found: Scan, proc: str = PROC) -> VerifyReport:
    """Return how the live associations stand against what the scan found."""
    report = VerifyReport(unreadable=found.unreadable)
    seen: set[tuple[int, int, str]] = set()
    for association in live:
        verdict, link, namespace = _judge(association, found, proc)
        report.verdicts.append(verdict)
        if link is not None and namespace is not None:
            seen.add((namespace.dev, namespace.inode, link.name))
    standing = [one.association for one in report.verdicts if one.status != "gone"]
    fine = {one.association["association_id"] for one in report.verdicts if one.status == "fine"}
    report.conflicts = conflicts(standing, fine)
    report.unrecorded = [
        each for each in attachments(found) if (each["netns_dev"], each["netns_inode"], each["ifname"]) not in seen
    ]
    return report


def not_compared(live: list[Association], why: str) -> VerifyReport:
    """Return the report on a ledger that cannot be compared with this kernel: nothing is known of any of them."""
    return VerifyReport([Verdict(association, "unknown", why) for association in live], unreadable=[why])


def _judge(association: Association, found: Scan, proc: str) -> tuple[Verdict, ScannedLink | None, Namespace | None]:
    if association.get("netns_inode") is None:
        return _judge_anywhere(association, found)
    namespace = found.find(association.get("netns_dev"), association["netns_inode"])
    if namespace is None:
        if found.unreadable:
            why = "its namespace was not found, and not all could be looked at"
            return Verdict(association, "unknown", why), None, None
        return Verdict(association, "gone", "its namespace is not there any more"), None, None
    link = _link(association, namespace)
    if link is None:
        why = f"its namespace has no interface {association.get('ifname')}"
        if _other_process(association, proc):
            why = "its namespace is not there any more; another has its inode"
        return Verdict(association, "gone", why), None, namespace
    return _held_against(association, link, found), link, namespace


def _judge_anywhere(association: Association, found: Scan) -> tuple[Verdict, ScannedLink | None, Namespace | None]:
    """Judge one whose namespace could not be observed at its ADD: by VLAN ID and MAC it may be in any of them."""
    vlan, mac = association.get("vlan_id"), _mac_of(association)
    places = [
        (link, namespace)
        for namespace in found.namespaces
        for link in namespace.links
        if mac is not None and link.mac == mac and link.vlan_id == vlan
    ]
    if len(places) == 1:
        return _held_against(association, places[0][0], found), *places[0]
    why = "its ADD was recorded without its namespace"
    if vlan is not None and mac is not None and not places and not found.unreadable:
        return Verdict(association, "gone", f"{why}, and none has VLAN {vlan} with MAC {mac}"), None, None
    return Verdict(association, "unknown", f"{why}, so it cannot be told which one is meant"), None, None


def _mac_of(association: Association) -> str | None:
    """Return the MAC of the interface: as the kernel showed it, else as it was declared."""
    keys = ("observed_mac", "branch_mac", "declared_mac")
    return next((association[key] for key in keys if association.get(key) is not None), None)


def _held_against(association: Association, link: ScannedLink, found: Scan) -> Verdict:
    if differences := _differences(association, link, found):
        return Verdict(association, "changed", "; ".join(differences))
    return Verdict(association, "fine", "; ".join(_declared_otherwise(association)))


def _declared_otherwise(association: Association) -> list[str]:
    """Return in words what the ADD declared otherwise than the kernel had it then, and has it still."""
    mismatch = [str(key) for key in association.get("mismatch") or ()]
    words = [
        f"{name} {association[key]} declared at the ADD, {association[seen]} in the kernel since"
        for key, name, seen in _PAIRS
        if key in mismatch and None not in (association.get(key), association.get(seen))
    ]
    told = {key for key, _, seen in _PAIRS if None not in (association.get(key), association.get(seen))}
    others = [key for key in mismatch if key not in told]
    return [*words, *(f"{key} declared otherwise than the kernel had it at the ADD" for key in others)]


def _link(association: Association, namespace: Namespace) -> ScannedLink | None:
    """Return the association's interface: of its name, or the VLAN link (tap and macvtap have another name)."""
    named = next((link for link in namespace.links if link.name == association.get("ifname")), None)
    vlan = association.get("vlan_id")
    if vlan is None or (named is not None and named.vlan_id is not None):
        return named
    return next((link for link in namespace.links if link.vlan_id == vlan), named)


def _other_process(association: Association, proc: str) -> bool:
    """Whether the process that the namespace was named by has ended."""
    pid, start = association.get("pid"), association.get("pid_start")
    return pid is not None and start is not None and process_start(f"{proc}/{pid}") != start


def _differences(association: Association, link: ScannedLink, found: Scan) -> list[str]:
    """Return in words what the kernel has otherwise than it had when this was recorded."""
    said = {
        "VLAN ID": association.get("observed_vlan_id", association.get("vlan_id")),
        "VLAN protocol": association.get("vlan_protocol"),
        "MAC": _mac_of(association),
    }
    shown: dict[str, Any] = {"VLAN ID": link.vlan_id, "VLAN protocol": link.vlan_protocol, "MAC": link.mac}
    if link.vlan_id is not None and link.parent_is_ours and association.get("trunk_mac"):
        said["trunk"] = association["trunk_mac"]
        shown["trunk"] = next((each.mac for each in found.own if each.index == link.parent), None)
    return [
        f"{name} {said[name]} recorded, {shown[name] if shown[name] is not None else 'none'} in the kernel"
        for name in said
        if said[name] is not None and said[name] != shown[name]
    ]


def adopt(settings: Settings, about: Event, report: VerifyReport, proc: str = PROC) -> list[Event]:
    """Record `adopt` events for the report's attachments that nobody recorded; return them as written.

    `about` has the host's fields. A live association that the report has and that excludes one of them is superseded:
    the kernel shows that it is over. One that was recorded since the report stays, and what it excludes is not adopted.
    Raises LedgerError.
    """
    known = {verdict.association["association_id"] for verdict in report.verdicts}
    events = [
        {"event": "adopt", "via": "scan", **attachment, **_process(attachment, proc)}
        for attachment in report.unrecorded
    ]

    def choose(live: list[Association]) -> list[Event]:
        new = [one for one in live if one["association_id"] not in known]
        return [event for event in events if not any(excludes(event, one) for one in new)]

    return record_found(settings, about, choose)


def mark_lost(settings: Settings, about: Event, verdicts: list[Verdict]) -> list[Event]:
    """Record `lost` events, reason `verify`, for associations that are gone; return them as written.

    Those are the ones without a namespace and the ones without an interface in it. Raises LedgerError.
    """
    gone = {verdict.association["association_id"] for verdict in verdicts if verdict.status == "gone"}

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
    found = {"pid_start": process_start(f"{proc}/{pid}"), "container_id": container_of(pid, proc)}
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
