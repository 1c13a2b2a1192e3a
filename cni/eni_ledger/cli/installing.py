"""What `install` and `uninstall` share: their group, the options' values, and the report of what was done."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eni_ledger.base.errors import UsageError
from eni_ledger.cli.options import Command, Defaults
from eni_ledger.install.service import InstallReport
from eni_ledger.install.tree import Tree
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import safe


class Group(Command, click.Group):
    """Commands under one name; its help ends with examples, as that of a command does."""


def tree_at(root: str) -> Tree:
    """Return the tree that `--root` names. Raises UsageError when it is none."""
    if not Path(root).is_dir():
        raise UsageError("--root is no directory", f"'{root:.200}'", "name the directory in which the image is mounted")
    return Tree(root)


def absolute(path: str, option: str) -> str:
    """Return a path inside the tree without dots in it. Raises UsageError when it is relative."""
    if not path.startswith("/"):
        raise UsageError(f"{option} is no absolute path", f"'{path:.200}'", "write it as the host will see it")
    return os.path.normpath(path)


def screen_of(ctx: click.Context, no_color: bool) -> Screen:
    """Return where the command prints, in the colours that were asked for."""
    defaults = ctx.find_object(Defaults) or Defaults()
    return Screen(no_color=no_color or defaults.no_color)


def print_report(screen: Screen, report: InstallReport, done: str, *, as_json: bool) -> None:
    """Print the proof, the steps, the notes, and what is left to be done; `done` is the word for the whole of it."""
    if as_json:
        screen.json_document(report.document())
        return
    for words in report.shown:
        screen.line(f"shown: {safe(words)}")
    head = "would do:" if report.dry_run else "done:"
    if report.unproven:
        screen.line(f"not proven: {safe(str(report.unproven))}")
        head = "would do with --no-proof, and nothing without:"
    if report.steps:
        screen.line(screen.paint(head, "bold"))
        for step in report.steps:
            screen.line(f"  {safe(step.path)}: {safe(step.what)}")
    else:
        screen.line(f"nothing to do: {done} already")
    for words in report.notes:
        screen.line(f"note: {safe(words)}")
    if report.timers:
        screen.line(f"timers are off; to turn them on: {screen.paint(safe(report.timers), 'bold')}")
    if report.restarted:
        screen.line("the agent was restarted")
    if report.effective:
        screen.line(f"it takes effect with: {screen.paint(report.effective, 'bold')}")
