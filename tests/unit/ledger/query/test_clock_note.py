"""A clock that was set back: a note with an answer about a time that came twice."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import line
from eni_ledger.ledger.format.line import format_ts
from eni_ledger.ledger.query.clock_note import set_back
from eni_ledger.ledger.query.questions import History
from helpers.ledgers import add_event, append_line, del_event, record, settings

TEN = 1_790_000_000_000_000
HOUR = 3_600_000_000


class Clock:
    """A clock that shows what a test sets."""

    def __init__(self) -> None:
        self.us = TEN

    def time_ns(self) -> int:
        return self.us * 1000

    gmtime = staticmethod(time.gmtime)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(line, "time", made)
    return made


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Path:
    """At 07:00 one ADD, at 10:00 another; the clock is set back to 08:00, ADDs at 08:30 and 09:30, and 10:30."""
    where = tmp_path / "state"
    for n, hours in enumerate((-3, 0, -1.5, -0.5, 0.5), 1):
        clock.us = TEN + int(hours * HOUR)
        record(where, add_event(n))
    return where


def at(ledger: Path, hours: float) -> list[tuple[str, int]]:
    """Return the steps for the time `hours` after ten o'clock."""
    ts = format_ts(TEN + int(hours * HOUR))
    return set_back(History(str(ledger)), ts, ts)


@pytest.mark.parametrize("hours", [-1.5, -1, -0.5, -1e-6])
def test_a_time_that_came_twice_has_one_note(ledger: Path, hours: float) -> None:
    assert at(ledger, hours) == [(format_ts(TEN), int(1.5 * HOUR))]


@pytest.mark.parametrize("hours", [-3, -1.6, 0, 0.25, 0.5])
def test_a_time_that_came_once_has_none(ledger: Path, hours: float) -> None:
    assert at(ledger, hours) == []


def test_the_first_answer_is_kept(ledger: Path) -> None:
    """By the second nine o'clock the ADD of 08:30 was there; the ledger's nine o'clock is the first one."""
    live = History(str(ledger)).at(format_ts(TEN - HOUR))
    assert [association["add_seq"] for association in live] == [2]


def test_a_step_in_a_later_segment_is_found(tmp_path: Path, clock: Clock) -> None:
    where = tmp_path / "state"
    clock.us = TEN - 3 * HOUR
    record(where, add_event(1))
    for n in range(2, 6):
        clock.us += HOUR // 2
        record(where, add_event(n), rotate_bytes=1)
    clock.us -= HOUR
    record(where, del_event(2), rotate_bytes=1)
    step = [(format_ts(TEN - HOUR), HOUR)]
    assert at(where, -1.5) == step
    prune(settings(where))
    assert at(where, -1.5) == step
    shutil.rmtree(where)


def test_two_steps_are_two_notes(ledger: Path, clock: Clock) -> None:
    clock.us = TEN - HOUR
    record(ledger, add_event(6))
    expected = [(format_ts(TEN), int(1.5 * HOUR)), (format_ts(TEN + HOUR // 2), int(1.5 * HOUR))]
    assert at(ledger, -0.75) == expected


@pytest.mark.parametrize("step", ["x", -5, 0, 1.5, None, 10**30])
def test_a_step_that_no_writer_writes_is_no_error(tmp_path: Path, clock: Clock, step: object) -> None:
    where = tmp_path / "state"
    record(where, add_event(1))
    append_line(where, event="boot", clock_step_us=step)
    assert at(where, -1) == []


def test_an_empty_ledger_has_none(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    assert at(tmp_path / "state", 0) == []
