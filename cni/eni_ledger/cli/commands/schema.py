"""`eni-ledger schema`: print the JSON Schema of the files. The only command that needs pydantic."""

from __future__ import annotations

import json

import click

from eni_ledger.cli.options import Command
from eni_ledger.render.screen import Screen

KINDS = ("event", "state", "config")
EXAMPLES = [
    ("eni-ledger schema event > event.schema.json", "a line of ledger.jsonl, and of log --json"),
    ("eni-ledger schema state", "state.json"),
    ("eni-ledger schema config", "/etc/eni-ledger/config.json"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="JSON Schema of an event, the state or the configuration.")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--json", is_flag=True, expose_value=False, help="Print it as JSON, as it is without this option.")
def command(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of an event (one line of the ledger), the state file or the
    configuration file.
    """
    from eni_ledger.ledger.format.json_schema import json_schema  # pydantic is an optional library

    Screen().line(json.dumps(json_schema(kind), indent=2, ensure_ascii=False))
