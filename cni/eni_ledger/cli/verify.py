"""`eni-ledger verify`: does the kernel have what the ledger says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eni_ledger.cli.common import PROGRAM, Command, Session, reading
from eni_ledger.cli.writing import about_host, announce, live_associations, settings_of
from eni_ledger.ledger.history import History
from eni_ledger.render import table as tables
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import safe, short_id

if TYPE_CHECKING:
    from eni_ledger.kernel.verify import Report

DIFFERENT = 1
_STYLES = {"fine": "green", "gone": "red", "changed": "bold red", "unknown": "yellow", "unrecorded": "bold red"}

EXAMPLES = [
    ("eni-ledger verify", "compares, and changes nothing"),
    ("eni-ledger verify --adopt --mark-lost", "also writes down what nobody recorded, and what is gone"),
    ("eni-ledger verify --json | jq .unrecorded", "VLAN links of a trunk that the ledger does not know"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Compare the ledger with the kernel.")
@click.option("--adopt", is_flag=True, help="Record attachments that nobody recorded (adopt events).")
@click.option("--mark-lost", is_flag=True, help="End associations whose network namespace is gone (lost events).")
@click.option("--json", "as_json", is_flag=True, help='Print one document: "associations", "unrecorded", ...')
@reading
@click.pass_context
def command(
    ctx: click.Context, adopt: bool, mark_lost: bool, as_json: bool, state_dir: str | None, no_color: bool
) -> int:
    """Look into every network namespace of the host and compare the live associations with the VLAN links of trunks
    in them: fine, gone (the namespace or the interface), changed (another MAC, VLAN or trunk), unknown (not all
    namespaces could be looked into), and unrecorded ones.

    Without --adopt and --mark-lost nothing is changed. Exit status 0 when both agree, 1 when they do not (before
    what these options mend). To be run as root, on the host and not in a container.
    """
    from eni_ledger.kernel import verify
    from eni_ledger.kernel.scan import scan

    session = Session(ctx, state_dir, no_color)
    settings = settings_of(session)
    report = verify.compare(live_associations(History(settings.state_dir)), scan())
    written: list[dict[str, Any]] = []
    if mark_lost:  # first: what is adopted may have the VLAN of one that is gone
        written += verify.mark_lost(settings, about_host(), report.verdicts)
    if adopt:
        written += verify.adopt(settings, about_host(), report.unrecorded)
    announce(settings, written)
    if as_json:
        session.screen.json_document(document(report, written))
    else:
        _print(report, written, session, mend=not (adopt and mark_lost))
    return 0 if report.agrees else DIFFERENT


def document(report: Report, written: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "agrees": report.agrees,
        "associations": [
            {"association_id": one.association["association_id"], "status": one.status, "why": one.why}
            for one in report.verdicts
        ],
        "unrecorded": report.unrecorded,
        "unreadable": report.unreadable,
        "written": written,
    }


def _print(report: Report, written: list[dict[str, Any]], session: Session, *, mend: bool) -> None:
    screen = session.screen
    table = Table(
        [Column("STATUS"), Column("VLAN", right=True), Column("MAC", drop=1), Column("NETNS"), Column("WHAT")]
    )
    rows = [(one.status, one.association, one.why) for one in report.verdicts if one.status != "fine"]
    rows += [("unrecorded", each, f"{each['ifname']} in {each['netns']}") for each in report.unrecorded]
    for status, fields, why in rows:
        who = short_id(fields["association_id"]) + ": " if fields.get("association_id") else ""
        values = [fields.get("vlan_id"), fields.get("branch_mac"), fields.get("netns_inode"), who + why]
        table.rows.append([Cell.of(status, _STYLES[status]), *(Cell.of(safe(value)) for value in values)])
    if rows:
        tables.show(table, screen)
    counts = [f"{report.count(status)} {status}" for status in ("fine", "gone", "changed", "unknown")]
    screen.line(", ".join([*counts, f"{len(report.unrecorded)} unrecorded"]))
    for event in written:
        screen.line(f"{safe(event['event'])} {safe(event['association_id'])}")
    if report.unreadable:
        more = f" and {len(report.unreadable) - 1} more" if len(report.unreadable) > 1 else ""
        screen.note(f"could not be looked into: {safe(report.unreadable[0])}{more}; run it as root, on the host")
    if mend and (report.unrecorded or any(one.namespace_gone for one in report.verdicts)):
        screen.note(f"try: {PROGRAM} verify --adopt --mark-lost")
