"""Time stamps of tcpdump's lines (tcpdump(1), options -t to -ttttt and --time-stamp-precision)::

    03:12:07.123456              no option   time of day in tcpdump's time zone, without a date
    1764300000.123456            -tt         Unix time
    2026-11-27 03:12:07.123456   -tttt       date and time of day in tcpdump's time zone
     00:00:01.123456             -ttt -ttttt since the line before, or the first one: no time at all
                                 -t          nothing

Times here are whole microseconds since 1970 in UTC; a stamp in nanoseconds counts as its microsecond.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, tzinfo

from eni_ledger.base.errors import UsageError

CLOCK, EPOCH, DATED, DISTANCE, NONE = "clock", "epoch", "dated", "distance", "none"

SECOND = 1_000_000
DAY = 86_400 * SECOND
_QUARTER = 900 * SECOND  # zones change their offset at a quarter of an hour, and days begin at one
_MOST_BOUNDS = 10_000
_SKEW = 300 * SECOND  # a clock of another machine may be ahead by this much
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_800 * SECOND - 1  # 9999-12-31T23:59:59.999999Z

STAMP = (
    rb"(?P<dated>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6,9}) "
    rb"|(?P<clock>\d\d:\d\d:\d\d\.\d{6,9}) "
    rb"|(?P<epoch>\d{1,11}\.\d{6,9}) "
    rb"|(?P<distance> (?:\d+ days? )?\d\d:\d\d:\d\d\.\d{6,9}) "
)
"""One stamp with the space behind it, as alternatives of a regular expression; a group for each form."""

_WORDS = re.compile(rb"(?:(\d{4})-(\d\d)-(\d\d) )?(\d\d):(\d\d):(\d\d)\.(\d{6})\d*")


def micros(moment: datetime) -> int:
    """Return an aware time in microseconds since 1970."""
    return (moment - _UNIX) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """Return the time `at`, in UTC. Raises OverflowError outside the years 1 to 9999."""
    return _UNIX + timedelta(microseconds=at)


def ledger_time(at: int) -> str:
    """Return a time as the ledger writes it; one before 1970 or after 9999 as the nearest that it can write."""
    within = min(max(at, 0), _LAST)
    return moment_of(within).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class Stamps:
    """Reads the stamps of one stream of lines, in their order.

    Stamps without a date are of `day`, without that of the last such time that is past, and of the day after when the
    clock has passed midnight. Lines without a time are of the moment `fixed`.
    """

    def __init__(self, zone: tzinfo = UTC, day: date | None = None, fixed: int | None = None) -> None:
        self.zone = zone
        self.day = self.first_day = day
        self.zoned = False  # whether there was a stamp that depends on the zone
        self.fixed = fixed
        self.guessed = day is None
        self._last: int | None = None
        self._last_clock = -1
        self._rolled = False
        self._bounds: dict[tuple[str, int, int, int], tuple[bytes, bytes]] = {}

    def read(self, form: str, stamp: bytes) -> int:
        """Return the time of a stamp. Raises UsageError for one that is no time, and ValueError for 25:00."""
        if self.fixed is not None and form in (NONE, DISTANCE):
            return self.fixed
        if form == EPOCH:
            whole, _, fraction = stamp.partition(b".")
            return int(whole) * SECOND + int(fraction[:6])
        if form == CLOCK:
            return self._clock(stamp)
        if form == DATED:
            return self._local(*_fields(stamp))
        raise UsageError(
            "these lines have no time" if form == NONE else "these lines have no time, only the distance from another",
            f"'{stamp.decode(errors='replace'):.40}'" if stamp else "tcpdump -t leaves it out",
            "run tcpdump without -t, -ttt and -ttttt, or name the moment of all lines with --at",
        )

    def _clock(self, stamp: bytes) -> int:
        """Return the time of a stamp without a date."""
        _, _, _, *clock = _fields(stamp)
        here = (clock[0] * 3600 + clock[1] * 60 + clock[2]) * SECOND + clock[3]
        if self.day is None:
            self.day = self.first_day = self._latest_day(clock)
        day = self.day
        if self._last_clock >= 0 and here < self._last_clock - DAY // 2:
            day = self.day = self.day + timedelta(days=1)
            self._rolled = True
        elif self._rolled and here > self._last_clock + DAY // 2:
            return self._local(day.year, day.month, day.day, *clock) - DAY  # put behind its turn at midnight
        self._last_clock = here
        at = self._local(day.year, day.month, day.day, *clock)
        if self.guessed and at > time.time_ns() // 1000 + _SKEW:
            raise UsageError(
                "the lines go on for more than a day, and have no date",
                f"'{stamp.decode()}' would be of {day}, which is to come",
                "say with --date of which day the first one is",
            )
        return at

    def _latest_day(self, clock: list[int]) -> date:
        """Return the day of the last such time that is past."""
        now = time.time_ns() // 1000
        today = moment_of(now).astimezone(self.zone).date()
        if self._local(today.year, today.month, today.day, *clock) > now + _SKEW:
            return today - timedelta(days=1)
        return today

    def _local(self, *fields: int) -> int:
        """Return the time that a clock of the zone shows; of two the second one when the line before was past it."""
        self.zoned = True
        local = datetime(*fields, tzinfo=self.zone)  # type: ignore[misc, arg-type]  # seven of them, see _fields
        at = micros(local)
        if self.zone is not UTC:
            second = micros(local.replace(fold=1))
            if second > at and self._last is not None and self._last > at + _SKEW:
                at = second
        self._last = at
        return at

    def bounds(self, form: str, at: int, since: int, until: int) -> tuple[bytes, bytes]:
        """Return the first stamp from `since` on and the first from `until` on, near `at`; they compare as bytes.

        They hold for lines that come after one of `at`, and are narrower than asked for where a date or a change of
        the zone's offset is between.
        """
        if form in (NONE, DISTANCE):
            return b"", b"\xff"
        quarter = at // _QUARTER
        if (found := self._bounds.get((form, quarter, since, until))) is None:
            if len(self._bounds) >= _MOST_BOUNDS:
                self._bounds.clear()
            found = self._bounds[form, quarter, since, until] = self._shown_bounds(form, at, since, until)
        return found

    def _shown_bounds(self, form: str, at: int, since: int, until: int) -> tuple[bytes, bytes]:
        if form == EPOCH:
            return _unix(since, b""), _unix(until, b"\xff")
        start = at // _QUARTER * _QUARTER if form == CLOCK or self.zone is not UTC else at // DAY * DAY
        end = start + (_QUARTER if form == CLOCK or self.zone is not UTC else DAY)
        offset = micros(moment_of(at).astimezone(self.zone).replace(tzinfo=UTC)) - at
        first, last = _shown(max(since, start) + offset), _shown(min(until, end) + offset - 1) + b"~"
        return (first[11:], last[11:]) if form == CLOCK else (first, last)


def _shown(at: int) -> bytes:
    """Return a time as date, time of day and microseconds."""
    return moment_of(at).replace(tzinfo=None).isoformat(" ", "microseconds").encode()


def _unix(at: int, otherwise: bytes) -> bytes:
    """Return Unix time with ten digits of seconds; `otherwise` for one that has more or fewer."""
    return b"%d.%06d" % divmod(at, SECOND) if SECOND * 10**9 <= at < SECOND * 10**10 else otherwise


def _fields(stamp: bytes) -> list[int]:
    """Return year, month, day (1 where there is no date), hour, minute, second, microsecond."""
    match = _WORDS.fullmatch(stamp)
    if match is None:
        raise ValueError(stamp)
    return [int(text or 1) for text in match.groups()]
