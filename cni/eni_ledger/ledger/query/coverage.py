"""What the ledger can know of a time: from when on there are events."""

from __future__ import annotations

from datetime import UTC

from eni_ledger import timespec
from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from eni_ledger.ledger.query.reader import LedgerReader


def begin(history: LedgerReader) -> str | None:
    """Return the time from which on something is known: of the first event, or of what was imported from before.

    None when there is no event. Raises what `History.events` does, but not LedgerDamaged.
    """
    first: str | None = None
    for imported in (False, True):
        try:
            event = next(history.events(imported=imported), None)
        except LedgerDamaged:
            continue  # the question itself reports it
        if event:
            first = min(first or event["ts"], event["ts"])
    return first


def unknown_parts(history: LedgerReader, when: str, zone: tzinfo = UTC) -> list[str]:
    """Return a sentence for each of several ledgers that begins after `when`; its times are in `zone`.

    One that cannot be read has none: the question itself reports why.
    """
    notes: list[str] = []
    ledgers = history.apart()
    for ledger in ledgers if len(ledgers) > 1 else ():
        try:
            error = unknown(ledger, when, zone)
        except (EniLedgerError, OSError):
            continue
        if error:
            notes.append(f"{ledger.state_dir}: {error}")
    return notes


def unknown(history: LedgerReader, when: str, zone: tzinfo = UTC) -> NotFound | None:
    """Return the error for a question about `when` when that is before anything is known, else None.

    Its times are in `zone`.
    """
    return unknown_before(begin(history), when, zone)


def unknown_before(first: str | None, when: str, zone: tzinfo = UTC) -> NotFound | None:
    """Return the same for a ledger that begins at `first`."""
    if first is None or when >= first:
        return None
    return NotFound(
        f"nothing is known of {_clock(when, first, zone)}", f"the ledger begins at {_clock(first, when, zone)}"
    )


def _clock(ts: str, other: str, zone: tzinfo) -> str:
    """Return a time of the ledger to the second, or to the microsecond when it is in the same second as `other`."""
    unit = "microseconds" if ts[:19] == other[:19] else "seconds"
    return timespec.clock(ts, zone, unit=unit, named=True)
