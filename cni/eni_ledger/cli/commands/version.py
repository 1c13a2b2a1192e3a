"""`eni-ledger version`: print the version and platform for a bug report."""

from __future__ import annotations

import platform
import sys
from typing import Any

import click

from eni_ledger.base.version import __version__
from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command
from eni_ledger.cli.present import print_document
from eni_ledger.cli.session import PROGRAM
from eni_ledger.render.screen import Screen

LEDGER_FORMAT = 1
EXAMPLES = [
    ("eni-ledger version", "for people and bug reports"),
    ("eni-ledger version --json | jq -r .version", "for scripts"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="The version and the ledger format.")
@form_options
def command(**options: Any) -> None:
    """Print the version, the ledger format that it writes, the Python version and the machine."""
    screen = Screen()
    about = {
        "version": __version__,
        "ledger_format": LEDGER_FORMAT,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "bundle": bool(getattr(sys, "frozen", False)),
    }
    form = form_of(options)
    if not form.for_people:
        print_document(screen, form, about)
        return
    kind = "bundle" if about["bundle"] else "source"
    runs_on = f"Python {about['python']}, {about['machine']}, {kind}"
    screen.line(f"{PROGRAM} {__version__} (ledger format {LEDGER_FORMAT}; {runs_on})")
