"""What the ledger can know of a time: from when on, and who was there at any moment of a second."""

from __future__ import annotations

from datetime import UTC

from eni_ledger import timespec
from eni_ledger.base.errors import LedgerDamaged, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.read.terms import Query

    Association = dict[str, Any]

_STARTS = ("add", "adopt")


def begin(history: History) -> str | None:
    """Return the time from which on something is known: of the first event, or of what was imported from before.

    None when there is no event. Raises what `History.events` does, but not LedgerDamaged.
    """
    first: str | None = None
    for imported in (False, True):
        try:
            event = next(history.events(imported=imported), None)
        except LedgerDamaged:
            continue  # whoever asks has been told, or will be
        if event:
            first = min(first or event["ts"], event["ts"])
    return first


def unknown(history: History, when: str, zone: tzinfo = UTC) -> NotFound | None:
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


def during(history: History, first: str, last: str, query: Query | None = None) -> list[Association]:
    """Return what was live at any moment from `first` to `last`, both included, oldest first; what `query` may mean.

    Raises what `History.at` does.
    """
    found = {one["association_id"]: one for one in history.at(first, query)}
    if last > first:
        found |= {one["association_id"]: one for one in history.at(last, query)}
        for event in list(history.events(first, last)):
            if event["event"] in _STARTS and event["association_id"] not in found:  # began and ended in between
                found |= {one["association_id"]: one for one in history.at(event["ts"], query)}
    return sorted(found.values(), key=lambda one: (one["since"], one["add_seq"]))


def _clock(ts: str, other: str, zone: tzinfo) -> str:
    """Return a time of the ledger to the second, or to the microsecond when it is in the same second as `other`."""
    unit = "microseconds" if ts[:19] == other[:19] else "seconds"
    return timespec.clock(ts, zone, unit=unit, named=True)
