"""`eni-ledger names`: a Wireshark profile with the names of tasks."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger import timespec
from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.cli.options import Command, pager_option, reading, session_of
from eni_ledger.cli.period import period_of
from eni_ledger.cli.request import Request
from eni_ledger.cli.session import Session, full_path
from eni_ledger.desk.capture.name_directory import write
from eni_ledger.desk.capture.name_files import Users
from eni_ledger.ledger.query import coverage
from eni_ledger.render.text import counted, safe

EXAMPLES = [
    ("eni-ledger names names && WIRESHARK_CONFIG_DIR=names tshark -N mnNv -r x.pcap", "who is live now"),
    ("eni-ledger names ~/.config/wireshark/profiles/tasks", "a profile, to be chosen in Wireshark"),
    ("eni-ledger names names --at 'yesterday 03:12'", "the names of that time"),
    ("eni-ledger names names --since -2h", "with a VLAN of several tasks in that time named after all of them"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Name files for Wireshark: ethers, hosts, vlans.")
@click.argument("directory")
@click.option("--at", metavar="TIME", help="What was live at that time, in place of now.")
@click.option("--since", metavar="TIME", help="What was live at any moment from that time on.")
@click.option("--until", metavar="TIME", help="And up to that time. Default: now.")
@click.option("--force", is_flag=True, help="Replace files of these names that eni-ledger did not make.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written, as a JSON document.")
@pager_option
@reading
@click.pass_context
def command(
    ctx: click.Context,
    directory: str,
    at: str | None,
    since: str | None,
    until: str | None,
    force: bool,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Write the files ethers, hosts and vlans into DIRECTORY, which is made if it is not there: names for the MAC and
    IP addresses and the VLAN IDs of the branch ENIs, as Wireshark and tshark read them.

    A name is family, revision and start of the task ID, or the container where the task is not known. What had several
    users in the interval has a name that begins with their number: "2 users: api:17/5f8a2b3d, web:3/0c1d2e3f".

    Wireshark reads them from its configuration directory (WIRESHARK_CONFIG_DIR) or from the profile that is chosen
    (profiles/NAME in it, -C NAME); VLAN names are shown with -N v, or by name resolution in the preferences.

    Exit status 1 for a time before the ledger begins; 3 when the ledger is damaged: what is sound has been written.
    """
    session = session_of(ctx, state_dir, no_color)
    if at is not None and (since is not None or until is not None):
        raise UsageError("--at and an interval exclude each other", hint="name a moment, or --since and --until")
    first, last = _interval(session, at, since, until)
    history = session.history()
    damage: LedgerDamaged | None = None
    try:
        associations = history.find(first=first, last=last)
    except LedgerDamaged as exc:
        associations, damage = exc.associations, full_path(exc, history.state_dir)
    session.introduce(as_json=True)
    if not associations and not damage and (nothing := coverage.unknown(history, last, session.zone)):
        raise nothing
    files = Users(associations).files()
    write(directory, files, replace=force)
    _print(session, directory, files, (first, last), as_json=as_json)
    if damage:
        damage.msg = f"written as far as proven: {damage.msg}"
        raise damage


def _interval(session: Session, at: str | None, since: str | None, until: str | None) -> tuple[str, str]:
    """Return the first and last moment that is asked for, now by default. Raises as `period_of` does."""
    now = timespec.to_ledger(session.now)
    period = period_of(session, Request(at=at, since=since, until=until))
    return (period.first or "", period.last or now) if period else (now, now)


def _print(session: Session, directory: str, files: dict[str, str], times: tuple[str, str], *, as_json: bool) -> None:
    counts = {name: text.count("\n") - 1 for name, text in files.items()}
    first, last = times
    if as_json:
        document: dict[str, Any] = {"directory": directory, "since": first or None, "until": last, "names": counts}
        session.screen.json_document(document)
        return
    told = ", ".join(f"{counted(number, 'name')} in {name}" for name, number in counts.items())
    session.screen.line(f"{safe(directory)}: {told}")
