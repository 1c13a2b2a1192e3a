"""`eni-ledger topology`: the picture of the host."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from eni_ledger import timespec
from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, NotFound, UsageError
from eni_ledger.cli.asking import filter_options, request_of, whats_argument
from eni_ledger.cli.damage import Answer
from eni_ledger.cli.found import Wanted, gather
from eni_ledger.cli.options import Command, pager_option, reading, session_of
from eni_ledger.cli.period import Period, period_of
from eni_ledger.cli.request import Request
from eni_ledger.cli.session import Session
from eni_ledger.desk.topology import picture as pictures
from eni_ledger.desk.topology.facts import DockerFacts
from eni_ledger.desk.topology.limits import KINDS, is_instance_type, source
from eni_ledger.desk.topology.limits import instance_type as own_instance_type
from eni_ledger.ledger.query import coverage
from eni_ledger.render.text import moment, safe

_TRUNKS_OF = timedelta(days=7)
FORMS = ("tree", "svg", "html", "mermaid", "dot", "json")
EXAMPLES = [
    ("eni-ledger topology", "the trunks of this host and what hangs on them"),
    ("eni-ledger topology --at 'yesterday 03:12'", "the picture of that time, with the containers recorded"),
    ("eni-ledger topology -o svg > trunk.svg", "a picture for a runbook, for light and dark pages"),
    ("eni-ledger topology --family api -o mermaid", "one family, for a Markdown page"),
    ("eni-ledger topology 10.0.32.4 -o json", "what this address hangs on"),
    ("eni-ledger topology -o dot | dot -Tpdf > trunk.pdf", "by Graphviz"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="The picture: instance, trunks, branches, containers.")
@whats_argument(required=False)
@click.option("--at", metavar="TIME", help="The picture of that time; to the second means any moment of it.")
@click.option(
    "-o", "--output", "form", metavar="FORM", type=click.Choice(FORMS), default="tree", help=f"{', '.join(FORMS)}."
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@click.option(
    "--instance-type", metavar="TYPE", help="Limits of this instance type. Default: this instance's; none for a copy."
)
@filter_options
@pager_option
@reading
@click.pass_context
def command(
    ctx: click.Context,
    /,
    what: tuple[str, ...],
    at: str | None,
    form: str,
    as_json: bool,
    instance_type: str | None,
    state_dir: str | None,
    no_color: bool,
    **options: Any,
) -> None:
    """Draw the instance, its trunks with the VLAN IDs used and left, the branches, their network namespaces, the pause
    containers (name and hostname where they are recorded) and the other containers of their tasks. With WHAT, as with
    who, only those that it fits.

    A trunk without a live branch is drawn where it had one in the last seven days and since the last reboot; of others
    the ledger does not know whether they are there (scan asks the kernel).

    The containers are Docker's where this host is drawn as it is now and Docker answers; else those recorded. How many
    VLAN IDs are left follows from the instance type by AWS's published limits, which differ for ECS and EKS. With many
    branches the tree has a line for each.

    Exit status 0, even when nothing is live; 1 when WHAT fits nothing, and for a time before the ledger begins; 3 when
    the ledger is damaged: the picture then has what is proven.
    """
    session = session_of(ctx, state_dir, no_color)
    if instance_type is not None and not is_instance_type(instance_type):
        raise UsageError(
            "not an instance type", f"'{instance_type:.40}'", f"{ctx.command_path} --instance-type m5.large"
        )
    request = request_of(what, {"at": at, **options})
    period = period_of(session, request)
    answer, missing = _ask(session, request, period)
    here = session.copy() is None
    facts = DockerFacts() if here and at is None else None
    part = bool(request.whats or request.filters)
    picture = pictures.draw(
        _ask(session, Request(at=at), period)[0].associations if part else answer.associations,
        instance_type=instance_type or (own_instance_type() if here else None),
        here=pictures.this_host() if session.opened() and not instance_type else None,
        facts=facts,
        shown={str(one["association_id"]) for one in answer.associations} if part else None,
        ended=[] if part or missing else _ended(session, period),
    )
    notes = _notes(session, facts, period)
    _print(session, "json" if as_json else form, picture, answer, period, notes)
    error = answer.damage or missing
    if error:
        raise error


def _ask(session: Session, request: Request, period: Period | None) -> tuple[Answer, EniLedgerError | None]:
    """Return what was live, and the error for a time before the ledger begins or a WHAT that nothing fits."""
    found = [Wanted(what) for what in request.whats]
    with session.history() as history:
        answer = gather(history, found, period, request.filters, live=True)
        missing: EniLedgerError | None = None
        if not answer.associations and not answer.damage and period and period.last:
            missing = coverage.unknown(history, period.last, session.zone)
        nothing = next((each for each in found if not each.associations), None)
        if missing is None and nothing is not None and not answer.damage:
            when = period.words(session) if period else "now"
            missing = NotFound(
                f"nothing that is live {when} fits", nothing.what, session.command(f"who {nothing.what}")
            )
    return answer, missing


def _ended(session: Session, period: Period | None) -> Sequence[Mapping[str, Any]]:
    """Return the associations of the last days that have ended, as far as they can be read: whose trunks there were."""
    end = (period and period.last) or timespec.to_ledger(session.as_of())
    begin = moment(end)
    if begin is None:
        return []
    with session.history() as history:
        try:
            found = history.find(first=timespec.to_ledger(begin - _TRUNKS_OF), last=end)
        except LedgerDamaged as exc:
            found = exc.associations
    return [one for one in found if str(one.get("until", "~")) <= end]


def _notes(session: Session, facts: DockerFacts | None, period: Period | None) -> list[str]:
    """Return what is to be said with the picture: of when and of whom it is, and what could not be asked."""
    notes = [period.words(session) if period else f"as of {session.clock(session.as_of().isoformat())}"]
    if (copy := session.copy()) is not None:
        notes.append(f"a copy, {safe(copy.words(session.zone))}")
    if facts is not None and facts.unavailable:
        notes.append(f"containers as recorded: {safe(facts.unavailable)}")
    return notes


def _print(
    session: Session,
    form: str,
    picture: dict[str, Any],
    answer: Answer,
    period: Period | None,
    notes: list[str],
) -> None:
    screen = session.screen
    if form == "json":
        more = answer.document(at=period.first if period else None, notes=notes)
        del more["associations"]
        screen.json_document({**more, "limits_from": {kind: source(kind) for kind in KINDS}, **picture})
        return
    if form in ("svg", "html"):
        from eni_ledger.desk.topology import svg  # jinja2

        damage = [f"the ledger is damaged: {safe(str(answer.damage))}"] if answer.damage else []
        title = f"Branch ENIs, {notes[0]}"
        screen.line(
            svg.page(picture, title=title, notes=[*notes[1:], *damage])
            if form == "html"
            else svg.svg(picture, title=title)
        )
        return
    if form == "tree":
        _print_tree(session, picture, notes)
        return
    from eni_ledger.desk.topology import graphs  # of one form

    for line in graphs.dot(picture) if form == "dot" else graphs.mermaid(picture):
        screen.line(line)


def _print_tree(session: Session, picture: dict[str, Any], notes: list[str]) -> None:
    from eni_ledger.desk.topology.tree import TreeLines  # of one form

    screen = session.screen
    session.introduce(as_json=False)
    if not pictures.branches(picture):
        screen.note(f"nothing live {notes[0]}")
    encoding = getattr(sys.stdout, "encoding", None) or ""
    for line in TreeLines(screen.width, unicode=encoding.lower().replace("-", "") == "utf8").lines(picture):
        screen.line(line)
    for note in notes[1:]:
        if not note.startswith("a copy"):
            screen.note(f"note: {note}")
