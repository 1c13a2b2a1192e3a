"""`eni-ledger fsck`: is every line what was written, and is none missing?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.recording import host_fields, settings_of
from eni_ledger.cli.session import Session, require_ledger
from eni_ledger.ledger.check import repair as repairs
from eni_ledger.ledger.check.fsck import FsckReport, fsck
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.probe import unsuitable_filesystem
from eni_ledger.render import table as tables
from eni_ledger.render.progress import Progress
from eni_ledger.render.screen import complain, error_lines
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import counted, safe, size

DAMAGE_FOUND = 1
SHOWN = 10  # damages printed; a wiped disk has thousands, and --json has them all

EXAMPLES = [
    ("eni-ledger fsck", "proves the chain of checksums through all segments"),
    ("eni-ledger fsck --json | jq .damage", "every damaged place: path, line, offset"),
    ("eni-ledger fsck --repair", "sets torn tails aside, seals what is damaged, rebuilds state.json"),
    ("eni-ledger fsck --state-dir /mnt/evidence/eni-ledger", "a copy that was taken from another host"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Prove that the ledger is what was written.")
@click.option("--repair", is_flag=True, help="First do what the next writer would have to, and say what was done.")
@click.option("--json", "as_json", is_flag=True, help='Print one document: "sound", "segments", "damage", "notes", ...')
@reading
@click.pass_context
def command(ctx: click.Context, repair: bool, as_json: bool, state_dir: str | None, no_color: bool) -> int:
    """Prove the chain of checksums over all segments and tell file, line and offset of every damaged place. Offsets in
    packed segments (.gz) are those of what they inflate to.

    It changes nothing and takes no lock. With --repair it first does what the next ADD would have to do, and says so:
    sets a torn tail aside, seals a damaged active segment as it is and begins a new one that names the damage, writes
    state.json anew, folds in the spool. What it changes it copies to quarantine/ before. Damage in sealed segments
    stays as it was found.

    Exit status 0 when all is sound, 1 when there is damage.
    """
    session = session_of(ctx, state_dir, no_color)
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
        report.notes.insert(0, f"a copy, {copy.words()}")
    elif why := unsuitable_filesystem(path):
        report.notes.append(why)
    if as_json:
        document = _document(report, path)
        session.screen.json_document(document if done is None else {**document, "repaired": done})
    else:
        for words in done or ():
            session.screen.line(f"repair: {safe(words)}")
        if done == []:
            session.screen.line("repair: there was nothing to mend")
        _print(report, path, session)
    return 0 if report.sound else DAMAGE_FOUND


def _document(report: FsckReport, state_dir: str) -> dict[str, Any]:
    return {
        "sound": report.sound,
        "state_dir": state_dir,
        "events": report.events,
        "live": report.live,
        "segments": report.segments,
        "damage": [{"msg": one.msg, "path": one.path, "line": one.line, "offset": one.offset} for one in report.damage],
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
        values = [Path(row["path"]).name, row["lines"], row["first_seq"], row["last_seq"]]
        cells = [Cell.of(safe(value)) for value in values]
        status = Cell.of(safe(row["status"]), "green" if sound else "bold red")
        table.rows.append([*cells, Cell.of(size(int(row["bytes"]))), status])
    tables.show(table, screen)
    for note in report.notes:
        screen.line(f"note: {safe(note)}")
    if report.sound:
        words = f"{counted(report.events, 'event')}, {report.live} live: every line is what was written"
        screen.line(screen.paint("sound", "green") + f": {words}")
        return
    screen.flush()
    _complain(report.damage, session)


def _complain(damage: list[LedgerDamaged], session: Session) -> None:
    """Print where the damage is, first to last, and what to do about it once."""
    for one in damage[:SHOWN]:
        for line in error_lines(safe(str(one)), "", colour=session.screen.colour_err):
            complain(line)
    if len(damage) > SHOWN:
        complain(f"... and {counted(len(damage) - SHOWN, 'more place')}")
    complain("try: keep the file, it is evidence; commands that have to read what is damaged answer from the rest")
