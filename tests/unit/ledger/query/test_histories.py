"""Answers over random histories stay what they were.

`fixtures/histories.json.gz` has ledgers, some packed, and for each what an earlier version answered: of ADDs, DELs,
boots, events from the spool, late and other identities, and a clock that was set back and forth.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from helpers.ledgers import with_events

FIXTURE = Path(__file__).parents[3] / "fixtures" / "histories.json.gz"
KEYS = ("association_id", "since", "until", "ended_by", "add_seq", "end_seq", "eni_id")


def answer(history: History, question: str) -> Any:
    match question.split():
        case ["events"]:
            return [event["seq"] for event in history.events()]
        case ["begin"]:
            return coverage.begin(history)
        case ["show", association_id]:
            return [event["seq"] for event in with_events(history, association_id)[1]]
        case ["list"]:
            found = history.live()
        case ["all"]:
            found = history.all()
        case ["list", "--at", when]:
            found = history.at(when)
        case ["during", first, last]:
            found = history.find(first=first, last=last)
        case ["who", what]:
            found = history.who(what)
        case ["who", what, "--at", when]:
            found = history.who(what, when)
        case _:
            raise AssertionError(question)
    return [[one.get(key) for key in KEYS] for one in found]


@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("derived", [True, False], ids=["", "without state.json and indexes"])
def test_every_question_has_the_answer_that_it_had(tmp_path: Path, number: int, derived: bool) -> None:
    case = json.loads(gzip.decompress(FIXTURE.read_bytes()))[number]
    where = tmp_path / "state"
    where.mkdir(0o750)
    for name, data in case["files"].items():
        if derived or not (name == "state.json" or name.endswith(".index")):
            (where / name).write_bytes(base64.b64decode(data))
    history = History(str(where))
    for question, expected in case["answers"].items():
        assert answer(history, question) == expected, question
