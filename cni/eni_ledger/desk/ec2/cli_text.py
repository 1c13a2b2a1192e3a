"""`--output text` of the AWS CLI: a line for each object, its scalars by the order of keys, tabs between.

In front of a line stands the key under which the object was found. Objects of one list have the same columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def lines(value: Any, name: str | None = None, columns: Sequence[str] | None = None) -> Iterator[str]:
    """Yield the lines of a JSON value that has the key `name`; an object of a list has `columns`."""
    if isinstance(value, dict):
        yield from _object(value, name, columns)
    elif not isinstance(value, list):
        yield str(value)
    elif any(isinstance(member, dict) for member in value):
        keys = sorted({key for one in value if isinstance(one, dict) for key in one if not _nested(one[key])})
        for member in value:
            yield from lines(member, name, keys)
    else:
        scalars = [str(member) for member in value if not _nested(member)]
        if scalars and name is not None:
            yield from (f"{name.upper()}\t{scalar}" for scalar in scalars)
        elif scalars:
            yield "\t".join(scalars)
        for member in value:
            if _nested(member):
                yield from lines(member, name)


def _object(value: dict[str, Any], name: str | None, columns: Sequence[str] | None) -> Iterator[str]:
    if columns is None:
        columns = sorted(key for key in value if not _nested(value[key]))
    scalars = [str(value.get(key, "")) for key in columns]
    if scalars:
        yield "\t".join([name.upper(), *scalars] if name is not None else scalars)
    for key in sorted(set(value) - set(columns)):
        yield from lines(value[key], key)


def _nested(value: object) -> bool:
    return isinstance(value, (dict, list))
