"""Filters of EC2's Describe actions: every filter has to hold, of the values of one any.

Names and values are case-sensitive. In a value `*` stands for any characters, `?` for exactly one, and `\\` before a
character for that character ("List and filter your resources" in the EC2 user guide).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from eni_ledger.desk.ec2.refusals import invalid_value
from eni_ledger.render.text import safe

MOST_FILTERS, MOST_VALUES, LONGEST = 50, 200, 1024
"""Of one request: filters, values of one filter, characters of one value."""
TAG = "tag:"
_ANY, _ONE = object(), object()

Record = TypeVar("Record")
Filterable = Mapping[str, Callable[[Record], Iterable[str]]]
"""The name of a filter and what it is compared with."""


class Pattern:
    """A value of a filter; `matches` takes time in proportion to the lengths of pattern and text multiplied."""

    def __init__(self, text: str) -> None:
        self._parts = list(_parts(text))
        self._literal = "".join(map(str, self._parts)) if not {_ANY, _ONE} & set(self._parts) else None

    def matches(self, text: str) -> bool:
        """Tell whether the whole of `text` fits."""
        if self._literal is not None:
            return text == self._literal
        parts, at, here = self._parts, 0, 0
        star, resume = -1, 0
        while here < len(text):
            if at < len(parts) and parts[at] is _ANY:
                star, resume = at, here
                at += 1
            elif at < len(parts) and (parts[at] is _ONE or parts[at] == text[here]):
                at, here = at + 1, here + 1
            elif star >= 0:  # the last * takes one character more
                resume += 1
                at, here = star + 1, resume
            else:
                return False
        return all(part is _ANY for part in parts[at:])


def _parts(text: str) -> Iterable[object]:
    characters = iter(text)
    for character in characters:
        if character == "\\":
            yield next(characters, character)
        elif character == "*":
            yield _ANY
        elif character == "?":
            yield _ONE
        else:
            yield character


def predicate(
    given: Sequence[tuple[str, Sequence[str]]], fields: Filterable[Record], tags: Callable[[Record], Mapping[str, str]]
) -> Callable[[Record], bool]:
    """Return the test of the filters `given`: pairs of name and values. `tags` returns the tags of a record.

    Raises Refused for a filter that `fields` does not have, one without a value, and for too many of them.
    """
    if len(given) > MOST_FILTERS:
        raise invalid_value(f"there are more than {MOST_FILTERS} filters")
    tests = [(_values_of(name, fields, tags), _patterns(name, values)) for name, values in given]

    def holds(record: Record) -> bool:
        return all(
            any(pattern.matches(value) for value in values_of(record) for pattern in patterns)
            for values_of, patterns in tests
        )

    return holds


def _values_of(
    name: str, fields: Filterable[Record], tags: Callable[[Record], Mapping[str, str]]
) -> Callable[[Record], Iterable[str]]:
    if name in fields:
        return fields[name]
    key = name.removeprefix(TAG)
    if key != name and key:
        return lambda record: [tags(record)[key]] if key in tags(record) else ()
    known = ", ".join([*fields, f"{TAG}KEY"])
    raise invalid_value(f"The filter '{safe(name[:100])}' is invalid", f"filters are {known}")


def _patterns(name: str, values: Sequence[str]) -> list[Pattern]:
    if not values:
        raise invalid_value(f"The filter '{safe(name[:100])}' has no value")
    if len(values) > MOST_VALUES:
        raise invalid_value(f"The filter '{safe(name[:100])}' has more than {MOST_VALUES} values")
    if any(len(value) > LONGEST for value in values):
        raise invalid_value(f"The filter '{safe(name[:100])}' has a value longer than {LONGEST} characters")
    return [Pattern(value) for value in values]


def text_values(*keys: str) -> Callable[[Mapping[str, Any]], list[str]]:
    """Return what gives the values that a mapping has under `keys`, as text."""
    return lambda record: [str(record[key]) for key in keys if record.get(key) is not None]
