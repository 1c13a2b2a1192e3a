"""Documents of a report, made without a ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from eni_ledger.desk.report.findings import of_associations
from eni_ledger.desk.topology.picture import draw
from helpers.ledgers import ACTIVE, write_chain
from helpers.pictures import branch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eni_ledger.base.events import Fields

BEGIN = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)

_NOT_OF_EVENTS = ("since", "until", "ended_by", "add_seq", "end_seq")


def ts(seconds: float) -> str:
    """Return the time of the ledger so many seconds after BEGIN."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def past(count: int, **more: Any) -> list[Any]:
    """Return associations that began ten seconds after each other on ten VLAN IDs; all but the last ten have ended."""
    found = []
    for n in range(count):
        family = ("api", "web", "billing")[n % 3]
        one = branch(n, **{"vlan_id": 101 + n % 10, "since": ts(n * 10), "task_family": family, **more})
        if n < count - 10:
            one |= {"until": ts(n * 10 + 90), "ended_by": "del"}
        found.append(one)
    return found


def document(associations: Sequence[Fields], **more: Any) -> dict[str, Any]:
    """Return what `collect` would of these associations, as they are a minute after the last began."""
    first = associations[0]["since"] if associations else ts(0)
    last = ts(len(associations) * 10 + 60)
    known = {
        "first": first,
        "last": last,
        "until_now": True,
        "begins": first,
        "associations": associations,
        "findings": of_associations(associations, first, last),
        "gaps": [],
        "picture": draw([one for one in associations if "until" not in one]),
        "sources": [
            {
                "place": "/var/lib/eni-ledger", "copy": None, "sound": True, "events": 7, "damage": [], "notes": [],
                "segments": [
                    {"path": "ledger.jsonl", "first_seq": 1, "last_seq": 7, "lines": 7, "bytes": 99, "status": "sound"}
                ],
            }
        ],
        "damage": [],
        "made": {"ts": last, "version": "1.2.3"},
    }  # fmt: skip
    return {**known, **more}


def write_ledger(state_dir: Path, associations: Sequence[Fields], **more: Any) -> None:
    """Make a ledger of one segment in which these associations, oldest first, began and ended; `more` keys of each."""
    happened: list[dict[str, Any]] = []
    for one in associations:
        known = {key: value for key, value in {**one, **more}.items() if key not in _NOT_OF_EVENTS}
        happened.append({**known, "event": "add", "ts": one["since"], "v": 1})
        if "until" in one:
            keys = ("association_id", "container_id", "ifname")
            happened.append({"event": "del", "ts": one["until"], "v": 1, **{key: one[key] for key in keys}})
    happened.sort(key=lambda event: str(event["ts"]))
    head = {"event": "checkpoint", "ts": happened[0]["ts"], "v": 1, "prev_crc": "00000000", "live": []}
    state_dir.mkdir(mode=0o750)
    write_chain(state_dir / ACTIVE, [{**event, "seq": seq} for seq, event in enumerate([head, *happened], 1)])
