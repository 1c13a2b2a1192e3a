"""Time zones as people name them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from eni_ledger import zones

SUMMER, WINTER = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "summer", "winter"),
    [
        ("UTC", "UTC", "UTC"),
        ("z", "UTC", "UTC"),
        ("gmt", "UTC", "UTC"),
        ("+0530", "+05:30", "+05:30"),
        ("-03", "-03:00", "-03:00"),
        ("Europe/Berlin", "CEST", "CET"),
        ("europe/berlin", "CEST", "CET"),
        ("berlin", "CEST", "CET"),
        ("New York", "EDT", "EST"),
        ("CET", "CET", "CET"),
        ("jst", "JST", "JST"),
        ("America/Sao_Paulo", "-03:00", "-03:00"),
    ],
)
def test_names(name: str, summer: str, winter: str) -> None:
    zone = zones.zone(name)
    assert (zones.text(SUMMER.astimezone(zone)), zones.text(WINTER.astimezone(zone))) == (summer, winter)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("CST", "CST is the time of several zones: America/Chicago (-06:00), America/Havana (-05:00), Asia/Shanghai"),
        ("ist", "IST is the time of several zones: Europe/Dublin (+01:00), Asia/Jerusalem (+02:00), Asia/Kolkata"),
        ("Europe/Berlinn", "no time zone is called Europe/Berlinn; did you mean Europe/Berlin?"),
        ("Tokio", "did you mean Asia/Tokyo?"),
        ("XYZ", "no time zone is called XYZ"),
        ("+99:00", "no zone is +99:00 from UTC"),
        ("+1", "no zone is +1 from UTC"),
        ("+\u0660\u0661", "from UTC"),
        ("../../etc/passwd", "no time zone is called"),
        ("x" * 10_000, "no time zone is called"),
        ("", "no time zone is called"),
    ],
)
def test_what_is_no_zone_says_why(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        zones.zone(name)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_local_zone_is_what_TZ_says(monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802 - the variable's name
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert zones.zone("local") == ZoneInfo("Asia/Kolkata")
    assert SUMMER.astimezone(zones.zone("Local")).utcoffset() == timedelta(hours=5, minutes=30)


def test_the_local_zone_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert SUMMER.astimezone(zones.zone("local")).utcoffset() == SUMMER.astimezone().utcoffset()
