"""The columns that an answer can be printed in, by the names of keys and by the headers of tables."""

from __future__ import annotations

from datetime import UTC
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from eni_ledger.base.errors import UsageError
from eni_ledger.render.text import SHORT, clock, label, safe, zone_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    Row = dict[str, Any]

HEADERS = {
    "vlan_id": "VLAN",
    "eni_id": "ENI",
    "branch_mac": "MAC",
    "addresses": "IP",
    "task": "TASK",
    "task_family": "FAMILY",
    "task_revision": "REVISION",
    "container_id": "CONTAINER",
    "netns_inode": "NETNS",
    "trunk_eni_id": "TRUNK",
    "instance_id": "INSTANCE",
    "since": "FROM",
    "until": "UNTIL",
    "ended_by": "ENDED BY",
    "association_id": "ID",
    "ts": "TIME",
}
"""The header of a key; of any other it is the key in capitals."""
TIMES = ("ts", "since", "until", "occurred_ts", "at")
NAMES = ("task", "task_family", "service", "cluster")
NUMBERS = ("vlan_id", "task_revision", "pid", "netns_inode", "seq", "count", "took_ms")

ASSOCIATION = ("vlan_id", "eni_id", "addresses", "task", "since", "until", "ended_by", "association_id")
EVENT = ("ts", "event", "vlan_id", "eni_id", "addresses", "task", "association_id")
_MORE = ("task", "service", "cluster", "container_id", "ifname", "netns_inode", "pid", "trunk_eni_id", "instance_id")
WIDE_ASSOCIATION = (
    *("vlan_id", "eni_id", "branch_mac", "addresses", *_MORE, "since", "until", "ended_by"),
    *("mismatch", "via", "association_id"),
)
WIDE_EVENT = (
    *("ts", "seq", "event", "vlan_id", "eni_id", "branch_mac", "addresses", *_MORE),
    *("mismatch", "via", "error_msg", "association_id"),
)


class Field:
    """One column: `name` as programs read it, `header` as people do, `value` of a row.

    `short` is for people: a container ID as Docker prints it.
    """

    __slots__ = ("header", "name", "short", "value")

    def __init__(self, name: str, value: Callable[[Row], Any] | None = None, *, short: bool = False) -> None:
        self.name = name
        self.short = short
        self.header = HEADERS.get(name, name.upper().replace("_", " "))
        self.value = value or (_task if name == "task" else lambda row: row.get(name))

    def head(self, zone: tzinfo = UTC) -> str:
        """Return the header, of a time with the zone."""
        return f"{self.header} ({zone_name(zone)})" if self.name in TIMES else self.header

    def text(self, row: Row, zone: tzinfo = UTC) -> str:
        """Return the value for people, safe to print; empty when it is not known."""
        value = self.value(row)
        if self.name in TIMES and isinstance(value, str):
            return clock(value, zone)
        if self.name == "addresses" and isinstance(value, list):
            return ", ".join(safe(address).partition("/")[0] for address in value)
        return safe(value)[:SHORT] if self.short and self.name == "container_id" else safe(value)


def _task(row: Row) -> Any:
    """Return the task in one word, or the value of a row that has a `task` of its own."""
    return row["task"] if "task" in row else label(row) or None


def fields(names: Iterable[str], *, short: bool = False) -> list[Field]:
    """Return the columns of these keys."""
    return [Field(name, short=short) for name in names]


def keys_of(rows: Sequence[Row]) -> list[str]:
    """Return the keys of all rows, each once, in the order in which they come."""
    return list(dict.fromkeys(key for row in rows for key in row))


def chosen(names: Iterable[str], known: Iterable[str]) -> list[Field]:
    """Return the columns that `names` name, by key or header; a name in capitals is a header first.

    `known` are the keys that there are. Raises UsageError for a name that is neither, with the nearest ones.
    """
    keys = dict.fromkeys(known)
    headers = {Field(key).header: key for key in reversed(keys)}
    found = []
    for name in names:
        key = name.strip()
        if not (key.isupper() and key in headers) and key not in keys:
            spoken = key.upper().replace("_", " ")
            if spoken not in headers:
                raise _no_column(key, [*keys, *(header.lower() for header in headers)])
            key = headers[spoken]
        elif key.isupper() and key in headers:
            key = headers[key]
        found.append(Field(key))
    return found


def _no_column(name: str, known: Sequence[str]) -> UsageError:
    near = list(dict.fromkeys(get_close_matches(name.lower(), known, 4, 0.6)))
    hint = " or ".join(near) if near else f"one of {', '.join(dict.fromkeys(known))}"
    return UsageError("there is no such column", f"'{safe(name):.80}'", hint)
