"""Live associations: which events start one and which end it.

Writer, readers and fsck all use `Live.apply` to decide what ends an association. It takes what an add superseded from
the line; `supersede` decides what the line says. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

from eni_ledger.base.minijson import dumps
from eni_ledger.ledger.format.state_file import encode_association, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from eni_ledger.base.events import Association, Draft, Fields


_OF_THE_EVENT = frozenset(
    ("ts", "seq", "v", "event", "crc", "took_ms", "error_code", "error_msg", "clock_step_us", "spool", "spooled_ts",
     "supersedes", "reason", "identity_source", "late", "imported_event", "occurred_ts", "import_id",
     "sync")
)  # fmt: skip
"""Keys of an event that its association does not take over."""

IDENTITY = ("eni_id", "task_arn", "cluster", "task_family", "task_revision", "service", "private_dns_name")
"""Keys of an association that may become known after its add: the ENI and the task."""

CONTAINERS = "containers"
CONTAINERS_MAX = 64
"""The key whose list grows, and how many elements it has at most. A task definition has at most ten containers."""

_NOT_ON_DEL = frozenset(("since", "until", "ended_by", "add_seq", "end_seq", "via", "cni_version"))
"""Keys of an association that the event at its end does not repeat."""


def happened_at(event: Fields) -> str:
    """Return the time of an event: `spooled_ts` if it waited in the spool, else `ts`."""
    return str(event.get("spooled_ts") or event["ts"])


def association_of(event: Fields) -> Association:
    """Return the association that an `add` or `adopt` event starts: the keys of the event, `since` and `add_seq`."""
    association: Any = {key: value for key, value in event.items() if key not in _OF_THE_EVENT and value is not None}
    association["since"] = happened_at(event)
    association["add_seq"] = event["seq"]
    begun: Association = association
    return begun


def identity_of(association: Fields) -> Draft:
    """Return the keys that an event at the end of an association repeats, so that a search finds both ends."""
    return {key: value for key, value in association.items() if key not in _NOT_ON_DEL}


_COMPARED = ("container_id", "ifname", "netns_inode", "netns_dev", "vlan_id", "vlan_protocol", "trunk_netns_inode",
             "trunk_ifindex", "trunk_mac", "branch_mac", "observed_mac", "declared_mac")  # fmt: skip


def is_well_formed(association: object) -> bool:
    """Return whether an association has the keys that `Live` and the readers need, in types that they can compare.

    Root can write any JSON into the ledger with a matching CRC. Such an event is shown unchanged and does not affect
    what is live.
    """
    try:
        keys: Any = association
        hash(tuple(map(keys.get, _COMPARED)))
        return isinstance(keys["association_id"], str) and isinstance(keys["since"], str) and keys["add_seq"] >= 0
    except (AttributeError, KeyError, TypeError):
        return False


def superseded(event: Fields) -> list[str]:
    """Return the IDs in the `supersedes` of an event."""
    stated = event.get("supersedes")
    return list(map(str, stated)) if isinstance(stated, list) else []


class Live:
    """The associations that are live after the events applied so far.

    `boot_id` is that of the last `boot` or `checkpoint`. Iteration is in the order of the adds.
    """

    def __init__(self, associations: Iterable[Association] = (), boot_id: str | None = None) -> None:
        self._reset(associations, boot_id)

    def _reset(self, associations: Iterable[Association], boot_id: str | None) -> None:
        self.boot_id = boot_id
        self._by_id = {
            association["association_id"]: association for association in associations if is_well_formed(association)
        }

    def __iter__(self) -> Iterator[Association]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, association_id: str) -> Association | None:
        """Return the live association with this ID, or None."""
        return self._by_id.get(association_id)

    def apply(self, event: Fields) -> list[tuple[Association, str]]:
        """Apply one event; return the associations that it ended, each with the reason.

        Reasons are ``del``, ``lost``, ``superseded`` and ``rebooted``. Other kinds of events, also unknown ones, change
        nothing.
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
            # A checkpoint restates what is live. It differs from the replayed events only after damage.
            live = event.get("live")
            stated = list(filter(is_well_formed, live)) if isinstance(live, list) else []
            kept = {association["association_id"] for association in stated}
            gone = [(old, "lost") for old in self._by_id.values() if old["association_id"] not in kept]
            self._reset(stated, event.get("boot_id"))
            return gone
        if kind == "identify":
            self._identify(event)
        return []

    def _end(self, association_id: str) -> Association | None:
        return self._by_id.pop(association_id, None)

    def _boot(self, boot_id: str | None) -> list[tuple[Association, str]]:
        if boot_id == self.boot_id:
            return []
        gone = [(old, "rebooted") for old in self._by_id.values()]
        self._reset((), boot_id)
        return gone

    def _identify(self, event: Fields) -> None:
        """Add to an association the keys that were not known at its add; never overwrite one."""
        association = self._by_id.get(str(event.get("association_id", "")))
        if association is not None and is_well_formed({**association_of(event), **association}):
            add_identified(association, event)


def add_identified(association: Association, event: Fields) -> None:
    """Add to an association what an `identify` tells of it. No value changes; `containers` gets those that are new."""
    keys: Any = association
    for name, value in association_of(event).items():
        if name == CONTAINERS and (new := new_containers(keys.get(name), value)):
            keys[name] = [*keys[name], *new]
        keys.setdefault(name, value)


def new_containers(known: object, found: object) -> list[dict[str, Any]]:
    """Return the containers in the list `found` whose ID is not in the list `known`, as far as both fit in one list.

    What is no list, or no object with an ID, has no containers.
    """
    if not isinstance(found, list) or not isinstance(known, list):
        return []
    ids = {str(container.get("id")) for container in known if isinstance(container, dict)}
    new = [each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str)]
    return [container for container in new if container["id"] not in ids][: max(0, CONTAINERS_MAX - len(known))]


def apply_to_lines(lines: list[bytes], event: Fields, boot_id: str | None) -> list[bytes]:
    """Return the lines of the live associations after `event`.

    Parses only the lines that the event can change, which contain an ID that it names, and applies the event to these
    with `Live`.
    """
    kind = event["event"]
    if kind in ("add", "adopt"):
        needles = [text_of(value) for value in (event["association_id"], *superseded(event))]
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
    result = []
    for line in lines:  # keep the order of the adds, as a replay of the ledger does
        if line not in ids:
            result.append(line)
        elif (kept := live.get(ids[line])) is not None:
            result.append(encode_association(kept))
    parsed_ids = set(ids.values())
    added = [association for association in live if association["association_id"] not in parsed_ids]
    return result + [encode_association(association) for association in added]


def text_of(value: object) -> bytes:
    """Return bytes that each line with `value` contains, whichever version wrote it.

    Empty if the JSON form of `value` has an escape, because versions escape differently.
    """
    text = dumps(value).encode("utf-8", "replace")
    return b"" if b"\\" in text else text
