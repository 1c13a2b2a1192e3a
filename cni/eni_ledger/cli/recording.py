"""Shared by commands that write to the ledger: settings, the host's fields, the journal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from eni_ledger import journald
from eni_ledger.base import host
from eni_ledger.base.config import load
from eni_ledger.base.errors import LedgerDamaged, StateDirError
from eni_ledger.ledger.format.live import identity_of

if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Association, Event
    from eni_ledger.cli.session import Session
    from eni_ledger.ledger.query.reader import LedgerReader


def settings_of(session: Session) -> Settings:
    """Return the active settings. Raises ConfigError."""
    return load(None, os.environ, session.state_dir())


def host_fields() -> dict[str, Any]:
    """Return the fields about this host that every event carries."""
    return dict(host.identity())


def refuse_copy(session: Session) -> None:
    """Raise StateDirError when the ledger is a copy: this host's kernel and agent say nothing about it."""
    if copy := session.copy():
        where = copy.instance_id or "the host it was copied from"
        hint = f"run this command on {where}; a copy only answers questions and fsck"
        raise StateDirError("the ledger is a copy", f"{session.state_dir()}, {copy.words(session.zone)}", hint)


def send_to_journal(settings: Settings, written: Iterable[Event], associations: Iterable[Association] = ()) -> None:
    """Send the events that were written to the journal. A journal that refuses one is not an error.

    An entry takes the fields that its event lacks from `associations`, so that `journalctl` finds it by address or
    VLAN ID.
    """
    identities = {association["association_id"]: identity_of(association) for association in associations}
    if settings.journald:
        for event in written:
            journald.send({**identities.get(event["association_id"], {}), **event})


def live_associations(history: LedgerReader) -> list[Association]:
    """Return the live associations; an empty list where no ledger exists yet. Raises LedgerError."""
    try:
        return history.live()
    except StateDirError:
        if os.path.lexists(history.state_dir):
            raise
        return []


def all_associations(history: LedgerReader) -> list[Association]:
    """Return every association, ended ones too; from a damaged ledger those that the chain proves."""
    try:
        return history.all()
    except LedgerDamaged as exc:
        return [association.copy() for association in exc.associations]
