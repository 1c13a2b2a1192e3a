"""What the chain proves of a ledger that is damaged."""

from __future__ import annotations

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.live import Live, happened_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.ledger.query.reader import LedgerReader


def proven(history: LedgerReader) -> list[Association]:
    """Return every association, ended or live, of the events that the chain proves.

    Raises as `History.events` does, but not LedgerDamaged.
    """
    live = Live()
    associations: list[Association] = []
    try:
        for event in history.events():
            for ended, why in live.apply(event):
                associations.append({**ended, "until": happened_at(event), "ended_by": why, "end_seq": event["seq"]})
    except LedgerDamaged:
        pass  # the damage that the caller reports
    return associations + list(live)
