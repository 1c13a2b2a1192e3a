"""Live associations that cannot both be true, where the ledger cannot tell which one is over.

What certainly excludes each other never stands side by side: the later add supersedes the earlier (`ledger.supersede`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from eni_ledger.ledger.format.supersede import on_link, trunk_link

Association = dict[str, Any]


@dataclass(slots=True)
class Conflict:
    """`one` and `other` (the later one) cannot both be true; `why` says what they both have."""

    one: Association
    other: Association
    why: str


def conflicts(live: Iterable[Association], fine: Collection[str]) -> list[Conflict]:
    """Return every pair of live associations that cannot both be true.

    `fine` are the IDs of those that the kernel shows as they were recorded. It has both VLANs of two of these, so they
    are two; an ENI in two places remains one too many.
    """
    by_place: dict[tuple[str, Any], list[Association]] = defaultdict(list)
    for association in live:
        for place in _places(association):
            by_place[place].append(association)
    found: dict[tuple[str, str], Conflict] = {}
    for (kind, value), several in by_place.items():
        for one, other in combinations(several, 2):
            ids = (one["association_id"], other["association_id"])
            if kind == "eni_id":
                why = f"{value} is in two places"
            else:
                why = "" if fine and set(ids) <= set(fine) else _same_vlan(value, one, other)
            if why:
                found.setdefault(ids, Conflict(one, other, why))
    return list(found.values())


def _places(association: Association) -> Iterator[tuple[str, Any]]:
    """Yield what has to be alike for two to be in conflict."""
    if association.get("eni_id"):
        yield "eni_id", association["eni_id"]
    for vlan_id in {association.get("vlan_id"), on_link(association)} - {None}:
        yield "vlan_id", vlan_id


def _same_vlan(vlan_id: int, one: Association, other: Association) -> str:
    """Return in words why two with the same VLAN ID cannot both be true, empty when they can."""
    if len({each["vlan_protocol"] for each in (one, other) if each.get("vlan_protocol")}) > 1:
        return ""
    links = [trunk_link(each) for each in (one, other)]
    if None not in links and links[0] != links[1]:
        return ""
    for key in ("trunk_mac", "trunk_ifname"):
        values = [each.get(key) for each in (one, other)]
        if None not in values:
            both = f"both have VLAN {vlan_id} of trunk {values[0]}, and it is not known whether on two links"
            return both if values[0] == values[1] else ""
    return f"both have VLAN {vlan_id} of one trunk" if None not in links else ""
