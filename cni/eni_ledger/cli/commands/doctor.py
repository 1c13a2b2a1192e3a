"""`eni-ledger doctor`: check whether this host records every attachment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from eni_ledger.base.config import CONFIG_FILE, load
from eni_ledger.base.errors import ConfigError
from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, sampled, session_of, state_dirs
from eni_ledger.cli.present import print_document
from eni_ledger.cli.session import Session
from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Finding
from eni_ledger.doctor.run import run_checks
from eni_ledger.render.text import fold, safe

FAILED = 1
_NARROW = 20  # columns; what is left of a narrower terminal is not worth wrapping for
_STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red", SKIPPED: "dim"}

EXAMPLES = [
    ("eni-ledger doctor", "one line for each question, and what to do where something is not right"),
    ("eni-ledger doctor --json | jq '.checks[] | select(.status == \"fail\")'", "what has failed"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Is trunking on, is everything recorded, is it sound?")
@form_options
@click.option(
    "--conf-dir",
    "conf_dirs",
    metavar="DIR",
    multiple=True,
    help="Look for conflists here, not where the runtimes read.",
)
@reading
@click.pass_context
def command(
    ctx: click.Context, /, conf_dirs: tuple[str, ...], state_dir: str | None, no_color: bool, **options: Any
) -> int:
    """Check this host: is trunking on, does the running ECS agent call eni-ledger, are the agent's own plugins in
    place, is the ledger sound and does it contain the last ADD, was everything recorded, does journald answer, does
    every branch have its ENI and task, does the kernel agree with the ledger, is there disk space, are the timers on.

    doctor changes nothing. Run it as root, on the host. Exit status 0 when no check failed, 1 otherwise.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    given = state_dirs(ctx)
    if len(given) > 1 or "" in given or sampled(ctx):
        session.state_dir()  # says what is wrong with that
    problems: list[ConfigError] = []
    settings = load(None, os.environ, *given, problems=problems)
    broken = [Finding("configuration", FAIL, str(problem), problem.hint) for problem in problems]
    configured = load(None, os.environ, problems=[]).state_dir
    findings = [
        *(broken or [Finding("configuration", OK, _configuration(os.environ.get("ENI_LEDGER_CONFIG") or CONFIG_FILE))]),
        *run_checks(settings, conf_dirs=conf_dirs or None, configured=configured),
    ]
    healthy = not any(finding.status == FAIL for finding in findings)
    if not form.for_people:
        checks = [
            {
                "name": finding.name,
                "status": finding.status,
                "message": finding.message,
                **({"hint": finding.hint} if finding.hint else {}),
            }
            for finding in findings
        ]
        print_document(session.screen, form, {"healthy": healthy, "checks": checks}, rows="checks")
    else:
        _print(findings, session)
    return 0 if healthy else FAILED


def _configuration(path: str) -> str:
    return f"{path} can be read" if Path(path).exists() else f"there is no {path}; the defaults apply"


def _print(findings: list[Finding], session: Session) -> None:
    screen = session.screen
    width = max(len(finding.name) for finding in findings)
    margin = 9 + width + 2
    if screen.width is not None and screen.width - margin < _NARROW:
        margin = 2  # a line for the name, the message below it
    for finding in findings:
        status = screen.paint(finding.status.ljust(7), _STYLES[finding.status])
        texts = [safe(finding.message)]
        if finding.hint and finding.status != SKIPPED:
            texts.append(f"try: {safe(finding.hint)}")
        lines = [line for text in texts for line in fold(text, screen.width and screen.width - margin)]
        head = f"{status}  {finding.name}" if margin == 2 else f"{status}  {finding.name.ljust(width)}  {lines.pop(0)}"
        for line in (head, *(" " * margin + line for line in lines)):
            screen.line(line)
    counts = [(status, sum(finding.status == status for finding in findings)) for status in (OK, WARN, FAIL, SKIPPED)]
    screen.line(", ".join(f"{count} {status}" for status, count in counts if count))
