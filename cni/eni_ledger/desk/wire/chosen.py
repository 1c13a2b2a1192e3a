"""The one live association that a name means, for commands that act on it."""

from __future__ import annotations

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.render import text
from eni_ledger.render.text import addresses, clock, safe, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Fields
    from eni_ledger.ledger.query.reader import LedgerReader


_MOST = 10


def chosen(history: LedgerReader, what: str) -> Association:
    """Return the live association that `what` means.

    Raises NotFound when none has it, or when all that had it have ended (with when that was); UsageError when several
    live ones have it, with their names; and as `History.who` does.
    """
    associations = history.who(what)
    live = [association for association in associations if "until" not in association]
    if len(live) == 1:
        return live[0]
    if live:
        names = "; ".join(map(label, live[:_MOST])) + ("; ..." if len(live) > _MOST else "")
        raise UsageError(f"{len(live)} live associations have this", names, "give one of the IDs behind #")
    if associations:
        last = max(associations, key=lambda association: str(association["until"]))
        raise NotFound(
            "it has ended", f"{label(last)}, until {clock(last['until'])} UTC", f"eni-ledger who {safe(what)}"
        )
    raise NotFound("nothing has or had this", f"'{safe(what):.80}'", "eni-ledger list")


def label(association: Fields) -> str:
    """Return the name of an association for people: task or container, VLAN ID, address, ID."""
    vlan = association.get("vlan_id")
    parts = [
        text.label(association),
        f"VLAN {vlan}" if vlan is not None else "",
        next(iter(addresses(association)), ""),
        f"#{short_id(association.get('association_id'))}",
    ]
    return " ".join(part for part in parts if part)
