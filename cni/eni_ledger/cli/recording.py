"""What the commands share that write to the ledger: settings, the host's fields, the journal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from eni_ledger import journald
from eni_ledger.base import host
from eni_ledger.base.config import load
from eni_ledger.base.errors import LedgerDamaged, StateDirError
from eni_ledger.ledger.format.live import identity_of
from eni_ledger.ledger.query.questions import History

if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.cli.session import Session


def settings_of(session: Session) -> Settings:
    """Return the settings in force. Raises ConfigError."""
    return load(None, os.environ, session.state_dir())


def about_host() -> dict[str, Any]:
    """Return what each event says of the host."""
    return dict(host.identity())


def refuse_copy(session: Session) -> None:
    """Raise StateDirError when the ledger is a copy: what this host shows has nothing to do with it."""
    if copy := session.copy():
        where = copy.instance_id or "the host that it is of"
        hint = f"run it on {where}; questions and fsck are answered from a copy"
        raise StateDirError("the ledger is a copy", f"{session.state_dir()}, {copy.words()}", hint)


def announce(
    settings: Settings, written: Iterable[dict[str, Any]], associations: Iterable[dict[str, Any]] = ()
) -> None:
    """Send the journal's entries of events that were written; that it did not take one is no failure.

    What an event does not say itself of its association is taken from `associations`, so that an entry can be found by
    its address or VLAN ID.
    """
    known = {association["association_id"]: identity_of(association) for association in associations}
    if settings.journald:
        for event in written:
            journald.send({**known.get(event["association_id"], {}), **event})


def live_associations(history: History) -> list[dict[str, Any]]:
    """Return what is live, nothing where there is no ledger yet. Raises LedgerError."""
    try:
        return history.live()
    except StateDirError:
        if os.path.lexists(history.state_dir):
            raise
        return []


def all_associations(history: History) -> list[dict[str, Any]]:
    """Return every association there ever was; of a damaged ledger those that can be proven."""
    try:
        return history.all()
    except LedgerDamaged as exc:
        return [dict(found) for found in exc.found]
