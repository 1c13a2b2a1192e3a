"""What installing or uninstalling did, or would do."""

from __future__ import annotations

from eni_ledger.ecs.service import Report
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import safe


def print_report(screen: Screen, report: Report, done: str, *, as_json: bool) -> None:
    """Print the proof, the steps, the notes, and what is left to be done; `done` is the word for the whole of it."""
    if as_json:
        screen.json_document(report.document())
        return
    for words in report.shown:
        screen.line(f"shown: {safe(words)}")
    head = "would do:" if report.dry_run else "done:"
    if report.unproven:
        screen.line(f"not proven: {safe(str(report.unproven))}")
        head = "would do with --no-proof, and nothing without:"
    if report.steps:
        screen.line(screen.paint(head, "bold"))
        for step in report.steps:
            screen.line(f"  {safe(step.path)}: {safe(step.what)}")
    else:
        screen.line(f"nothing to do: {done} already")
    for words in report.notes:
        screen.line(f"note: {safe(words)}")
    if report.timers:
        screen.line(f"timers are off; to turn them on: {screen.paint(safe(report.timers), 'bold')}")
    if report.restarted:
        screen.line("the agent was restarted")
    if report.effective:
        screen.line(f"it takes effect with: {screen.paint(report.effective, 'bold')}")
