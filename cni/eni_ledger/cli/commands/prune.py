"""`eni-ledger prune`: pack old segments, index them, remove what is beyond retention."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.recording import refuse_copy, settings_of
from eni_ledger.cli.session import Session, require_ledger
from eni_ledger.ledger.archive.prune import PruneReport, prune
from eni_ledger.ledger.query.questions import History
from eni_ledger.reconcile.import_log import keep
from eni_ledger.render.progress import Progress
from eni_ledger.render.screen import complain, error_lines
from eni_ledger.render.text import counted, safe, size

LEFT = 1

EXAMPLES = [
    ("eni-ledger prune --dry-run", "what would be packed and removed"),
    ("eni-ledger prune", "now; eni-ledger-prune.timer does it once an hour"),
    ("eni-ledger prune --retain-days 90 --retain-bytes 200000000", "keep less than the configuration says, this once"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Pack, index and retire old segments.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--retain-days", metavar="DAYS", type=click.IntRange(min=0), help="Override retainDays, for this run.")
@click.option("--retain-bytes", metavar="BYTES", type=click.IntRange(min=0), help="Override retainBytes, for this run.")
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dry_run: bool,
    retain_days: int | None,
    retain_bytes: int | None,
    state_dir: str | None,
    no_color: bool,
    **options: Any,
) -> int:
    """Pack sealed segments (gzip, about eight times smaller; zcat, log shippers and Athena read them) and index them,
    so that `who` reads a few hundred events out of millions. Remove the segments beyond retainDays and retainBytes
    of the configuration; the rest answers for every moment of retainDays.

    ADDs continue meanwhile. Damaged segments are named and left unchanged: exit status 1.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    settings = settings_of(session)
    require_ledger(History(settings.state_dir))
    refuse_copy(session)
    if retain_days is not None:
        settings.retain_days = retain_days
    if retain_bytes is not None:
        settings.retain_bytes = retain_bytes
    imported = keep(settings, dry_run=dry_run)
    progress = Progress(session.screen, "packing")
    try:
        report = prune(settings, progress, dry_run=dry_run)
    finally:
        progress.close()
    if not form.for_people:
        print_document(session.screen, form, _document(report, settings.state_dir, imported, dry_run=dry_run))
    else:
        _print(report, session, imported, dry_run=dry_run)
    return LEFT if report.left else 0


def _document(report: PruneReport, state_dir: str, imported: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "state_dir": state_dir,
        "dry_run": dry_run,
        "removed": report.removed,
        "packed": report.packed,
        "indexed": report.indexed,
        "left": report.left,
        **({"imported": imported} if imported else {}),
    }


def _print(report: PruneReport, session: Session, imported: str, *, dry_run: bool) -> None:
    screen = session.screen
    would = "would be " if dry_run else ""
    if imported == "copied":
        screen.prose(f"{would}copied: what version 0.1.0 imported, to imported/")
    elif imported:
        screen.prose(f"{would}removed: imported/, beyond retention")
    if report.removed:
        freed = sum(row["bytes"] for row in report.removed)
        names = f"{report.removed[0]['segment']} to {report.removed[-1]['segment']}"
        segments = counted(len(report.removed), "segment")
        screen.prose(f"{would}removed: {segments}, {size(freed)}, beyond retention ({safe(names)})")
    if report.packed:
        before = sum(row["bytes"] for row in report.packed)
        words = f"{would}packed: {counted(len(report.packed), 'segment')}, {size(before)}"
        if not dry_run:
            after = sum(row["packed_bytes"] for row in report.packed)
            words += f" to {size(after)}, and {size(sum(row['index_bytes'] for row in report.packed))} of index"
        screen.prose(words)
    if report.indexed:
        screen.prose(f"{would}indexed: {counted(len(report.indexed), 'segment')}")
    if not (imported or report.removed or report.packed or report.indexed or report.left):
        screen.prose("nothing to do: every sealed segment is packed, none is beyond retention")
    screen.flush()
    for segment in report.left:
        for line in error_lines(
            safe(f"{segment['segment']} stays as it is: {segment['why']}"), "", colour=screen.colour_err
        ):
            complain(line)
    if report.left:
        complain("try: eni-ledger fsck, which names every damaged place")
