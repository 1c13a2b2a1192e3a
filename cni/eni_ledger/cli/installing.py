"""Shared by `install` and `uninstall`: the command group, values of options, the report of steps."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eni_ledger.base.errors import UsageError
from eni_ledger.cli.options import Command, Defaults
from eni_ledger.cli.present import print_document
from eni_ledger.install.service import InstallReport
from eni_ledger.install.tree import Tree
from eni_ledger.render.form import Form
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import safe


class Group(Command, click.Group):
    """A command with subcommands; its help ends with examples, as a command's does."""

    def print_help(self, ctx: click.Context, *, as_json: bool) -> None:
        """Print the help, as JSON the names of the subcommands and what they are for."""
        if as_json:
            about = [{"name": name, "help": each.get_short_help_str(200)} for name, each in self.commands.items()]
            Screen().json_document({"commands": about})
        else:
            click.echo(ctx.get_help())


def tree_at(root: str) -> Tree:
    """Return the tree at `root`, the value of `--root`. Raises UsageError when that is not a directory."""
    if not Path(root).is_dir():
        raise UsageError("--root is not a directory", f"'{root:.200}'", "give the directory where the image is mounted")
    return Tree(root)


def absolute(path: str, option: str) -> str:
    """Return `path`, the value of `option`, normalized. Raises UsageError when it is relative."""
    if not path.startswith("/"):
        raise UsageError(f"{option} is not an absolute path", f"'{path:.200}'", "give the path as the host sees it")
    return os.path.normpath(path)


def screen_of(ctx: click.Context, no_color: bool) -> Screen:
    """Return the command's screen; without colour if `--no-color` was given to the command or before its name."""
    defaults = ctx.find_object(Defaults) or Defaults()
    return Screen(no_color=no_color or defaults.no_color)


def print_report(screen: Screen, report: InstallReport, done: str, *, form: Form) -> None:
    """Print what was proven, the steps, the notes and what is left to do; `done` is "installed" or "uninstalled"."""
    if not form.for_people:
        print_document(screen, form, report.document(), rows="steps")
        return
    for proof in report.shown:
        screen.prose(f"proven: {safe(proof)}")
    head = "would do:" if report.dry_run else "done:"
    if report.unproven:
        screen.prose(f"not proven: {safe(str(report.unproven))}")
        head = "would do with --no-proof (without it: nothing):"
    if report.steps:
        screen.line(screen.paint(head, "bold"))
        for step in report.steps:
            screen.prose(f"  {safe(step.path)}: {safe(step.what)}")
    else:
        screen.line(f"nothing to do: already {done}")
    for note in report.notes:
        screen.prose(f"note: {safe(note)}")
    if report.timers:
        screen.line(f"timers are off; turn them on: {screen.paint(safe(report.timers), 'bold')}")
    if report.restarted:
        screen.line("the agent was restarted")
    if report.effective:
        screen.line(f"to take effect, run: {screen.paint(report.effective, 'bold')}")
