"""Export as a SQLite database: a table of associations, a table of events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eni_ledger.ledger.format.schema import Association, Event
from eni_ledger.render.screen import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields


_INTEGERS = frozenset(
    (
        *("vlan_id", "observed_vlan_id", "trunk_ifindex", "netns_dev", "pid"),
        *("pid_start", "add_seq", "end_seq", "seq", "v", "error_code", "clock_step_us"),
        *("block_instance_metadata", "unconfirmed", "sync", "late"),
    )
)
_INDEXES = {
    "associations": ("eni_id", "vlan_id", "branch_mac", "task_arn", "container_id", "since"),
    "events": ("association_id", "ts"),
}


def to_sqlite(path: Path, associations: Iterable[Fields], events: Iterable[Fields]) -> None:
    """Write both into the new database `path`; its columns are the keys of the ledger.

    Times are RFC 3339 text, lists and objects JSON (for SQLite's json_each), false and true 0 and 1. Raises
    sqlite3.Error.
    """
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = OFF")  # the file takes its place when it is whole
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        _fill(database, "associations", list(Association.model_fields), "association_id", associations)
        _fill(database, "events", list(Event.model_fields), "seq", events)
        database.execute("COMMIT")
    finally:
        database.close()


def _fill(database: sqlite3.Connection, table: str, keys: list[str], first: str, rows: Iterable[Fields]) -> None:
    """Make a table with the columns `keys`, `first` before the others, and its indexes."""
    keys.sort(key=lambda key: key != first)
    columns = ", ".join(f'"{key}" {_affinity(key)}' for key in keys)
    database.execute(f"CREATE TABLE {table} ({columns})")
    marks = ", ".join("?" * len(keys))
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", _values(rows, keys))  # noqa: S608 - our own names
    for key in _INDEXES[table]:
        database.execute(f'CREATE INDEX "{table}_{key}" ON {table} ("{key}")')


def _affinity(key: str) -> str:
    """Return the type of a column; none for inodes, which are text where they are too large for 63 bits."""
    return "" if key.endswith("_inode") else "INTEGER" if key in _INTEGERS else "TEXT"


def _values(rows: Iterable[Fields], keys: list[str]) -> Iterator[list[Any]]:
    for row in rows:
        yield [_cell(row.get(key)) for key in keys]


def _cell(value: object) -> object:
    if isinstance(value, list | dict):
        return one_line(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # SQLite refuses a lone surrogate
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # an inode of 64 bits is larger than its integers
    return value
