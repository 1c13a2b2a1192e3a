"""Whose packets are, with a cache: most packets have the same two ends as one before them.

The peers of a busy service are many, and most have an address that no association ever had: all these are one to the
ledger, so that a packet from a new peer is answered without a search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from eni_ledger.desk.capture.attribution import Attribution, attribute
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.timeline import IP, Timeline

_MOST_KEYS = 100_000
T = TypeVar("T")


class Lasting(NamedTuple, Generic[T]):
    """What is told of packets that are alike; it holds from `since` on, up to `until`."""

    since: int
    until: int
    told: T


class Alike(Generic[T]):
    """Gives for packets what `told` makes of whose they are: it is called with that, and with a packet's time."""

    def __init__(self, timeline: Timeline, told: Callable[[Attribution, int], T]) -> None:
        self._timeline, self._told = timeline, told
        self._cache: dict[Packet, Lasting[T]] = {}
        self._changes = -1

    def find(self, packet: Packet, at: int) -> Lasting[T]:
        """Return what is told of a packet that was captured at a moment. Raises as `Timeline.cover` does."""
        timeline = self._timeline
        timeline.cover(at)
        if self._changes != timeline.changes or len(self._cache) >= _MOST_KEYS:
            self._cache.clear()
            self._changes = timeline.changes
        tags, source_mac, target_mac, source_ip, target_ip = packet
        key = Packet(
            tags,
            source_mac,
            target_mac,
            source_ip if timeline.has(IP, source_ip) else "",
            target_ip if timeline.has(IP, target_ip) else "",
        )
        answer = self._cache.get(key)
        if answer is None or not answer.since <= at < answer.until:
            attribution = attribute(timeline, packet, at)
            told = self._told(attribution, at)
            answer = self._cache[key] = Lasting(attribution.since, attribution.until, told)
        return answer
