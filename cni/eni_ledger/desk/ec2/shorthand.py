"""`--filters` as the AWS CLI reads it: its shorthand, ``Name=vlan-id,Values=101,102``, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from eni_ledger.base.errors import UsageError

_MOST = 65536  # characters
_KEY = re.compile(r"\s*([\w.#/:-]*)\s*=\s*", re.ASCII)
_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"", re.DOTALL)
_BARE = re.compile(r"(?:\\,|[^,\[\]{}'\"])*", re.DOTALL)
_FURTHER = re.compile(r"(?:\\,|[^,=\[\]{}'\"])*", re.DOTALL)
_LISTED = re.compile(r"(?:\\,|[^,\]'\"])*", re.DOTALL)
Filter = tuple[str, list[str]]


def filters(arguments: Sequence[str]) -> list[Filter]:
    """Return the filters of the values of `--filters`, as pairs of name and values. Raises UsageError."""
    found: list[Filter] = []
    for argument in arguments:
        if len(argument) > _MOST:
            raise _wrong(f"longer than {_MOST} characters")
        text = argument.lstrip()
        members = _json(text) if text[:1] in ("[", "{") else [_Shorthand(argument).read()]
        found += [_filter(member, len(found) + number) for number, member in enumerate(members)]
    return found


def _json(text: str) -> list[object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _wrong(f"Invalid JSON: {exc}") from exc
    return value if isinstance(value, list) else [value]


def _filter(member: object, number: int) -> Filter:
    """Return the filter of an object with Name and Values. Raises UsageError."""
    if not isinstance(member, dict):
        raise _wrong(f"Filters[{number}] is not an object")
    if unknown := [key for key in member if key not in ("Name", "Values")]:
        raise _wrong(f"Unknown parameter in Filters[{number}]: {str(unknown[0])[:60]!a}, must be one of: Name, Values")
    name, values = member.get("Name", ""), member.get("Values", [])
    values = [values] if isinstance(values, str) else values
    if not isinstance(name, str) or not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise _wrong(f"Filters[{number}] has a Name or Values that are not text")
    return name, values


class _Shorthand:
    """The shorthand of one object."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> dict[str, object]:
        found: dict[str, object] = {}
        while True:
            key = _KEY.match(self._text, self._at)
            if key is None or not key[1]:
                raise _wrong(f"Expected: 'Name=...,Values=...', received: {self._text[self._at : self._at + 40]!a}")
            if key[1] in found:
                raise _wrong(f"Second instance of key {key[1]!a}; a blank goes between two filters, not a comma")
            self._at = key.end()
            found[key[1]] = self._list() if self._here() == "[" else self._values()
            if self._at >= len(self._text):
                return found
            self._comma()

    def _values(self) -> object:
        """Return a text, or a list where commas follow that no key stands behind."""
        values = [self._value(_BARE)]
        while self._here() == ",":
            key = _KEY.match(self._text, self._at + 1)
            if key is not None and key[1]:
                break
            self._at += 1
            start = self._at
            values.append(self._value(_FURTHER))
            if not self._text[start : self._at].strip():
                raise _wrong(f"Expected: a value, received: {self._here() or 'EOF'!a}")
        return values if len(values) > 1 else values[0]

    def _list(self) -> list[str]:
        self._at += 1
        values: list[str] = []
        while self._here() != "]":
            values.append(self._value(_LISTED))
            if self._here() != "]":
                self._comma()
        self._at += 1
        self._blanks()
        return values

    def _value(self, bare: re.Pattern[str]) -> str:
        self._blanks()
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is not None:
            self._at = quoted.end()
            self._blanks()
            mark = quoted[0][0]
            return quoted[0][1:-1].replace("\\" + mark, mark).replace("\\\\", "\\")
        found = bare.match(self._text, self._at)
        assert found is not None  # noqa: S101 - it fits an empty text
        self._at = found.end()
        return found[0].replace("\\,", ",").rstrip()

    def _comma(self) -> None:
        if self._here() != ",":
            raise _wrong(f"Expected: ',', received: {self._here() or 'EOF'!a}")
        self._at += 1

    def _blanks(self) -> None:
        while self._here().isspace():
            self._at += 1

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]


def _wrong(why: str) -> UsageError:
    return UsageError("Error parsing parameter '--filters'", why, "--filters Name=vlan-id,Values=101,102")
