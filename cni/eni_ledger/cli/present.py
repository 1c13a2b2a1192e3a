"""Print an answer in any form but the plain ones, which the commands print without a library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.cli.session import Session
from eni_ledger.ledger.format.line import KEYS
from eni_ledger.render import table as tables
from eni_ledger.render import written
from eni_ledger.render.arrange import arranged, counted_by
from eni_ledger.render.associations import print_history, print_live
from eni_ledger.render.events import EventLines
from eni_ledger.render.fields import (
    ASSOCIATION,
    EVENT,
    NAMES,
    NUMBERS,
    WIDE_ASSOCIATION,
    WIDE_EVENT,
    Field,
    chosen,
    fields,
    keys_of,
)
from eni_ledger.render.form import Form
from eni_ledger.render.screen import Screen, one_line
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import safe

Row = dict[str, Any]

_EVENT_ONLY = ("ts", "seq", "v", "event")
ASSOCIATION_KEYS = (
    *("association_id", "since", "until", "ended_by"),
    *(key for key in KEYS if key not in ("association_id", *_EVENT_ONLY)),
    *("add_seq", "end_seq"),
)
COLUMNS = {
    **dict.fromkeys(("list", "who"), (*ASSOCIATION_KEYS, "task")),
    **dict.fromkeys(("log", "show"), (*KEYS, "task")),
}
"""By command, the columns that its answer may have, where that is known beforehand."""
_ROWS = ("associations", "events", "checks", "segments", "identified", "steps", "interfaces", "ledgers", "groups")
_STREAMED = ("jsonl", "csv", "tsv", "yaml", "markdown")
_QUIET = ("association_id", "id", "name", "path", "segment", "eni_id", "ifname")


def present(session: Session, form: Form, document: Row, *, live: bool = False) -> None:
    """Print `document`, as `--json` prints it, in `form`. Raises UsageError, LedgerDamaged after what is sound.

    Its associations or events may be an iterator. With `live` associations are shown as what is live now.
    """
    print_document(session.screen, form, document, show=lambda rows: _show(session, document, rows, live=live))


def _show(session: Session, document: Row, rows: list[Row], *, live: bool) -> None:
    """Print associations or events as the table form has them."""
    screen = session.screen
    if "events" in document:
        lines = EventLines(screen, instances=len(session.ask().apart()) > 1)
        if rows and screen.headers:
            screen.line(lines.header())
        for row in rows:
            screen.line(lines.line(row))
    elif not rows:
        screen.note("nothing to show")
    elif live:
        print_live(rows, screen, session.as_of())
    else:
        print_history(rows, screen, session.as_of())


def print_document(
    screen: Screen,
    form: Form,
    document: Row,
    *,
    rows: str | None = None,
    show: Callable[[list[Row]], None] | None = None,
) -> None:
    """Print a document in a form; see `present`. `rows` names its list, by default the first that it has."""
    if form.plain and form.output == "json":
        screen.json_document(document)
        return
    _check(form)
    key = rows or next((name for name in _ROWS if name in document), None) or _first_list(document)
    given: Iterable[Row] = document[key] if key else [document]
    damage: list[LedgerDamaged] = []
    _Printer(screen, form, document, key, show).run(given if isinstance(given, list) else _sound(given, damage))
    if damage:
        raise damage[0]


def _check(form: Form) -> None:
    """Raise UsageError for options that exclude each other."""
    asked = [("-q", form.quiet), ("--query", form.query), ("--columns", form.columns), ("--group-by", form.group_by)]
    names = [name for name, given in asked if given]
    if form.quiet and form.output not in ("table", "wide", "text"):
        names = ["-q", f"-o {form.output}"]
    if len(names) > 1 and names not in (["--query", "--group-by"],):
        raise UsageError(f"{names[0]} and {names[1]} exclude each other", hint="leave one of them away")


def _first_list(document: Row) -> str | None:
    return next((key for key, each in document.items() if isinstance(each, list) and _objects(each)), None)


def _objects(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(each, dict) for each in values)


def _sound(rows: Iterable[Row], damage: list[LedgerDamaged]) -> Iterator[Row]:
    """Yield the rows until damage is met, which goes into `damage`."""
    try:
        yield from rows
    except LedgerDamaged as exc:
        damage.append(exc)


class _Printer:
    """Prints the rows of one document in one form."""

    def __init__(
        self, screen: Screen, form: Form, document: Row, key: str | None, show: Callable[[list[Row]], None] | None
    ) -> None:
        self.screen = screen
        self.form = form
        self.document = document
        self.key = key
        self.show = show

    def run(self, rows: Iterable[Row]) -> None:
        form = self.form
        streamed = form.output in _STREAMED and not (form.sort or form.group_by or form.query or isinstance(rows, list))
        if not streamed:
            rows = list(rows)
        if form.sort:
            field = chosen([form.sort.removeprefix("-")], self._known(rows))[0]
            rows = arranged(rows, field, descending=form.sort.startswith("-"))
        if form.limit:
            rows = islice(rows, form.limit) if streamed else list(rows)[: form.limit]
        if form.group_by:
            rows = counted_by(rows, chosen([form.group_by], self._known(rows))[0])
            self.document, self.key, self.show = {"groups": rows}, "groups", None
        if form.query:
            self._queried(list(rows))
        elif form.quiet:
            self._ids(rows)
        else:
            self._rows(rows)

    def _known(self, rows: Iterable[Row]) -> list[str]:
        """Return the keys that rows may have."""
        seen = keys_of(rows) if isinstance(rows, list) else []
        if self.key == "associations" and (not seen or "since" in seen):
            return [*dict.fromkeys([*COLUMNS["list"], *seen])]
        if self.key == "events":
            return [*dict.fromkeys([*COLUMNS["log"], *seen])]
        return seen

    def _fields(self, rows: Iterable[Row]) -> list[Field]:
        """Return the columns: those asked for, else those of the form."""
        form, known = self.form, self._known(rows)
        if form.columns:
            return chosen(form.columns, known)
        people = form.output in ("table", "wide", "markdown")
        ours = "since" in known or self.key == "events"
        if not (people and ours):
            return fields(name for name in known if name != "task" or not ours)
        wide = form.output == "wide"
        if self.key == "events":
            return self._filled(fields(WIDE_EVENT if wide else EVENT, short=True), rows)
        return self._filled(fields(WIDE_ASSOCIATION if wide else ASSOCIATION, short=True), rows)

    def _filled(self, columns: list[Field], rows: Iterable[Row]) -> list[Field]:
        """Return the columns that have a value in any row; all of them while the rows are not known."""
        if not isinstance(rows, list) or not rows:
            return columns
        return [field for field in columns if any(field.value(row) not in (None, "", []) for row in rows)]

    def _rows(self, rows: Iterable[Row]) -> None:
        form, screen = self.form, self.screen
        if form.output == "table" and not form.columns and self.show is not None:
            screen.headers = form.headers
            self.show(list(rows))
            return
        columns = self._fields(rows)
        if form.output == "csv":
            written.write_csv(screen, columns, rows, headers=form.headers)
        elif form.output == "tsv":
            written.write_tsv(screen, columns, rows, headers=form.headers)
        elif form.output == "markdown":
            written.write_markdown(screen, columns, rows, screen.zone, headers=form.headers)
        elif form.output in ("table", "wide"):
            self._table(columns, list(rows))
        elif form.output == "text" and form.columns:
            for row in rows:
                screen.line("\t".join(safe(field.value(row)) for field in columns))
        else:
            self._data(columns, rows)

    def _data(self, columns: list[Field], rows: Iterable[Row]) -> None:
        """Print the document as data, its rows with the columns asked for."""
        if self.form.columns:
            rows = ({field.name: field.value(row) for field in columns} for row in rows)
        if self.key is None:
            self._value(next(iter(rows)))
        elif self.form.output == "jsonl" or (self.form.output == "json" and [*self.document] == ["events"]):
            for _ in self.screen.json_lines(rows):
                pass
        elif self.form.output == "yaml":
            self.screen.utf8()
            for part in written.yaml_parts(self.document, self.key, rows):
                self.screen.write(part)
        else:
            self._value({**self.document, self.key: list(rows)})

    def _table(self, columns: list[Field], rows: list[Row]) -> None:
        table = Table(
            [
                Column(field.head(self.screen.zone), right=field.name in NUMBERS, names=field.name in NAMES)
                for field in columns
            ],
            [[Cell.of(field.text(row, self.screen.zone)) for field in columns] for row in rows],
        )
        if not rows:
            self.screen.note("nothing to show")
            return
        tables.show(table, self.screen, headers=self.form.headers)

    def _ids(self, rows: Iterable[Row]) -> None:
        """Print each ID once."""
        seen = set()
        for row in rows:
            value = next((row[key] for key in _QUIET if row.get(key) is not None), None)
            if value is not None and str(value) not in seen:
                seen.add(str(value))
                self.screen.line(safe(value))

    def _queried(self, rows: list[Row]) -> None:
        """Print what the JMESPath expression selects of the document."""
        import jmespath  # only for --query
        from jmespath.exceptions import JMESPathError

        document = {**self.document, self.key: rows} if self.key else self.document
        try:
            value = jmespath.search(self.form.query, document)
        except (JMESPathError, ValueError, RecursionError) as exc:
            words = " ".join(str(exc).split()) or "nested too deeply"
            hint = "see https://jmespath.org; for example --query 'associations[].eni_id'"
            raise UsageError("--query is not a JMESPath expression for this answer", words, hint) from exc
        if self.form.output in ("json", "yaml", "text", "jsonl"):
            self._value(value)
            return
        self.document, self.key, self.show = {}, "", None
        if isinstance(value, dict):
            value = [value]
        values = value if isinstance(value, list) else [value]
        self._rows([_row(each) for each in values])

    def _value(self, value: Any) -> None:
        """Print any value as JSON, YAML or text."""
        screen, output = self.screen, self.form.output
        screen.utf8()
        if output == "text":
            for line in written.aws_text(value):
                screen.line(line)
        elif output == "yaml":
            screen.write(written.yaml_text(value))
        elif output == "jsonl":
            for each in value if isinstance(value, list) else [value]:
                screen.line(one_line(each))
        elif isinstance(value, dict):
            screen.json_document(value)
        elif isinstance(value, list) and value:
            screen.line("[\n" + ",\n".join(map(one_line, value)) + "\n]")
        else:
            screen.line(one_line(value))


def _row(value: Any) -> Row:
    """Return a value of a query as a row."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(number): each for number, each in enumerate(value, 1)}
    return {"value": value}
