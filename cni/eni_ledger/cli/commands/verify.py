"""`eni-ledger verify`: does the kernel have what the ledger says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.recording import host_fields, live_associations, refuse_copy, send_to_journal, settings_of
from eni_ledger.cli.session import Session, require_ledger
from eni_ledger.ledger.query.questions import History
from eni_ledger.render import table as tables
from eni_ledger.render.form import Form
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import counted, safe, short_id

if TYPE_CHECKING:
    from eni_ledger.base.events import Event, Fields
    from eni_ledger.ledger.read.origin import Copy
    from eni_ledger.reconcile.verify import VerifyReport

DIFFERENT = 1
_STYLES = {
    "fine": "green",
    "gone": "red",
    "changed": "bold red",
    "unknown": "yellow",
    "conflict": "bold red",
    "unrecorded": "bold red",
}

EXAMPLES = [
    ("eni-ledger verify", "compares and changes nothing"),
    ("eni-ledger verify --adopt --mark-lost", "also records unrecorded attachments, and ends those that are gone"),
    ("eni-ledger verify --json | jq .unrecorded", "VLAN links of a trunk that the ledger does not know"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Compare the ledger with the kernel.")
@click.option("--adopt", is_flag=True, help="Record attachments that the ledger does not have (adopt events).")
@click.option("--mark-lost", is_flag=True, help="End associations whose namespace or interface is gone (lost events).")
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context, /, adopt: bool, mark_lost: bool, state_dir: str | None, no_color: bool, **options: Any
) -> int:
    """Compare the live associations with the trunks' VLAN links in every network namespace of the host: fine, gone
    (no namespace or no interface), changed (another MAC, VLAN or trunk), unknown (not every namespace could be read),
    conflict (two with one ENI or VLAN; both stay live), unrecorded (not in the ledger).

    Without --adopt and --mark-lost, verify changes nothing. A changed association keeps its recorded values.
    Run it as root, on the host and not in a container.

    Exit status 0 when both agree, also after --adopt or --mark-lost; 1 when differences remain; 3 without a ledger,
    which --adopt would create.
    """
    from eni_ledger.kernel.scan import scan  # both load pyroute2, which `verify --help` does without
    from eni_ledger.reconcile import verify

    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    settings = settings_of(session)
    history = History(settings.state_dir)
    if not adopt:
        require_ledger(history)
    if adopt or mark_lost:
        refuse_copy(session)
    if copy := session.copy():
        return _not_compared(verify.not_compared(live_associations(history), _why(copy)), session, form)
    report = verify.compare(live_associations(history), scan())
    lost: list[Event] = []
    adopted: list[Event] = []
    if mark_lost:  # first: what is adopted may have the VLAN of one that is gone
        lost = verify.mark_lost(settings, host_fields(), report.verdicts)
    if adopt:
        adopted = verify.adopt(settings, host_fields(), report)
    written = [*lost, *adopted]
    send_to_journal(settings, written)
    left = Left(report, adopted, mark_lost=mark_lost)
    if not form.for_people:
        print_document(session.screen, form, document(report, written, left))
    else:
        _print(report, session)
        _print_done(written, left, session)
        _print_hints(report, left, session, adopt=adopt, mark_lost=mark_lost)
    return 0 if left.count == 0 and not report.unreadable else DIFFERENT


def _why(copy: Copy) -> str:
    return f"not compared with this kernel: the ledger is a copy, {copy.words()}"


def _not_compared(report: VerifyReport, session: Session, form: Form) -> int:
    """Print the report on a copy and return the exit status."""
    session.introduce(as_json=not form.for_people)
    if not form.for_people:
        print_document(session.screen, form, document(report, [], Left(report, [], mark_lost=False)))
    else:
        session.screen.prose(f"{len(report.verdicts)} live then; not compared with this kernel: the ledger is a copy")
    return DIFFERENT


class Left:
    """The numbers of remaining differences: `gone`, `other` (changed, unknown, conflict), `unrecorded`.

    With `mark_lost` no association stays gone: one that was not recorded as lost has ended meanwhile. An association
    that an adopted one superseded has ended too.
    """

    def __init__(self, report: VerifyReport, adopted: list[Event], *, mark_lost: bool) -> None:
        over = {each for event in adopted for each in event.get("supersedes", ())}
        there = [verdict.status for verdict in report.verdicts if verdict.association["association_id"] not in over]
        self.gone = 0 if mark_lost else there.count("gone")
        self.other = there.count("changed") + there.count("unknown") + len(report.conflicts)
        self.unrecorded = len(report.unrecorded) - len(adopted)

    @property
    def count(self) -> int:
        """Return the number of all differences."""
        return self.gone + self.other + self.unrecorded


def document(report: VerifyReport, written: list[Event], left: Left) -> dict[str, Any]:
    """Return what `--json` prints; `agrees` is the state before `written`, `remaining` the differences after."""
    return {
        "agrees": report.agrees,
        "associations": [
            {"association_id": verdict.association["association_id"], "status": verdict.status, "why": verdict.why}
            for verdict in report.verdicts
        ],
        "unrecorded": report.unrecorded,
        "conflicts": [
            {
                "association_ids": [conflict.earlier["association_id"], conflict.later["association_id"]],
                "why": conflict.why,
            }
            for conflict in report.conflicts
        ],
        "unreadable": report.unreadable,
        "written": written,
        "remaining": left.count,
    }


def _print(report: VerifyReport, session: Session) -> None:
    screen = session.screen
    table = Table(
        [
            Column("STATUS"),
            Column("VLAN", right=True),
            Column("MAC", drop=1),
            Column("NETNS", drop=2),
            Column("WHAT", prose=True),
        ]
    )
    rows: list[tuple[str, Fields, str]] = [
        (verdict.status, verdict.association, verdict.why) for verdict in report.verdicts if verdict.why
    ]
    rows += [
        ("conflict", conflict.earlier, f"{conflict.why}; the other is {short_id(conflict.later['association_id'])}")
        for conflict in report.conflicts
    ]
    rows += [("unrecorded", each, f"{each['ifname']} in {each['netns']}") for each in report.unrecorded]
    for status, fields, why in rows:
        who = short_id(fields["association_id"]) + ": " if fields.get("association_id") else ""
        mac = fields.get("branch_mac") or fields.get("observed_mac") or fields.get("declared_mac")
        values = [fields.get("vlan_id"), mac, fields.get("netns_inode"), who + why]
        table.rows.append([Cell.of(status, _STYLES[status]), *(Cell.of(safe(value)) for value in values)])
    if rows:
        tables.show(table, screen)
    counts = [f"{report.count(status)} {status}" for status in ("fine", "gone", "changed", "unknown")]
    counts += [counted(len(report.conflicts), "conflict")] if report.conflicts else []
    screen.prose(", ".join([*counts, f"{len(report.unrecorded)} unrecorded"]))


def _print_done(written: list[Event], left: Left, session: Session) -> None:
    """Print the recorded events and how many differences remain."""
    if not written:
        return
    for event in written:
        session.screen.line(f"recorded: {safe(event['event'])} {safe(event['association_id'])}")
    session.screen.line(f"{left.count} differences remain" if left.count else "ledger and kernel agree now")


def _print_hints(report: VerifyReport, left: Left, session: Session, *, adopt: bool, mark_lost: bool) -> None:
    """Print which differences remain and why, and the option that records the others."""
    screen = session.screen
    if report.unreadable:
        more = f" and {len(report.unreadable) - 1} more" if len(report.unreadable) > 1 else ""
        screen.note(f"could not be read: {safe(report.unreadable[0])}{more}; run it as root, on the host")
    if adopt and left.unrecorded:
        screen.note(f"{left.unrecorded} not adopted: a runtime has recorded something in their place meanwhile")
    if report.conflicts:
        screen.note(
            "both associations of a conflict stay live: the ledger cannot tell which has ended; a DEL ends each"
        )
    if left.other > len(report.conflicts) and (adopt or mark_lost):
        screen.note("changed and unknown associations keep their recorded values until their DEL")
    options = [name for name, count in (("--adopt", left.unrecorded), ("--mark-lost", left.gone)) if count]
    options = [name for name in options if not (name == "--adopt" and adopt)]
    if options:
        screen.note(f"try: {safe(session.command(' '.join(['verify', *options])))}")
