"""Points in time as people write them.

What is understood (no zone means UTC, because the ledger is in UTC)::

    2026-11-23T03:12:00Z   2026-11-23T04:12:00.5+01:00      RFC 3339
    2026-11-23   2026-11-23 03:12   2026-11-23 03:12:07     a day is its first moment
    Mon 2026-11-23 03:12:07 UTC                             as journalctl and systemctl print it
    Nov 23 03:12:07   Nov 23 03:12                          as syslog has it: the latest that is past
    03:12   3:12pm   3am                                    the latest that is past: today's, or yesterday's
    today   yesterday   yesterday 03:12   03:12 yesterday   by the UTC day
    tuesday 03:12   last tuesday 03:12                      the latest that is past; "last": not today's
    -15m   15m   15m ago   -2h30m   an hour ago   now       s, m, h, d, w
    1764000000   1764000000123   @1764000000                Unix time: VPC flow logs (s), CloudWatch (ms)

A time that is given to the second is all of that second, as the tables print it (see `span`); every other one is a
moment: 03:12 is 03:12:00.000000.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

from eni_ledger.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match

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
    r"|(?P<hour12>\d{1,2})\s*(?P<half12>am|pm))"
)
_ZONE = r"\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?"
_DAY_NAME = r"mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
_NAMED = rf"(?:(?P<named>{_DAY_NAME}),?\s+)?"
_DATE = rf"{_NAMED}(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})"
# Compiled on use: compiling all of them takes milliseconds, which every command would pay.
_ABSOLUTE = rf"(?a){_DATE}(?:[t\s]\s*{_CLOCK})?{_ZONE}"
_SYSLOG = rf"(?a){_NAMED}(?P<month>{'|'.join(MONTHS)})[a-z]{{0,6}}\s+(?P<day>\d{{1,2}})(?:\s+{_CLOCK})?{_ZONE}"
_SOME_DAY = rf"(?:(?P<word>today|yesterday)|(?P<last>last\s+)?(?P<weekday>{_DAY_NAME}))"
_RELATIVE_DAY = rf"(?a){_SOME_DAY}(?:\s+(?:at\s+)?{_CLOCK})?{_ZONE}"
_CLOCK_FIRST = rf"(?a){_CLOCK}{_ZONE}\s+(?:on\s+)?{_SOME_DAY}"
_TIME_ONLY = rf"(?a){_CLOCK}{_ZONE}"
_EPOCH = r"(?a)@?(\d{13}|\d{10})|@(\d{1,10})"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# The first letter of the unit is the key of _UNITS.
_AMOUNT = r"(\d{1,9}\s*|an?\s+)(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
_AGO = rf"(?a)(?:-\s*)?(?P<amounts>(?:{_AMOUNT}\s*)+)(?P<ago>ago)?"

_ALMOST_A_SECOND = timedelta(microseconds=999_999)


def parse(text: str, *, argument: str, now: datetime | None = None) -> datetime:
    """Return the moment that `text` names, of a whole second its first one, in UTC with microseconds.

    `argument` names the option in the error (``--at``); `now` defaults to the clock. Raises UsageError for an unknown
    form, a day that the calendar does not have, and a year outside 1 to 9999.
    """
    return span(text, argument=argument, now=now)[0]


def span(text: str, *, argument: str, now: datetime | None = None) -> tuple[datetime, datetime]:
    """Return the first and the last moment of what `text` names: they differ when it is given to the second.

    Arguments and errors are those of `parse`.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    words = " ".join(text.lower().split())
    try:
        parsed = _parse(words, now)
    except (ValueError, OverflowError) as exc:
        raise _refusal(text, argument, str(exc)) from None
    if parsed is None:
        raise _refusal(text, argument, "")
    moment, whole = parsed
    return moment, moment + _ALMOST_A_SECOND if whole else moment


def _refusal(text: str, argument: str, why: str) -> UsageError:
    """Return the error for `text`; `why` says what is impossible about it, empty for an unknown form."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    examples = ", ".join(f"'{example}'" for example in EXAMPLES)
    return UsageError(
        f"{argument} is not a time",
        f"'{shown}'" + (f" ({why})" if why else ""),
        f"{examples}; no zone means UTC",
    )


def _parse(words: str, now: datetime) -> tuple[datetime, bool] | None:
    """Return the moment and whether all of its second is meant, None for no known form.

    Raises ValueError or OverflowError for an impossible one.
    """
    if words == "now":
        return now, False
    return _plain(words, now) or _in_words(words, now)


def _plain(words: str, now: datetime) -> tuple[datetime, bool] | None:
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
    if marks[4:] not in ("", ":") or text[19:20] not in ("", "."):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC), len(text) == 19
    except ValueError:
        return None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _in_words(words: str, now: datetime) -> tuple[datetime, bool] | None:
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
    moment = None
    if match := re.fullmatch(_ABSOLUTE, words):
        moment = _on(match, date(int(match["year"]), int(match["month"]), int(match["day"])))
    elif match := re.fullmatch(_SYSLOG, words):
        moment = _this_or_last_year(match, now)
    elif match := re.fullmatch(_TIME_ONLY, words):
        today = _today(now, match)
        moment = _moment(today, match)
        moment = moment if moment <= now else _moment(today - timedelta(days=1), match)
    elif match := re.fullmatch(_RELATIVE_DAY, words) or re.fullmatch(_CLOCK_FIRST, words):
        moment = _relative_day(match, now)
    return (moment, bool(match["second"] and not match["fraction"])) if moment and match else None


def _on(match: Match[str], day: date) -> datetime:
    """Return the moment of the match on `day`; raise ValueError when the match names another weekday."""
    if match["named"] and match["named"][:3] != DAYS[day.weekday()][:3]:
        raise ValueError(f"{day} is a {DAYS[day.weekday()].capitalize()}")
    return _moment(day, match)


def _this_or_last_year(match: Match[str], now: datetime) -> datetime:
    """Return the latest moment that is past for a date without a year."""
    month, day, year = MONTHS.index(match["month"]) + 1, int(match["day"]), _today(now, match).year
    if (month, day) == (2, 29):  # the last year that had one
        year -= next(n for n in range(9) if (year - n) % 4 == 0 and ((year - n) % 100 or (year - n) % 400 == 0))
    moment = _moment(date(year, month, day), match)
    return _on(match, date(year, month, day) if moment <= now else date(year - 1, month, day))


def _today(now: datetime, match: Match[str]) -> date:
    """Return the day it is now in the zone that the match names."""
    return now.astimezone(_zone(match)).date()


def _relative_day(match: Match[str], now: datetime) -> datetime:
    """Return the moment for `today`, `yesterday` or a weekday, at midnight or at a time of day."""
    today = _today(now, match)
    if match["word"]:
        return _moment(today - timedelta(days=match["word"] == "yesterday"), match)
    wanted = next(n for n, name in enumerate(DAYS) if name.startswith(match["weekday"][:3]))
    back = (today.weekday() - wanted) % 7
    if back == 0 and match["last"]:
        back = 7
    moment = _moment(today - timedelta(days=back), match)
    return moment if moment <= now else _moment(today - timedelta(days=back + 7), match)


def _zone(match: Match[str]) -> timezone:
    """Return the zone of the match, UTC when it names none."""
    name = match["zone"]
    if not name or name[0] not in "+-":
        return UTC
    hours, minutes = int(name[1:3]), int(name[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(f"no zone is {name} from UTC")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if name[0] == "-" else offset)


def _moment(day: date, match: Match[str]) -> datetime:
    """Return `day` at the time of day in the match (midnight when it has none) as UTC."""
    micro = (match["fraction"] or "").ljust(6, "0")[:6]
    clock = time(_hour(match), int(match["minute"] or 0), int(match["second"] or 0), int(micro))
    return datetime.combine(day, clock, _zone(match)).astimezone(UTC)


def _hour(match: Match[str]) -> int:
    """Return the hour of the match, 0 when it has none. Raises ValueError for 13pm."""
    hour, half = int(match["hour"] or match["hour12"] or 0), match["half"] or match["half12"]
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(f"there is no {hour} {half}")
    return hour % 12 + (12 if half == "pm" else 0)


def to_ledger(moment: datetime) -> str:
    """Return `moment` as the ledger writes `ts`: RFC 3339, UTC, always six digits of microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
