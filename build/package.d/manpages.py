# ruff: noqa: T201 - a script: what it prints is what it is for
"""Write the manual pages, one for the program and one for each command, from what their --help says.

usage: manpages.py DIRECTORY

Writes DIRECTORY/eni-ledger.1 and DIRECTORY/eni-ledger-COMMAND.1, dated by SOURCE_DATE_EPOCH, else today. The requests
are those of man(7).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from inspect import cleandoc
from pathlib import Path

import click

from eni_ledger.base.version import __version__
from eni_ledger.cli.main import COMMANDS, cli, load
from eni_ledger.cli.options import Command
from eni_ledger.cli.session import PROGRAM

FILES = """\
/etc/eni-ledger/config.json: the configuration.
/var/lib/eni-ledger: the state directory, unless the configuration names another one.
/var/lib/ecs/data/eni-ledger/state: the state directory on an ECS container instance.
/usr/share/eni-ledger: configurations for CNI, log shippers, ECS; JSON Schemas.
/usr/share/doc/eni-ledger/README.md: how to install it, and what it promises."""


def text(words: str) -> str:
    """Return one line of text with what roff takes for itself escaped."""
    escaped = (
        words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    )
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def paragraphs(words: str) -> Iterator[str]:
    """Yield the lines of a help text: paragraphs are filled, those behind click's \\b keep their lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", cleandoc(words))):
        lines = paragraph.split("\n")
        kept = lines[0].strip() in ("\b", "\\b")
        if number:
            yield ".PP"
        yield from [".nf", *map(text, lines[1:]), ".fi"] if kept else [text(" ".join(map(str.strip, lines)))]


def options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """Yield the lines of OPTIONS."""
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record:
            yield from (".TP", f"\\fB{text(record[0])}\\fR", text(" ".join(record[1].split())))


def page(command: click.Command, name: str, date: str) -> str:
    """Return the manual page of a command, of the whole program for the group."""
    title = f"{PROGRAM}-{name}" if name else PROGRAM
    parent = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    ctx = click.Context(command, info_name=name, parent=parent, **command.context_settings) if name else parent
    short = command.get_short_help_str(200).rstrip(".") if name else "who had this VLAN, IP or branch ENI, and when"
    lines = [
        f'.TH {text(title).upper()} 1 "{date}" "{PROGRAM} {__version__}" "User Commands"',
        *(".SH NAME", f"{text(title)} \\- {text(short)}"),
        *(".SH SYNOPSIS", f"\\fB{text(ctx.command_path)}\\fR {text(' '.join(command.collect_usage_pieces(ctx)))}"),
        *(".SH DESCRIPTION", *paragraphs(command.help or "")),
        *(".SH OPTIONS", *options(command, ctx)),
    ]
    if not name:
        lines.append(".SH COMMANDS")
        for each in COMMANDS:
            lines += [".TP", f"\\fB{text(PROGRAM)}\\-{text(each)}\\fR(1)", text(loaded(each).get_short_help_str(200))]
        lines += [".SH EXAMPLES AND ENVIRONMENT", *paragraphs(command.epilog or "")]
    elif isinstance(command, Command):
        lines.append(".SH EXAMPLES")
        for line, purpose in command.examples:
            lines += [".TP", f"\\fB{text(line)}\\fR", text(purpose)]
    lines.append(".SH FILES")
    for file in FILES.split("\n"):
        path, _, what = file.partition(": ")
        lines += [".TP", f"\\fI{text(path)}\\fR", text(what)]
    others = [PROGRAM] if name else [f"{PROGRAM}-{each}" for each in COMMANDS]
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{text(each)}\\fR(1)" for each in others)]
    return "\n".join(lines) + "\n"


def loaded(name: str) -> Command:
    """Return the command of that name."""
    command = load(name)
    if command is None:
        raise LookupError(name)
    return command


def main(directory: str) -> None:
    """Write all pages into the directory, which is made when it is not there."""
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    pages = {PROGRAM: page(cli, "", f"{date:%Y-%m-%d}")}
    pages |= {f"{PROGRAM}-{name}": page(loaded(name), name, f"{date:%Y-%m-%d}") for name in COMMANDS}
    for name, words in pages.items():
        (target / f"{name}.1").write_text(words, encoding="utf-8")
    print(f"{len(pages)} manual pages", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
