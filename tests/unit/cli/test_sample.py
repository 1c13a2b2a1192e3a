"""`--sample`: a ledger that can be asked at once, by anybody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import eni_ledger
from eni_ledger.ledger.check.fsck import fsck
from helpers.ledgers import contents, raw_events
from helpers.sample import INSTANCE, make

if TYPE_CHECKING:
    from unit.cli.conftest import Run

SAMPLE = Path(eni_ledger.__file__).parent / "sample"


def test_it_is_what_its_script_makes(tmp_path: Path) -> None:
    make(tmp_path / "sample")
    assert contents(tmp_path / "sample") == contents(SAMPLE)


def test_it_has_what_the_documents_speak_of() -> None:
    events = raw_events(SAMPLE)
    assert fsck(str(SAMPLE)).sound
    assert {event["event"] for event in events} == {
        *("checkpoint", "boot", "add", "del", "lost", "add_failed", "identify"),
    }
    adds = [event for event in events if event["event"] == "add"]
    assert 35 <= len(adds) <= 45
    assert {event["trunk_ifname"] for event in adds} == {"enp40s0", "enp41s0"}
    assert [event["mismatch"] for event in adds if "mismatch" in event] == [["vlan_id"]]
    assert {event["ts"][:10] for event in events} == {f"2026-11-{day}" for day in range(23, 28)}


QUESTIONS = [
    ["list"],
    ["list", "--at", "2026-11-25 03:00"],
    ["who", "10.0.32.5"],
    ["log", "-n", "3"],
]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("before", [True, False])
def test_an_answer_says_that_it_is_the_sample(run: Run, question: list[str], before: bool) -> None:
    done = run("--sample", *question) if before else run(*question, "--sample")
    assert (done.code, done.err) == (0, "")
    words = f"the sample ledger, as of 2026-11-27 09:31:04 UTC, of {INSTANCE}"
    assert done.out.splitlines()[:2] == [words, ""]
    assert run(*question, "--sample", "--json").err == f"note: {words}\n"


def test_the_question_at_0312(run: Run) -> None:
    done = run("who", "10.0.32.5", "--at", "2026-11-27 03:12", "--sample", "--json")
    (one,) = done.json()["associations"]
    assert (one["task_family"], one["ended_by"], one["until"][:19]) == ("api", "del", "2026-11-27T03:12:41")
    (later,) = run("who", "102", "--at", "2026-11-27 03:14", "--sample", "--json").json()["associations"]
    assert (later["task_family"], later["addresses"]) == ("worker", ["10.0.32.5/20"])
    assert "ledger" not in one


@pytest.mark.parametrize(
    "command", [["prune"], ["verify"], ["verify", "--adopt"], ["identify"], ["fsck", "--repair"], ["doctor"]]
)
def test_nothing_is_written_into_it(run: Run, command: list[str]) -> None:
    before = contents(SAMPLE)
    done = run(*command, "--sample")
    assert (done.code, done.out) == (2, "")
    assert "this command does not take the sample ledger" in done.err
    assert contents(SAMPLE) == before


def test_it_stands_in_place_of_a_state_directory(run: Run, tmp_path: Path) -> None:
    done = run("list", "--sample", "--state-dir", os.fspath(tmp_path))
    assert done.code == 2
    assert "--sample and --state-dir exclude each other" in done.err


def test_fsck_of_the_sample(run: Run) -> None:
    done = run("fsck", "--sample")
    assert done.code == 0
    assert "sound" in done.out
