"""What a report tells, as plain data. Times are those of the ledger, RFC 3339 text in UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, UsageError
from eni_ledger.base.version import __version__
from eni_ledger.desk.report import findings
from eni_ledger.desk.topology import picture as pictures
from eni_ledger.ledger.check.fsck import fsck_ledger
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.proven import proven
from eni_ledger.render.text import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.query.reader import LedgerReader

Document = dict[str, Any]
Progress = Callable[[int, int], None]

_FIRST = "0001-01-01T00:00:00.000000Z"


def collect(
    history: LedgerReader,
    first: str | None,
    last: str | None,
    *,
    now: str,
    as_of: str | None = None,
    copies: Mapping[str, str] | None = None,
    instance_type: str | None = None,
    facts: pictures.Facts | None = None,
    check: bool = True,
    most: int | None = None,
    progress: Progress | None = None,
) -> Document:
    """Return what there is to tell of the interval from `first` to `last`, both included.

    Without `first` it begins with the ledger, without `last` it ends `now`. `as_of` is up to when a copy goes;
    `copies` says by the name of a ledger what it is a copy of. `check` proves the chain of all segments, which takes
    the time of fsck.
    Damage never stops it: `damage` lists what was met. Raises as `History.events` does, but not LedgerDamaged; and
    UsageError for more than `most` associations, before the events are read and the chain is proven.
    """
    begins = coverage.begin(history)
    end = last or as_of or now
    damage: list[LedgerDamaged] = []
    associations = _associations(history, first, end, damage)
    if most is not None and len(associations) > most:
        count = counted(len(associations), "association")
        raise UsageError("too much for one page", f"{count} of at most {most}", "a shorter interval: --since, --until")
    times = [begins, *(str(one["since"]) for one in associations)]
    start = first or min(filter(None, times), default=end)
    events = findings.Events()
    for event in _events(history, start, end, damage):
        events.take(event)
    live = [one for one in associations if one["since"] <= end < one.get("until", "~")]
    picture = pictures.draw(live, instance_type=instance_type, here=pictures.this_host(), facts=facts)
    sources = [_source(each, copies or {}, progress) for each in history.apart()] if check else []
    gaps = [*findings.outside(start, end, begins, as_of), *events.gaps]
    if damage and not events.holes:
        gaps.append({"first": start, "last": end, "text": f"the ledger is damaged: {damage[0]}"})
    return {
        "first": start,
        "last": end,
        "until_now": last is None and as_of is None,
        "begins": begins,
        "associations": associations,
        "findings": findings.of_associations(associations, start, end) + events.findings,
        "gaps": sorted(gaps, key=lambda gap: (gap["first"], gap["last"])),
        "picture": picture,
        "sources": sources,
        "damage": list(dict.fromkeys(str(each) for each in damage)),
        "made": {"ts": now, "version": __version__},
    }


def _associations(
    history: LedgerReader, first: str | None, last: str, damage: list[LedgerDamaged]
) -> list[Association]:
    """Return what was live at any moment of the interval, oldest first; of a damaged ledger what is proven."""
    try:
        return history.find(first=first, last=last)
    except LedgerDamaged as exc:
        damage += [exc, *(each for each in exc.others if isinstance(each, LedgerDamaged))]
        found = exc.associations or [one for each in history.apart() for one in _proven(each)]
        return [one for one in found if str(one["since"]) <= last and (first or _FIRST) < str(one.get("until", "~"))]


def _events(history: LedgerReader, first: str, last: str, damage: list[LedgerDamaged]) -> Iterator[Event]:
    try:
        yield from history.events(first, last, imported=False)
    except LedgerDamaged as exc:
        damage.append(exc)


def _proven(history: LedgerReader) -> list[Association]:
    """Return what the chain proves of one ledger, nothing of one that cannot be read."""
    try:
        return proven(history)
    except (EniLedgerError, OSError):
        return []


def _source(history: History, copies: Mapping[str, str], progress: Progress | None) -> dict[str, Any]:
    """Return what fsck says of a ledger; of one that cannot be read, why."""
    source: dict[str, Any] = {"place": history.state_dir, "copy": copies.get(history.state_dir)}
    try:
        report = fsck_ledger(history, progress)
    except (EniLedgerError, OSError) as exc:
        return {**source, "sound": False, "events": 0, "segments": [], "damage": [str(exc)], "notes": []}
    return {
        **source,
        "sound": report.sound,
        "events": report.events,
        "segments": report.segments,
        "damage": [str(each) for each in report.damage],
        "notes": report.notes,
    }
