"""The picture as plain data: hosts, their trunks, what hangs on them. All forms of it are made from this.

What is not known is None or absent; an empty list says that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from eni_ledger.base import host
from eni_ledger.desk.topology import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

    Facts = Callable[[Fields], dict[str, Any]]


_TASK = {"arn": "task_arn", "family": "task_family", "revision": "task_revision", "service": "service"}
_TRUNK = {"eni_id": "trunk_eni_id", "mac": "trunk_mac", "ifname": "trunk_ifname"}
_ECS_PLUGINS = ("vpc-branch-eni", "vpc-eni")
_EKS_NETWORKS = ("aws-cni",)


def draw(
    associations: Iterable[Fields],
    *,
    instance_type: str | None = None,
    here: str | None = None,
    facts: Facts | None = None,
    shown: Container[str] | None = None,
    ended: Iterable[Fields] = (),
) -> dict[str, Any]:
    """Return the picture of `associations`: `hosts`, each with `trunks`, `enis` (whole ones) and `others`.

    `here` is the instance ID or the boot ID of the host whose `instance_type` is given; without it the type is that of
    every host. `facts` returns what is known of an association beside the ledger, and where from (`from`). With `shown`
    only the associations with these IDs are drawn; what is used and left is still of all.

    Of the `ended` ones a trunk is drawn that has no live branch, with `last_until`, the time at which the last one
    ended. A reboot ends what is known of a host's trunks.
    """
    groups, past = _by_host(associations), _by_host(ended)
    idle = {name: _idle_trunks(groups.get(name, []), each) for name, each in past.items()}
    hosts = []
    for name in sorted({*groups, *(name for name, trunks in idle.items() if trunks)}):
        group = groups.get(name, [])
        known = group or past[name]
        mine = here is None or here == name or any(one.get("boot_id") == here for one in known)
        drawn = group if shown is None else [one for one in group if one["association_id"] in shown]
        if drawn or idle.get(name):
            made = _host(name, group, drawn, instance_type if mine else None, facts, idle.get(name, {}))
            hosts.append({**made, "instance_id": _instance_id(known), "orchestrator": _orchestrator(known)})
    return {"hosts": hosts}


def _by_host(associations: Iterable[Fields]) -> dict[str, list[Fields]]:
    groups: dict[str, list[Fields]] = {}
    for association in associations:
        groups.setdefault(_host_of(association), []).append(association)
    return groups


def _idle_trunks(live: list[Fields], ended: list[Fields]) -> dict[str, dict[str, Any]]:
    """Return the trunks that only associations of the past have, by `_trunk_key`."""
    latest = max([*live, *ended], key=lambda one: str(one.get("since")))
    if latest.get("ended_by") == "rebooted":
        return {}
    taken = {_trunk_key(association) for association in live}
    trunks: dict[str, dict[str, Any]] = {}
    for association in sorted(filter(_is_branch, ended), key=lambda one: str(one.get("until"))):
        place = _trunk_key(association)
        if place and place not in taken and association.get("boot_id") == latest.get("boot_id"):
            known = {key: association.get(field) for key, field in _TRUNK.items()}
            trunks[place] = {**known, "branches": [], "last_until": association.get("until")}
    return trunks


def this_host() -> str | None:
    """Return the name by which `draw` knows this host: its instance ID, else its boot ID."""
    return host.instance_id() or host.boot_id()


def branches(picture: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all attachments of a picture: branches, whole ENIs, and others."""
    return [
        one
        for each in picture["hosts"]
        for group in (*(trunk["branches"] for trunk in each["trunks"]), each["enis"], each["others"])
        for one in group
    ]


def _host_of(association: Fields) -> str:
    return str(association.get("instance_id") or association.get("boot_id") or association.get("ledger") or "")


def _host(
    name: str,
    group: list[Fields],
    drawn: list[Fields],
    instance_type: str | None,
    facts: Facts | None,
    idle: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Return a host of the associations `group`, of which those in `drawn` are drawn, and its `idle` trunks."""
    trunks = dict(idle)
    whole: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for association in drawn:
        node = _node(association, facts(association) if facts else {})
        if _is_branch(association):
            trunk = trunks.setdefault(_trunk_key(association), {**dict.fromkeys(_TRUNK), "branches": []})
            for key, field in _TRUNK.items():
                trunk[key] = trunk[key] or association.get(field)
            trunk["branches"].append(node)
        else:
            (whole if association.get("protocol") == "default" else others).append(node)
    vlans: dict[str, set[int | str]] = {}  # of each trunk; a branch whose VLAN ID is not known counts by itself
    for association in filter(_is_branch, group):
        vlan = association.get("vlan_id")
        vlans.setdefault(_trunk_key(association), set()).add(association["association_id"] if vlan is None else vlan)
    used = sum(map(len, vlans.values()))
    most = {kind: limits.branch_limit(kind, instance_type) for kind in limits.KINDS}
    left = {kind: None if limit is None else max(0, limit - used) for kind, limit in most.items()}
    for place, trunk in trunks.items():
        trunk["branches"].sort(key=_by_vlan)
        trunk["vlans_used"] = sorted(vlan for vlan in vlans.get(place, ()) if isinstance(vlan, int))
        trunk["vlans_left"] = left
    return {
        "name": name or None,
        "instance_id": None,
        "instance_type": instance_type,
        "orchestrator": None,
        "branches": used,
        "limits": most,
        "trunks": sorted(trunks.values(), key=lambda trunk: str(trunk["ifname"] or trunk["mac"] or "~")),
        "enis": whole,
        "others": others,
    }


def _instance_id(group: list[Fields]) -> str | None:
    return next((str(one["instance_id"]) for one in group if one.get("instance_id")), None)


def _is_branch(association: Fields) -> bool:
    return association.get("vlan_id") is not None or association.get("protocol") == "vlan"


def _by_vlan(node: dict[str, Any]) -> tuple[bool, int, str]:
    known = isinstance(node["vlan_id"], int)
    return not known, node["vlan_id"] if known else 0, node["since"]


def _trunk_key(association: Fields) -> str:
    """Return what two branches of one trunk have in common; nothing for a trunk of which nothing is known."""
    keys = ("trunk_mac", "trunk_eni_id", "trunk_ifname", "trunk_ifindex")
    return next((f"{key} {association[key]}" for key in keys if association.get(key)), "")


def _orchestrator(group: list[Fields]) -> str | None:
    """Return whose limit applies, `ecs` or `eks`, as far as the associations tell."""
    if any(one.get("task_arn") or one.get("plugin") in _ECS_PLUGINS for one in group):
        return "ecs"
    return "eks" if any(one.get("network") in _EKS_NETWORKS for one in group) else None


def _node(association: Fields, more: dict[str, Any]) -> dict[str, Any]:
    """Return one attachment. What the ledger has comes first; containers are those of `more`, which are of now."""
    known = {**more, **{key: value for key, value in association.items() if value is not None}}
    containers = more.get("containers", association.get("containers"))
    macs = (association.get(key) for key in ("branch_mac", "observed_mac", "declared_mac"))
    return {
        "association_id": association.get("association_id"),
        "vlan_id": association.get("vlan_id"),
        "eni_id": known.get("eni_id"),
        "mac": next((mac for mac in macs if mac), None),
        "ifname": association.get("ifname"),
        "addresses": _list(association.get("addresses")),
        "since": str(association.get("since") or ""),
        "until": association.get("until"),
        "task": {key: known.get(field) for key, field in _TASK.items()},
        "cluster": known.get("cluster"),
        "namespace": {
            "inode": association.get("netns_inode"),
            "path": association.get("netns"),
            "pid": association.get("pid"),
        },
        "pause": {
            "id": association.get("container_id"),
            "name": known.get("pause_name"),
            "hostname": known.get("private_dns_name"),
        },
        "containers": None if containers is None else [dict(one) for one in containers if isinstance(one, dict)],
        "containers_from": None if containers is None else more.get("from") if "containers" in more else "ledger",
        "mismatch": _list(association.get("mismatch")) or [],
    }


def _list(value: object) -> list[Any] | None:
    """Return a list; a single value of an odd line as a list of it; None for None."""
    return value if isinstance(value, list) else None if value is None else [value]
