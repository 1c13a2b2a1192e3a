"""`eni-ledger export`: the associations in the formats of other programs."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, UsageError
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.period import period_of
from eni_ledger.cli.request import Request
from eni_ledger.cli.session import full_path
from eni_ledger.desk.export import sqlite, text
from eni_ledger.render.text import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event


TEXTS: dict[str, Callable[[Any, IO[str]], None]] = {
    "csv": text.to_csv,
    "jsonl": text.to_jsonl,
    "pod-eni": text.to_pod_eni,
}
BINARY = ("sqlite", "parquet")
FORMATS = (*TEXTS, *BINARY)
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".db": "sqlite", ".sqlite": "sqlite"} | {
    ".sqlite3": "sqlite",
    ".parquet": "parquet",
}

EXAMPLES = [
    ("eni-ledger export --format csv associations.csv", "every association, for a spreadsheet"),
    ("eni-ledger export --format sqlite ledger.db", "associations and events, for sqlite3 or Datasette"),
    ("eni-ledger export --format jsonl --since -1d | jq -r .task_arn", "those that were live in the last day"),
    ("eni-ledger export --format parquet ledger.parquet", "for DuckDB, Athena, Spark"),
    ("eni-ledger export associations.csv --json | jq .associations", "how many were written"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Associations as CSV, SQLite, Parquet and others.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(readable=False))
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(FORMATS),
    help=f"One of {', '.join(FORMATS)}; by default what the end of FILE's name says.",
)
@click.option("--since", metavar="TIME", help="Only what was live at that time or later. Forms as with 'who --at'.")
@click.option("--until", metavar="TIME", help="Only what was live at that time or earlier.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written to FILE, as a JSON document.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    file: str | None,
    form: str | None,
    since: str | None,
    until: str | None,
    as_json: bool,
    state_dir: Any,
    no_color: bool,
) -> None:
    """Write the associations, live and ended, to [FILE] or to standard output; a FILE that is there is replaced when
    the new one is whole.

    csv and jsonl have the keys of the ledger; pod-eni has branches in the shape of the annotation that EKS's VPC
    resource controller gives to pods. sqlite has a table of associations and one of events. parquet takes pyarrow: pip
    install 'eni-ledger[arrow]'; the bundle does not have it. sqlite and parquet take a FILE.
    """
    session = session_of(ctx, state_dir, no_color)
    form = form or SUFFIXES.get(Path(file or "").suffix.lower())
    if form is None:
        raise UsageError("which format?", file or "", f"--format {'|'.join(FORMATS)}")
    if file is None and form in BINARY:
        raise UsageError(f"{form} takes a file", hint=f"eni-ledger export --format {form} FILE")
    if file is None and as_json:
        hint = "the associations themselves as JSON: eni-ledger export --format jsonl"
        raise UsageError("--json says what was written to a file, which is not given", hint=hint)
    period = period_of(session, Request(since=since, until=until))
    first, last = (period.first, period.last) if period else (None, None)
    history = session.history(slow=True)
    damage: LedgerDamaged | None = None
    try:
        rows = history.find(first=first, last=last)
    except LedgerDamaged as exc:
        rows, damage = exc.associations, full_path(exc, history.state_dir)
    session.introduce(as_json=True)
    if form in TEXTS:
        with _output(file) as out:
            TEXTS[form](rows, out)
    else:
        with _replacing(str(file)) as path:
            if form == "parquet":
                _to_parquet(path, rows)
            else:
                sqlite.to_sqlite(path, rows, _sound(history.events(first, last)))
    if file is not None and as_json:
        written = {"file": file, "format": form, "associations": len(rows), "bytes": Path(file).stat().st_size}
        session.screen.json_document(written)
    elif file is not None:
        session.screen.note(f"{file}: {counted(len(rows), 'association')}")
    if damage:
        raise damage


def _sound(events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events up to the first damage, which is reported with the associations."""
    try:
        yield from events
    except LedgerDamaged:
        return


def _to_parquet(path: Path, rows: list[Association]) -> None:
    """Raises EniLedgerError without pyarrow."""
    from eni_ledger.desk.export import frames  # the library is optional

    try:
        from pyarrow import parquet  # the library is optional

        parquet.write_table(frames.to_arrow(rows), path)
    except ImportError as exc:
        hint = "pip install 'eni-ledger[arrow]', or --format sqlite"
        raise EniLedgerError("parquet needs pyarrow, which is not installed here", "", hint) from exc


@contextmanager
def _output(file: str | None) -> Iterator[IO[str]]:
    """Give the file to write text to, UTF-8 with line ends as they are."""
    if file is None:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        return
    with _replacing(file) as path, path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as out:
        yield out


@contextmanager
def _replacing(file: str) -> Iterator[Path]:
    """Give the path of a new file beside `file`, which takes its place at the end, and is removed on failure."""
    fd, name = tempfile.mkstemp(prefix=".eni-ledger-", dir=Path(file).parent)
    os.close(fd)
    path = Path(name)
    try:
        yield path
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        path.replace(file)
    except BaseException as exc:
        path.unlink()
        if isinstance(exc, sqlite3.Error):
            raise EniLedgerError("the database cannot be written", f"{file}: {exc}") from exc
        raise
