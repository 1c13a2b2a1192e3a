"""Splits a `del` that is the first to know the ENI or task of its association into an `identify` and the `del`.

Readers and the indexes of packed segments take the keys of an association from its add and its `identify` events only.
Both events go into the ledger in one write. Loaded only for such a del.
"""

from __future__ import annotations

from eni_ledger.ledger.format.live import IDENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft, Fields


_STATED = (*IDENTITY, "identity_source")
_ABOUT = ("association_id", "boot_id", "instance_id", "agent_version", "via", "clock_step_us", "spooled_ts")


def completed(event: Fields, association: Fields) -> tuple[Draft, Draft | None, Fields]:
    """Return the `del` without the identity that it states, an `identify` with it, and the completed association.

    The `identify` is None if the del is of another association, contradicts what is known of this one, or states
    nothing new. Only the del keeps `spool`: a line with the name of a spool file marks the file as folded in.
    """
    stated = {key: event[key] for key in _STATED if key in event}
    rest = {key: value for key, value in event.items() if key not in _STATED}
    new = {key: stated[key] for key in IDENTITY if key in stated and association.get(key) is None}
    known = {key: association[key] for key in IDENTITY if association.get(key) is not None}
    other = event.get("association_id") != association["association_id"]
    if other or not new or any(stated.get(key, value) != value for key, value in known.items()):
        return rest, None, association
    about = {key: event[key] for key in _ABOUT if key in event}
    source = {"identity_source": stated["identity_source"]}
    return rest, {"event": "identify", **about, **new, **source}, {**association, **new}
