"""`eni-ledger import`: the past, from the agent's own logs."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.base import host
from eni_ledger.base.errors import NotFound
from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.recording import refuse_copy, settings_of
from eni_ledger.cli.session import Session
from eni_ledger.reconcile.import_log import ImportReport, files_of, import_files
from eni_ledger.render.progress import Progress
from eni_ledger.render.text import safe

SHOWN = 10

EXAMPLES = [
    ("eni-ledger import /var/log/ecs/vpc-branch-eni.log", "the log and the hours that it was rolled into"),
    ("eni-ledger import --dry-run old/vpc-branch-eni.log.*", "says what is in these files, and records nothing"),
    ("eni-ledger import /var/log/ecs/vpc-branch-eni.log --json | jq .unread_lines", "lines that could not be read"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Import the agent's logs of earlier days.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Record nothing.")
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context, /, files: tuple[str, ...], dry_run: bool, state_dir: str | None, no_color: bool, **options: Any
) -> None:
    """Read logs of vpc-branch-eni and vpc-eni, FILE... (a log's name stands for its rolled files too; .gz is
    understood), and record what they tell of a time before eni-ledger was installed. who and list --at answer from
    it; it never counts as live.

    It can be run again at any time: a line is imported once, and what the ledger recorded itself is left out. ADDs
    go on meanwhile. Exit status 1 when there was no ADD and no DEL to be read in any file; 3, and nothing imported,
    when one of the files is no such log at all.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    settings = settings_of(session)
    refuse_copy(session)
    instance = host.instance_id()
    about = {"instance_id": instance} if instance else {}
    progress = Progress(session.screen, "reading the log")
    try:
        report = import_files(settings, about, files_of(files), dry_run=dry_run, progress=progress)
    finally:
        progress.close()
    if not form.for_people:
        print_document(session.screen, form, {"dry_run": dry_run, **report.document()})
    else:
        _print(report, session, dry_run=dry_run)
    if report.read.events == 0:
        hint = (
            "on an ECS host the log is /var/log/ecs/vpc-branch-eni.log; an agent that logs at warn or above writes none"
        )
        raise NotFound("nothing was read", _why_nothing(report), hint)


def _print(report: ImportReport, session: Session, *, dry_run: bool) -> None:
    screen = session.screen
    screen.prose(f"{len(report.files)} files, {report.read.lines} lines")
    if report.first:
        screen.prose(f"the log speaks of {session.clock(report.first)} to {session.clock(report.last)}")
    counts = ", ".join(f"{count} {kind}" for kind, count in report.imported.items()) or "nothing"
    screen.prose(f"{'would import' if dry_run else 'imported'}: {counts}")
    if report.known or report.recorded:
        screen.prose(
            f"left out: {report.known} that are there already, {report.recorded} that the ledger recorded itself"
        )
    if report.unsettled:
        screen.prose(f"{report.unsettled} at the end of the log are not over yet: import it again in two minutes")
    if report.read.unread:
        screen.prose(f"{report.read.unread} lines could not be read:")
        for source, numbers in report.read.unread_lines.items():
            more = ", ..." if len(numbers) > SHOWN else ""
            screen.prose(f"  {safe(source)}: line {', '.join(map(str, numbers[:SHOWN]))}{more}")


def _why_nothing(report: ImportReport) -> str:
    """Return in words why a log gave no event: each file is a log, else there had been NoLog."""
    if report.read.lines == 0:
        return f"{', '.join(report.files[:5])}: empty"
    if report.read.unread == report.read.lines:
        return f"no line of {', '.join(report.files[:5])} can be read"
    return f"{', '.join(report.files[:5])}: no ADD and no DEL of vpc-branch-eni or vpc-eni"
