"""`eni-ledger show`: one association and its events."""

from __future__ import annotations

import re
from typing import Any

import click

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.completers import live_ids
from eni_ledger.cli.damage import ask, events_of
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.session import PROGRAM
from eni_ledger.render.card import print_card
from eni_ledger.render.events import EventLines

EXAMPLES = [
    ("eni-ledger show assoc-0123456789abcdef0", "one association and its events"),
    ("eni-ledger show 0123", "the same: any unambiguous beginning of the ID"),
    ("eni-ledger show 0123 --json | jq .events", "the events as they stand in the ledger"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="All about one association, and its events.")
@click.argument("association_id", metavar="ID", shell_complete=live_ids)
@form_options
@reading
@click.pass_context
def command(ctx: click.Context, /, association_id: str, state_dir: str | None, no_color: bool, **options: Any) -> None:
    """Show one association and its events. ID is an association ID (eni-ledger list and who print them, with
    --json in any case) or its beginning; "assoc-" may be left out. With --json one document,
    {"associations": [one], "events": [...]}; tables such as -o csv are those of its events.

    Exit status 1 when there is no such association.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    screen = session.screen
    prefix = _prefix(association_id)
    history = session.history(slow=True)
    answer = ask(
        history, lambda: history.who(prefix), lambda association: str(association["association_id"]).startswith(prefix)
    )
    if len(answer.associations) > 1:
        ids = ", ".join(str(association["association_id"]) for association in answer.associations[:5])
        raise UsageError(f"{len(answer.associations)} associations begin like this", ids, "give more of the ID")
    if not answer.associations:
        raise answer.damage or NotFound("no such association", association_id, f"{PROGRAM} log --json")
    events, damage = events_of(history, answer.associations[0])
    session.introduce(as_json=not form.for_people)
    if not form.for_people:
        print_document(screen, form, answer.document() | {"events": events}, rows="events")
    else:
        print_card(answer.associations[0], screen, session.as_of())
        screen.line()
        lines = EventLines(screen)
        screen.line(lines.header())
        for event in events:
            screen.line(lines.line(event))
    damage = answer.damage or damage
    if damage:
        raise damage


def _prefix(text: str) -> str:
    """Return the beginning of an association ID that `text` stands for. Raises UsageError."""
    match = re.fullmatch(r"(?:assoc-)?([0-9a-f]{1,17})", text.strip().lower())
    if not match:
        raise UsageError("not an association ID", f"'{text:.80}'", f"{PROGRAM} who '{text:.80}'")
    return f"assoc-{match[1]}"
