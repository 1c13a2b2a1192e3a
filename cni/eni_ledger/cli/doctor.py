"""`eni-ledger doctor`: is everything as it should be?"""

from __future__ import annotations

import click

from eni_ledger.cli.common import Command, Session, reading
from eni_ledger.cli.writing import settings_of
from eni_ledger.ecs.doctor import FAIL, OK, SKIPPED, WARN, Finding, examine
from eni_ledger.errors import ConfigError
from eni_ledger.render.text import safe

FAILED = 1
_STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red", SKIPPED: "dim"}

EXAMPLES = [
    ("eni-ledger doctor", "one line for each question, and what to do where something is not right"),
    ("eni-ledger doctor --json | jq '.checks[] | select(.status == \"fail\")'", "what has failed"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Is trunking on, is everything recorded, is it sound?")
@click.option("--json", "as_json", is_flag=True, help='Print one document: "healthy", "checks": [{"name": ...}].')
@reading
@click.pass_context
def command(ctx: click.Context, as_json: bool, state_dir: str | None, no_color: bool) -> int:
    """Ask everything that can be asked of this host: is trunking on, does the running ECS agent call eni-ledger, are
    the agent's own plugins in place, is the ledger sound and does it have the last ADD, could everything be
    recorded, is journald there, is it known whose each branch is, does the kernel agree, is there room.

    It changes nothing. Exit status 0 when nothing failed, 1 otherwise. To be run as root, on the host.
    """
    session = Session(ctx, state_dir, no_color)
    try:
        findings = [Finding("configuration", OK, "it can be read"), *examine(settings_of(session))]
    except ConfigError as exc:
        findings = [Finding("configuration", FAIL, str(exc), exc.hint)]
    healthy = not any(finding.status == FAIL for finding in findings)
    if as_json:
        checks = [
            {"name": one.name, "status": one.status, "message": one.message, **({"hint": one.hint} if one.hint else {})}
            for one in findings
        ]
        session.screen.json_document({"healthy": healthy, "checks": checks})
    else:
        _print(findings, session)
    return 0 if healthy else FAILED


def _print(findings: list[Finding], session: Session) -> None:
    screen = session.screen
    width = max(len(finding.name) for finding in findings)
    for one in findings:
        status = screen.paint(one.status.ljust(7), _STYLES[one.status])
        screen.line(f"{status}  {one.name.ljust(width)}  {safe(one.message)}")
        if one.hint and one.status != SKIPPED:
            screen.line(f"{' ' * 9}{' ' * width}  try: {safe(one.hint)}")
    counts = [(status, sum(one.status == status for one in findings)) for status in (OK, WARN, FAIL, SKIPPED)]
    screen.line(", ".join(f"{count} {status}" for status, count in counts if count))
