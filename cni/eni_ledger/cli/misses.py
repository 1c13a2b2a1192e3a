"""Nobody had it at that time: who had it last, and who next. Packet clocks differ, so the distance is told."""

from __future__ import annotations

from datetime import datetime

from eni_ledger.base.errors import NotFound
from eni_ledger.cli.session import PROGRAM
from eni_ledger.ledger.query import coverage
from eni_ledger.render.text import age, clock, label, moment, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.cli.found import Wanted
    from eni_ledger.cli.period import Period
    from eni_ledger.cli.session import Session

_FINE = 10  # seconds below which the distance is told in them alone


def nearest(found: Wanted, period: Period, session: Session) -> str:
    """Return `last: ... until ..., 2 s before; next: ... from ..., 40 s after`; empty if nobody else had it."""
    parts = []
    if found.before:
        end = found.before["until"]
        parts.append(f"last: {_name(found.before)} until {_near(end, period.first, session)} before")
    if found.after:
        begin = found.after["since"]
        parts.append(f"next: {_name(found.after)} from {_near(begin, period.last, session)} after")
    if parts and not found.before:
        parts.insert(0, "last: nobody that the ledger knows of")
    if parts and not found.after:
        parts.append("next: nobody so far")
    return "; ".join(parts)


def nobody(
    session: Session, begin: str | None, found: Wanted, period: Period | None, *, live: bool = False
) -> NotFound:
    """Return the error for a WHAT that nothing was found for in a ledger that begins at `begin`."""
    what = found.what
    if period is None:
        if live:
            return NotFound("nothing that is live has it", what, f"{PROGRAM} who {what}")
        since = f" since {session.clock(begin)}, when the ledger begins" if begin else ""
        return NotFound(f"nobody has had it{since}", what, f"{PROGRAM} list")
    if period.last and (unknown := coverage.unknown_before(begin, period.last, session.zone)):
        unknown.hint = f"{PROGRAM} who {what}"
        return unknown
    return NotFound(f"nobody had it {period.words(session)}", what, f"{PROGRAM} who {what} (at any time)")


def _name(association: Association) -> str:
    return label(association) or safe(association["association_id"])


def _near(ts: str, other: str | None, session: Session) -> str:
    """Return a time, without its date if it is of the day of `other`, and how far from that it is."""
    shown, beside = session.clock(ts), clock(other, session.zone)
    if shown[:10] == beside[:10]:
        shown = clock(ts, session.zone)[11:]
    return f"{shown}, {_distance(moment(ts), moment(other))}"


def _distance(one: datetime | None, other: datetime | None) -> str:
    """Return how far two times are from each other: `0.4 s`, `2 s`, `5m10s`."""
    if one is None or other is None:
        return "not known how long"
    seconds = abs((one - other).total_seconds())
    if seconds >= _FINE:
        return age(seconds)
    if seconds >= 1:
        return f"{seconds:.0f} s"
    return f"{seconds:.3f}".rstrip("0") + " s" if seconds >= 0.001 else "less than 1 ms"
