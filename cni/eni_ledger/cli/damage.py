"""Answers from a damaged ledger: what the chain proves, then the error."""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.cli.session import full_path
from eni_ledger.ledger.format.live import Live, happened_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from eni_ledger.ledger.query.questions import History

    Association = dict[str, Any]


class Answer:
    """Associations, and the damage that may have hidden others (None: there was none)."""

    def __init__(self, found: list[Association], damage: LedgerDamaged | None = None) -> None:
        self.found = found
        self.damage = damage

    def document(self, **more: object) -> dict[str, Any]:
        """Return what `--json` prints: `more`, the associations, and the damage if there is any."""
        document = {key: value for key, value in more.items() if value is not None}
        document["associations"] = self.found
        if self.damage:
            document["damage"] = {
                "path": self.damage.path,
                "line": self.damage.line,
                "offset": self.damage.offset,
            }
        return document


def ask(history: History, question: Callable[[], list[Association]], fits: Callable[[Association], bool]) -> Answer:
    """Return what `question` gives. When it meets damage: of all that can be proven, what `fits`."""
    try:
        return Answer(question())
    except LedgerDamaged as exc:
        found: list[Association] = list(filter(fits, exc.found)) or list(filter(fits, _proven(history)))
        found.sort(key=lambda one: (one["since"], one["add_seq"]))
        damage = full_path(exc, history.state_dir)
        if not found:
            damage.msg = f"nothing was found in what is sound, but {damage.msg}"
        return Answer(found, damage)


def _proven(history: History) -> list[Association]:
    """Return every association of the events that the chain proves, ended or live."""
    live, found = Live(), []
    try:
        for event in history.events():
            for old, why in live.apply(event):
                end = {"until": happened_at(event), "ended_by": why, "end_seq": event["seq"]}
                found.append({**old, **end})
    except LedgerDamaged:
        pass  # the one that brought us here
    return found + list(live)


def is_live(one: Association) -> bool:
    """Tell whether an association has not ended."""
    return "until" not in one


def was_live(first: str, last: str) -> Callable[[Association], bool]:
    """Return the test whether an association was live at any moment from `first` to `last`, times of the ledger."""
    return lambda one: str(one["since"]) <= last and first < str(one.get("until", "~"))


def events_of(history: History, one: Association) -> tuple[list[dict[str, Any]], LedgerDamaged | None]:
    """Return the proven events of an association, and the damage met on the way."""
    found = []
    try:
        for event in history.events_of(one):
            found.append(event)
    except LedgerDamaged as exc:
        return found, full_path(exc, os.fspath(history.state_dir))
    return found, None
