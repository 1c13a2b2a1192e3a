from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.capture import stamps
from eni_ledger.desk.capture.stamps import CLOCK, DATED, DAY, DISTANCE, EPOCH, NONE, SECOND, Stamps, ledger_time
from unit.desk.capture.conftest import at

DAY_27 = date(2026, 11, 27)
BERLIN = ZoneInfo("Europe/Berlin")


def read(reader: Stamps, form: str, text: str) -> str:
    return ledger_time(reader.read(form, text.encode()))


def test_each_form() -> None:
    reader = Stamps(UTC, DAY_27)
    assert read(reader, EPOCH, "1795749127.123456") == "2026-11-27T03:12:07.123456Z"
    assert read(reader, EPOCH, "1795749127.123456789") == "2026-11-27T03:12:07.123456Z"
    assert read(reader, DATED, "2026-11-26 03:12:07.123456") == "2026-11-26T03:12:07.123456Z"
    assert read(reader, CLOCK, "03:12:07.123456") == "2026-11-27T03:12:07.123456Z"
    assert read(reader, CLOCK, "03:12:07.123456789") == "2026-11-27T03:12:07.123456Z"


def test_a_zone() -> None:
    assert read(Stamps(BERLIN, DAY_27), CLOCK, "03:12:07.000000") == "2026-11-27T02:12:07.000000Z"
    assert read(Stamps(BERLIN), DATED, "2026-07-27 03:12:07.000000") == "2026-07-27T01:12:07.000000Z"


def test_the_hour_that_comes_twice_is_the_second_one_once_the_first_is_over() -> None:
    reader = Stamps(BERLIN)
    assert read(reader, DATED, "2026-10-25 02:59:00.000000") == "2026-10-25T00:59:00.000000Z"
    assert read(reader, DATED, "2026-10-25 02:00:01.000000") == "2026-10-25T01:00:01.000000Z"


@pytest.mark.parametrize("form", [NONE, DISTANCE])
def test_no_time_is_refused_unless_a_moment_is_named(form: str) -> None:
    with pytest.raises(UsageError, match="no time") as caught:
        Stamps().read(form, b"")
    assert "--at" in caught.value.hint
    assert Stamps(fixed=42).read(form, b" 00:00:01.000000") == 42


@pytest.mark.parametrize("text", ["25:00:00.000000", "03:61:00.000000"])
def test_what_no_clock_shows(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be in|range"):
        Stamps(UTC, DAY_27).read(CLOCK, text.encode())


def test_midnight_begins_the_next_day_and_a_late_line_is_still_of_the_old_one() -> None:
    reader = Stamps(UTC, DAY_27)
    assert read(reader, CLOCK, "23:59:59.900000").startswith("2026-11-27T23")
    assert read(reader, CLOCK, "00:00:00.100000").startswith("2026-11-28T00")
    assert read(reader, CLOCK, "23:59:59.950000").startswith("2026-11-27T23")
    assert read(reader, CLOCK, "00:00:00.200000").startswith("2026-11-28T00")


def test_without_a_day_it_is_the_last_such_time() -> None:
    now = datetime.now(UTC)
    for distance in (timedelta(minutes=30), timedelta(hours=23)):
        then = now - distance
        reader = Stamps()
        assert read(reader, CLOCK, f"{then:%H:%M:%S}.000000") == f"{then:%Y-%m-%dT%H:%M:%S}.000000Z"
        assert reader.guessed
        assert reader.first_day == then.date()


def test_a_guessed_day_that_leads_into_the_future_is_refused() -> None:
    reader = Stamps()
    now = datetime.now(UTC)
    reader.read(CLOCK, f"{now - timedelta(minutes=1):%H:%M:%S}.000000".encode())
    hours = (8, 16, 23, 32, 40, 47)  # the clock goes round twice
    texts = [f"{now + timedelta(hours=each):%H:%M:%S}.000000".encode() for each in hours]
    with pytest.raises(UsageError, match="more than a day") as caught:
        [reader.read(CLOCK, text) for text in texts]
    assert "--date" in caught.value.hint


@given(
    st.sampled_from([CLOCK, DATED, EPOCH]),
    st.sampled_from([UTC, BERLIN]),
    st.integers(at("2026-10-24T00:00:00.000000Z"), at("2026-10-27T00:00:00.000000Z")),
    st.integers(0, 2 * DAY),
    st.integers(1, 2 * DAY),
    st.integers(-DAY, DAY),
)
def test_bounds_hold_what_is_between_and_nothing_else(
    form: str, zone: ZoneInfo, now: int, before: int, after: int, step: int
) -> None:
    reader = Stamps(zone, date(2026, 10, 24))

    def shown(moment: int) -> bytes:
        if form == EPOCH:
            return b"%d.%06d" % divmod(moment, SECOND)
        local = stamps.moment_of(moment).astimezone(zone)
        text = local.replace(tzinfo=None).isoformat(" ", "microseconds").encode()
        return text if form == DATED else text[11:]

    low, high = reader.bounds(form, now, now - before, now + after)
    assert low <= shown(now) < high
    other = now + step
    # A clock that is set back shows an hour twice: the reader forgets bounds where it goes back.
    if step >= 0 and step < DAY // 2 and low <= shown(other) < high and shown(now) <= shown(other):
        assert now - before <= other < now + after


@given(st.integers(-(1 << 70), 1 << 70))
def test_any_time_can_be_told(moment: int) -> None:
    assert len(ledger_time(moment)) == 27
