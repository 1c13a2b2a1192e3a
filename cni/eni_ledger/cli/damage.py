"""Answers from a ledger that may be damaged: what the chain proves, and the damage."""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.cli.keys import KEYS
from eni_ledger.cli.session import full_path
from eni_ledger.ledger.query.proven import proven

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from eni_ledger.base.events import Association, Event, Fields
    from eni_ledger.ledger.query.reader import LedgerReader


_UNKNOWN: dict[str, Any] = dict.fromkeys(KEYS)


def with_every_key(association: Fields) -> dict[str, Any]:
    """Return an association with all of KEYS, null for what is not known, and whatever else it has."""
    return {**_UNKNOWN, **association}


class Answer:
    """Associations, and the damage that may hide others; None without damage."""

    def __init__(self, associations: list[Association], damage: LedgerDamaged | None = None) -> None:
        self.associations = associations
        self.damage = damage

    def document(
        self, rows: Sequence[Fields] | None = None, *, every_key: bool = True, **more: object
    ) -> dict[str, Any]:
        """Return what `--json` prints: `more`, the associations or `rows` of them, the damage if there is any.

        Without `every_key` the associations have no nulls, for `Screen.json_document` to add them.
        """
        document = {key: value for key, value in more.items() if value is not None}
        shown: Sequence[Fields] = self.associations if rows is None else rows
        document["associations"] = list(map(with_every_key, shown)) if every_key else list(shown)
        if self.damage:
            document["damage"] = {
                "path": self.damage.path,
                "line": self.damage.line,
                "offset": self.damage.offset,
            }
        return document


def ask(
    history: LedgerReader, question: Callable[[], list[Association]], fits: Callable[[Association], bool]
) -> Answer:
    """Return the answer to `question`; if it meets damage, those of all proven associations that `fits` accepts."""
    try:
        return Answer(question())
    except LedgerDamaged as exc:
        associations: list[Association] = list(filter(fits, exc.associations)) or _proven(history, fits)
        associations.sort(key=lambda association: (association["since"], association["add_seq"]))
        damage = full_path(exc, history.state_dir)
        if not associations:
            damage.msg = f"nothing was found in what is sound, but {damage.msg}"
        return Answer(associations, damage)


def _proven(history: LedgerReader, fits: Callable[[Association], bool]) -> list[Association]:
    return [one for ledger in history.apart() for one in proven(ledger) if fits(one)]


def is_live(association: Association) -> bool:
    """Tell whether an association has not ended."""
    return "until" not in association


def was_live(first: str, last: str) -> Callable[[Association], bool]:
    """Return a test whether an association was live at any moment from `first` to `last`, times of the ledger."""
    return lambda association: str(association["since"]) <= last and first < str(association.get("until", "~"))


def events_of(history: LedgerReader, association: Association) -> tuple[list[Event], LedgerDamaged | None]:
    """Return the proven events of an association, and the damage met on the way."""
    events = []
    try:
        for event in history.events_of(association):
            events.append(event)
    except LedgerDamaged as exc:
        return events, full_path(exc, os.fspath(history.state_dir))
    return events, None
