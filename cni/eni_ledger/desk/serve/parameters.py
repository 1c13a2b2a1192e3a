"""Parameters of `/v1/`: each is known, given once, and of its form; anything else is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from eni_ledger import timespec
from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.desk.serve.refused import NotServed
from eni_ledger.ledger.read.filter_fields import FIELDS
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.render.text import safe

TIMES = ("at", "since", "until")
FILTERS = tuple(name for name in FIELDS if name != "event")
LONGEST, MOST_ITEMS = 200, 1000
_MOST_GIVEN = 40
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
Period = tuple[str | None, str | None]


def parsed(query_string: str, known: Iterable[str]) -> dict[str, str]:
    """Return the parameters of a request. Raises NotServed (400)."""
    try:
        pairs = parse_qsl(
            query_string.encode("latin-1").decode("utf-8", "strict"),
            keep_blank_values=True,
            strict_parsing=bool(query_string),
            errors="strict",
            max_num_fields=_MOST_GIVEN,
        )
    except (ValueError, UnicodeError) as exc:
        raise NotServed(400, "the query string is malformed") from exc
    allowed = frozenset(known)
    for name, value in pairs:
        if name not in allowed:
            raise NotServed(400, "there is no such parameter", safe(name[:60]), ", ".join(sorted(allowed)))
        if not 0 < len(value) <= LONGEST:
            raise NotServed(400, f"a value has 1 to {LONGEST} characters", safe(name))
    if len(dict(pairs)) < len(pairs):
        raise NotServed(400, "a parameter is given twice")
    return dict(pairs)


def limit(given: dict[str, str], default: int) -> int:
    """Return how many items are wanted at most. Raises NotServed (400)."""
    text = given.get("limit", str(default))
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > MOST_ITEMS:
        raise NotServed(400, f"limit is a number from 1 to {MOST_ITEMS}", safe(text))
    return int(text)


def period(given: dict[str, str], now: datetime) -> Period | None:
    """Return the first and the last moment that are asked for, None without a time.

    Raises NotServed: 400 for what is no time of RFC 3339, 409 for times that exclude each other; NotFound for a moment
    that is to come.
    """
    spans = {name: _span(name, given[name]) for name in TIMES if name in given}
    if not spans:
        return None
    if "at" in spans and len(spans) > 1:
        raise NotServed(409, "at and an interval exclude each other")
    for name in ("at", "since"):
        if name in spans and spans[name][0] > timespec.to_ledger(now):
            raise NotFound("nothing is known of what is to come", f"{name} is {spans[name][0]}")
    if "at" in spans:
        return spans["at"]
    first = spans["since"][0] if "since" in spans else None
    last = spans["until"][1] if "until" in spans else None
    if first and last and first > last:
        raise NotServed(409, "the interval ends before it begins")
    return first, last


def _span(name: str, text: str) -> tuple[str, str]:
    if not _TIME.fullmatch(text):
        raise NotServed(400, f"{name} is not a time of RFC 3339", safe(text), "2026-11-28T03:12:00Z")
    try:
        first, last = timespec.span(text.upper(), argument=name, now=datetime.now(UTC), zone=UTC)
        return timespec.to_ledger(first), timespec.to_ledger(last)
    except (UsageError, ValueError, OverflowError) as exc:
        raise NotServed(400, f"{name} is not a time", safe(text), "2026-11-28T03:12:00Z") from exc


def filters(given: dict[str, str]) -> Filters:
    """Return the filters that are asked for."""
    return Filters({name: [given[name]] for name in FIELDS if name in given})
