"""Lines: time stamps, the order of keys, and the chain, computed a second time with zlib."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.ledger.format import line as line_format
from helpers.ledgers import add_event

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 12, 31, 23, 59, 59, 999999))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(MOMENTS)
def test_time_stamps_are_those_of_datetime(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    us = (moment - EPOCH) // timedelta(microseconds=1)
    text = line_format.format_ts(us)
    assert text == naive.isoformat(timespec="microseconds") + "Z"
    assert len(text) == 27
    assert line_format.parse_ts(text) == us


@pytest.mark.parametrize("year", [1970, 1972, 1999, 2000, 2024, 2026, 2100, 2104, 2199])
def test_every_month_of_years_common_and_leap(year: int) -> None:
    for month in range(1, 13):
        for day in (1, 28):
            moment = datetime(year, month, day, 12, tzinfo=UTC)
            assert line_format.parse_ts(moment.isoformat(timespec="microseconds").replace("+00:00", "Z")) == int(
                moment.timestamp() * 1_000_000
            )


@given(MOMENTS, MOMENTS)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    first, second = ((m.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for m in (one, other))
    assert (first < second) == (line_format.format_ts(first) < line_format.format_ts(second))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23T14:00:00Z",
        "2026-11-23T14:00:00.123Z",
        "2026-11-23T14:00:00.1234567",
        "2026-11-23 14:00:00.123456Z",
        "2026-11-23T14:00:00.123456z",
        "2026-13-01T00:00:00.000000Z",
        "2026-00-01T00:00:00.000000Z",
        "2026-01-00T00:00:00.000000Z",
        "2026-01-32T00:00:00.000000Z",
        "2026-01-01T24:00:00.000000Z",
        "2026-01-01T00:60:00.000000Z",
        "2026-01-01T00:00:61.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "2026-+1-01T00:00:00.000000Z",
        "2026- 1-01T00:00:00.000000Z",
        "2_26-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:00.0_0000Z",
        "2026-01-01T00:00:00.-00001Z",
        "\u0662026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:00.00000\u0661Z",
    ],
)
def test_what_is_no_time_stamp(text: str) -> None:
    with pytest.raises(ValueError, match="time stamp"):
        line_format.parse_ts(text)


def test_the_clock_is_in_microseconds() -> None:
    before = datetime.now(UTC)
    us = line_format.now_us()
    after = datetime.now(UTC)
    assert before - timedelta(milliseconds=1) <= EPOCH + timedelta(microseconds=us) <= after + timedelta(milliseconds=1)


EVENTS = st.dictionaries(
    st.sampled_from(line_format.KEYS)
    | st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda key: key != "crc"),
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=12) | st.just([1, "a"]),
    max_size=10,
)


@given(EVENTS, st.integers(0, 2**32 - 1))
def test_a_line_is_its_event_in_order_with_the_chained_crc_at_its_end(event: dict[str, Any], previous: int) -> None:
    line, crc = line_format.encode(event, previous)
    body, _, rest = line.rpartition(b',"crc":"') if len(line) > 20 else (line[:1], b"", line[9:])
    assert line.endswith(b'"}\n')
    assert line.count(b"\n") == 1
    assert crc == zlib.crc32(body, previous)
    assert rest == b'%08x"}\n' % crc
    if not any(value is not None for value in event.values()):
        return  # nothing but the crc: no JSON object, and no event either
    got = json.loads(line)
    stated = got.pop("crc")
    assert int(stated, 16) == crc
    assert got == {key: value for key, value in event.items() if value is not None}
    known = [key for key in line_format.KEYS if event.get(key) is not None]
    assert list(got)[: len(known)] == known
    assert line_format.decode(line) == {**got, "crc": stated}
    assert line_format.stated_crc(line) == crc
    assert line_format.verified_crc(line, previous) >= 0
    assert line_format.verified_crc(line, previous ^ 1) < 0


def test_ts_is_first_and_a_given_crc_is_not_taken_over() -> None:
    event = {"zebra": 1, "crc": "deadbeef", "event": "add", "ts": "2026-11-23T14:00:00.000000Z", "seq": 1}
    line, crc = line_format.encode(event, 0)
    assert list(json.loads(line)) == ["ts", "seq", "event", "zebra", "crc"]
    assert json.loads(line)["crc"] == f"{crc:08x}"


def test_a_lone_surrogate_becomes_a_question_mark_and_all_else_is_kept() -> None:
    line, _ = line_format.encode({"event": "add", "error_msg": "a\ud800b \udcff c\U0001f600\u2028\0\n"}, 0)
    assert json.loads(line)["error_msg"] == "a?b ? c\U0001f600\u2028\0\n"
    assert line_format.verified_crc(line, 0) >= 0


@pytest.mark.parametrize("value", [float("nan"), b"x", object()])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        line_format.encode({"event": "add", "took_ms": value}, 0)


def test_every_flipped_bit_of_a_line_shows() -> None:
    for n in range(20):  # lines of which some have a crc that begins with 0
        line, _ = line_format.encode({"ts": line_format.format_ts(n), "seq": n, **add_event(n)}, 7)
        if n and not line[-11:].startswith(b"0"):
            continue
        for at in range(len(line)):
            for bit in range(8):
                broken = bytearray(line)
                broken[at] ^= 1 << bit
                assert line_format.verified_crc(bytes(broken), 7) < 0, (at, bit, bytes(broken[-20:]))


@pytest.mark.parametrize(
    "digits", [b" a1b2c3d", b"+a1b2c3d", b"0_1b2c3d", b"0A1B2C3D", b"0x1b2c3d", b"0a1b2c3", b"0a1b2c3d4", b"0a1b2c3 "]
)
def test_a_crc_is_eight_lower_case_digits(digits: bytes) -> None:
    with pytest.raises(ValueError, match="crc"):
        line_format.stated_crc(b'{"a":1,"crc":"%b"}\n' % digits)
    assert line_format.stated_crc(b'{"a":1,"crc":"0a1b2c3d"}\n') == 0x0A1B2C3D


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b"1\n", b"null\n", b'"x"\n', b"{\n", b"\xff\n"])
def test_what_is_no_line(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        line_format.decode(line)
    with pytest.raises(ValueError, match=r".+"):
        line_format.stated_crc(line)
    assert line_format.verified_crc(line, 0) < 0


def test_the_rule_of_the_crc_stands_once() -> None:
    sources = Path(line_format.__file__).parents[2].rglob("*.py")
    assert [path.name for path in sources if '"crc":"%08x"' in path.read_text()] == ["line.py"]
