"""`/v1/`: associations, who, events, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from eni_ledger.base.errors import LedgerDamaged, NotFound, UsageError
from eni_ledger.desk.ec2.pages import items_behind
from eni_ledger.desk.ec2.refusals import Refused
from eni_ledger.desk.serve import parameters
from eni_ledger.desk.serve.parameters import FILTERS, MOST_ITEMS, TIMES
from eni_ledger.desk.serve.refused import NotServed
from eni_ledger.desk.serve.view import Period, ProvenAnswer, View
from eni_ledger.desk.serve.watch import Mark
from eni_ledger.ledger.read.terms import Query
from eni_ledger.render.screen import one_line
from eni_ledger.render.text import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.desk.serve.view import Body

ASSOCIATIONS = (*TIMES, *FILTERS, "limit", "next")
WHO = ("what", *TIMES, *FILTERS, "limit", "next")
EVENTS = ("since", "until", *FILTERS, "event", "limit", "next")
STREAM = ("since", *FILTERS, "event")
_EVENTS_AT_ONCE = 100
_FIRST = "0001-01-01T00:00:00.000000Z"

Given = dict[str, str]


def json_body(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON on one line."""
    return (one_line(document) + "\n").encode()


def associations(view: View, query_string: str) -> bytes:
    """Return the associations of a time, or those that are live.

    Raises NotServed, NotFound, EniLedgerError, OSError.
    """
    given = parameters.parsed(query_string, ASSOCIATIONS)
    filters, most = parameters.filters(given), parameters.limit(given, MOST_ITEMS)
    period = parameters.period(given, datetime.now(UTC))

    def make() -> Body:
        if period:
            found = view.during(period, filters)
        else:
            found = view.live()
            found.associations = list(filter(filters.matches, found.associations))
        body = json_body({**_times(given, period), **_page(found, given, most)})
        return body, None, [], found.damage is None

    return view.body(("associations", *sorted(given.items())), make)


def who(view: View, query_string: str) -> bytes:
    """Return who has or had `what`; for a time at which nobody had it, who had it last and next. Raises as above."""
    given = parameters.parsed(query_string, WHO)
    if "what" not in given:
        raise NotServed(400, "what is missing", hint="/v1/who?what=10.0.32.4")
    filters, most = parameters.filters(given), parameters.limit(given, MOST_ITEMS)
    period = parameters.period(given, datetime.now(UTC))

    def make() -> Body:
        try:
            found, queries, query = view.who(given["what"], period, filters)
        except UsageError as exc:
            raise NotFound("nothing in a ledger is of this kind", exc.details, exc.hint) from exc
        document = {**_times(given, period), **_page(found, given, most)}
        if fitted := query.fitted(found.associations):
            document["fitted"] = fitted
        beside = _neighbours(view, queries, period, document, found)
        return json_body(document), queries, [*found.associations, *beside], found.damage is None

    return view.body(("who", *sorted(given.items())), make)


def _neighbours(
    view: View, queries: list[Query], period: Period | None, document: dict[str, Any], found: ProvenAnswer
) -> list[Association]:
    """Add to `document` who had it before and after a moment at which nobody had it; return them."""
    if found.associations or found.damage or not period or not period[0]:
        return []
    for query in queries:
        try:
            before, after = view.history.neighbours(query, period[0])
        except LedgerDamaged:
            continue
        if before or after:
            document.update(before=before, after=after)
            return [one for one in (before, after) if one]
    return []


def events(view: View, query_string: str) -> bytes:
    """Return events, oldest first. Raises as above."""
    given = parameters.parsed(query_string, EVENTS)
    filters, most = parameters.filters(given), parameters.limit(given, _EVENTS_AT_ONCE)
    first, last = parameters.period(given, datetime.now(UTC)) or (None, None)
    start = mark_of(given["next"]) if "next" in given else Mark(first or _FIRST)

    def make() -> Body:
        found = view.events(start, last, filters, most)
        document: dict[str, Any] = {
            "events": [event for _, event in found.events],
            "next": str(found.mark) if found.more else None,
        }
        if found.damage:
            document["damage"] = _damage(found.damage)
        return json_body(document), None, [], found.damage is None

    return view.body(("events", *sorted(given.items())), make)


def mark_of(text: str) -> Mark:
    """Return the mark that `next` or `Last-Event-ID` names. Raises NotFound for what is none."""
    ts, _, count = text.partition("_")
    if not moment(ts) or len(ts) != len(_FIRST) or not count.isdecimal() or len(count) > 9:
        raise NotFound("there is no such page")
    return Mark(ts, int(count))


def _times(given: Given, period: Period | None) -> dict[str, Any]:
    if not period:
        return {}
    return {"at": period[0]} if "at" in given else {"since": period[0], "until": period[1]}


def _page(found: ProvenAnswer, given: Given, most: int) -> dict[str, Any]:
    try:
        page, following = items_behind(found.associations, given.get("next"), most)
    except Refused as exc:
        raise NotFound("there is no such page") from exc
    document: dict[str, Any] = {"associations": page, "next": following}
    if found.damage:
        document["damage"] = _damage(found.damage)
    return document


def _damage(damage: LedgerDamaged) -> dict[str, Any]:
    return {"message": damage.msg, "path": damage.path, "line": damage.line, "offset": damage.offset}
