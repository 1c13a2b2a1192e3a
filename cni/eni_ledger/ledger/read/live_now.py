"""What is live now, parsed. Takes no lock, and loads nothing of what other questions need."""

from __future__ import annotations

from eni_ledger.base.bulk_json import loads
from eni_ledger.ledger.read.current import cut_short, live_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.errors import LedgerDamaged
    from eni_ledger.base.events import Association
    from eni_ledger.ledger.format.source import Source


def live_now(source: Source) -> tuple[list[Association], LedgerDamaged | None]:
    """Return the live associations, oldest first, and the damage if the ledger ends before what `state.json` knows of.

    Raises as `live_lines` does.
    """
    lines, _ = live_lines(source)
    damage = cut_short(source)
    return sorted(map(loads, lines), key=by_age), damage


def by_age(association: Association) -> tuple[str, int]:
    """Return what orders associations by their begin."""
    return association["since"], association["add_seq"]
