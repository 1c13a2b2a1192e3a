"""The options of a question, shared by the commands that ask the ledger: WHAT, times, filters, forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from eni_ledger.base.errors import UsageError
from eni_ledger.cli.completers import column_lists, column_names, live_names, live_tasks, live_values, sort_keys
from eni_ledger.cli.options import pager_option
from eni_ledger.cli.request import Request
from eni_ledger.cli.whats import whats_of
from eni_ledger.cli.words import one_of
from eni_ledger.ledger.format.line import EVENTS
from eni_ledger.ledger.read.filter_fields import FIELDS
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.render.form import OUTPUTS, Form

TIMES = (
    "RFC 3339, '2026-11-23 03:12', '03:12', '3:12pm', noon, 'tuesday 03:12', 'last night 03:12', 'Nov 23 03:12:07', "
    "'03:12 CET', '2h ago', '-15m', Unix time, as date, mail and Apache print it. Without a date it is the latest "
    "that is past, without a zone it is in that of --tz."
)
F = TypeVar("F", bound=Callable[..., Any])

_VIAS = ("chained", "interposed", "scan", "import")
_FILTERS = {
    "family": ("family of the task definition", live_values(*FIELDS["family"])),
    "service": ("ECS service", live_values(*FIELDS["service"])),
    "cluster": ("ECS cluster", live_values(*FIELDS["cluster"])),
    "task": ("task, by its ARN, its ID or the start of it", live_tasks),
    "vlan": ("VLAN ID", live_values(*FIELDS["vlan"])),
    "trunk": ("trunk, by MAC, ENI ID or interface", live_values(*FIELDS["trunk"])),
    "event": ("kind of event", one_of(*EVENTS)),
    "via": (f"how it became known: {', '.join(_VIAS)}", one_of(*_VIAS)),
}


def whats_argument(*, required: bool) -> Callable[[F], F]:
    """Add WHAT, one or several; `-` reads them from standard input."""
    return click.argument("what", nargs=-1, required=required, shell_complete=live_names)


def time_options(function: F) -> F:
    """Add `--at`, `--since` and `--until`."""
    for option in (
        click.option(
            "--until",
            metavar="TIME",
            help="Up to that time, without --since from the beginning; to the second: all of it.",
        ),
        click.option("--since", metavar="TIME", help="From that time on, without --until until now."),
        click.option("--at", metavar="TIME", help=f"At that time; to the second: any moment of it. {TIMES}"),
    ):
        function = option(function)
    return function


def filter_options(function: F) -> F:
    """Add an option for each of FIELDS, repeatable, and `--mismatch`."""
    function = click.option(
        "--mismatch", is_flag=True, help="Only where the kernel shows another value than was declared."
    )(function)
    for name in reversed(FIELDS):
        words, values = _FILTERS[name]
        function = click.option(
            f"--{name}",
            metavar="PATTERN",
            multiple=True,
            shell_complete=values,
            help=f"Only of this {words}; * is any text.",
        )(function)
    return function


def form_options(function: F) -> F:
    """Add the options that `form_of` reads, and `--no-pager`."""
    for option in (
        pager_option,
        click.option(
            "--group-by",
            metavar="COLUMN",
            shell_complete=column_names,
            help="Count the answers by the values of a column.",
        ),
        click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N answers."),
        click.option(
            "--sort",
            metavar="COLUMN",
            shell_complete=sort_keys,
            help="Sort by a column, with - before it descending.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print IDs only."),
        click.option("--no-headers", is_flag=True, help="Print no header line."),
        click.option("--columns", metavar="NAME[,NAME...]", shell_complete=column_lists, help="Print these columns."),
        click.option("--query", metavar="JMESPATH", help="Print what this JMESPath expression selects of the JSON."),
        click.option("--json", "as_json", is_flag=True, help="The same as -o json."),
        click.option("-o", "--output", metavar="FORM", type=click.Choice(OUTPUTS), help=", ".join(OUTPUTS) + "."),
    ):
        function = option(function)
    return function


def request_of(words: tuple[str, ...], options: dict[str, Any]) -> Request:
    """Return the request of the values of the options above; those that a command does not have are absent.

    Reads standard input if one of the `words` that were given as WHAT is `-`. Raises UsageError.
    """
    whats, not_understood = whats_of(words)
    return Request(
        whats,
        at=options.get("at"),
        since=options.get("since"),
        until=options.get("until"),
        filters=Filters({name: options.get(name) or () for name in FIELDS}, mismatch=bool(options.get("mismatch"))),
        not_understood=not_understood,
        form=form_of(options),
    )


def form_of(options: dict[str, Any]) -> Form:
    """Return the form of the values of `form_options`; with --query alone it is JSON. Raises UsageError."""
    output, query, columns = options.get("output"), options.get("query"), options.get("columns")
    if options.get("as_json") and output not in (None, "json"):
        raise UsageError(f"--json and -o {output} exclude each other", hint="--json is -o json")
    if options.get("as_json") or (query and output is None):
        output = "json"
    return Form(
        output or "table",
        query=query,
        columns=columns.split(",") if columns else None,
        headers=not options.get("no_headers"),
        quiet=bool(options.get("quiet")),
        sort=options.get("sort"),
        limit=options.get("limit"),
        group_by=options.get("group_by"),
    )
