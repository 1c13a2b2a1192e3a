"""Live associations: which events start and end one, and `state.json`, where they stand between two events.

`Live.apply` is the one place that knows what ends an association; the writer, the readers and fsck all go through
it. It takes what an add ended from the line; what goes into the line is for `supersede`. Standard library only: loaded
on every ADD.
"""

from __future__ import annotations

from eni_ledger.base.minijson import dumps
from eni_ledger.ledger.format.state_file import encode_association, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


_OF_THE_EVENT = frozenset(
    ("ts", "seq", "v", "event", "crc", "took_ms", "error_code", "error_msg", "clock_step_us", "spool", "spooled_ts",
     "supersedes", "reason", "identity_source", "late", "imported_event", "occurred_ts", "import_id",
     "sync")
)  # fmt: skip
"""Keys that belong to one event and not to the association that it starts."""

IDENTITY = ("eni_id", "task_arn", "cluster", "task_family", "task_revision", "service")
"""Keys of an association that may become known after its add: its ENI, and its task."""

_NOT_ON_DEL = frozenset(("since", "until", "ended_by", "add_seq", "end_seq", "via", "cni_version"))
"""Keys of an association that its del does not repeat."""


def happened_at(event: dict[str, Any]) -> str:
    """Return the time at which an event happened: `ts`, or for one that went through the spool `spooled_ts`."""
    return str(event.get("spooled_ts") or event["ts"])


def association_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the association that an `add` or `adopt` event starts: its own keys, `since` and `add_seq`."""
    found = {key: value for key, value in event.items() if key not in _OF_THE_EVENT and value is not None}
    found["since"] = happened_at(event)
    found["add_seq"] = event["seq"]
    return found


def identity_of(association: dict[str, Any]) -> dict[str, Any]:
    """Return what an event that ends the association repeats of it, so that a search finds both ends."""
    return {key: value for key, value in association.items() if key not in _NOT_ON_DEL}


_COMPARED = ("container_id", "ifname", "netns_inode", "netns_dev", "vlan_id", "vlan_protocol", "trunk_netns_inode",
             "trunk_ifindex", "trunk_mac", "branch_mac", "observed_mac", "declared_mac")  # fmt: skip


def is_well_formed(association: object) -> bool:
    """Tell whether an association has what `Live` and its readers need, in types that they can compare.

    Whoever can write the ledger as root can write anything into it with a sound CRC; that is shown as it is, and has no
    bearing on what is live.
    """
    try:
        found: Any = association
        hash(tuple(map(found.get, _COMPARED)))
        return isinstance(found["association_id"], str) and isinstance(found["since"], str) and found["add_seq"] >= 0
    except (AttributeError, KeyError, TypeError):
        return False


def superseded(event: dict[str, Any]) -> list[str]:
    """Return the IDs of the associations that an event says it superseded."""
    stated = event.get("supersedes")
    return list(map(str, stated)) if isinstance(stated, list) else []


class Live:
    """The associations that are live after the events applied so far.

    `boot_id` is that of the last `boot` or `checkpoint`. Iterating gives the associations in the order of their adds.
    """

    def __init__(self, associations: Iterable[dict[str, Any]] = (), boot_id: str | None = None) -> None:
        self._reset(associations, boot_id)

    def _reset(self, associations: Iterable[dict[str, Any]], boot_id: str | None) -> None:
        self.boot_id = boot_id
        self._by_id = {one["association_id"]: one for one in associations if is_well_formed(one)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, association_id: str) -> dict[str, Any] | None:
        """Return the live association with this id, or None."""
        return self._by_id.get(association_id)

    def apply(self, event: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """Take one event into account; return the associations that it ended, each with the reason.

        Reasons are ``del``, ``lost``, ``superseded`` and ``rebooted``. Events of a kind that has no bearing on what is
        live (or that this version does not know) change nothing.
        """
        kind = event["event"]
        if kind in ("add", "adopt"):
            new = association_of(event)
            if not is_well_formed(new):
                return []
            ended = [(old, "superseded") for old in map(self._end, superseded(event)) if old is not None]
            self._by_id[new["association_id"]] = new
            return ended
        if kind in ("del", "lost"):
            old = self._end(str(event.get("association_id", "")))
            return [(old, kind)] if old is not None else []
        if kind == "boot":
            return self._boot(event.get("boot_id"))
        if kind == "checkpoint":
            # What is live is stated anew. Only behind a damaged piece can that differ from what was replayed.
            live = event.get("live")
            stated = list(filter(is_well_formed, live)) if isinstance(live, list) else []
            kept = {association["association_id"] for association in stated}
            gone = [(old, "lost") for old in self._by_id.values() if old["association_id"] not in kept]
            self._reset(stated, event.get("boot_id"))
            return gone
        if kind == "identify":
            self._identify(event)
        return []

    def _end(self, association_id: str) -> dict[str, Any] | None:
        return self._by_id.pop(association_id, None)

    def _boot(self, boot_id: str | None) -> list[tuple[dict[str, Any], str]]:
        if boot_id == self.boot_id:
            return []
        gone = [(old, "rebooted") for old in self._by_id.values()]
        self._reset((), boot_id)
        return gone

    def _identify(self, event: dict[str, Any]) -> None:
        """Add to an association what was not known when it began; what was known is never overwritten."""
        association = self._by_id.get(str(event.get("association_id", "")))
        if association is not None and is_well_formed({**association_of(event), **association}):
            for name, value in association_of(event).items():
                association.setdefault(name, value)


def apply_to_lines(lines: list[bytes], event: dict[str, Any], boot_id: str | None) -> list[bytes]:
    """Return the lines of the live associations after `event`.

    Only the lines that the event can touch are parsed: those with the ID of an association that it names. What becomes
    of these, `Live` decides.
    """
    kind = event["event"]
    if kind in ("add", "adopt"):
        needles = [text_of(one) for one in (event["association_id"], *superseded(event))]
    elif kind in ("del", "lost", "identify"):
        needles = [text_of(event["association_id"])]
    elif kind in ("boot", "checkpoint"):
        needles = []  # every line
    else:
        return lines
    touched = {line: parsed(line) for line in lines if not needles or any(needle in line for needle in needles)}
    ids = {line: association["association_id"] for line, association in touched.items() if is_well_formed(association)}
    live = Live(touched.values(), boot_id)
    live.apply(event)
    spliced = []
    for line in lines:  # what stays keeps its place: the order is that of the adds, as a replay of the ledger has it
        if line not in ids:
            spliced.append(line)
        elif (kept := live.get(ids[line])) is not None:
            spliced.append(encode_association(kept))
    known = set(ids.values())
    return spliced + [encode_association(each) for each in live if each["association_id"] not in known]


def text_of(value: object) -> bytes:
    """Return what is in every line that has `value`, however it was written there.

    Nothing for a text with an escape in it: there is more than one way to write that, and other versions have another.
    """
    text = dumps(value).encode("utf-8", "replace")
    return b"" if b"\\" in text else text
