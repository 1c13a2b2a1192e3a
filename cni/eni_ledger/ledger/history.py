"""Questions put to the ledger: what is live, what was live at a time, who had this, what happened.

Lock-free (see `reader`). Times are RFC 3339 text in UTC with microseconds, as in the ledger: text order is time order.
Damage never stops an answer short of what can be proven, and is never hidden either: what is sound is given first,
then LedgerDamaged is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from eni_ledger.errors import LedgerDamaged, NotFound, UsageError
from eni_ledger.ledger import segment, state
from eni_ledger.ledger.query import Query
from eni_ledger.ledger.reader import Segment, Snapshot, live_lines
from eni_ledger.ledger.state import Live
from eni_ledger.ledger.statedir import open_state_dir

Event = dict[str, Any]
Association = dict[str, Any]
Progress = Callable[[int, int], None]

_TS = slice(len('{"ts":"'), len('{"ts":"') + 27)
"""Where `ts` stands in a line: it comes first and always has 27 characters."""


class History:
    """The ledger in `state_dir`, to be asked. Opens nothing until it is.

    `progress` is called with bytes done and bytes in all while many segments are read.
    """

    def __init__(self, state_dir: str, progress: Progress | None = None) -> None:
        self.state_dir = state_dir
        self._progress = progress

    def live(self) -> list[Association]:
        """Return the live associations, oldest first.

        Raises StateDirError, LedgerDamaged, FutureFormat, OSError.
        """
        dir_fd = open_state_dir(self.state_dir)
        try:
            lines, _ = live_lines(dir_fd)
        finally:
            os.close(dir_fd)
        return sorted((orjson.loads(line) for line in lines), key=_by_age)

    def events(self, since: str | None = None, until: str | None = None) -> Iterator[Event]:
        """Yield the events from `since` to `until`, both included, in order.

        Raises StateDirError, FutureFormat, OSError; LedgerDamaged after the last sound event.
        """
        damage: list[LedgerDamaged] = []
        with Snapshot(self.state_dir) as snapshot:
            first = self._segment_at(snapshot.segments, since) if since else 0
            for event in self._walk(snapshot.segments[first:], damage):
                if until and event["ts"] > until:
                    break
                if not since or event["ts"] >= since:
                    yield event
        if damage:
            raise damage[0]

    def at(self, when: str) -> list[Association]:
        """Return what was live at `when`, oldest first, with `until` and `ended_by` where they ended since.

        Reads the segment of that time, and the one in which an association ended. Raises as `events` does;
        LedgerDamaged when the damage lies before `when` in its segment.
        """
        with Snapshot(self.state_dir) as snapshot:
            if not snapshot.segments:
                return []
            index = self._segment_at(snapshot.segments, when)
            live = Live()
            for event in self._walk(snapshot.segments[index : index + 1], None):
                if event["ts"] > when:
                    break
                live.apply(event)
            found = [dict(association) for association in live]
            self._add_ends(snapshot.segments, index, found)
        return sorted(found, key=_by_age)

    def who(self, what: str, at: str | None = None) -> list[Association]:
        """Return the associations that have or had `what`, oldest first; with `at`, only those of that moment.

        One that is live has no `until`. `what` is an IP, MAC, VLAN ID, ENI ID, container ID or its start, task ARN or
        ID, netns inode, association ID. Raises UsageError, and as `events` does; LedgerDamaged has what could be
        answered in its attribute `found`.
        """
        query = Query(what)
        if at:
            return [association for association in self.at(at) if query.matches(association)]
        return self._spans(query.matches)

    def show(self, association_id: str) -> tuple[Association, list[Event]]:
        """Return one association, named by its ID or the start of it, and its events.

        Raises NotFound, UsageError when several begin like this, and as `events` does.
        """
        found = self._spans(lambda association: str(association["association_id"]).startswith(association_id))
        if not found:
            raise NotFound("no such association", association_id, "eni-ledger log shows all of them")
        if len(found) > 1:
            ids = ", ".join(str(association["association_id"]) for association in found[:5])
            raise UsageError(f"{len(found)} associations begin like this", ids, "give more of the ID")
        association = found[0]
        wanted = association["association_id"]
        events = [
            event
            for event in self.events(association["since"], association.get("until"))
            if event.get("association_id") == wanted or wanted in event.get("supersedes", ())
        ]
        return association, events

    def _spans(self, wanted: Callable[[Association], bool]) -> list[Association]:
        """Return every association that `wanted` accepts, live or ended, by going through the whole ledger."""
        damage: list[LedgerDamaged] = []
        live, found = Live(), []
        with Snapshot(self.state_dir) as snapshot:
            for event in self._walk(snapshot.segments, damage):
                found += [_ended(old, event, why) for old, why in live.apply(event) if wanted(old)]
        found += [association for association in live if wanted(association)]
        found.sort(key=_by_age)
        if damage:
            damage[0].found = found
            raise damage[0]
        return found

    def _walk(self, segments: list[Segment], damage: list[LedgerDamaged] | None) -> Iterator[Event]:
        """Yield the proven events of `segments`; damage is collected in the list, or raised when there is none."""
        total, done = sum(part.size for part in segments), 0
        for part in segments:
            fd = part.open()
            try:
                lines = segment.walk(fd, part.name, part.size, damage=damage, loads=orjson.loads)
                for _, offset, event, _ in lines:
                    if self._progress and event["seq"] % 4096 == 0:
                        self._progress(done + offset, total)
                    yield event
            finally:
                os.close(fd)
            done += part.size
            if self._progress:
                self._progress(done, total)

    @staticmethod
    def _segment_at(segments: list[Segment], when: str) -> int:
        """Return the index of the segment that says what was live at `when`: the last that begins no later."""
        low, high = 0, len(segments)
        while low < high:
            middle = (low + high) // 2
            if _begins(segments[middle]) > when:
                high = middle
            else:
                low = middle + 1
        return max(0, low - 1)

    def _add_ends(self, segments: list[Segment], index: int, found: list[Association]) -> None:
        """Add `until`, `ended_by` and `end_seq` to those of `found`, live in segment `index`, that have ended.

        The checkpoints tell in which segment that was; only these segments are read.
        """
        open_ids = {association["association_id"]: association for association in found}
        while open_ids and index < len(segments):
            live = Live()
            for event in self._walk(segments[index : index + 1], []):
                for old, why in live.apply(event):
                    association = open_ids.pop(old["association_id"], None)
                    if association is not None:
                        association.update(_ended(association, event, why))
            index = self._next_loss(segments, index + 1, set(open_ids))

    def _next_loss(self, segments: list[Segment], index: int, ids: set[str]) -> int:
        """Return the index of the segment, from `index` on, in which the first of `ids` ends."""
        low, high = index, len(segments)
        while low < high:  # the first checkpoint that does not have them all any more
            middle = (low + high) // 2
            if ids <= self._checkpoint_ids(segments[middle]):
                low = middle + 1
            else:
                high = middle
        return max(low - 1, index)

    @staticmethod
    def _checkpoint_ids(part: Segment) -> set[str]:
        """Return the ids of the associations that a segment's checkpoint carries."""
        fd = part.open()
        try:
            for _, _, event, _ in segment.walk(fd, part.name, part.size, damage=[], loads=orjson.loads):
                return {association["association_id"] for association in event.get("live") or ()}
        finally:
            os.close(fd)
        return set()


def _begins(part: Segment) -> str:
    """Return the time of a segment's first event; of one that cannot be read, the end of time."""
    fd = part.open()
    try:
        ts = os.pread(fd, 64, 0)[_TS]
    finally:
        os.close(fd)
    return ts.decode("ascii", "replace") if len(ts) == 27 else "~"


def _ended(association: Association, event: Event, why: str) -> Association:
    """Return the association with the end that `event` put to it."""
    if event.get("reason") == "rebooted":
        why = "rebooted"
    return {**association, "until": state.happened_at(event), "ended_by": why, "end_seq": event["seq"]}


def _by_age(association: Association) -> tuple[str, int]:
    return association["since"], association["add_seq"]
