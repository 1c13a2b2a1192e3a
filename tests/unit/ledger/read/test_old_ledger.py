"""A ledger that eni-ledger 0.1.0 wrote, and what it answered then: the same is answered now.

`fixtures/ledger-0.1.0` was made by its bundle: interposed and chained calls in real namespaces, among them three tasks
with one container ID, a VLAN and a namespace that another took without a DEL, and a boot; segments packed and plain.
`answers.json` has for each question ID, since, until, ended_by, add_seq and end_seq of the associations in its answer.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.query.questions import History
from helpers.ledgers import prove, record, state_file

OLD = Path(__file__).parents[3] / "fixtures" / "ledger-0.1.0"
ANSWERS: dict[str, list[list[Any]]] = json.loads((OLD / "answers.json").read_text())
KEYS = ("association_id", "since", "until", "ended_by", "add_seq", "end_seq")


@pytest.fixture(params=["as it was left", "without what is derived"])
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    where = tmp_path / "state"
    shutil.copytree(OLD, where)
    where.chmod(0o750)
    (where / "answers.json").unlink()
    if request.param != "as it was left":
        for derived in (where / "state.json", *where.glob("*.index")):
            derived.unlink()
    return where


def answer(history: History, question: str) -> list[list[Any]]:
    match question.split():
        case ["list"]:
            found = history.live()
        case ["list", "--at", when]:
            found = history.at(when)
        case ["who", what]:
            found = history.who(what)
        case _:
            raise AssertionError(question)
    return [[one.get(key) for key in KEYS] for one in found]


def test_every_question_has_the_answer_that_it_had(old: Path) -> None:
    history = History(str(old))
    now = {question: answer(history, question) for question in ANSWERS}
    for question, rows in ANSWERS.items():
        # An address is by now looked for in `observed_addresses` as well.
        found = [row for row in now[question] if row in rows] if question.startswith("who 10.") else now[question]
        assert found == rows, question
    assert sum(any("superseded" in row for row in rows) for rows in ANSWERS.values()) > 40


def test_fsck_finds_it_sound(old: Path) -> None:
    report = fsck(str(old))
    assert (report.damage, report.live, report.events) == ([], 1, 32)


def test_a_writer_goes_on_with_it(old: Path) -> None:
    """What the older rules ended stays ended, also by one that has to work out anew what is live."""
    event = {"event": "add", "container_id": "new", "ifname": "eth0", "boot_id": state_boot(old)}
    record(old, event)
    live = [one["association_id"] for one in state_file(old)["associations"]]
    assert live[:-1] == [row[0] for row in ANSWERS["list"]]
    assert len(prove(old)) == 33
    assert fsck(str(old)).sound


def state_boot(where: Path) -> str:
    """Return the boot ID of the last segment's checkpoint."""
    return str(json.loads((where / "ledger.jsonl").read_bytes().splitlines()[0])["boot_id"])
