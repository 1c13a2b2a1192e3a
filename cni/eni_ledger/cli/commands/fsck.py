"""`eni-ledger fsck`: check that every line is as written and that none is missing."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged
from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.recording import host_fields, settings_of
from eni_ledger.cli.session import Session, require_ledger
from eni_ledger.ledger.check import repair as repairs
from eni_ledger.ledger.check.fsck import FsckReport, fsck, fsck_ledger
from eni_ledger.ledger.query.opening import Opened
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.probe import unsuitable_filesystem
from eni_ledger.render import table as tables
from eni_ledger.render.form import Form
from eni_ledger.render.progress import Progress
from eni_ledger.render.screen import complain, error_lines
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import counted, safe, size

DAMAGE_FOUND = 1
SHOWN = 10  # damages printed; a wiped disk has thousands, and --json has them all

EXAMPLES = [
    ("eni-ledger fsck", "checks the chain of checksums through all segments"),
    ("eni-ledger fsck --json | jq .damage", "every damaged place: path, line, offset"),
    ("eni-ledger fsck --repair", "sets a torn tail aside, seals a damaged segment, rebuilds state.json"),
    ("eni-ledger fsck --state-dir /mnt/evidence/eni-ledger", "checks a copy from another host"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Prove that the ledger is what was written.")
@click.option("--repair", is_flag=True, help="First do what the next ADD would have to do, and report it.")
@form_options
@reading
@click.pass_context
def command(ctx: click.Context, /, repair: bool, state_dir: str | None, no_color: bool, **options: Any) -> int:
    """Check the chain of checksums over all segments and print file, line and offset of every damaged place. Offsets
    in packed segments (.gz) count uncompressed bytes.

    fsck takes no lock and changes nothing. With --repair it first does what the next ADD would have to do, and reports
    it: sets a torn tail aside, seals a damaged active segment unchanged and begins a new one that names the damage,
    rebuilds state.json, folds in the spool. It copies whatever it changes to quarantine/ first. It never changes a
    damaged sealed segment.

    Exit status 0 when the ledger is sound, 1 when it is damaged.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    if (opened := session.opened()) and not repair:
        return _several(opened, session, form)
    path = session.state_dir()
    require_ledger(History(path))
    copy = session.copy()
    done = repairs.repair(settings_of(session), host_fields(), copy) if repair else None
    progress = Progress(session.screen, "fsck")
    try:
        report = fsck(path, progress)
    finally:
        progress.close()
    if copy:
        report.notes.insert(0, f"a copy, {copy.words(session.zone)}")
    elif why := unsuitable_filesystem(path):
        report.notes.append(why)
    if not form.for_people:
        document = _document(report, path) | ({} if done is None else {"repaired": done})
        print_document(session.screen, form, document, rows="segments")
    else:
        for words in done or ():
            session.screen.line(f"repair: {safe(words)}")
        if done == []:
            session.screen.line("repair: nothing to repair")
        _print(report, path, session)
    return 0 if report.sound else DAMAGE_FOUND


def _several(opened: Opened, session: Session, form: Form) -> int:
    """Check several ledgers, or one that is no state directory; print what was found and return the exit status."""
    sound, documents = True, []
    problem: EniLedgerError | OSError | None = None
    for part in opened.history.given:
        progress = Progress(session.screen, "fsck")
        try:
            report = fsck_ledger(part.history, progress)
        except (EniLedgerError, OSError) as exc:
            problem = problem or exc
            continue
        finally:
            progress.close()
        if part.copy:
            report.notes.insert(0, f"a copy, {part.copy.words(session.zone)}")
        sound = sound and report.sound
        if not form.for_people:
            documents.append(_document(report, part.name))
        else:
            _print(report, part.name, session)
    if not form.for_people:
        document = {"sound": sound and problem is None, "ledgers": documents}
        print_document(session.screen, form, document, rows="ledgers")
    for note in opened.notes:
        session.screen.note(f"note: {safe(note)}")
    if problem:
        raise problem
    return 0 if sound else DAMAGE_FOUND


def _document(report: FsckReport, state_dir: str) -> dict[str, Any]:
    return {
        "sound": report.sound,
        "state_dir": state_dir,
        "events": report.events,
        "live": report.live,
        "segments": report.segments,
        "damage": [
            {"msg": damaged.msg, "path": damaged.path, "line": damaged.line, "offset": damaged.offset}
            for damaged in report.damage
        ],
        "notes": report.notes,
    }


def _print(report: FsckReport, state_dir: str, session: Session) -> None:
    screen = session.screen
    screen.line(safe(state_dir))
    table = Table(
        [
            Column("SEGMENT"),
            Column("EVENTS", right=True),
            Column("FROM", right=True, drop=2),
            Column("TO", right=True, drop=1),
            Column("SIZE", right=True, drop=3),
            Column("STATUS"),
        ]
    )
    for row in report.segments:
        sound = row["status"] == "sound"
        values = [row["path"], row["lines"], row["first_seq"], row["last_seq"]]
        cells = [Cell.of(safe(value)) for value in values]
        status = Cell.of(safe(row["status"]), "green" if sound else "bold red")
        table.rows.append([*cells, Cell.of(size(int(row["bytes"]))), status])
    tables.show(table, screen)
    for note in report.notes:
        screen.prose(f"note: {safe(note)}")
    if report.sound:
        words = f"{counted(report.events, 'event')}, {report.live} live: every line is what was written"
        screen.prose(f"sound: {words}", "green")
        return
    screen.flush()
    _complain(report.damage, session)


def _complain(damage: list[LedgerDamaged], session: Session) -> None:
    """Print each damaged place in order, then one hint."""
    for damaged in damage[:SHOWN]:
        for line in error_lines(safe(str(damaged)), "", colour=session.screen.colour_err):
            complain(line)
    if len(damage) > SHOWN:
        complain(f"... and {counted(len(damage) - SHOWN, 'more place')}")
    complain("try: keep the damaged file, it is evidence; other commands answer from the undamaged rest")
