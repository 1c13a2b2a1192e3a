"""What the ledger learned afterwards: imported events, and identities found when an association was over.

`import` events tell of a time before the ledger. They stand in it in the order in which they were imported and have no
bearing on what is live; so they are put in order of `occurred_ts` here, and their adds and dels become associations
with `via` `import`. One that the log does not end is over when the ledger itself records an attachment in its place;
else all that is known is that it was there until the log ends (`ended_by` `unknown`).

An `identify` event with `late` completes an association that had ended.
"""

from __future__ import annotations

from eni_ledger.ledger.format.live import association_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = dict[str, Any]
    Association = dict[str, Any]


class Past:
    """Collects what `note` is shown of a ledger, and says what follows. An event may be shown to it twice."""

    def __init__(self) -> None:
        self._imported: dict[int, Event] = {}
        self._late: dict[str, dict[int, Event]] = {}
        self.complete_segments: set[int] = set()  # of which it was shown all that there is

    def note(self, event: Event) -> None:
        """Take one event of the ledger into account."""
        if event["event"] == "import" and event.get("occurred_ts"):
            self._imported[event["seq"]] = event
        elif event["event"] == "identify" and event.get("late"):
            self._late.setdefault(event.get("association_id", ""), {})[event["seq"]] = event

    def complete(self, association: Association) -> Association:
        """Add to an association what was found out after its end, and return it; nothing that was known changes."""
        for _, event in sorted(self._late.get(association["association_id"], {}).items()):  # the first one counts
            for key, value in association_of(event).items():
                association.setdefault(key, value)
        return association

    def timeline(self) -> list[Association]:
        """Return the associations that were imported, each with its end as far as the logs tell of it."""
        return [self.complete(association) for association in _timeline(list(self._imported.values()))]


def same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two attachments, as a log tells of them, cannot have been on a host at the same time.

    Where a runtime has one container ID for all, the MAC addresses tell them apart.
    """
    shared = {key[0] for key in set(_keys_of(one)) & set(_keys_of(other))}
    macs = (one.get("branch_mac"), other.get("branch_mac"))
    return bool(shared - {"attachment"}) or ("attachment" in shared and (None in macs or macs[0] == macs[1]))


def _keys_of(fields: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what an attachment can be found by among others."""
    keys: list[tuple[Any, ...]] = []
    if fields.get("branch_mac"):
        keys.append(("mac", fields["branch_mac"]))
    if fields.get("vlan_id") is not None:
        keys.append(("vlan", fields.get("trunk_mac") or fields.get("trunk_ifname"), fields["vlan_id"]))
    if fields.get("container_id"):
        keys.append(("attachment", fields["container_id"], fields.get("ifname")))
    return keys


def _timeline(events: list[Event]) -> list[Association]:
    """Return what the adds and dels of the log make, each with its end."""
    found: list[Association] = []
    standing: dict[tuple[Any, ...], Association] = {}

    def end(association: Association, event: Event, why: str) -> None:
        until = event["occurred_ts"]
        if until == association["since"]:  # logs have whole seconds, and it was there in this one
            until = f"{until[:20]}999999Z"
        association |= {"until": until, "ended_by": why, "end_seq": event["seq"]}
        for key in _keys_of(association):
            if standing.get(key) is association:
                del standing[key]

    events = sorted(events, key=lambda event: (event["occurred_ts"], event["seq"]))
    for event in events:
        kind, keys = event.get("imported_event"), _keys_of(event)
        met = (standing[key] for key in keys if key in standing)
        there = {id(one): one for one in met if same_place(one, event)}
        if kind == "add" and event.get("association_id"):
            for old in there.values():
                end(old, event, "superseded")
            association = {**association_of(event), "since": event["occurred_ts"]}
            found.append(association)
            standing.update(dict.fromkeys(keys, association))
        elif kind == "del":
            mac = event.get("branch_mac")
            for old in there.values():
                if not mac or old.get("branch_mac", mac) == mac:
                    end(old, event, "del")
    for association in found:
        if "until" not in association:
            association |= {"until": events[-1]["occurred_ts"], "ended_by": "unknown"}
    return found


def end_by_recorded(association: Association, others: list[Association]) -> None:
    """End an association where the ledger's own record of the same place begins."""
    after = [other for other in others if other["since"] > association["since"]]
    first = min(after, key=lambda other: (other["since"], other["add_seq"]), default=None)
    if first is None:
        return
    same = first.get("branch_mac") and first.get("branch_mac") == association.get("branch_mac")
    earlier = first["since"] < association["until"]
    if earlier or (association["ended_by"] == "unknown" and same):
        # The same MAC in the same place, found there later: it was there all the time.
        association |= {"until": first["since"], "ended_by": "superseded", "end_seq": first["add_seq"]}
