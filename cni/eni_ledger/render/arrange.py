"""Sorts, limits and counts the rows of an answer."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eni_ledger.render.fields import Field

    Row = dict[str, Any]

_OF_ADDRESSES = frozenset("0123456789abcdefABCDEF.:/")


def arranged(rows: Iterable[Row], field: Field, *, descending: bool = False) -> list[Row]:
    """Return the rows sorted by a column: numbers as numbers, IP addresses as such, else as text; unknown ones last."""
    known: list[tuple[tuple[int, Any], Row]] = []
    unknown: list[Row] = []
    for row in rows:
        value = field.value(row)
        if value is None or value in ("", []):
            unknown.append(row)
        else:
            known.append((_rank(value), row))
    known.sort(key=lambda each: each[0], reverse=descending)
    return [row for _, row in known] + unknown


def _rank(value: Any) -> tuple[int, Any]:
    """Return what orders a value among others: its kind, then the value."""
    if isinstance(value, list):
        value = value[0]
    if isinstance(value, int | float):
        return 0, float(value) if abs(value) < 2**53 else value
    text = str(value)
    if text.isascii() and text.isdigit() and len(text) < 16:
        return 0, float(text)
    if _OF_ADDRESSES.issuperset(text):
        try:
            address = ip_interface(text)
        except ValueError:
            return 2, text
        return 1, (address.version, int(address))
    return 2, text


def counted_by(rows: Iterable[Row], field: Field) -> list[Row]:
    """Return a row for each value of a column, with the number of rows that have it, the most frequent first.

    A row with several values, such as addresses, counts for each of them; unknown is None.
    """
    counts: dict[Any, int] = {}
    for row in rows:
        value = field.value(row)
        values = value if isinstance(value, list) and value else [None if value == [] else value]
        for each in values:
            key = each if isinstance(each, str | int | float | None) else str(each)
            counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0] is None, str(each[0])))
    return [{field.name: value, "count": count} for value, count in ordered]
