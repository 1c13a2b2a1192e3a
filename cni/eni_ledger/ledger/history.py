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

from eni_ledger.errors import LedgerDamaged, LedgerError, NotFound, UsageError
from eni_ledger.ledger import chain, segment, state
from eni_ledger.ledger.past import MARKS, Past
from eni_ledger.ledger.query import Query
from eni_ledger.ledger.reader import Segment, Snapshot, cut_short, live_lines
from eni_ledger.ledger.state import Live
from eni_ledger.ledger.statedir import open_state_dir

Event = dict[str, Any]
Association = dict[str, Any]
Progress = Callable[[int, int], None]


class History:
    """The ledger in `state_dir`, to be asked. Opens nothing until it is.

    `progress` is called with bytes done and bytes in all while many segments are read.
    """

    def __init__(self, state_dir: str, progress: Progress | None = None) -> None:
        self.state_dir = state_dir
        self._progress = progress

    def live(self) -> list[Association]:
        """Return the live associations, oldest first.

        Raises StateDirError, FutureFormat, OSError; LedgerDamaged, and when the ledger ends before what `state.json`
        knows of, that has what is live by `state.json` in its attribute `found`.
        """
        dir_fd = open_state_dir(self.state_dir)
        try:
            lines, _ = live_lines(dir_fd)
            damage = cut_short(dir_fd)
        finally:
            os.close(dir_fd)
        return _answer([orjson.loads(line) for line in lines], [damage] if damage else [])

    def events(self, since: str | None = None, until: str | None = None) -> Iterator[Event]:
        """Yield the events from `since` to `until`, both included, in order.

        Raises StateDirError, FutureFormat, OSError; LedgerDamaged after the last sound event; LedgerError when
        retention removed what was still to be read.
        """
        return self._events(since, lambda event: until is not None and event["ts"] > until)

    def _events(self, since: str | None, beyond: Callable[[Event], bool]) -> Iterator[Event]:
        """Yield the events from `since` on, up to the first that is `beyond` what was asked for."""
        damage: list[LedgerDamaged] = []
        with Snapshot(self.state_dir) as snapshot:
            first = self._segments_at(snapshot.segments, since)[0] if since else 0
            for event in self._walk(snapshot, damage, first):
                if beyond(event):
                    break
                if not since or event["ts"] >= since:
                    yield event
        if damage:
            raise damage[0]

    def at(self, when: str) -> list[Association]:
        """Return what was live at `when`, oldest first, with `until` and `ended_by` where they ended since.

        Reads the segment of that time, the next one if events from the spool were folded in there, and the one in
        which an association ended; all of them when something was imported. Raises as `events` does; LedgerDamaged, for
        damage in those segments, has what could be answered in its attribute `found`.
        """
        damage: list[LedgerDamaged] = []
        with Snapshot(self.state_dir) as snapshot:
            if not snapshot.segments:
                return []
            first, end = self._segments_at(snapshot.segments, when)
            live, late, beyond = Live(), [], False
            for event in self._walk(snapshot, damage, first, end):
                beyond = event["ts"] > when
                if not beyond:
                    live.apply(event)
                elif state.happened_at(event) <= when:
                    late.append(event)
            if not beyond:
                damage += chain.gap(snapshot.segments[end - 1 : end + 1])
            if end < len(snapshot.segments) and chain.holds(snapshot.segments[end], b'"spooled_ts"'):
                following = self._walk(snapshot, damage, end, end + 1)
                late += [event for event in following if event.get("spooled_ts", "~") <= when]
            # These waited in the spool while it was `when`: they had happened and were not in the chain yet.
            for event in late:
                live.apply(event)
            found = [dict(association) for association in live]
            self._add_ends(snapshot, first, found, damage)
            found += self._learned_later(snapshot, when, found, damage)
        return _answer(found, damage)

    def _learned_later(
        self, snapshot: Snapshot, when: str, found: list[Association], damage: list[LedgerDamaged]
    ) -> list[Association]:
        """Complete `found` by what was identified late; return the imported associations of that moment."""
        if not any(chain.holds(part, *MARKS) for part in snapshot.segments):
            return []
        past = Past()
        for _ in self._lives(snapshot, damage, past.note):
            pass
        for association in found:
            past.complete(association)
        for association in self._lives(snapshot, []):
            past.recorded(association)
        return [one for one in past.associations() if one["since"] <= when < one["until"]]

    def who(self, what: str, at: str | None = None) -> list[Association]:
        """Return the associations that have or had `what`, oldest first; with `at`, only those of that moment.

        One that is live has no `until`. `what` is an IP, MAC, VLAN ID, ENI ID, container ID or its start, task ARN or
        ID, netns inode or path, association ID; those that it fits best are returned. Raises UsageError, and as
        `events` does; LedgerDamaged has what could be answered in its attribute `found`.
        """
        query = Query(what)
        try:
            return query.best(self.at(at) if at else self._spans(query.matches))
        except LedgerDamaged as exc:
            exc.found = query.best(exc.found)
            raise

    def all(self) -> list[Association]:
        """Return every association there ever was, oldest first. Raises as `who` does."""
        return self._spans(lambda _: True)

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
        return found[0], list(self.events_of(found[0]))

    def events_of(self, association: Association) -> Iterator[Event]:
        """Yield the events of an association, the one that superseded it included. Raises as `events` does."""
        wanted = association["association_id"]
        ends = (association["add_seq"], association.get("end_seq"))
        for event in self.events(association["since"]):
            imported = event["event"] == "import" and event["seq"] in ends  # the log's del does not know whose it is
            if imported or event.get("association_id") == wanted or wanted in event.get("supersedes", ()):
                yield event

    def _spans(self, wanted: Callable[[Association], bool]) -> list[Association]:
        """Return every association that `wanted` accepts, live or ended, by going through the whole ledger."""
        damage: list[LedgerDamaged] = []
        past = Past()
        with Snapshot(self.state_dir) as snapshot:
            found = [one for one in self._lives(snapshot, damage, past.note) if wanted(one)]
            if past:  # once more, now that it is known what to look at; keeping all would need a lot of memory
                found = []
                for association in self._lives(snapshot, []):
                    past.recorded(association)
                    if wanted(past.complete(association)):
                        found.append(association)
        return _answer(found + list(filter(wanted, past.associations())), damage)

    def _lives(
        self, snapshot: Snapshot, damage: list[LedgerDamaged], note: Callable[[Event], None] | None = None
    ) -> Iterator[Association]:
        """Yield every association that was recorded, those that are live at the end; show each event to `note`."""
        live = Live()
        for event in self._walk(snapshot, damage):
            if note:
                note(event)
            for old, why in live.apply(event):
                yield _ended(old, event, why)
        yield from live

    def _walk(
        self, snapshot: Snapshot, damage: list[LedgerDamaged], first: int = 0, end: int | None = None
    ) -> Iterator[Event]:
        """Yield the proven events of the segments `first` to `end`; damage is put into the list.

        A segment that is shorter than its name or `state.json` says, or not chained to the one before, is damage too.
        """
        segments = snapshot.segments[first:end]
        total, done = sum(part.size for part in segments), 0
        links = chain.Chain(snapshot, damage)
        for part in segments:
            try:
                fd = part.open()
            except FileNotFoundError as exc:
                if links.seq == 0:
                    continue  # retention took it after the snapshot
                raise LedgerError("retention removed what was being read", part.name, "ask again") from exc
            try:
                links.begin(part)
                lines = segment.walk(fd, part.name, part.size, damage=damage, loads=orjson.loads)
                for number, offset, event, crc in lines:
                    links.next(number, event, crc)
                    if self._progress and event["seq"] % 4096 == 0:
                        self._progress(done + offset, total)
                    yield event
                links.end()
            finally:
                os.close(fd)
            done += part.size
            if self._progress:
                self._progress(done, total)

    @staticmethod
    def _segments_at(segments: list[Segment], when: str) -> tuple[int, int]:
        """Return `(first, end)`: the indices of the segments that say what was live at `when`.

        That is the last one that begins no later. If its first line is not sound, so that its time cannot be trusted,
        those before it are among them, back to one that is.
        """
        low, high = 0, len(segments)
        while low < high:
            middle = (low + high) // 2
            if _begins(segments[middle]) > when:
                high = middle
            else:
                low = middle + 1
        first = end = max(1, low)
        while first > 1 and not _begins(segments[first - 1]):
            first -= 1
        return first - 1, end

    def _add_ends(self, snapshot: Snapshot, index: int, found: list[Association], damage: list[LedgerDamaged]) -> None:
        """Add `until`, `ended_by` and `end_seq` to those of `found`, live in segment `index`, that have ended.

        The checkpoints tell in which segment that was; only these segments are read.
        """
        open_ids = {association["association_id"]: association for association in found}
        live = Live()
        while open_ids and index < len(snapshot.segments):
            live = Live()
            for event in self._walk(snapshot, damage, index, index + 1):
                for old, why in live.apply(event):
                    association = open_ids.pop(old["association_id"], None)
                    if association is not None:
                        association.update(_ended(old, event, why))  # with what was identified meanwhile
            for association in live:
                if association["association_id"] in open_ids:
                    open_ids[association["association_id"]].update(association)
            index = self._next_loss(snapshot.segments, index + 1, set(open_ids))
        if any(live.get(each) is None for each in open_ids) and not damage:
            path = snapshot.segments[-1].name  # by now it is over, and nothing says why
            damage.append(LedgerDamaged("events are missing", path=path, line=1, offset=0))

    @staticmethod
    def _next_loss(segments: list[Segment], index: int, ids: set[str]) -> int:
        """Return the index of the segment, from `index` on, in which the first of `ids` ends."""
        low, high = index, len(segments)
        while low < high:  # the first checkpoint that does not have them all any more
            middle = (low + high) // 2
            if ids <= _checkpoint_ids(segments[middle]):
                low = middle + 1
            else:
                high = middle
        return max(low - 1, index)


def _answer(found: list[Association], damage: list[LedgerDamaged]) -> list[Association]:
    """Return `found`, oldest first; raise the first damage with `found` in it when there was any."""
    found.sort(key=_by_age)
    if damage:
        damage[0].found = found
        raise damage[0]
    return found


def _begins(part: Segment) -> str:
    """Return the time of a segment's first event; of one whose first line is not sound, an empty text."""
    event = chain.head(part)
    return str(event["ts"]) if event is not None else ""


def _checkpoint_ids(part: Segment) -> set[str]:
    """Return the ids of the associations that a segment's checkpoint carries."""
    event = chain.head(part) or {}
    return {association["association_id"] for association in event.get("live") or ()}


def _ended(association: Association, event: Event, why: str) -> Association:
    """Return the association with the end that `event` put to it."""
    if event.get("reason") == "rebooted":
        why = "rebooted"
    return {**association, "until": state.happened_at(event), "ended_by": why, "end_seq": event["seq"]}


def _by_age(association: Association) -> tuple[str, int]:
    return association["since"], association["add_seq"]
