"""What the forms of the picture print of it: the same words everywhere, safe on a terminal."""

from __future__ import annotations

from typing import Any

from eni_ledger.desk.topology.limits import KINDS, source
from eni_ledger.render.text import SHORT, clock, counted, safe, task_id

NOT_KNOWN = "not known"
_NAMES = {"ecs": "ECS", "eks": "EKS"}


def host_name(host: dict[str, Any]) -> str:
    """Return the instance ID; without one the boot ID, and that the instance is not known."""
    if host["instance_id"]:
        return safe(host["instance_id"])
    return f"instance not known (boot {safe(host['name'])})" if host["name"] else "instance not known"


def type_words(host: dict[str, Any]) -> str:
    """Return the instance type and how many branches it can have."""
    if not host["instance_type"]:
        return "instance type not known"
    kinds = (host["orchestrator"],) if host["orchestrator"] else KINDS
    return f"{safe(host['instance_type'])}, {', '.join(_limit(kind, host['limits'][kind]) for kind in kinds)}"


def _limit(kind: str, limit: int | None) -> str:
    if limit is None:
        return f"limit of {_NAMES[kind]} not known"
    return f"at most {limit} branches ({_NAMES[kind]})" if limit else f"no trunk ({_NAMES[kind]})"


def vlan_words(trunk: dict[str, Any], host: dict[str, Any]) -> str:
    """Return how many VLAN IDs of a trunk are used and left."""
    used = f"{counted(len(trunk['vlans_used']), 'VLAN ID')} used"
    kinds = (host["orchestrator"],) if host["orchestrator"] else KINDS
    known = [
        f"{trunk['vlans_left'][kind]} left ({_NAMES[kind]})" for kind in kinds if trunk["vlans_left"][kind] is not None
    ]
    if trunk.get("last_until"):
        used = f"no live branch, the last one until {clock(trunk['last_until'])} UTC; 0 VLAN IDs used"
    return f"{used}, {', '.join(known) or 'left: not known'}"


def limit_sources(picture: dict[str, Any]) -> str:
    """Return where the limits in a picture come from; empty if it has none."""
    kinds = [kind for kind in KINDS if any(host["limits"][kind] is not None for host in picture["hosts"])]
    named = [f"{_NAMES[kind]}: {source(kind)['source']}" for kind in kinds]
    return f"Limits of {'; '.join(named)}." if named else ""


def trunk_name(trunk: dict[str, Any]) -> str:
    """Return interface, ENI ID and MAC of a trunk, as far as they are known."""
    known = [safe(trunk[key]) for key in ("ifname", "eni_id", "mac") if trunk[key]]
    return "  ".join(known) or NOT_KNOWN


def branch_name(node: dict[str, Any]) -> str:
    """Return the ENI ID, else the MAC, else the name of the interface."""
    return safe(node["eni_id"] or node["mac"] or node["ifname"]) or NOT_KNOWN


def ips(node: dict[str, Any]) -> list[str]:
    """Return the addresses of an attachment without their prefix lengths."""
    return [safe(address).partition("/")[0] for address in node["addresses"] or ()]


def ip(node: dict[str, Any]) -> str:
    """Return the first address and how many more there are."""
    found = ips(node)
    if not found:
        return "no address" if node["addresses"] == [] else "-"
    return found[0] + (f" +{len(found) - 1}" if len(found) > 1 else "")


def family(node: dict[str, Any]) -> str:
    """Return ``family:revision`` of the task, empty when unknown."""
    task = node["task"]
    if not task["family"]:
        return ""
    return safe(task["family"]) + (f":{safe(task['revision'])}" if task["revision"] is not None else "")


def task(node: dict[str, Any]) -> str:
    """Return the start of the task's ID, empty when unknown."""
    return task_id(node["task"]["arn"])[:SHORT] if node["task"]["arn"] else ""


def owner(node: dict[str, Any]) -> str:
    """Return ``family:revision/task`` as far as it is known, else the container's ID."""
    known = [text for text in (family(node), task(node)[:8]) if text]
    return "/".join(known) or safe(node["pause"]["id"])[:SHORT] or NOT_KNOWN


def pause(node: dict[str, Any]) -> list[str]:
    """Return a line for the pause container and one for its hostname, as far as they are known."""
    about = node["pause"]
    known = "  ".join(text for text in (safe(about["id"])[:SHORT], safe(about["name"])) if text)
    return [f"pause  {known or NOT_KNOWN}", *([f"hostname  {safe(about['hostname'])}"] if about["hostname"] else [])]


def container(one: dict[str, Any]) -> str:
    """Return name and start of the ID of one of the task's containers."""
    name = safe(one.get("name") or one.get("docker_name"))
    return "  ".join(text for text in (name, safe(one.get("id"))[:SHORT]) if text)


def container_name(one: dict[str, Any]) -> str:
    """Return the name of one of the task's containers, the start of its ID if it has none."""
    return safe(one.get("name") or one.get("docker_name"))[:40] or safe(one.get("id"))[:SHORT]


def containers(node: dict[str, Any]) -> str:
    """Return the names of the task's other containers in one line."""
    if node["containers"] is None:
        return "containers not known"
    return ", ".join(map(container_name, node["containers"])) or "no other container"
