from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger import timespec
from eni_ledger.base.errors import UsageError

NOW = datetime(2026, 11, 25, 14, 30, 5, 250000, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("now", "2026-11-25T14:30:05.250000Z"),
        ("2026-11-23T03:12:00Z", "2026-11-23T03:12:00.000000Z"),
        ("2026-11-23t03:12:00z", "2026-11-23T03:12:00.000000Z"),
        ("2026-11-23T03:12:00.5+01:00", "2026-11-23T02:12:00.500000Z"),
        ("2026-11-23T03:12:00.123456789Z", "2026-11-23T03:12:00.123456Z"),
        ("2026-11-23T03:12:00,25-0530", "2026-11-23T08:42:00.250000Z"),
        ("2026-11-23", "2026-11-23T00:00:00.000000Z"),
        ("2026-11-23 03:12", "2026-11-23T03:12:00.000000Z"),
        ("2026-11-23 03:12:07 UTC", "2026-11-23T03:12:07.000000Z"),
        ("Mon 2026-11-23 03:12:07 UTC", "2026-11-23T03:12:07.000000Z"),
        ("03:12", "2026-11-25T03:12:00.000000Z"),
        ("3:12", "2026-11-25T03:12:00.000000Z"),
        ("03:12+09:00", "2026-11-24T18:12:00.000000Z"),
        ("today", "2026-11-25T00:00:00.000000Z"),
        ("yesterday", "2026-11-24T00:00:00.000000Z"),
        ("yesterday 03:12", "2026-11-24T03:12:00.000000Z"),
        ("  Yesterday   at 03:12 ", "2026-11-24T03:12:00.000000Z"),
        ("tuesday 03:12", "2026-11-24T03:12:00.000000Z"),
        ("tue 03:12", "2026-11-24T03:12:00.000000Z"),
        ("last tuesday 03:12", "2026-11-24T03:12:00.000000Z"),
        ("thursday", "2026-11-19T00:00:00.000000Z"),
        ("wednesday 03:12", "2026-11-25T03:12:00.000000Z"),
        ("wednesday 20:00", "2026-11-18T20:00:00.000000Z"),
        ("last wednesday 03:12", "2026-11-18T03:12:00.000000Z"),
        ("2h ago", "2026-11-25T12:30:05.250000Z"),
        ("2 hours 30 minutes ago", "2026-11-25T12:00:05.250000Z"),
        ("-15m", "2026-11-25T14:15:05.250000Z"),
        ("-1h30m", "2026-11-25T13:00:05.250000Z"),
        ("3 days ago", "2026-11-22T14:30:05.250000Z"),
        ("1w ago", "2026-11-18T14:30:05.250000Z"),
        ("2h", "2026-11-25T12:30:05.250000Z"),
        ("10m", "2026-11-25T14:20:05.250000Z"),
        ("an hour ago", "2026-11-25T13:30:05.250000Z"),
        ("a minute ago", "2026-11-25T14:29:05.250000Z"),
        ("15:00", "2026-11-24T15:00:00.000000Z"),
        ("14:30:05", "2026-11-25T14:30:05.000000Z"),
        ("14:30:06", "2026-11-24T14:30:06.000000Z"),
        ("20:00+09:00", "2026-11-25T11:00:00.000000Z"),
        ("23:59+09:00", "2026-11-24T14:59:00.000000Z"),
        ("3am", "2026-11-25T03:00:00.000000Z"),
        ("12am", "2026-11-25T00:00:00.000000Z"),
        ("12:30pm", "2026-11-25T12:30:00.000000Z"),
        ("3:12 PM", "2026-11-24T15:12:00.000000Z"),
        ("yesterday 3pm", "2026-11-24T15:00:00.000000Z"),
        ("2026-11-23 3:12pm", "2026-11-23T15:12:00.000000Z"),
        ("16:04 yesterday", "2026-11-24T16:04:00.000000Z"),
        ("16:04 on tuesday", "2026-11-24T16:04:00.000000Z"),
        ("Nov 23 15:57", "2026-11-23T15:57:00.000000Z"),
        ("Nov  3 15:57:02", "2026-11-03T15:57:02.000000Z"),
        ("november 23", "2026-11-23T00:00:00.000000Z"),
        ("Mon Nov 23 15:57:02 UTC", "2026-11-23T15:57:02.000000Z"),
        ("Nov 25 15:57:02", "2025-11-25T15:57:02.000000Z"),
        ("Feb 29 03:12", "2024-02-29T03:12:00.000000Z"),
        ("1763868320", "2025-11-23T03:25:20.000000Z"),
        ("@1763868320", "2025-11-23T03:25:20.000000Z"),
        ("1763868320123", "2025-11-23T03:25:20.123000Z"),
        ("@0", "1970-01-01T00:00:00.000000Z"),
        ("Sat, 21 Nov 2026 03:12:00 +0100", "2026-11-21T02:12:00.000000Z"),
        ("Sat, 21 Nov 2026 03:12:00 +0000 (UTC)", "2026-11-21T03:12:00.000000Z"),
        ("21/Nov/2026:03:12:07 +0100", "2026-11-21T02:12:07.000000Z"),
        ("[21/Nov/2026:03:12:07 -0500]", "2026-11-21T08:12:07.000000Z"),
        ("20261121T031240Z", "2026-11-21T03:12:40.000000Z"),
        ("20261121T031240.5Z", "2026-11-21T03:12:40.500000Z"),
        ("20261121T0312", "2026-11-21T03:12:00.000000Z"),
        ("20261121", "2026-11-21T00:00:00.000000Z"),
        ("21 Nov 2026 03:12", "2026-11-21T03:12:00.000000Z"),
        ("21-Nov-2026 03:12", "2026-11-21T03:12:00.000000Z"),
        ("2026/11/21", "2026-11-21T00:00:00.000000Z"),
        ("2026/11/21 03:12", "2026-11-21T03:12:00.000000Z"),
        ("Nov 21, 2026 3:12pm", "2026-11-21T15:12:00.000000Z"),
        ("21 nov 03:12", "2026-11-21T03:12:00.000000Z"),
        ("Sat Nov 21 03:12:07 UTC 2026", "2026-11-21T03:12:07.000000Z"),
        ("Sat Nov 21 03:12:07 PM CET 2026", "2026-11-21T14:12:07.000000Z"),
        ("Sat Nov 21 03:12:07 2026", "2026-11-21T03:12:07.000000Z"),
        ("Sat 21 Nov 2026 03:12:07 AM UTC", "2026-11-21T03:12:07.000000Z"),
        ("noon", "2026-11-25T12:00:00.000000Z"),
        ("yesterday noon", "2026-11-24T12:00:00.000000Z"),
        ("2026-11-21 at midnight", "2026-11-21T00:00:00.000000Z"),
        ("last night 03:12", "2026-11-25T03:12:00.000000Z"),
        ("last night at 11pm", "2026-11-24T23:00:00.000000Z"),
        ("03:12 CET", "2026-11-25T02:12:00.000000Z"),
        ("03:12 CEST yesterday", "2026-11-24T01:12:00.000000Z"),
        ("2026-11-23 03:12 Europe/Berlin", "2026-11-23T02:12:00.000000Z"),
        ("2026-07-23 03:12 europe/berlin", "2026-07-23T01:12:00.000000Z"),
        ("2026-10-25 02:30 Europe/Berlin", "2026-10-25T00:30:00.000000Z"),
        ("Mon 2026-11-23 03:12:07 CET", "2026-11-23T02:12:07.000000Z"),
        ("2026-11-23 03:12+01", "2026-11-23T02:12:00.000000Z"),
    ],
)
def test_forms_that_people_write(text: str, want: str) -> None:
    assert timespec.to_ledger(timespec.parse(text, argument="--at", now=NOW)) == want


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "tomorow", "2x", "a", "an ago", "ago", "-", "-m", "2026", "2026-11", "11/23/2026", "23.11.2026",
        "soon", "2026-11-23T", "2026-11-23T3", "2 fortnights ago", "2 months ago", "last 03:12", "12345",
        "at 3", "yesterday tuesday", "03:12 nowhere", "last night noon 3", "[03:12", "\x1b[31mnow\x1b[0m", "٠٣:١٢",
    ],
)  # fmt: skip
def test_what_is_no_time_names_the_argument_and_shows_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        timespec.parse(text, argument="--since", now=NOW)
    assert "--since is not a time" in str(caught.value)
    assert "'2h ago'" in caught.value.hint
    assert "UTC" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-30", "day"),
        ("2026-13-01", "month"),
        ("25:00", "hour"),
        ("03:60", "minute"),
        ("15:12pm", "there is no 15 pm"),
        ("0am", "there is no 0 am"),
        ("nov 31", "day"),
        ("sun nov 23 03:12", "2026-11-23 is a Monday"),
        ("Tue 2026-11-23 03:12:07 UTC", "2026-11-23 is a Monday"),
        ("2026-11-23T03:12:00+99:00", "no zone is +99:00"),
        ("-999999999w", ""),
        ("0001-01-01T00:00:00+12:00", ""),
        ("03:12 CST", "CST is the time of several zones: America/Chicago (-06:00)"),
        ("03:12 IST", "Europe/Dublin (+01:00), Asia/Jerusalem (+02:00), Asia/Kolkata (+05:30)"),
        ("03:12 Europe/Berlinn", "no time zone is called europe/berlinn; did you mean Europe/Berlin?"),
        ("2026-03-29 02:30 Europe/Berlin", "Europe/Berlin had no 02:30 on 2026-03-29: its clock was set forward"),
        ("20261321", "month"),
        ("Sun, 21 Nov 2026 03:12:00 +0000", "2026-11-21 is a Saturday"),
    ],
)
def test_what_looks_like_a_time_and_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=r"is not a time") as caught:
        timespec.parse(text, argument="--at", now=NOW)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("2026-11-23 03:12:07", True),
        ("2026-11-23T03:12:07Z", True),
        ("03:12:07", True),
        ("nov 23 03:12:07", True),
        ("yesterday 03:12:07", True),
        ("1763868320", True),
        ("1763868320123", False),
        ("2026-11-23 03:12:07.0", False),
        ("2026-11-23 03:12", False),
        ("3am", False),
        ("today", False),
        ("10s ago", False),
        ("now", False),
    ],
)
def test_a_time_given_to_the_second_is_all_of_that_second(text: str, whole: bool) -> None:
    first, last = timespec.span(text, argument="--at", now=NOW)
    assert first == timespec.parse(text, argument="--at", now=NOW)
    assert (last - first).total_seconds() == (0.999999 if whole else 0)


def test_a_long_argument_is_not_echoed_whole() -> None:
    with pytest.raises(UsageError) as caught:
        timespec.parse("x" * 100_000, argument="--at", now=NOW)
    assert len(str(caught.value)) < 200


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9990, 1, 1), timezones=st.just(UTC)))
def test_what_the_ledger_writes_is_read_back(moment: datetime) -> None:
    assert timespec.parse(timespec.to_ledger(moment), argument="--at", now=NOW) == moment


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_usage_error(text: str) -> None:
    try:
        found = timespec.parse(text, argument="--at", now=NOW)
    except UsageError:
        return
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("2026-11-23t03:12:00z", True),
        ("2026-11-23t03:12:00", True),
        ("2026-11-23 03:12:00", True),
        ("2026-11-23 03:12", True),
        ("2026-11-23t03:12z", True),
        ("2026-11-23t03:12:00.123456z", True),
        ("1764000000", True),
        ("-15m", True),
        ("15m", True),
        ("0s", True),
        ("3w", True),
        ("2026-11-23t03:12:00.5z", False),
        ("2026-11-23t03:12:00+00:00", False),
        ("2026-13-23t03:12:00z", False),
        ("2026-11-23x03:12:00z", False),
        ("2026-11-23t03:12.00z", False),
        ("2026-w01-1t03:12:00", False),
        ("2026-11-23 03.12", False),
        ("2026-11-2\u0663 03:12", False),
        ("1764000000123", False),
        ("--15m", False),
        ("- 15m", False),
        ("1234567890m", False),
        ("m", False),
        ("yesterday", False),
    ],
)
def test_what_programs_write_is_understood_in_the_same_way_without_regular_expressions(text: str, plain: bool) -> None:
    found = timespec._plain(text, NOW)
    assert (found is not None) == plain
    if plain:
        assert found == timespec._in_words(text, NOW)


@given(st.text(alphabet="0123456789-:.tz smhdw", max_size=27))
def test_and_so_is_whatever_looks_like_it(text: str) -> None:
    words = " ".join(text.split())
    try:
        found = timespec._plain(words, NOW)
    except OverflowError:
        return
    if found is not None:
        assert found == timespec._in_words(words, NOW)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2026-11-23 03:12", "2026-11-22T18:12:00.000000Z"),
        ("2026-11-23T03:12:07Z", "2026-11-23T03:12:07.000000Z"),
        ("2026-11-23 03:12 UTC", "2026-11-23T03:12:00.000000Z"),
        ("23:10", "2026-11-25T14:10:00.000000Z"),
        ("today", "2026-11-24T15:00:00.000000Z"),
        ("-15m", "2026-11-25T14:15:05.250000Z"),
        ("1763868320", "2025-11-23T03:25:20.000000Z"),
    ],
)
def test_a_time_without_a_zone_is_in_the_one_of_the_call(text: str, want: str) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    assert timespec.to_ledger(timespec.parse(text, argument="--at", now=NOW, zone=tokyo)) == want


def test_the_error_names_the_zone_of_the_call() -> None:
    with pytest.raises(UsageError) as caught:
        timespec.parse("soon", argument="--at", now=NOW, zone=ZoneInfo("Asia/Tokyo"))
    assert caught.value.hint.endswith("; no zone means Asia/Tokyo")
