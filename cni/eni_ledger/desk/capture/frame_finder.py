"""Whose captured packets are, with a cache of the bytes that decide it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from eni_ledger.desk.capture import frames
from eni_ledger.desk.capture.alike import Alike
from eni_ledger.desk.capture.attribution import Attribution
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.timeline import Timeline

_MOST_KEYS = 100_000
T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """What is told of packets whose deciding bytes are those of `packet`; it holds from `since` on, up to `until`."""

    since: int
    until: int
    told: T
    packet: Packet


class FrameFinder(Generic[T]):
    """Gives for packets what `told` makes of whose they are, as `Alike` does."""

    def __init__(self, timeline: Timeline, told: Callable[[Attribution, int], T]) -> None:
        self._timeline = timeline
        self._alike = Alike(timeline, told)
        self._caches: dict[int, dict[object, Entry[T]]] = {}
        self._changes = timeline.changes

    def cache(self, link_type: int) -> dict[object, Entry[T]]:
        """Return the entries of a link type, by what `frames.key` returns; `find` changes them."""
        return self._caches.setdefault(link_type, {})

    def find(self, link_type: int, frame: bytes, at: int) -> Entry[T]:
        """Return what is told of a packet that was captured at a moment; `link_type` is one of `frames.LINK_TYPES`.

        Raises as `Timeline.cover` does.
        """
        key = frames.key(link_type, frame)
        cache = self.cache(link_type)
        entry = cache.get(key)
        if entry is not None and entry.since <= at < entry.until and self._changes == self._timeline.changes:
            return entry
        packet = key if isinstance(key, Packet) else frames.read(link_type, frame)
        answer = self._alike.find(packet, at)
        if self._changes != self._timeline.changes or len(cache) >= _MOST_KEYS:
            for each in self._caches.values():
                each.clear()
            self._changes = self._timeline.changes
        entry = cache[key] = Entry(*answer, packet)
        return entry
