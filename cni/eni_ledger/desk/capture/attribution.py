"""Whose a packet is: which association it comes from and goes to, as of its time, and by what.

A trunk's packets have the VLAN tag of a branch, whether they come from it or go to it; the MAC addresses tell which. An
address alone tells less: it is looked up for the other end, where no MAC address of the ledger is.
"""

from __future__ import annotations

from typing import NamedTuple

from eni_ledger.desk.capture.packet import Packet, Tag
from eni_ledger.desk.capture.timeline import ALWAYS, IP, MAC, NEVER, VLAN, Span, Timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association

NEAR = 1_000_000
"""Microseconds between a packet and a change of hands within which another clock might tell the other way."""


class Party(NamedTuple):
    """An association at one end of a packet, and the things of the packet that are its: vlan, mac, ip."""

    association: Association
    by: tuple[str, ...]


class Neighbour(NamedTuple):
    """The association that had a thing before or after a moment; `at` is the end of the one, the begin of the other."""

    association: Association
    at: int


class Miss(NamedTuple):
    """A VLAN ID or MAC address that nobody had; `before` and `after` are those that had it last and have it next."""

    kind: str
    value: str
    before: Neighbour | None
    after: Neighbour | None


class Attribution(NamedTuple):
    """Whose a packet is, and from `since` on up to `until` every one like it.

    `tagged` has its VLAN tag while the MAC addresses do not tell whether it comes or goes. `others` has associations
    that had the VLAN just before or have it just after: the time of the packet decides, to less than a second.
    `contradictions` are things of the packet
    that belong to another association than the end that they stand for. `choices` are
    several that have the tag, with nothing to tell which is meant.
    """

    source: Party | None
    target: Party | None
    tagged: Party | None
    miss: Miss | None
    others: tuple[Neighbour, ...]
    contradictions: tuple[tuple[tuple[str, ...], Association], ...]
    choices: tuple[Association, ...]
    since: int
    until: int

    @property
    def parties(self) -> list[Party]:
        """All that were found."""
        return [party for party in (self.source, self.target, self.tagged) if party]


class _Look:
    """Looks things up at one moment, and keeps in between which moments the answers hold."""

    def __init__(self, timeline: Timeline, at: int) -> None:
        self._timeline, self._at = timeline, at
        self.since, self.until = ALWAYS, NEVER

    def up(self, kind: str, value: object) -> tuple[Association, ...]:
        """Return the owners of an address or tag; none for an empty one."""
        if not value:
            return ()
        span: Span = self._timeline.at(kind, value, self._at)
        self.narrow(span.since, span.until)
        return span.associations

    def narrow(self, since: int, until: int) -> None:
        """Take note that the answer holds from `since` on up to `until` only."""
        self.since, self.until = max(self.since, since), min(self.until, until)


def attribute(timeline: Timeline, packet: Packet, at: int) -> Attribution:
    """Return whose a packet is that was captured at the moment `at`. Raises as `Timeline.cover` does."""
    timeline.cover(at)
    look = _Look(timeline, at)
    by_mac = (look.up(MAC, packet.source_mac), look.up(MAC, "" if packet.to_many else packet.target_mac))
    by_ip = (look.up(IP, packet.source_ip), look.up(IP, packet.target_ip))
    tag, branches = _branches(look, packet, by_mac)
    ends = [_end(macs, ips, branches) for macs, ips in zip(by_mac, by_ip, strict=True)]
    tagged: Party | None = None
    choices: tuple[Association, ...] = ()
    if branches and not any(end and "vlan" in end.by for end in ends):
        tagged, choices = _only_tag(packet, branches, ends)
    source, target = ends
    miss = None
    if not branches and (tag or not any(ends)):
        miss = _miss(timeline, tag, packet, at)
    contradictions = _contradictions(packet, tag, ends, by_ip, tagged)
    others = _others(timeline, look, tag, at) if branches else ()
    look.narrow(*timeline.covered)
    known = timeline.known
    for first, last in ((ALWAYS, known.begin or NEVER), (known.complete, NEVER), *known.twice):
        _cut(look, at, first, last)
    return Attribution(source, target, tagged, miss, others, contradictions, choices, look.since, look.until)


def _branches(
    look: _Look, packet: Packet, by_mac: tuple[tuple[Association, ...], ...]
) -> tuple[Tag | None, tuple[Association, ...]]:
    """Return the tag that is a branch's, and the associations that have it.

    Of several tags the first that an end's MAC address agrees with, else the first that anybody has; of an ID that
    several trunks have, the association that a MAC address agrees with.
    """
    stations = {id(association) for found in by_mac for association in found}
    first: tuple[Tag, tuple[Association, ...]] | None = None
    for tag in packet.tags:
        found = look.up(VLAN, tag)
        agreeing = tuple(association for association in found if id(association) in stations)
        if agreeing:
            return tag, agreeing
        if found and first is None:
            first = tag, found
    return first or (packet.tags[0] if packet.tags else None, ())


def _end(
    macs: tuple[Association, ...], ips: tuple[Association, ...], branches: tuple[Association, ...]
) -> Party | None:
    """Return the association at one end: the one with its MAC address, else the one with its IP address."""
    for found in (macs, ips):
        chosen = [one for one in found if _among(one, branches)] or [one for one in found if _among(one, ips)]
        chosen = chosen or list(found)
        if len(chosen) == 1:
            one = chosen[0]
            kinds = (("vlan", branches), ("mac", macs), ("ip", ips))
            return Party(one, tuple(kind for kind, those in kinds if _among(one, those)))
    return None


def _among(one: Association, many: tuple[Association, ...]) -> bool:
    return any(one is other for other in many)


def _only_tag(
    packet: Packet, branches: tuple[Association, ...], ends: list[Party | None]
) -> tuple[Party | None, tuple[Association, ...]]:
    """Return the association that has the tag and is at neither end; several that nothing tells apart.

    What comes to everybody on a VLAN from outside goes to the branch: it becomes the target in `ends`.
    """
    if len(branches) > 1:
        return None, branches
    party = Party(branches[0], ("vlan",))
    if packet.to_many and not (ends[0] and "mac" in ends[0].by):
        ends[1] = party
        return None, ()
    return party, ()


def _miss(timeline: Timeline, tag: Tag | None, packet: Packet, at: int) -> Miss | None:
    """Return what had no owner: the tag, else a MAC address that has one at another time."""
    things: list[tuple[str, object, str]] = [(VLAN, tag, str(tag.vlan_id))] if tag else []
    things += [] if tag else [(MAC, mac, mac) for mac in (packet.source_mac, packet.target_mac) if mac]
    for kind, value, shown in things:
        lane = timeline.lane(kind, value)
        before, after = lane.before(at), lane.after(at)
        if before or after or kind == VLAN:
            return Miss(kind, shown, Neighbour(*before) if before else None, Neighbour(*after) if after else None)
    return None


def _others(timeline: Timeline, look: _Look, tag: Tag | None, at: int) -> tuple[Neighbour, ...]:
    """Return who had the tag less than NEAR before, or has it no more than NEAR after."""
    lane = timeline.lane(VLAN, tag)
    near = []
    if before := lane.before(at):
        if at - before[1] < NEAR:
            near.append(Neighbour(*before))
        _cut(look, at, before[1], before[1] + NEAR)
    if after := lane.after(at):
        if after[1] - at <= NEAR:
            near.append(Neighbour(*after))
        _cut(look, at, after[1] - NEAR, after[1])
    return tuple(near)


def _contradictions(
    packet: Packet,
    tag: Tag | None,
    ends: list[Party | None],
    by_ip: tuple[tuple[Association, ...], ...],
    tagged: Party | None,
) -> tuple[tuple[tuple[str, ...], Association], ...]:
    """Return what belongs to another association than its end does: the things, and that association."""
    found: list[tuple[str, Association]] = []
    if tag and tagged and any(end and "mac" in end.by for end in ends):
        found.append((f"VLAN {tag.vlan_id}", tagged.association))
    for end, ips, address in zip(ends, by_ip, (packet.source_ip, packet.target_ip), strict=True):
        if end and "mac" in end.by and ips and not _among(end.association, ips):
            found.append((address, ips[0]))
    return tuple(
        (tuple(dict.fromkeys(thing for thing, other in found if other is one)), one)
        for number, (_, one) in enumerate(found)
        if not any(other is one for _, other in found[:number])
    )


def _cut(look: _Look, at: int, first: int, last: int) -> None:
    """Let the answer hold on the side of `first` and `last` only that the moment is on."""
    if at < first:
        look.narrow(ALWAYS, first)
    elif at < last:
        look.narrow(first, last)
    else:
        look.narrow(last, NEVER)
