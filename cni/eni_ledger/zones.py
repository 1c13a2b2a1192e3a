"""Time zones as people name them: `UTC`, `+01:00`, `Europe/Berlin`, `berlin`, `CET`, `local`.

Names come from the IANA time zone database of the host (`/usr/share/zoneinfo`), else of the package `tzdata` where it
is installed. An abbreviation stands for a fixed distance from UTC: the one that zones have under it this year. One
that stands for several distances (CST, IST) is refused with the zones that it may mean.

Imports inside functions: the front door has no zone database, and most calls name no zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

LOCAL = "local"
HINT = "UTC, local, a distance such as +01:00, or a name such as Europe/Berlin"

# Shown first where an abbreviation may mean several zones; others of the same distance are less known.
_EXAMPLES = ("America/Chicago", "America/Los_Angeles", "Asia/Shanghai", "Asia/Kolkata", "Asia/Jerusalem")


def zone(name: str) -> tzinfo:
    """Return the time zone `name`, in any case. Raises ValueError for an unknown and for an ambiguous one."""
    word = name.strip()
    lower = word.lower()
    if lower in ("z", "utc", "gmt"):
        return UTC
    if word[:1] in ("+", "-"):
        return _distance(word)
    if lower == LOCAL:
        return _local()
    if word.isascii() and word.isalpha() and len(word) <= 5 and (fixed := _abbreviated(word.upper())):
        return fixed
    return _named(word)


def text(moment: datetime) -> str:
    """Return the zone of an aware `moment` as it stands behind a time: `UTC`, `CET`, `+05:30`."""
    name = moment.tzname() or ""
    return name if name.isalpha() else _signed(moment.utcoffset() or timedelta())


def _distance(word: str) -> tzinfo:
    """Return the zone of `+01`, `+0100` or `+01:00`."""
    digits = word[1:].replace(":", "", 1)
    if not (digits.isascii() and digits.isdigit() and len(digits) in (2, 4)):
        raise ValueError(f"no zone is {word} from UTC")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"no zone is {word} from UTC")
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if word[0] == "-" else distance)


def _local() -> tzinfo:
    """Return the zone of this host: `TZ`, else `/etc/localtime`, else UTC, as tzset(3) does."""
    import os
    from pathlib import Path
    from zoneinfo import ZoneInfo

    if name := os.environ.get("TZ", "").removeprefix(":"):
        try:
            return ZoneInfo(name)
        except (OSError, ValueError):  # a rule such as CET-1CEST, which only the C library reads
            return datetime.now().astimezone().tzinfo or UTC
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key=LOCAL)
    except (OSError, ValueError):
        return UTC


def _abbreviated(word: str) -> tzinfo | None:
    """Return the zone of an abbreviation in upper case, None when no zone uses it."""
    from zoneinfo import ZoneInfo, available_timezones

    year = datetime.now(UTC).year
    users: dict[timedelta, str] = {}
    for name in sorted(available_timezones(), key=lambda name: (name not in _EXAMPLES, name)):
        if "/" not in name or name.startswith("Etc/"):
            continue  # former names, and abbreviations that the database keeps as zones
        for month in (1, 7):  # summer on one half of the earth, winter on the other
            day = datetime(year, month, 1, 12, tzinfo=ZoneInfo(name))
            if (day.tzname() or "").upper() == word:
                users.setdefault(day.utcoffset() or timedelta(), name)
    if len(users) > 1:
        candidates = ", ".join(f"{name} ({_signed(distance)})" for distance, name in sorted(users.items()))
        raise ValueError(f"{word} is the time of several zones: {candidates}")
    return timezone(next(iter(users)), word) if users else None


def _named(word: str) -> tzinfo:
    """Return the zone of the database by its name or the city in it."""
    from difflib import get_close_matches
    from zoneinfo import ZoneInfo, available_timezones

    names = {name.lower(): name for name in available_timezones()}
    cities = {name.rpartition("/")[2]: name for name in sorted(names) if "/" in name}
    if not names:
        raise ValueError("this host has no time zone database (/usr/share/zoneinfo)")
    wanted = word.lower().replace(" ", "_")
    if name := names.get(wanted) or names.get(cities.get(wanted, "")):
        return ZoneInfo(name)
    near = get_close_matches(wanted, names, 1, 0.75) or [
        cities[city] for city in get_close_matches(wanted, cities, 1, 0.75)
    ]
    meant = f"; did you mean {names[near[0]]}?" if near else ""
    raise ValueError(f"no time zone is called {word:.40}{meant}")


def _signed(distance: timedelta) -> str:
    """Return a distance from UTC as `+05:30`."""
    minutes = int(distance.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
