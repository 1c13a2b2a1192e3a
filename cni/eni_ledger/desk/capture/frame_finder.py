"""Whose captured packets are, with a cache: most have the same addresses as one before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from eni_ledger.desk.capture import frames
from eni_ledger.desk.capture.attribution import Attribution, attribute
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.timeline import Timeline

_MOST_KEYS = 100_000
_TAGGED, _IPV4 = b"\x81\x00", b"\x08\x00"
T = TypeVar("T")


class FrameFinder(Generic[T]):
    """Gives for packets what `told` makes of them: it is called with a packet, whose it is, and when.

    What it returns is given for all packets alike, as long as it holds.
    """

    def __init__(self, timeline: Timeline, told: Callable[[Packet, Attribution, int], T]) -> None:
        self._timeline, self._told = timeline, told
        self._caches: dict[int, dict[object, tuple[int, int, T]]] = {}
        self._changes = -1

    def find(self, link_type: int, frame: bytes, at: int) -> T:
        """Return what is told of a packet that was captured at a moment; `link_type` is one of `frames.LINK_TYPES`.

        Raises as `Timeline.cover` does.
        """
        key: object = None
        if link_type == frames.ETHERNET:
            if frame[12:14] == _TAGGED and frame[16:18] == _IPV4:
                key = frame[:18] + frame[30:38]
            elif frame[12:14] == _IPV4:
                key = frame[:14] + frame[26:34]
        packet = None
        if key is None:
            key = packet = frames.read(link_type, frame)
        cache = self._caches.setdefault(link_type, {})
        entry = cache.get(key)
        if entry is not None and entry[0] <= at < entry[1] and self._changes == self._timeline.changes:
            return entry[2]
        packet = packet or frames.read(link_type, frame)
        attribution = attribute(self._timeline, packet, at)
        if self._changes != self._timeline.changes or len(cache) >= _MOST_KEYS:
            self._caches = {link_type: (cache := {})}
            self._changes = self._timeline.changes
        told = self._told(packet, attribution, at)
        cache[key] = attribution.since, attribution.until, told
        return told
