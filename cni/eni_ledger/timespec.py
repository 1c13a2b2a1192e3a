"""Points in time as people write them.

What is understood. A time without a zone is in the zone of the call, which is UTC unless the user sets another::

    2026-11-23T03:12:00Z   2026-11-23T04:12:00.5+01:00      RFC 3339
    20261123T031200Z   20261123T0312                        ISO 8601 without separators
    2026-11-23   2026/11/23 03:12   2026-11-23 03:12:07     a day is its first moment
    23 Nov 2026 03:12   Nov 23, 2026 3:12pm                 also with a weekday before it
    Mon, 23 Nov 2026 03:12:07 +0000                         RFC 5322, and RFC 2822 before it (mail, `date -R`)
    [23/Nov/2026:03:12:07 +0000]                            the logs of Apache and nginx
    Mon 2026-11-23 03:12:07 UTC                             as journalctl and systemctl print it
    Mon Nov 23 03:12:07 UTC 2026   Mon Nov 23 03:12:07 2026 as `date` and ctime(3) print it
    Nov 23 03:12:07   Nov 23 03:12                          as syslog has it: the latest that is past
    03:12   3:12pm   3am   noon   midnight                  the latest that is past: today's, or yesterday's
    today   yesterday   yesterday 03:12   03:12 yesterday   by the day of the zone
    last night 03:12   last night 23:50                     before noon today's, after it yesterday's
    tuesday 03:12   last tuesday 03:12                      the latest that is past; "last": not today's
    03:12 CET   2026-11-23 03:12 Europe/Berlin              a zone behind a time, see `zones`
    -15m   15m   15m ago   -2h30m   an hour ago   now       s, m, h, d, w
    1764000000   1764000000123   @1764000000                Unix time: VPC flow logs (s), CloudWatch (ms)

A time that is given to the second is all of that second, as the tables print it (see `span`); every other one is a
moment: 03:12 is 03:12:00.000000. Of a time that a zone's clock shows twice the first one is meant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from eni_ledger.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

EXAMPLES = (
    "2026-11-23T03:12:00Z",
    "2026-11-23 03:12",
    "03:12",
    "yesterday 03:12",
    "tuesday 03:12",
    "2h ago",
    "-15m",
    "now",
)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_SECONDS = r":(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?"
_CLOCK = (
    rf"(?:(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}})(?:{_SECONDS})?(?:\s*(?P<half>am|pm))?"
    r"|(?P<hour12>\d{1,2})\s*(?P<half12>am|pm)|(?P<spoken>noon|midnight))"
)
# A name needs a space before it; RFC 2822 permits a second one in parentheses, which says the same.
_ZONE = (
    r"(?:\s*(?P<zone>z|utc|gmt|[+-]\d{2}(?::?\d{2})?)|\s+(?!on\s)(?P<place>[a-z]{1,5}|[a-z_]+(?:/[a-z0-9_+-]+){1,2}))?"
    r"(?:\s+\([a-z]{1,5}\))?"
)
_DAY_NAME = r"mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
_NAMED = rf"(?:(?P<named>{_DAY_NAME}),?\s+)?"
_YEAR, _DAY = r"(?P<year>\d{4})", r"(?P<day>\d{1,2})"
_MONTH = rf"(?P<name>{'|'.join(MONTHS)})[a-z]{{0,6}}\.?"
# Compiled on use: compiling all of them takes milliseconds, which every command would pay.
_WITH_A_YEAR = (
    rf"(?a){_NAMED}{_YEAR}(?P<mark>[-/])(?P<month>\d{{2}})(?P=mark)(?P<day>\d{{2}})(?:(?:t|\s|\s+at\s)\s*{_CLOCK})?{_ZONE}",
    r"(?a)(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[t\s](?P<hour>\d{2})(?P<minute>\d{2})(?:(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?" + _ZONE,
    rf"(?a){_NAMED}{_DAY}[\s-]+{_MONTH}[\s-]+{_YEAR}(?:,?\s+(?:at\s+)?{_CLOCK})?{_ZONE}",
    rf"(?a){_NAMED}{_MONTH}\s+{_DAY}(?:,\s*|\s+){_YEAR}(?:,?\s+(?:at\s+)?{_CLOCK})?{_ZONE}",
    rf"(?a){_NAMED}{_MONTH}\s+{_DAY}\s+{_CLOCK}{_ZONE}\s+{_YEAR}",
    rf"(?a)\[?{_DAY}/{_MONTH}/{_YEAR}:{_CLOCK}{_ZONE}\]?",
)
_WITHOUT_A_YEAR = (
    rf"(?a){_NAMED}{_MONTH}\s+{_DAY}(?:\s+{_CLOCK})?{_ZONE}",
    rf"(?a){_NAMED}{_DAY}\s+{_MONTH}(?:\s+{_CLOCK})?{_ZONE}",
)
_SOME_DAY = rf"(?:(?P<word>today|yesterday|last\s+night)|(?P<last>last\s+)?(?P<weekday>{_DAY_NAME}))"
_RELATIVE_DAY = rf"(?a){_SOME_DAY}(?:\s+(?:at\s+)?{_CLOCK})?{_ZONE}"
_CLOCK_FIRST = rf"(?a){_CLOCK}{_ZONE}\s+(?:on\s+)?{_SOME_DAY}"
_TIME_ONLY = rf"(?a){_CLOCK}{_ZONE}"
_EPOCH = r"(?a)@?(\d{13}|\d{10})|@(\d{1,10})"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# The first letter of the unit is the key of _UNITS.
_AMOUNT = r"(\d{1,9}\s*|an?\s+)(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
_AGO = rf"(?a)(?:-\s*)?(?P<amounts>(?:{_AMOUNT}\s*)+)(?P<ago>ago)?"

_ALMOST_A_SECOND = timedelta(microseconds=999_999)


def parse(text: str, *, argument: str, now: datetime | None = None, zone: tzinfo = UTC) -> datetime:
    """Return the moment that `text` names, of a whole second its first one, in UTC with microseconds.

    `argument` names the option in the error (``--at``); `now` defaults to the clock; `zone` is that of a time that
    names none. Raises UsageError for an unknown form, a day that the calendar does not have, a time that the zone's
    clock never showed, an unknown or ambiguous zone, and a year outside 1 to 9999.
    """
    return span(text, argument=argument, now=now, zone=zone)[0]


def span(text: str, *, argument: str, now: datetime | None = None, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Return the first and the last moment of what `text` names: they differ when it is given to the second.

    Arguments and errors are those of `parse`.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    words = " ".join(text.lower().split())
    try:
        parsed = _parse(words, now, zone)
    except (ValueError, OverflowError) as exc:
        raise _refusal(text, argument, str(exc), zone) from None
    if parsed is None:
        raise _refusal(text, argument, "", zone)
    moment, whole = parsed
    return moment, moment + _ALMOST_A_SECOND if whole else moment


def _refusal(text: str, argument: str, why: str, zone: tzinfo) -> UsageError:
    """Return the error for `text`; `why` says what is impossible about it, empty for an unknown form."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    examples = ", ".join(f"'{example}'" for example in EXAMPLES)
    return UsageError(
        f"{argument} is not a time",
        f"'{shown}'" + (f" ({why})" if why else ""),
        f"{examples}; no zone means {'UTC' if zone is UTC else zone}",
    )


def _parse(words: str, now: datetime, zone: tzinfo) -> tuple[datetime, bool] | None:
    """Return the moment and whether all of its second is meant, None for no known form.

    Raises ValueError or OverflowError for an impossible one.
    """
    if words == "now":
        return now, False
    return _plain(words, now, zone) or _in_words(words, now, zone)


def _plain(words: str, now: datetime, zone: tzinfo = UTC) -> tuple[datetime, bool] | None:
    """Return the same for the forms that programs write: RFC 3339 in UTC, Unix time, -15m. Loads no `re`.

    None for any other form and for an impossible time; `_in_words` handles both and reports the error.
    """
    amount, unit = words[:-1].removeprefix("-"), words[-1:]
    if unit in _UNITS and len(amount) <= 9 and _is_digits(amount):
        return now - timedelta(seconds=int(amount) * _UNITS[unit]), False
    if len(words) == 10 and _is_digits(words):
        return datetime.fromtimestamp(int(words), UTC), True
    text = words.removesuffix("z")
    marks, rest = text[4:17:3], text[0:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16] + text[17:19] + text[20:]
    if len(text) not in (16, 19, 26) or marks[:4] not in ("--t:", "-- :") or not _is_digits(rest):
        return None
    if marks[4:] not in ("", ":") or text[19:20] not in ("", ".") or (text == words and zone is not UTC):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC), len(text) == 19
    except ValueError:
        return None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _in_words(words: str, now: datetime, zone: tzinfo = UTC) -> tuple[datetime, bool] | None:
    """Return the same for the forms that need `re`."""
    import re  # takes as long to load as all of eni_ledger.ledger; the common forms do without

    if match := re.fullmatch(_EPOCH, words):
        digits = match[1] or match[2]
        whole, milli = int(digits[:10]), int(digits[10:] or 0)
        return datetime.fromtimestamp(whole, UTC) + timedelta(milliseconds=milli), len(digits) <= 10
    if match := re.fullmatch(_AGO, words):
        pairs = re.findall(_AMOUNT, match["amounts"])
        seconds = sum((1 if count.startswith("a") else int(count)) * _UNITS[unit[0]] for count, unit in pairs)
        return now - timedelta(seconds=seconds), False
    forms = (
        *((form, _on) for form in _WITH_A_YEAR),
        *((form, _latest_year) for form in _WITHOUT_A_YEAR),
        (_TIME_ONLY, _latest_day),
        (_RELATIVE_DAY, _relative_day),
        (_CLOCK_FIRST, _relative_day),
    )
    for form, read in forms:
        if match := re.fullmatch(form, words):
            given = match.groupdict()
            moment = read(given, now.astimezone(_zone(given, zone)))
            return moment.astimezone(UTC), bool(given["second"] and not given["fraction"])
    return None


# What the following take: the groups of the match, and the present time in the zone that is meant.


def _on(given: dict[str, str], now: datetime) -> datetime:
    """Return the moment on the day with that year, month and day."""
    return _dated(given, int(given["year"]), now)


def _latest_year(given: dict[str, str], now: datetime) -> datetime:
    """Return the latest moment that is past for a date without a year."""
    year = now.year
    if (_month(given), int(given["day"])) == (2, 29):  # the last year that had one
        year -= next(n for n in range(9) if (year - n) % 4 == 0 and ((year - n) % 100 or (year - n) % 400 == 0))
    moment = _moment(date(year, _month(given), int(given["day"])), given, now)
    return _dated(given, year if moment <= now else year - 1, now)


def _dated(given: dict[str, str], year: int, now: datetime) -> datetime:
    """Return the moment on a day of `year`. Raises ValueError when that day has another name than the given one."""
    day = date(year, _month(given), int(given["day"]))
    if (name := given.get("named")) and name[:3] != DAYS[day.weekday()][:3]:
        raise ValueError(f"{day} is a {DAYS[day.weekday()].capitalize()}")
    return _moment(day, given, now)


def _month(given: dict[str, str]) -> int:
    name = given.get("name")
    return MONTHS.index(name) + 1 if name else int(given["month"])


def _latest_day(given: dict[str, str], now: datetime) -> datetime:
    """Return the latest moment that is past for a time of day."""
    moment = _moment(now.date(), given, now)
    return moment if moment <= now else _moment(now.date() - timedelta(days=1), given, now)


def _relative_day(given: dict[str, str], now: datetime) -> datetime:
    """Return the moment for `today`, `yesterday`, `last night` or a weekday, at midnight or at a time of day."""
    today = now.date()
    if word := given["word"]:
        back = word == "yesterday" or (word.startswith("last") and _hour(given) >= 12)
        return _moment(today - timedelta(days=back), given, now)
    wanted = next(n for n, name in enumerate(DAYS) if name.startswith(given["weekday"][:3]))
    days = (today.weekday() - wanted) % 7
    if days == 0 and given["last"]:
        days = 7
    moment = _moment(today - timedelta(days=days), given, now)
    return moment if moment <= now else _moment(today - timedelta(days=days + 7), given, now)


def _zone(given: dict[str, str], zone: tzinfo) -> tzinfo:
    """Return the zone that is named, `zone` when none is. Raises ValueError as `zones.zone` does."""
    name = given["zone"] or given["place"]
    if not name:
        return zone
    from eni_ledger import zones  # reads the zone database: only if a zone is named

    return zones.zone(name)


def _moment(day: date, given: dict[str, str], now: datetime) -> datetime:
    """Return `day` at the given time of day (midnight when there is none), in the zone of `now`.

    Raises ValueError for a time that was skipped when the zone's clock was set forward.
    """
    micro = (given["fraction"] or "").ljust(6, "0")[:6]
    clock = time(_hour(given), int(given["minute"] or 0), int(given["second"] or 0), int(micro))
    local = datetime.combine(day, clock, now.tzinfo)
    if now.tzinfo is not UTC and local.astimezone(UTC).astimezone(now.tzinfo).replace(tzinfo=None) != local.replace(
        tzinfo=None
    ):
        raise ValueError(f"{now.tzinfo} had no {clock:%H:%M} on {day}: its clock was set forward")
    return local


def _hour(given: dict[str, str]) -> int:
    """Return the hour that is given, 0 when there is none. Raises ValueError for 13pm."""
    if given.get("spoken"):
        return 12 if given["spoken"] == "noon" else 0
    hour, half = int(given["hour"] or given.get("hour12") or 0), given.get("half") or given.get("half12")
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(f"there is no {hour} {half}")
    return hour % 12 + (12 if half == "pm" else 0)


def clock(moment: datetime | str, zone: tzinfo = UTC, *, unit: str = "seconds", named: bool = False) -> str:
    """Return a time, or a `ts` of the ledger, as ``2026-11-23 14:00:00`` in `zone`, down to `unit` (see `isoformat`).

    With `named` the zone stands behind it, and in any case behind a time that the zone's clock shows twice. A text that
    is not a time is returned unchanged. A time without a zone is in UTC.
    """
    try:
        time = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        local = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(zone)
    except (ValueError, OverflowError):  # the first and the last day of the calendar are not in all zones
        return str(moment)
    text = local.replace(tzinfo=None).isoformat(" ", unit)
    if zone is UTC:
        return f"{text} UTC" if named else text
    if named or local.replace(fold=1 - local.fold).utcoffset() != local.utcoffset():
        from eni_ledger import zones  # only for a zone that was asked for

        return f"{text} {zones.text(local)}"
    return text


def to_ledger(moment: datetime) -> str:
    """Return `moment` as the ledger writes `ts`: RFC 3339, UTC, always six digits of microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
