"""EC2's TrunkInterfaceAssociations, made of the ledger's associations.

Only branch ENIs have one; a whole ENI in a task has none. What is not known is absent. An association ID is the
ledger's (``assoc-``, EC2's begin with ``trunk-assoc-``), and facts of the task are tags with keys under `PREFIX`. AWS
reserves ``aws:``, and nobody can have tagged an association of EC2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eni_ledger.desk.ec2.filters import predicate, text_values
from eni_ledger.desk.ec2.refusals import Refused, invalid_value
from eni_ledger.render.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

OPERATION = "DescribeTrunkInterfaceAssociations"
RESULT = "InterfaceAssociations"
PREFIX = "eni-ledger:"
MOST_IDS = 1000
_TAGS = (
    ("task-arn", "task_arn"),
    ("task-family", "task_family"),
    ("task-revision", "task_revision"),
    ("service", "service"),
    ("cluster", "cluster"),
    ("container-id", "container_id"),
    ("instance-id", "instance_id"),
    ("since", "since"),
    ("until", "until"),
    ("observed-vlan-id", "observed_vlan_id"),
)
_LONGEST_TAG = 256  # characters of a tag's value; "Tag restrictions" in the EC2 user guide

Item = dict[str, Any]


def is_branch(association: Fields) -> bool:
    """Tell whether the association is a branch's with its trunk."""
    return association.get("vlan_id") is not None and association.get("protocol") in (None, "vlan")


def tags(association: Fields) -> dict[str, str]:
    """Return what is known of the task, the container and the times, by the keys of tags.

    The VLAN ID that the kernel shows is one of them if it differs from the declared one.
    """
    same = association.get("observed_vlan_id") == association.get("vlan_id")
    return {
        PREFIX + name: safe(association[key])[:_LONGEST_TAG]
        for name, key in _TAGS
        if association.get(key) is not None and not (key == "observed_vlan_id" and same)
    }


def tag_list(association: Fields) -> list[dict[str, str]]:
    """Return `tags` as EC2 has them in an answer."""
    return [{"Key": key, "Value": value} for key, value in tags(association).items()]


def item_of(association: Fields) -> Item:
    """Return the TrunkInterfaceAssociation, its keys in the order of EC2's model."""
    item = {
        "AssociationId": safe(association["association_id"]),
        "BranchInterfaceId": _text(association.get("eni_id")),
        "TrunkInterfaceId": _text(association.get("trunk_eni_id")),
        "InterfaceProtocol": "VLAN",
        "VlanId": association["vlan_id"],
        "Tags": tag_list(association),
    }
    return {key: value for key, value in item.items() if value is not None}


def addresses(association: Fields) -> list[str]:
    """Return the IP addresses without their prefix lengths."""
    return [safe(address).partition("/")[0] for address in association.get("addresses") or ()]


def _text(value: object) -> str | None:
    return None if value is None else safe(value)


FIELDS: dict[str, Callable[[Fields], Sequence[str]]] = {
    "gre-key": lambda _: (),  # a GRE association has one; ECS makes none
    "interface-protocol": lambda _: ("VLAN",),
    "vlan-id": text_values("vlan_id"),
    "branch-interface-id": text_values("eni_id"),
    "trunk-interface-id": text_values("trunk_eni_id"),
    "mac-address": text_values("branch_mac"),
    "private-ip-address": addresses,
    "task-arn": text_values("task_arn"),
}
"""Filters: the first two are EC2's."""


def choose(
    associations: Sequence[Fields],
    association_ids: Sequence[str] = (),
    filters: Sequence[tuple[str, Sequence[str]]] = (),
) -> list[Fields]:
    """Return those of a branch that have one of `association_ids` (any, without one) and for which `filters` hold.

    Raises Refused for an ID that none of them has, and for filters as `predicate` does.
    """
    return branches_with(associations, ASSOCIATION, association_ids, predicate(filters, FIELDS, tags))


class Resource:
    """A kind of resource that a request names by ID: the key of its ID, EC2's word and error code, a hint."""

    __slots__ = ("code", "hint", "key", "word")

    def __init__(self, key: str, word: str, code: str, hint: str = "") -> None:
        self.key = key
        self.word = word
        self.code = code
        self.hint = hint


ASSOCIATION = Resource(
    "association_id",
    "association",
    "InvalidAssociationID.NotFound",
    "AssociationId is assoc- and 17 hex digits",
)


def branches_with(
    associations: Sequence[Fields],
    resource: Resource,
    ids: Sequence[str],
    holds: Callable[[Fields], bool],
) -> list[Fields]:
    """Return those of a branch that have one of `ids` (any, without one) and for which `holds` is true.

    Raises Refused for more IDs than EC2 takes, and for one that none of the branches has.
    """
    if len(ids) > MOST_IDS:
        raise invalid_value(f"there are more than {MOST_IDS} {resource.word} IDs")
    branches = [one for one in associations if is_branch(one)]
    if ids:
        known = {one.get(resource.key) for one in branches}
        for wanted in ids:
            if wanted not in known:
                msg = f"The {resource.word} ID '{safe(wanted[:100])}' does not exist"
                raise Refused(resource.code, msg, resource.hint)
        branches = [one for one in branches if one.get(resource.key) in ids]
    return [one for one in branches if holds(one)]
