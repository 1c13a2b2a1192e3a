"""The associations of an interval, kept so that whose a VLAN, an address or an ENI was at a moment is told at once.

For every VLAN ID, MAC address, IP address and ENI ID there is a lane: the moments at which its associations change, in
order. All times are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, tzinfo
from typing import NamedTuple, Protocol

from eni_ledger.base.addresses import ip
from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.desk.capture.stamps import DAY, SECOND, ledger_time, micros
from eni_ledger.render.text import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


ALWAYS, NEVER = -(1 << 62), 1 << 62
"""Earlier and later than every moment."""

VLAN, MAC, IP, ENI = "vlan", "mac", "ip", "eni"
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_BEFORE, _AFTER = 3600 * SECOND, DAY


class Known(NamedTuple):
    """What the ledger says of an interval.

    `begin` is from when on it knows anything (None: nothing at all), `complete` up to when all that happened is in it,
    `damage` what may have hidden some of it. `twice` are intervals that the host's clock showed twice.
    """

    associations: list[Association]
    begin: int | None
    complete: int
    damage: LedgerDamaged | None = None
    twice: tuple[tuple[int, int], ...] = ()


class AssociationSource(Protocol):
    """Where associations come from: a ledger."""

    def load(self, first: str, last: str) -> Known:
        """Return what was live at any moment from `first` to `last`, times of the ledger."""
        ...

    def changed(self) -> bool:
        """Tell whether there is more since `load` was called last."""
        ...

    def complete(self) -> int:
        """Return up to when all that happened is in it."""
        ...


class Span(NamedTuple):
    """The associations of a lane at a moment; they are the same from `since` on, up to `until`."""

    associations: tuple[Association, ...]
    since: int
    until: int


_NOBODY = Span((), ALWAYS, NEVER)


class Lane:
    """Whose one thing is, over time."""

    def __init__(self) -> None:
        self._intervals: list[tuple[int, int, Association]] = []
        self._edges: list[int] | None = None
        self._spans: list[tuple[Association, ...]] = []

    def add(self, since: int, until: int, association: Association) -> None:
        """Add one that has it from `since` on, up to `until`."""
        self._intervals.append((since, until, association))
        self._edges = None

    def at(self, at: int) -> Span:
        """Return whose it is at a moment."""
        edges = self._edges if self._edges is not None else self._build()
        place = bisect_right(edges, at)
        since = edges[place - 1] if place else ALWAYS
        return Span(self._spans[place], since, edges[place] if place < len(edges) else NEVER)

    def _build(self) -> list[int]:
        """Cut time at every beginning and end."""
        edges = self._edges = sorted({edge for since, until, _ in self._intervals for edge in (since, until)})
        live: list[Association] = []
        changes = sorted(
            ((edge, begins, association) for since, until, association in self._intervals if since < until
             for edge, begins in ((since, True), (until, False))),
            key=lambda change: change[:2],
        )  # fmt: skip
        self._spans, place = [()], 0
        for edge in edges:
            while place < len(changes) and changes[place][0] == edge:
                _, begins, association = changes[place]
                live = [*live, association] if begins else [one for one in live if one is not association]
                place += 1
            self._spans.append(tuple(live))
        return edges

    def between(self, first: int, last: int) -> list[Association]:
        """Return all that had it at any moment from `first` to `last`, the oldest first."""
        found = [(since, n) for n, (since, until, _) in enumerate(self._intervals) if since <= last and first < until]
        return [self._intervals[number][2] for _, number in sorted(found)]

    def before(self, at: int) -> tuple[Association, int] | None:
        """Return the association that had it last before a moment, and until when; None when none had."""
        ended = [(until, number) for number, (_, until, _) in enumerate(self._intervals) if until <= at]
        return (self._intervals[max(ended)[1]][2], max(ended)[0]) if ended else None

    def after(self, at: int) -> tuple[Association, int] | None:
        """Return the association that has it next after a moment, and from when on; None when none has."""
        coming = [(since, number) for number, (since, _, _) in enumerate(self._intervals) if since > at]
        return (self._intervals[min(coming)[1]][2], min(coming)[0]) if coming else None


_EMPTY = Lane()


class Timeline:
    """The lanes of as much time as was asked for so far; more is loaded when it is.

    `known` is what the ledger said, `changes` counts how often it was loaded. Times are told in `zone`.
    """

    def __init__(self, source: AssociationSource, zone: tzinfo = UTC) -> None:
        self._source = source
        self.zone = zone
        self._lanes: dict[tuple[str, object], Lane] = {}
        self._first, self._last = NEVER, ALWAYS
        self.known = Known([], None, ALWAYS)
        self.changes = 0

    def cover(self, first: int, last: int | None = None) -> None:
        """Load what is needed for the moments from `first` to `last`. Raises as `AssociationSource.load` does."""
        last = first if last is None else last
        if not (self._first <= first and last <= self._last):
            # A merged capture goes to and fro: the interval only grows, and each time by as much as it has.
            grown = max(_AFTER, self._last - self._first)
            self._first = min(self._first, first - _BEFORE)
            self._last = max(self._last, last + grown)
            self._load()

    @property
    def covered(self) -> tuple[int, int]:
        """The first moment that has been covered, and the first one behind it that has not."""
        return self._first, self._last

    def refresh(self) -> bool:
        """Load again if the ledger has grown; tell whether it had. Raises as `AssociationSource.load` does."""
        if self._first > self._last:
            return False
        if not self._source.changed():
            self.known = self.known._replace(complete=self._source.complete())
            return False
        self._load()
        return True

    def _load(self) -> None:
        self.known = self._source.load(ledger_time(self._first), ledger_time(self._last))
        self.changes += 1
        self._lanes = {}
        for association in self.known.associations:
            since, until = time_of(association.get("since"), ALWAYS), time_of(association.get("until"), NEVER)
            for key in keys_of(association):
                self._lanes.setdefault(key, Lane()).add(since, until, association)

    def lane(self, kind: str, value: object) -> Lane:
        """Return the lane of a thing; VLANs by protocol and ID."""
        return self._lanes.get((kind, value), _EMPTY)

    def has(self, kind: str, value: object) -> bool:
        """Tell whether a thing is anybody's at any moment that has been covered."""
        return (kind, value) in self._lanes

    def at(self, kind: str, value: object, at: int) -> Span:
        """Return whose a thing is at a moment that has been covered."""
        lane = self._lanes.get((kind, value))
        return lane.at(at) if lane else _NOBODY


def time_of(ts: object, otherwise: int) -> int:
    """Return a time of the ledger, `otherwise` when there is none."""
    found = moment(ts)
    return micros(found) if found else otherwise


def keys_of(association: Association) -> list[tuple[str, object]]:
    """Return the lanes that an association is in: what was declared, and what the kernel showed in its place.

    A value that is no VLAN ID or address is in none: root can write anything into a ledger.
    """
    keys: list[tuple[str, object]] = []
    protocol = association.get("vlan_protocol") or "802.1Q"
    for field in ("vlan_id", "observed_vlan_id"):
        if isinstance(vlan_id := association.get(field), int):
            keys.append((VLAN, (protocol, vlan_id)))
    for field in ("branch_mac", "observed_mac"):
        if is_mac(mac := str(association.get(field)).lower()):
            keys.append((MAC, mac))
    for field in ("addresses", "observed_addresses"):
        found = association.get(field)
        addresses = map(_canonical, found if isinstance(found, list) else ())
        keys += [(IP, address) for address in addresses if address]
    if isinstance(eni_id := association.get("eni_id"), str):
        keys.append((ENI, eni_id))
    return list(dict.fromkeys(keys))


def is_mac(text: str) -> bool:
    """Tell whether a text is a MAC address in lower case."""
    return _MAC.fullmatch(text) is not None


def _canonical(address: object) -> str:
    """Return an IP address without its prefix length, in the form that packets are read in; empty for none."""
    return ip(str(address).partition("/")[0]) or ""
