"""The ENIs and branches that the kernel has now, in all network namespaces, without the ledger.

A link of our own namespace is a trunk when it lies beneath a VLAN link, and the primary ENI when the metadata service
says so, else when it has the default route. In another namespace a VLAN link is a branch, and a link of no kind, which
is how the kernel shows a device of its own, a whole ENI.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eni_ledger.base.host import process_start
from eni_ledger.identity.imds import Imds
from eni_ledger.identity.source import Source, Unavailable
from eni_ledger.kernel.scan import PROC, Namespace, Scan, ScannedLink, attachments
from eni_ledger.reconcile.verify import container_of

Row = dict[str, Any]

_ROLES = ("primary", "trunk", "eni", "branch")
_ROUTES = "/proc/net/route"  # proc(5): interface, destination, gateway, ... in hexadecimal
_UP = ("up", "unknown")  # a driver that does not report its state


def interfaces(scan: Scan, proc: str = PROC) -> list[Row]:
    """Return a row for each ENI and branch: the primary ENI, trunks, other ENIs of the host, then those of namespaces.

    `role` is primary, trunk, eni or branch; the other keys are those of the ledger, with `state`, `counters`,
    `trunk_state` and `problem`, which says what is wrong with it. What is not known is absent.
    """
    primary = default_interface()
    trunks = {link.parent for link in scan.own if link.vlan_id is not None}
    for namespace in scan.namespaces:
        trunks |= {link.parent for link in namespace.links if link.parent_is_ours}
    rows = []
    for link in scan.own:
        if link.index in trunks:
            rows.append(_row("trunk", link))
        elif link.name == primary:
            rows.append(_row("primary", link))
        elif not link.kind and link.mac and link.name != "lo":
            rows.append(_row("eni", link))
    by_place = {(row["netns_inode"], row["ifname"]): row for row in attachments(scan)}
    for namespace in scan.namespaces:
        place = _place(namespace, proc)
        for link in namespace.links:
            branch = by_place.get((namespace.inode, link.name))
            if branch:
                rows.append(_with_trunk(_row("branch", link) | branch | place, scan))
            elif not link.kind and link.mac and link.name != "lo":
                rows.append(_row("eni", link) | {"protocol": "default"} | place)
    return sorted(rows, key=lambda row: _ROLES.index(row["role"]) if "netns_inode" not in row else len(_ROLES))


def _row(role: str, link: ScannedLink) -> Row:
    fields = {
        "role": role,
        "ifname": link.name,
        "ifindex": link.index,
        "branch_mac": link.mac,
        "addresses": link.addresses,
        "state": link.state,
        "counters": link.counters,
        "problem": None if link.state in _UP else f"{link.name} is {link.state}",
    }
    return {key: value for key, value in fields.items() if value is not None}


def _place(namespace: Namespace, proc: str) -> Row:
    """Return where a namespace is: its path, inode, oldest process and that process's container."""
    pid = namespace.pids[0] if namespace.pids else None
    fields = {
        "netns": namespace.path,
        "netns_inode": namespace.inode,
        "pid": pid,
        "pid_start": process_start(f"{proc}/{pid}") if pid is not None else None,
        "container_id": container_of(pid, proc) if pid is not None else None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _with_trunk(row: Row, scan: Scan) -> Row:
    """Return a branch with the state of its trunk; a trunk that is down is the branch's problem, too."""
    trunk = next((link for link in scan.own if link.index == row.get("trunk_ifindex")), None)
    if trunk is None or row.get("trunk_netns_inode") != scan.own_inode:
        return row
    row["trunk_state"] = trunk.state
    if trunk.state not in _UP:
        row["problem"] = f"the trunk {trunk.name} is {trunk.state}"
    return row


def default_interface(path: str = _ROUTES) -> str | None:
    """Return the interface of the IPv4 default route of the least metric, None without one."""
    try:
        lines = Path(path).read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    rows = [line.split() for line in lines[1:]]
    defaults = [(int(row[6]), row[0]) for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]
    return min(defaults)[1] if defaults else None


def identify(rows: Iterable[Row], sources: Iterable[Source], imds: Imds) -> list[str]:
    """Add ENI IDs, tasks and containers that the sources know to the rows; return why a source could not be asked.

    A source that fails is not asked again. ENIs that are attached to the instance itself are known to the metadata
    service only.
    """
    asked, problems = list(sources), []
    for row in rows:
        if row["role"] in ("primary", "trunk") or "netns_inode" not in row:
            try:
                answer = {"eni_id": imds.ask({"trunk_mac": row.get("branch_mac")}).get("trunk_eni_id")}
                number = imds.get(f"network/interfaces/macs/{row.get('branch_mac')}/device-number")
                answer["role"] = "primary" if number == "0" and row["role"] == "eni" else None
            except Unavailable as exc:
                problems.append(str(exc))
                break
            row.update({key: value for key, value in answer.items() if value})
    for row in (row for row in rows if "netns_inode" in row):
        for source in list(asked):
            try:
                known = source.ask(row)
            except Unavailable as exc:
                asked.remove(source)
                if not exc.absent:
                    problems.append(str(exc))
                continue
            row.update({key: value for key, value in known.items() if row.get(key) is None})
    return problems
