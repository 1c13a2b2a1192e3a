from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.render import text

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("eth0", "eth0"),
        ("naïve 名前", "naïve 名前"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("one\ntwo\ttab", "one\\ntwo\\ttab"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        (None, ""),
        (101, "101"),
        (True, "true"),
        (["10.0.0.1", "10.0.0.2"], "10.0.0.1, 10.0.0.2"),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_a_value_is_one_line_that_can_be_seen(value: object, want: str) -> None:
    assert text.safe(value) == want


@given(st.text())
def test_no_text_can_steer_a_terminal(value: str) -> None:
    assert text.safe(value).isprintable()


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (42, "42s"),
        (60, "1m"),
        (310, "5m10s"),
        (3600, "1h"),
        (11520, "3h12m"),
        (187200, "2d4h"),
        (86400 * 40 + 7200, "40d"),
    ],
)
def test_an_age_has_two_units_at_most(seconds: float, want: str) -> None:
    assert text.age(seconds) == want


def test_since_counts_to_the_given_time() -> None:
    assert text.since("2026-11-23T13:48:00.000000Z", NOW + timedelta(seconds=3)) == "12m3s"
    assert text.since("last tuesday", NOW) == "last tuesday"


def test_a_clock_drops_what_people_do_not_read() -> None:
    assert text.clock("2026-11-23T14:00:00.123456Z") == "2026-11-23 14:00:00"
    assert text.clock("2026-11-23T14:00:00.123456Z", milli=True) == "2026-11-23 14:00:00.123"
    assert text.clock("no\x1btime") == "no\\x1btime"


@pytest.mark.parametrize(
    ("arn", "want"),
    [
        ("arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071",
         "3f9a1c20de414f0a8a1b2c3d4e5f6071"),
        ("arn:aws:ecs:eu-central-1:123456789012:task/3f9a1c20-de41-4f0a-8a1b-2c3d4e5f6071",
         "3f9a1c20-de41-4f0a-8a1b-2c3d4e5f6071"),
        ("no arn", "no arn"),
    ],
)  # fmt: skip
def test_a_task_is_known_by_the_end_of_its_arn(arn: str, want: str) -> None:
    assert text.task_id(arn) == want


def test_family_and_revision() -> None:
    assert text.family({"task_family": "web", "task_revision": 42}) == "web:42"
    assert text.family({"task_family": "web"}) == "web"
    assert text.family({}) == ""


@pytest.mark.parametrize(
    ("count", "want"), [(0, "0 B"), (712, "712 B"), (16 * 1024**2, "16.0 MiB"), (3 * 1024**5, "3072.0 TiB")]
)
def test_sizes(count: int, want: str) -> None:
    assert text.size(count) == want
