"""Associations as columns: data frames and Arrow tables. The libraries are optional and imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eni_ledger.ledger.format.live import CONTAINERS
from eni_ledger.ledger.format.schema import Association, Container

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from eni_ledger.base.events import Fields


_TIMES = ("since", "until")
_TEXTS = ("addresses", "gateways", "observed_addresses", "observed_gateways", "mismatch")
_NUMBERS = (
    *("vlan_id", "observed_vlan_id", "trunk_ifindex", "netns_dev"),
    *("pid", "pid_start", "add_seq", "end_seq"),
)
_INODES = ("trunk_netns_inode", "netns_inode")  # 64 bits without a sign
_BOOLS = ("block_instance_metadata", "unconfirmed")
_OF_CONTAINER = tuple(Container.model_fields)


def columns(rows: Sequence[Fields]) -> dict[str, list[Any]]:
    """Return a list of values for each key that an association can have; times are aware `datetime`, absent is None.

    Values of keys that a later version wrote are left out.
    """
    made = {key: [row.get(key) for row in rows] for key in Association.model_fields}
    for key in _TIMES:
        made[key] = [None if value is None else datetime.fromisoformat(value) for value in made[key]]
    made[CONTAINERS] = [None if value is None else _containers(value) for value in made[CONTAINERS]]
    made["task_revision"] = [None if value is None else str(value) for value in made["task_revision"]]
    return made


def _containers(value: object) -> list[dict[str, Any]]:
    every = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    return [{key: each.get(key) for key in _OF_CONTAINER} for each in every]


def to_dataframe(rows: Sequence[Fields]) -> pd.DataFrame | pl.DataFrame:
    """Return the rows as a data frame of pandas, else of polars. Raises ImportError when neither is installed."""
    made = columns(rows)
    try:
        pandas = import_module("pandas")
    except ImportError:
        try:
            polars = import_module("polars")
        except ImportError:
            raise ImportError("to_dataframe needs pandas or polars: pip install 'eni-ledger[pandas]'") from None
        return _polars(polars, made)
    frame = pandas.DataFrame(made)
    for key in _TIMES:
        frame[key] = pandas.to_datetime(frame[key], utc=True)
    return frame.astype(
        dict.fromkeys(_NUMBERS, "Int64") | dict.fromkeys(_INODES, "UInt64") | dict.fromkeys(_BOOLS, "boolean")
    )


def _polars(polars: Any, made: dict[str, list[Any]]) -> pl.DataFrame:
    texts = polars.List(polars.String)
    kinds = {
        **dict.fromkeys(made, polars.String),
        **dict.fromkeys(_TIMES, polars.Datetime("us", "UTC")),
        **dict.fromkeys(_TEXTS, texts),
        **dict.fromkeys(_NUMBERS, polars.Int64),
        **dict.fromkeys(_INODES, polars.UInt64),
        **dict.fromkeys(_BOOLS, polars.Boolean),
        CONTAINERS: polars.List(polars.Struct(dict.fromkeys(_OF_CONTAINER, polars.String))),
    }
    frame: pl.DataFrame = polars.DataFrame(made, schema=kinds)
    return frame


def to_arrow(rows: Sequence[Fields]) -> pa.Table:
    """Return the rows as a table of pyarrow. Raises ImportError."""
    try:
        arrow = import_module("pyarrow")
    except ImportError:
        raise ImportError("to_arrow needs pyarrow: pip install 'eni-ledger[arrow]'") from None
    kinds = {
        **dict.fromkeys(_TIMES, arrow.timestamp("us", "UTC")),
        **dict.fromkeys(_TEXTS, arrow.list_(arrow.string())),
        **dict.fromkeys(_NUMBERS, arrow.int64()),
        **dict.fromkeys(_INODES, arrow.uint64()),
        **dict.fromkeys(_BOOLS, arrow.bool_()),
        CONTAINERS: arrow.list_(arrow.struct(dict.fromkeys(_OF_CONTAINER, arrow.string()))),
    }
    made = columns(rows)
    return arrow.table({key: arrow.array(values, kinds.get(key, arrow.string())) for key, values in made.items()})
