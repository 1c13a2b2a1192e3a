"""Appends several events under one lock, chosen by what is live then. For commands and GC, not for the ADD path.

A runtime may add or end attachments between a look at the kernel and the lock. Callers therefore pass a function; it
gets the live associations while the lock is held and returns the events to append. Standard library only, of what the
front door carries: GC is a verb of the plugin.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LockTimeout, WriteFailed
from eni_ledger.base.minijson import loads
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.directory import open_state_dir, where
from eni_ledger.ledger.write.writer import TAKEN_AWAY, WriteSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Association, Draft, Event, Fields


#: How often a command tries to get the lock.
_TRIES = 25


def record_gc(settings: Settings, network: str, valid: set[tuple[str, str]], about: Fields) -> list[Event]:
    """End the live associations of `network` whose (container_id, ifname) is not in `valid`; return their events.

    `about` has keys for each event (boot_id, via, cni_version ...). Raises LedgerError, including LockTimeout: GC
    compares with what is live, so its events cannot wait in the spool.
    """

    def gone(live: list[Association]) -> list[Draft]:
        return [
            {**live_state.identity_of(association), "event": "lost", "reason": "gc"}
            for association in live
            if association.get("network") == network
            and (association.get("container_id"), association.get("ifname")) not in valid
        ]

    return record_found(settings, about, gone, tries=1)  # a runtime waits for the answer


def record_found(
    settings: Settings,
    about: Fields,
    choose: Callable[[list[Association]], Sequence[Fields]],
    *,
    tries: int = _TRIES,
) -> list[Event]:
    """Append the events that `choose` returns for the live associations; return them as written.

    `about` has `boot_id` and other keys for each event. An `adopt` gets its `association_id` here. Raises LedgerError,
    including LockTimeout; then nothing was written.
    """
    dir_fd = open_state_dir(settings.state_dir, create=True)
    try:
        session = _session(settings, dir_fd, about, tries)
        try:
            session.boot(about)
            written = []
            for event in choose([loads(line) for line in session.lines]):
                if event["event"] == "adopt" and "association_id" not in event:
                    event = {**event, "association_id": f"assoc-{os.urandom(9).hex()[:17]}"}
                appended = session.add({**about, **event})
                if appended is not None:
                    written.append(appended)
            session.commit()
            if not session.in_place():
                raise WriteFailed(TAKEN_AWAY, settings.state_dir)
            return written
        finally:
            session.close()
    except OSError as exc:
        raise WriteFailed("the ledger could not be written", where(settings, exc)) from exc
    finally:
        os.close(dir_fd)


def _session(settings: Settings, dir_fd: int, about: Fields, tries: int) -> WriteSession:
    for _ in range(tries - 1):
        try:
            return WriteSession(settings, dir_fd, about)
        except LockTimeout:
            continue
    return WriteSession(settings, dir_fd, about)
