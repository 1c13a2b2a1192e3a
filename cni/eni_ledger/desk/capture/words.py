"""An attribution in words, as it stands behind a line of tcpdump and in the comment of a packet, and as JSON."""

from __future__ import annotations

from typing import Any

from eni_ledger.desk.capture.attribution import Attribution, Miss, Neighbour, Party
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.stamps import ledger_time
from eni_ledger.desk.capture.timeline import VLAN, Timeline
from eni_ledger.render import text
from eni_ledger.render.text import clock, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association

FIELDS = ("association_id", "eni_id", "vlan_id", "task_arn", "task_family", "task_revision", "service", "cluster",
           "container_id", "branch_mac", "addresses", "since", "until")  # fmt: skip
"""Keys of an association that JSON repeats."""


def label(association: Association) -> str:
    """Return the name of whose an association is: ``api:17/5f8a2b3d``, or the container while the task is not known."""
    name = text.label(association)
    if association.get("task_family") or not name:
        return name or safe(association["association_id"])
    return f"task {name}" if association.get("task_arn") else f"container {name}"


def named(association: Association) -> str:
    """Return the same with the ENI behind it, ``eni-?`` while its ID is not known."""
    return f"{label(association)} {safe(association.get('eni_id') or 'eni-?')}"


def words(attribution: Attribution, timeline: Timeline, at: int) -> str:
    """Return what is known of a packet at the moment `at`; empty when it has nothing to do with the ledger."""
    parts = []
    for word, party in (("from", attribution.source), ("to", attribution.target)):
        if party:
            parts.append(f"{word} {named(party.association)}{' (by address)' if party.by == ('ip',) else ''}")
    if attribution.tagged and not attribution.contradictions:
        parts.append(f"VLAN of {named(attribution.tagged.association)}")
    if attribution.choices:
        parts.append("VLAN of " + " or of ".join(map(named, attribution.choices)))
    for things, association in attribution.contradictions:
        parts.append(f"but {' and '.join(things)} {'are those' if things[1:] else 'is that'} of {named(association)}")
    if attribution.miss and (missed := _missed(attribution.miss, timeline, at)):
        parts.append(missed)
    if parts:
        parts += _reservations(attribution, timeline, at)
    return " ".join(parts)


def _missed(miss: Miss, timeline: Timeline, at: int) -> str:
    """Return why nobody is named for a thing."""
    thing, known = f"VLAN {miss.value}" if miss.kind == VLAN else miss.value, timeline.known
    if known.begin is None or at < known.begin:
        begin = f"begins at {_clock(known.begin, timeline)}" if known.begin is not None else "is empty"
        return f"{thing}: not known, the ledger {begin}"
    if at >= known.complete:
        return f"{thing}: not known, the ledger ends at {_clock(known.complete, timeline)}"
    nobody = "nobody in what is sound of the ledger" if known.damage else "nobody then"
    near = [_until(miss.before, timeline)] if miss.before else []
    near += [_from(miss.after, timeline)] if miss.after else []
    return f"{thing}: {nobody}{'; ' if near else ''}{', '.join(near)}"


def _reservations(attribution: Attribution, timeline: Timeline, at: int) -> list[str]:
    """Return what limits the answer: another user nearby, a clock that was set back, the end of a copy."""
    near = ((_until if other.at <= at else _from)(other, timeline) for other in attribution.others)
    found = [f"(VLAN of {each})" for each in near]
    known = timeline.known
    if any(first <= at < last for first, last in known.twice):
        found.append("(the clock was set back: it showed this time twice)")
    if attribution.parties and at >= known.complete:
        found.append(f"(as of {_clock(known.complete, timeline)})")
    return found


# Times and no distances: the words are kept for all packets between two changes.


def _until(other: Neighbour, timeline: Timeline) -> str:
    return f"{label(other.association)} until {_clock(other.at, timeline, milli=True)}"


def _from(other: Neighbour, timeline: Timeline) -> str:
    return f"{label(other.association)} from {_clock(other.at, timeline, milli=True)}"


def _clock(at: int, timeline: Timeline, *, milli: bool = False) -> str:
    return clock(ledger_time(at), timeline.zone, milli=milli, named=True)


def as_json(packet: Packet, attribution: Attribution, timeline: Timeline, at: int) -> dict[str, Any]:
    """Return the document of a packet; what is not known is null, and what was not in the packet is absent."""
    document: dict[str, Any] = {"ts": ledger_time(at)}
    if packet.tags:
        document["vlan_ids"] = [tag.vlan_id for tag in packet.tags]
    for name in ("source_mac", "target_mac", "source_ip", "target_ip"):
        if value := getattr(packet, name):
            document[name] = value
    document["from"] = _party(attribution.source)
    document["to"] = _party(attribution.target)
    if attribution.tagged:
        document["vlan_of"] = _party(attribution.tagged)
    if attribution.choices:
        document["vlan_of_one_of"] = [_party(Party(one, ("vlan",))) for one in attribution.choices]
    document["note"] = words(attribution, timeline, at) or None
    return document


def _party(party: Party | None) -> dict[str, Any] | None:
    if party is None:
        return None
    return {**{key: party.association.get(key) for key in FIELDS}, "by": list(party.by)}
