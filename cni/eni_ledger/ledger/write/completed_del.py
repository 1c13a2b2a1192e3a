"""A `del` that brings what was not known of its association: ENI and task, found when it ended.

Readers take what an association has from its add and from `identify` events, and so do the indexes of packed segments.
So what a `del` brings is told by an `identify` before it, in the same write. Loaded when it happens.
"""

from __future__ import annotations

from eni_ledger.ledger.format.live import IDENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = dict[str, Any]
    Association = dict[str, Any]

_SAID = (*IDENTITY, "identity_source")
_ABOUT = ("association_id", "boot_id", "instance_id", "agent_version", "via", "clock_step_us", "spooled_ts")


def completed(event: Event, association: Association) -> tuple[Event, Event | None, Association]:
    """Return the `del` without what it brings, the `identify` that tells it, and the association with it.

    There is no `identify` when it is of another association, contradicts what is known of this one, or is known.
    `spool` stays with the del alone: a reader of the spool that finds the name in a line takes the file for folded in.
    """
    said = {key: event[key] for key in _SAID if key in event}
    rest = {key: value for key, value in event.items() if key not in _SAID}
    new = {key: said[key] for key in IDENTITY if key in said and association.get(key) is None}
    known = {key: association[key] for key in IDENTITY if association.get(key) is not None}
    other = event.get("association_id") != association["association_id"]
    if other or not new or any(said.get(key, value) != value for key, value in known.items()):
        return rest, None, association
    about = {key: event[key] for key in _ABOUT if key in event}
    source = {"identity_source": said["identity_source"]}
    return rest, {"event": "identify", **about, **new, **source}, {**association, **new}
