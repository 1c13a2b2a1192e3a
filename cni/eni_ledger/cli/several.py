"""What is said of several ledgers, or of one that is no state directory, beside the answer."""

from __future__ import annotations

from datetime import tzinfo

from eni_ledger.ledger.query.many import Part
from eni_ledger.ledger.query.opening import Opened
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import safe


def introduce(opened: Opened, screen: Screen, zone: tzinfo, *, as_json: bool) -> None:
    """Print the origin and date of each ledger above the answer, with `as_json` on standard error; then the notes."""
    given = opened.history.given
    lines = list(filter(None, (_words(part, zone, several=len(given) > 1) for part in given)))
    for line in lines:
        if as_json:
            screen.note(f"note: {safe(line)}")
        else:
            screen.line(safe(line))
    if lines and not as_json:
        screen.line()
    for note in opened.notes:
        screen.note(f"note: {safe(note)}")


def _words(part: Part, zone: tzinfo, *, several: bool) -> str:
    """Return as of when and of whom a ledger is; empty for one that is alone and has no event, or cannot be read."""
    if part.copy is None:
        return f"as of now, of this host: {part.name}" if several and part.last else ""
    words = part.copy.words(zone)
    if part.name == "--sample":
        words = f"the sample ledger, {words}"
    return f"{words}: {part.name}" if several else words
