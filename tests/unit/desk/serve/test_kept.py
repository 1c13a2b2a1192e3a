"""Answers stay until something that can change them is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from eni_ledger.desk.serve.kept import LARGEST, MOST, KeptAnswers
from eni_ledger.ledger.read.terms import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event

MINE: Any = {"event": "add", "association_id": "assoc-1", "addresses": ["10.0.0.1/20"], "vlan_id": 101}
OTHER: Any = {"event": "add", "association_id": "assoc-2", "addresses": ["10.0.0.2/20"], "vlan_id": 102}


@pytest.fixture
def kept() -> KeptAnswers:
    answers = KeptAnswers()
    answers.keep("mine", b"mine", [Query("10.0.0.1")], [MINE], 0)
    answers.keep("all", b"all", None, [], 0)
    return answers


@pytest.mark.parametrize(
    ("event", "stays"),
    [
        (OTHER, True),
        ({"event": "del", "association_id": "assoc-2"}, True),
        ({"event": "del", "association_id": "assoc-1"}, False),
        ({**OTHER, "supersedes": ["assoc-1"]}, False),
        ({**OTHER, "addresses": ["10.0.0.1/20"]}, False),
        ({"event": "identify", "association_id": "assoc-1", "task_family": "api"}, False),
        ({"event": "lost", "association_id": "assoc-1"}, False),
        ({"event": "boot", "boot_id": "x"}, False),
        ({"event": "checkpoint", "live": []}, False),
    ],
    ids=str,
)
def test_an_event_takes_what_it_can_change(kept: KeptAnswers, event: Event, stays: bool) -> None:
    kept.recorded([event])
    assert (kept.get("mine") is not None) is stays
    assert kept.get("all") is None


def test_an_answer_that_was_begun_before_an_event_is_not_kept(kept: KeptAnswers) -> None:
    turn = kept.turn
    kept.recorded([OTHER])
    kept.keep("late", b"late", [Query("101")], [], turn)
    assert kept.get("late") is None


def test_what_was_not_asked_for_longest_goes_first() -> None:
    answers = KeptAnswers()
    body = b"x" * (LARGEST - 2000)
    count = MOST // LARGEST
    for number in range(count):
        answers.keep(number, body, [Query("101")], [], 0)
    assert answers.get(0)
    for number in range(count, count + 2):
        answers.keep(number, body, [Query("101")], [], 0)
    assert answers.get(0)
    assert answers.get(1) is None


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    answers = KeptAnswers()
    answers.keep("large", b"x" * LARGEST, None, [], 0)
    assert answers.get("large") is None


def test_forget_takes_all(kept: KeptAnswers) -> None:
    kept.forget()
    assert kept.get("mine") is None
