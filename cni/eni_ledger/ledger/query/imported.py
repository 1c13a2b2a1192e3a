"""Imported history: an older ledger of the same format, `imported/ledger.jsonl`, made anew by every import.

Its events are ordinary ones, put in order of the time at which they happened. An association that the log does not
end, or that the ledger itself recorded in its place, ends with a `lost`, reason `log_ends`.

`supersedes` of these events is filled here, by `same_place`, not by the writer's `format.supersede`: a log has no
namespace inode and no trunk link, and DELs may be missing from it. So the same branch MAC, or the same VLAN ID of a
trunk that is known by its MAC or name only, ends the earlier association. Readers take the result from the line, as
anywhere.

Version 0.1.0 wrote `import` events into the ledger instead; until `import` or `prune` has copied them, the same is made
in memory.
"""

from __future__ import annotations

import os

from eni_ledger.base.bulk_json import loads
from eni_ledger.base.errors import StateDirError
from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import write_all
from eni_ledger.ledger.format.line import VERSION, encode, format_ts, parse_ts
from eni_ledger.ledger.format.live import association_of, identity_of, is_well_formed
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query import as_of
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.selection import Lookup
from eni_ledger.ledger.read.snapshot import Segment, Snapshot, complete_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from eni_ledger.base.events import Association, Draft, Event, Fields
    from eni_ledger.ledger.format.source import Source


DIRECTORY = "imported"
KINDS = ("add", "add_failed", "del")
PATH = f"{DIRECTORY}/{segment.ACTIVE}"
_NOT_OF_THE_LOG = frozenset(
    ("seq", "v", "crc", "boot_id", "imported_event", "occurred_ts", "supersedes", "clock_step_us")
)


class Imported(Snapshot):
    """The imported history: a ledger of one segment, read from `fd`, which is closed with it."""

    def __init__(self, state_dir: str, fd: int) -> None:
        self.state_dir = state_dir
        self.source, self._active, self.known_seq = Directory(-1), fd, 0
        self.heads, self.imported = None, None
        self.segments = [Segment(self, PATH, fd, complete_size(fd))]
        self.segments[0].state_marks = set(), self.segments[0].size  # none of its events has one


def ledgers(snapshot: Snapshot) -> list[Snapshot]:
    """Return what a question is put to, in order: the imported history, if there is any, and the snapshot itself."""
    if not snapshot.imported_read:
        fd = open_history(snapshot.source)
        if fd < 0 and any(continuity.contains_mark(part, "import") for part in snapshot.segments):
            fd = os.memfd_create(DIRECTORY)
            write_all(fd, made(snapshot))
        snapshot.imported = Imported(snapshot.state_dir, fd) if fd >= 0 else None
        snapshot.imported_read = True
    return [snapshot] if snapshot.imported is None else [snapshot.imported, snapshot]


def open_history(source: Source) -> int:
    """Return a descriptor of the imported history, -1 for none."""
    try:
        return source.open(PATH)
    except (OSError, StateDirError):
        return -1


def logged(snapshot: Snapshot) -> tuple[list[Draft], str]:
    """Return what logs have told so far, and how far they go: of `imported/` and of the `import` events of 0.1.0.

    An event's `ts` is the second that the log has.
    """
    events: dict[str, Draft] = {}
    ends = ""
    fd = open_history(snapshot.source)
    if fd >= 0:
        try:
            for _, _, event, _ in segment.walk(fd, PATH, complete_size(fd), damage=[], loads=loads):
                ends = max(ends, event.get("log_ends", ""))
                if event["event"] in KINDS:
                    events[event["import_id"]] = _of_the_log(event, event["event"], event["ts"])
        finally:
            os.close(fd)
    lookup = Lookup(snapshot, [])
    for number, part in enumerate(snapshot.segments):
        if continuity.contains_mark(part, "import"):
            for event in lookup.marked(number, "import"):
                if _is_well_formed(event):
                    ordinary = _of_the_log(event, event["imported_event"], event["occurred_ts"])
                    events.setdefault(event["import_id"], ordinary)
    return list(events.values()), ends


def _is_well_formed(event: Fields) -> bool:
    """Return whether an `import` event is as 0.1.0 wrote it, so that its values can be compared."""
    try:
        parse_ts(event["occurred_ts"])
        hash((event["import_id"], *_keys_of(event)))
        kind = event["imported_event"]
        return kind in KINDS and isinstance(event["association_id"] if kind == "add" else "", str)
    except (KeyError, TypeError, ValueError):
        return False


def _of_the_log(event: Fields, kind: str, ts: str) -> Draft:
    """Return an event as the log tells it, without what was worked out from others."""
    fields = {key: value for key, value in event.items() if key not in _NOT_OF_THE_LOG}
    if kind == "del":
        fields.pop("association_id", None)
    return {**fields, "event": kind, "via": "import", "ts": f"{ts[:20]}000000Z"}


def made(snapshot: Snapshot, new: Iterable[Fields] = (), log_ends: str = "") -> bytes:
    """Return the bytes of `imported/ledger.jsonl`: what is known of logs by the snapshot, and the `new` events.

    Nothing for no event.
    """
    events, ends = logged(snapshot)
    events = sorted([*events, *map(dict, new)], key=_ts)
    if not events:
        return b""
    associations = _timeline(events)
    ends = max(ends, log_ends, events[-1]["ts"])
    lost = list(_lost(associations, _recorded(snapshot, associations), ends))
    head = {"event": "checkpoint", "ts": events[0]["ts"], "prev_crc": "00000000", "live": [], "log_ends": ends}
    lines, crc = [], 0
    for number, event in enumerate([head, *sorted([*events, *lost], key=_ts)], 1):
        line, crc = encode({**event, "seq": number, "v": VERSION}, crc)
        lines.append(line)
    return b"".join(lines)


def _ts(event: Fields) -> str:
    return str(event["ts"])


def _timeline(events: list[Draft]) -> list[Association]:
    """Put into the events what they end (`supersedes`, `association_id`); return the associations, in order.

    What has ended has `until`. An event that ends what began in the same second is a microsecond later.
    """
    associations: list[Association] = []
    standing: dict[tuple[Any, ...], Association] = {}
    latest = ""
    for event in events:
        event["ts"] = latest = max(event["ts"], latest)
        keys = _keys_of(event)
        there = {id(one): one for one in (standing[key] for key in keys if key in standing) if same_place(one, event)}
        if event["event"] == "add_failed":
            continue
        mac = event.get("branch_mac")
        ended = [one for one in there.values() if event["event"] == "add" or one.get("branch_mac", mac) == mac]
        if any(one["since"] == event["ts"] for one in ended):
            event["ts"] = latest = format_ts(parse_ts(latest) + 1)
        for old in ended:
            old["until"] = event["ts"]
            standing = {key: one for key, one in standing.items() if one is not old}
        ids = [one["association_id"] for one in ended]
        if event["event"] == "del":
            event |= {"association_id": ids[0]} if ids else {}
            continue
        event |= {"supersedes": ids} if ids else {}
        association = association_of({**event, "seq": 0})
        associations.append(association)
        standing.update(dict.fromkeys(keys, association))
    return associations


def _lost(associations: list[Association], recorded: dict[str, Association], log_ends: str) -> Iterator[Draft]:
    """Yield a `lost` for each association that the log leaves open, or that the ledger recorded before it ended.

    It is over where the record of the same place begins: at once for the same MAC, which was there all the time; for
    another one when the log has not ended by then.
    """
    for association in associations:
        own, until = recorded.get(association["association_id"]), association.get("until")
        ends = until or max(log_ends, format_ts(parse_ts(association["since"]) + 1))
        if own is not None and (
            own["since"] < ends or (not until and own.get("branch_mac") == association.get("branch_mac"))
        ):
            ends, until = own["since"], None
        if not until:
            yield {**identity_of(association), "via": "import", "event": "lost", "reason": "log_ends", "ts": ends}


def _recorded(snapshot: Snapshot, associations: list[Association]) -> dict[str, Association]:
    """Return by ID of those that may have been there when the ledger began what it recorded first in the same place."""
    if not snapshot.segments:
        return {}
    begins = as_of.begins(snapshot.segments[0])
    places: dict[tuple[Any, ...], list[Association]] = {}
    ranges: list[index_keys.Range] = []
    for association in associations:
        if association.get("until", "~") > begins:
            ranges += index_keys.ranges_of(association)
            for key in _keys_of(association):
                places.setdefault(key, []).append(association)
    recorded: dict[str, Association] = {}
    lookup = Lookup(snapshot, [])
    for number in range(len(snapshot.segments) if places else 0):
        for event in lookup.containing(number, ranges, None):
            for own in filter(is_well_formed, _starts(event)):
                for association in [one for key in _keys_of(own) for one in places.get(key, ())]:
                    if own["since"] > association["since"] and same_place(association, own):
                        first = recorded.setdefault(association["association_id"], own)
                        if own["since"] < first["since"]:
                            recorded[association["association_id"]] = own
    return recorded


def _starts(event: Event) -> Iterable[Association]:
    """Return the associations that an event of the ledger tells the beginning of."""
    if event["event"] in ("add", "adopt"):
        return [association_of(event)]
    return (event.get("live") or ()) if event["event"] == "checkpoint" else ()


def same_place(one: Fields, other: Fields) -> bool:
    """Tell whether two attachments, as a log tells of them, cannot have been on a host at the same time.

    Where a runtime has one container ID for all, the MAC addresses tell them apart.
    """
    shared = {key[0] for key in set(_keys_of(one)) & set(_keys_of(other))}
    macs = (one.get("branch_mac"), other.get("branch_mac"))
    return bool(shared - {"attachment"}) or ("attachment" in shared and (None in macs or macs[0] == macs[1]))


def _keys_of(fields: Fields) -> list[tuple[Any, ...]]:
    """Return what an attachment can be found by among others."""
    keys: list[tuple[Any, ...]] = []
    if fields.get("branch_mac"):
        keys.append(("mac", fields["branch_mac"]))
    if fields.get("vlan_id") is not None:
        keys.append(("vlan", fields.get("trunk_mac") or fields.get("trunk_ifname"), fields["vlan_id"]))
    if fields.get("container_id"):
        keys.append(("attachment", fields["container_id"], fields.get("ifname")))
    return keys
