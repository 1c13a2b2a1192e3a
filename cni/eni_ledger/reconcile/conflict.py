"""Find live associations that exclude each other where the ledger cannot tell which one has ended.

Where two certainly exclude each other, the later add supersedes the earlier (`ledger.format.supersede`), so they are
never live together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from eni_ledger.ledger.format.supersede import on_link, trunk_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


@dataclass(slots=True)
class Conflict:
    """Associations `earlier` and `later` cannot both be true; `why` names what both have."""

    earlier: Association
    later: Association
    why: str


def conflicts(live: Iterable[Association], fine: Collection[str]) -> list[Conflict]:
    """Return every pair of live associations that cannot both be true.

    `fine` has the IDs of those that the kernel confirms. Two confirmed associations with one VLAN ID are two links, not
    a conflict; one ENI in two places always is.
    """
    by_place: dict[tuple[str, Any], list[Association]] = defaultdict(list)
    for association in live:
        for place in _places(association):
            by_place[place].append(association)
    pairs: dict[tuple[str, str], Conflict] = {}
    for (kind, value), several in by_place.items():
        for earlier, later in combinations(several, 2):
            ids = (earlier["association_id"], later["association_id"])
            if kind == "eni_id":
                why = f"{value} is in two places"
            else:
                why = "" if fine and set(ids) <= set(fine) else _same_vlan(value, earlier, later)
            if why:
                pairs.setdefault(ids, Conflict(earlier, later, why))
    return list(pairs.values())


def _places(association: Association) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values that put two associations in conflict when both have them."""
    if association.get("eni_id"):
        yield "eni_id", association["eni_id"]
    for vlan_id in {association.get("vlan_id"), on_link(association)} - {None}:
        yield "vlan_id", vlan_id


def _same_vlan(vlan_id: int, earlier: Association, later: Association) -> str:
    """Return why two associations with one VLAN ID cannot both be true, empty if they can."""
    if len({each["vlan_protocol"] for each in (earlier, later) if each.get("vlan_protocol")}) > 1:
        return ""
    links = [trunk_link(each) for each in (earlier, later)]
    if None not in links and links[0] != links[1]:
        return ""
    for key in ("trunk_mac", "trunk_ifname"):
        values = [each.get(key) for each in (earlier, later)]
        if None not in values:
            both = f"both have VLAN {vlan_id} of trunk {values[0]}, and it is not known whether on two links"
            return both if values[0] == values[1] else ""
    return f"both have VLAN {vlan_id} of one trunk" if None not in links else ""
