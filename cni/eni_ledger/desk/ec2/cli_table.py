"""`--output table` of the AWS CLI: a box for each object or list of objects, nested ones inside.

A table that is wider than the screen has the sections with a single row turned: a line for each column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from unicodedata import east_asian_width

from eni_ledger.base.errors import EniLedgerError

_PADDING = 4  # columns of blanks in a cell: two on each side


class UnevenRows(EniLedgerError):
    """Lists of different lengths, which no table can have as rows."""


class _Section:
    """A title, headers and rows; `level` is how deep it is nested."""

    def __init__(self, title: str, level: int) -> None:
        self.title = title
        self.level = level
        self.headers: list[str] = []
        self.rows: list[list[str]] = []

    def add(self, row: Sequence[object]) -> None:
        if self._columns() not in (None, len(row)):
            raise UnevenRows(
                f"a row should have {self._columns()} elements, it has {len(row)}",
                hint="--output json, or another --query",
            )
        self.rows.append([str(cell) for cell in row])

    def _columns(self) -> int | None:
        return len(self.headers) if self.headers else len(self.rows[0]) if self.rows else None

    def _cells(self) -> list[list[str]]:
        return [self.headers, *self.rows] if self.headers else self.rows

    def width(self) -> int:
        """Return the columns of the screen that it takes, with borders."""
        natural = sum(max(map(_width, column)) + _PADDING for column in zip(*self._cells(), strict=True))
        return max(_width(self.title), natural) + 2 + 2 * self.level

    def widths(self, total: int) -> list[int]:
        """Return the widths of the columns, stretched to `total`; what rounding leaves is spread from an end."""
        natural = [max(map(_width, column)) + _PADDING for column in zip(*self._cells(), strict=True)]
        if not natural:
            return natural
        factor = total / float(sum(natural))
        scaled = [round(factor * width) for width in natural]
        over = sum(scaled) - total
        step = -1 if over > 0 else 1
        order = range(len(scaled)) if over > 0 else range(len(scaled) - 1, -1, -1)
        for number in range(abs(over)):
            scaled[order[number % len(scaled)]] += step
        return scaled

    def turned(self) -> _Section:
        """Return it with a row for each header, if it has one row."""
        if len(self.rows) != 1 or not self.headers:
            return self
        section = _Section(self.title, self.level)
        section.rows = [list(pair) for pair in zip(self.headers, self.rows[0], strict=True)]
        return section


def lines(title: str, value: Any, screen: int) -> Iterator[str]:
    """Yield the lines of the table of a JSON value; `screen` is the width in columns. Raises UnevenRows.

    None of them for an empty value.
    """
    sections: list[_Section] = []
    _collect(sections, title, value, 0)
    if not sections:
        return
    if max(section.width() for section in sections) > screen:
        sections = [section.turned() for section in sections]
    width = max(section.width() for section in sections)
    yield "-" * width
    for section in sections:
        edge = "|" * section.level
        for line in _box(section, width - 2 * section.level):
            yield f"{edge}{line}{edge}"


def _collect(sections: list[_Section], title: str | None, value: Any, level: int) -> None:
    """Add the sections of `value`; without a title its rows belong to the last one."""
    if not value:
        return
    if title is not None:
        sections.append(_Section(title, level))
    if isinstance(value, dict):
        _collect_object(sections, value, level)
    elif isinstance(value, list) and isinstance(value[0], dict):
        _collect_objects(sections, title, value, level)
    elif isinstance(value, list):
        for member in value:
            if not _nested(member):
                sections[-1].add([member])
            elif not any(map(_nested, member)):
                sections[-1].add(list(member))
            else:
                _collect(sections, None, member, 0)


def _collect_object(sections: list[_Section], value: dict[str, Any], level: int) -> None:
    headers = sorted(key for key in value if not _nested(value[key]))
    if len(headers) == 1:
        sections[-1].add([headers[0], value[headers[0]]])
    elif headers:
        sections[-1].headers = headers
        sections[-1].add([value[key] for key in headers])
    for key in sorted(set(value) - set(headers)):
        _collect(sections, key, value[key], level + 1)


def _collect_objects(sections: list[_Section], title: str | None, value: list[Any], level: int) -> None:
    if not all(isinstance(one, dict) for one in value):
        raise UnevenRows("a list of a table has objects and other values", hint="--output json, or another --query")
    headers = sorted({key for one in value for key in one if not _nested(one[key])})
    nested = sorted({key for one in value for key in one if _nested(one[key])})
    for number, one in enumerate(value):
        if number == 0 or nested:
            if number:
                sections.append(_Section(title or "", level))
            sections[-1].headers = headers
        sections[-1].add([one.get(key, "") for key in headers])
        for key in nested:
            if key in one:
                _collect(sections, key, one[key], level + 1)


def _box(section: _Section, width: int) -> Iterator[str]:
    if section.title:
        yield _centred(section.title, width, "|")
    if section.title and not section.headers and not section.rows:
        yield f"+{'-' * (width - 2)}+"
    widths = section.widths(width)
    if not widths:
        return
    rule = "+" + "+".join("-" * (each - (2 if number == 0 else 1)) for number, each in enumerate(widths)) + "+"
    if section.headers:
        yield rule
        yield "".join(_centred(text, *cell) for text, cell in zip(section.headers, _edges(widths), strict=True))
    if section.rows:
        yield rule
        for row in section.rows:
            yield "".join(_left(text, *cell) for text, cell in zip(row, _edges(widths), strict=True))
        yield rule


def _edges(widths: Sequence[int]) -> list[tuple[int, str]]:
    """Return each width with the left edge of its cell."""
    return [(width, "" if number else "|") for number, width in enumerate(widths)]


def _centred(text: str, width: int, edge: str) -> str:
    before = width // 2 - _width(text) // 2 - 1
    after = width - 1 - len(edge) - before - _width(text)
    return f"{edge}{' ' * before}{text}{' ' * after}|"


def _left(text: str, width: int, edge: str) -> str:
    padding = 2 if width >= _width(text) + 2 + len(edge) + 1 else 0
    return f"{edge}{' ' * padding}{text}{' ' * (width - len(edge) - padding - _width(text) - 1)}|"


def _width(text: str) -> int:
    """Return the columns that `text` takes; characters of ambiguous width count as wide, as the AWS CLI counts them."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(c) in "WFA" else 1 for c in text)


def _nested(value: object) -> bool:
    return isinstance(value, (dict, list))
