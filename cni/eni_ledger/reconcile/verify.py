"""Compare the ledger's live associations with the kernel: as recorded, gone, changed or unrecorded.

It can record the difference as `adopt` and `lost` events. They are chosen under the writers' lock, so an attachment
that a runtime records meanwhile is neither adopted nor marked lost.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Draft, Event, Fields


# Key of the declared value, its label, key of the kernel's value.
_PAIRS = (
    ("vlan_id", "VLAN ID", "observed_vlan_id"),
    ("branch_mac", "MAC", "observed_mac"),
    ("declared_mac", "MAC", "observed_mac"),
)
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?$")


@dataclass(slots=True)
class Verdict:
    """The status of one association (`fine`, `gone`, `changed` or `unknown`) and the reason, `why`.

    A `fine` association has a `why` if its ADD declared a value that the kernel never had.
    """

    association: Association
    status: str
    why: str = ""


@dataclass(slots=True)
class VerifyReport:
    """The result of a comparison.

    `verdicts`: one for each live association; `unrecorded`: attachments that the ledger does not have; `unreadable`:
    namespaces that could not be read, and why; `conflicts`: between associations that are not gone.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    unrecorded: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether ledger and kernel agree. False while anything is unreadable or undecided."""
        open_questions = self.unrecorded or self.unreadable or self.conflicts
        return not open_questions and all(verdict.status == "fine" for verdict in self.verdicts)

    def count(self, status: str) -> int:
        """Return how many associations have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)


def compare(live: list[Association], scan: Scan, proc: str = PROC) -> VerifyReport:
    """Return the report on the live associations, compared with the scan."""
    report = VerifyReport(unreadable=scan.unreadable)
    seen: set[tuple[int, int, str]] = set()
    for association in live:
        verdict, link, namespace = _judge(association, scan, proc)
        report.verdicts.append(verdict)
        if link is not None and namespace is not None:
            seen.add((namespace.dev, namespace.inode, link.name))
    standing = [verdict.association for verdict in report.verdicts if verdict.status != "gone"]
    fine = {verdict.association["association_id"] for verdict in report.verdicts if verdict.status == "fine"}
    report.conflicts = conflicts(standing, fine)
    report.unrecorded = [
        each for each in attachments(scan) if (each["netns_dev"], each["netns_inode"], each["ifname"]) not in seen
    ]
    return report


def not_compared(live: list[Association], why: str) -> VerifyReport:
    """Return a report for a ledger that cannot be compared with this kernel: every association is `unknown`."""
    return VerifyReport([Verdict(association, "unknown", why) for association in live], unreadable=[why])


def _judge(association: Association, scan: Scan, proc: str) -> tuple[Verdict, ScannedLink | None, Namespace | None]:
    if association.get("netns_inode") is None:
        return _judge_anywhere(association, scan)
    namespace = scan.find(association.get("netns_dev"), association["netns_inode"])
    if namespace is None:
        if scan.unreadable:
            why = "its namespace was not found, and not all could be looked at"
            return Verdict(association, "unknown", why), None, None
        return Verdict(association, "gone", "its namespace is not there any more"), None, None
    link = _link(association, namespace)
    if link is None:
        why = f"its namespace has no interface {association.get('ifname')}"
        if _other_process(association, proc):
            why = "its namespace is not there any more; another has its inode"
        return Verdict(association, "gone", why), None, namespace
    return _held_against(association, link, scan), link, namespace


def _judge_anywhere(association: Association, scan: Scan) -> tuple[Verdict, ScannedLink | None, Namespace | None]:
    """Judge an association recorded without its namespace: search every namespace for its VLAN ID and MAC."""
    vlan, mac = association.get("vlan_id"), _mac_of(association)
    places = [
        (link, namespace)
        for namespace in scan.namespaces
        for link in namespace.links
        if mac is not None and link.mac == mac and link.vlan_id == vlan
    ]
    if len(places) == 1:
        return _held_against(association, places[0][0], scan), *places[0]
    why = "its ADD was recorded without its namespace"
    if vlan is not None and mac is not None and not places and not scan.unreadable:
        return Verdict(association, "gone", f"{why}, and none has VLAN {vlan} with MAC {mac}"), None, None
    return Verdict(association, "unknown", f"{why}, so it is not known which one it has"), None, None


def _mac_of(association: Association) -> str | None:
    """Return the MAC of the interface that the kernel showed, else the declared one."""
    macs = (association.get("observed_mac"), association.get("branch_mac"), association.get("declared_mac"))
    return next((mac for mac in macs if mac is not None), None)


def _held_against(association: Association, link: ScannedLink, scan: Scan) -> Verdict:
    if differences := _differences(association, link, scan):
        return Verdict(association, "changed", "; ".join(differences))
    return Verdict(association, "fine", "; ".join(_declared_otherwise(association)))


def _declared_otherwise(association: Fields) -> list[str]:
    """Return a sentence for each value that the ADD declared and the kernel did not have, then or now."""
    mismatch = [str(key) for key in association.get("mismatch") or ()]
    words = [
        f"{name} {association[key]} declared at the ADD, {association[seen]} in the kernel since"
        for key, name, seen in _PAIRS
        if key in mismatch and None not in (association.get(key), association.get(seen))
    ]
    compared = {key for key, _, seen in _PAIRS if None not in (association.get(key), association.get(seen))}
    others = [key for key in mismatch if key not in compared]
    return [*words, *(f"{key} declared otherwise than the kernel had it at the ADD" for key in others)]


def _link(association: Association, namespace: Namespace) -> ScannedLink | None:
    """Return the association's interface, by name or else by VLAN ID (tap and macvtap have another name)."""
    named = next((link for link in namespace.links if link.name == association.get("ifname")), None)
    vlan = association.get("vlan_id")
    if vlan is None or (named is not None and named.vlan_id is not None):
        return named
    return next((link for link in namespace.links if link.vlan_id == vlan), named)


def _other_process(association: Association, proc: str) -> bool:
    """Return whether the process whose PID names the namespace has ended."""
    pid, start = association.get("pid"), association.get("pid_start")
    return pid is not None and start is not None and process_start(f"{proc}/{pid}") != start


def _differences(association: Association, link: ScannedLink, scan: Scan) -> list[str]:
    """Return a sentence for each recorded value that differs from the kernel's."""
    recorded = {
        "VLAN ID": association.get("observed_vlan_id", association.get("vlan_id")),
        "VLAN protocol": association.get("vlan_protocol"),
        "MAC": _mac_of(association),
    }
    shown: dict[str, Any] = {"VLAN ID": link.vlan_id, "VLAN protocol": link.vlan_protocol, "MAC": link.mac}
    if link.vlan_id is not None and link.parent_is_ours and association.get("trunk_mac"):
        recorded["trunk"] = association["trunk_mac"]
        shown["trunk"] = next((each.mac for each in scan.own if each.index == link.parent), None)
    return [
        f"{name} {recorded[name]} recorded, {shown[name] if shown[name] is not None else 'none'} in the kernel"
        for name in recorded
        if recorded[name] is not None and recorded[name] != shown[name]
    ]


def adopt(settings: Settings, about: Fields, report: VerifyReport, proc: str = PROC) -> list[Event]:
    """Record `adopt` events for the unrecorded attachments of the report; return them as written.

    `about` has the host's fields. An adopted attachment supersedes a live association of the report that excludes it:
    the kernel shows that it is over. An association recorded since the report stays, and an attachment that it
    excludes is not adopted.
    Raises LedgerError.
    """
    known = {verdict.association["association_id"] for verdict in report.verdicts}
    events = [
        {"event": "adopt", "via": "scan", **attachment, **_process(attachment, proc)}
        for attachment in report.unrecorded
    ]

    def choose(live: list[Association]) -> list[Draft]:
        new = [association for association in live if association["association_id"] not in known]
        return [event for event in events if not any(excludes(event, association) for association in new)]

    return record_found(settings, about, choose)


def mark_lost(settings: Settings, about: Fields, verdicts: list[Verdict]) -> list[Event]:
    """Record `lost` events, reason `verify`, for associations that are gone; return them as written.

    Gone means that the namespace, or the interface in it, does not exist. Raises LedgerError.
    """
    gone = {verdict.association["association_id"] for verdict in verdicts if verdict.status == "gone"}

    def choose(live: list[Association]) -> list[Draft]:
        return [
            {**identity_of(association), "event": "lost", "reason": "verify", "via": "scan"}
            for association in live
            if association["association_id"] in gone
        ]

    return record_found(settings, about, choose)


def _process(attachment: dict[str, Any], proc: str) -> dict[str, Any]:
    """Return start time and container of the namespace's oldest process: on ECS the pause process."""
    pid = attachment.get("pid")
    if pid is None:
        return {}
    fields = {"pid_start": process_start(f"{proc}/{pid}"), "container_id": container_of(pid, proc)}
    return {key: value for key, value in fields.items() if value is not None}


def container_of(pid: int, proc: str = PROC) -> str | None:
    """Return the container ID (64 hex digits) in the name of the process's control group, None without one.

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
