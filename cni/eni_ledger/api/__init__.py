"""The Python API: opens a ledger and returns its answers as models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from eni_ledger.api import records
from eni_ledger.base.config import load
from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, NotFound, UsageError
from eni_ledger.desk.export import frames
from eni_ledger.ledger.format.schema import Association, Event
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.filter_fields import FIELDS
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.ledger.read.terms import Query, readings
from eni_ledger.timespec import parse, to_ledger

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from eni_ledger.base.events import Fields

Time = datetime | date | int | float | str
"""A moment: aware or naive (UTC) `datetime`; `date`, its first moment in UTC; Unix time in seconds, or from 10^11 on in
milliseconds; text as `timespec` reads it."""

_MILLISECONDS = 10**11  # of Unix time, this is in 1973, and in seconds in the year 5138


def open_ledger(path: str | os.PathLike[str] | None = None) -> Ledger:
    """Return the ledger in the state directory `path`; without it, the one that the commands would read.

    Opens nothing: a missing ledger raises at the first question. Raises ConfigError.
    """
    return Ledger(load(None, os.environ, os.fspath(path) if path is not None else None).state_dir)


class Ledger:
    """The ledger in `state_dir`. Every method reads it anew, takes no lock, and may be called while ADDs run.

    Iterating over it yields every association, live or ended, oldest first.

    Methods raise StateDirError when there is no ledger, LedgerDamaged, FutureFormat, LedgerError for a value that no
    eni-ledger writes, and OSError; UsageError for a time or a filter that cannot be understood, and TypeError for what
    is no time at all. `LedgerDamaged.associations` holds models of what the sound lines give.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self._history = History(state_dir)

    def __repr__(self) -> str:
        """Return the directory and how many associations are live, or why that is not known."""
        try:
            return f"<Ledger {self.state_dir!r}: {len(self._history.live())} live>"
        except (EniLedgerError, OSError) as exc:
            return f"<Ledger {self.state_dir!r}: {exc}>"

    def __iter__(self) -> Iterator[Association]:
        return iter(self.associations())

    def live(self) -> list[Association]:
        """Return the associations that are live now, oldest first."""
        return [records.association(fields) for fields in self._history.live()]

    def at(self, time: Time) -> list[Association]:
        """Return the associations that were live at `time`, with their ends where they have ended since.

        Raises NotFound for a time before the ledger begins, of which nothing is known.
        """
        when = _text(time)
        return self._covered(self._find([], when, when, None), when)

    def between(self, since: Time, until: Time) -> list[Association]:
        """Return the associations that were live at any moment from `since` to `until`, oldest first.

        Raises UsageError when `until` is before `since`.
        """
        return self.associations(since=since, until=until)

    def associations(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        mismatch: bool = False,
        **patterns: str | Sequence[str],
    ) -> list[Association]:
        """Return the associations, live or ended, oldest first: those that lived between `since` and `until`.

        `patterns` are family, service, cluster, task, vlan, trunk, via: one pattern or several, one of which has
        to fit; `*` stands for any text. With `mismatch` only those of which the kernel showed another value than was
        declared.
        """
        first, last = _interval(since, until)
        return self._find([], first, last, _filters(patterns, mismatch))

    def events(self, since: Time | None = None, until: Time | None = None) -> Iterator[Event]:
        """Yield the events from `since` to `until`, both included, in order."""
        first, last = _interval(since, until)
        return map(records.event, self._history.events(first, last))

    def who(
        self,
        what: str | int,
        at: Time | None = None,
        *,
        since: Time | None = None,
        until: Time | None = None,
    ) -> list[Association]:
        """Return the associations that have or had `what`, anything that `eni-ledger who` accepts, oldest first.

        With `at` only those of that moment; with `since` or `until` those that lived between them. Raises UsageError
        for what can be none of the kinds, and for both `at` and an interval; NotFound for a time before the ledger
        begins, of which nothing is known.
        """
        if at is not None and not (since is None and until is None):
            raise UsageError("at and since or until exclude each other", hint="give a moment, or an interval")
        first, last = (_text(at), _text(at)) if at is not None else _interval(since, until)
        associations: list[Association] = []
        for query in readings(str(what)):
            associations = self._find([query], first, last, None, query)
            if associations:
                break
        return self._covered(associations, first) if at is not None and first else associations

    def show(self, association_id: str) -> tuple[Association, list[Event]]:
        """Return one association, by its ID or the start of it, and its events in order.

        Raises NotFound when there is none, UsageError when several begin like this.
        """
        prefix = association_id if association_id.startswith("assoc-") else f"assoc-{association_id}"
        found = self._history.find([Query(prefix)])
        if not found:
            raise NotFound("no such association", association_id)
        if len(found) > 1:
            ids = ", ".join(str(each["association_id"]) for each in found[:5])
            raise UsageError(f"{len(found)} associations begin like this", ids, "give more of the ID")
        return records.association(found[0]), [records.event(each) for each in self._history.events_of(found[0])]

    def to_dataframe(self, *, since: Time | None = None, until: Time | None = None) -> pd.DataFrame | pl.DataFrame:
        """Return the associations as a data frame of pandas, or of polars where pandas is not installed.

        One row for each; the columns are the keys of the ledger, those that none has included; times are UTC. Raises
        ImportError when neither is installed.
        """
        return frames.to_dataframe(self._rows(since, until))

    def to_arrow(self, *, since: Time | None = None, until: Time | None = None) -> pa.Table:
        """Return the associations as a table of pyarrow, columns as of `to_dataframe`. Raises ImportError."""
        return frames.to_arrow(self._rows(since, until))

    def _rows(self, since: Time | None, until: Time | None) -> Sequence[Fields]:
        first, last = _interval(since, until)
        return self._history.find(first=first, last=last)

    def _find(
        self,
        queries: list[Query],
        first: str | None,
        last: str | None,
        filters: Filters | None,
        best: Query | None = None,
    ) -> list[Association]:
        """Return the models of what `History.find` returns; with `best` of those that it means."""
        try:
            found = self._history.find(queries, first=first, last=last, filters=filters)
        except LedgerDamaged as exc:
            sound = best.best(exc.associations) if best else exc.associations
            exc.associations = [records.association(fields) for fields in sound]  # type: ignore[misc]  # as promised above
            raise
        return [records.association(fields) for fields in (best.best(found) if best else found)]

    def _covered(self, associations: list[Association], when: str) -> list[Association]:
        """Return `associations`; raise NotFound if there are none because the ledger begins after `when`."""
        nothing = None if associations else coverage.unknown(self._history, when)
        if nothing:
            raise nothing
        return associations


def _interval(since: Time | None, until: Time | None) -> tuple[str | None, str | None]:
    """Return both as the ledger writes them. Raises UsageError when the interval ends before it begins."""
    first = None if since is None else _text(since)
    last = None if until is None else _text(until)
    if first and last and last < first:
        raise UsageError("the interval ends before it begins", f"{first} and {last}")
    return first, last


def _filters(patterns: Mapping[str, str | Sequence[str]], mismatch: bool) -> Filters:
    for name in patterns:
        if name not in FIELDS:
            raise TypeError(f"{name!r} is no filter: {', '.join(FIELDS)}")
    given = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in patterns.items()}
    return Filters(given, mismatch=mismatch)


def _text(value: Time) -> str:
    """Return a time as the ledger writes it. Raises UsageError, and TypeError for what is no time."""
    if isinstance(value, bool) or not isinstance(value, datetime | date | int | float | str):
        raise TypeError(f"a time is a datetime, a date, a number or text, not {type(value).__name__}")
    try:
        return to_ledger(_moment(value))
    except (ValueError, OverflowError, OSError) as exc:
        raise UsageError("not a time", f"{value!r:.80}", "give a datetime, Unix time or text such as RFC 3339") from exc


def _moment(value: Time) -> datetime:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return parse(value, argument="time")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(tzinfo=UTC))
    return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)
