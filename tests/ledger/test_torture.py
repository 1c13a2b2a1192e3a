"""The trials of `build/torture`, a short run of each."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from helpers.prereq import need
from ledger.torture import __main__ as command
from ledger.torture.discover import attempt, trials
from ledger.torture.trial import Run, Trial

TRIALS = trials()
SEED = 20261117


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_trial(trial: Trial, tmp_path: Path) -> None:
    outcome = attempt(trial, Run(tmp_path, SEED, trial.short))
    need(not outcome.cannot, outcome.cannot)
    assert outcome.run.failures == []
    assert outcome.run.counts["rounds"] == trial.short
    assert sum(outcome.counts.values()) > 0, "nothing was tried"


# --- the command ---


def _fine(run: Run) -> None:
    for _ in run.each():
        pass


def _fails(run: Run) -> None:
    for number, _, directory in run.each():
        directory.mkdir()
        run.counts["tried"] += 1
        run.check(number != 2, "the second is wrong")


def _breaks(run: Run) -> None:
    raise RuntimeError("nobody thought of it")


def _command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    known = {
        "fine": Trial("fine", "nothing", _fine, 3, 1),
        "fails": Trial("fails", "a wrong one", _fails, 5, 2),
        "breaks": Trial("breaks", "an exception", _breaks, 5, 2),
        "cannot": Trial("cannot", "nothing", _breaks, 5, 2, needs=lambda: "no such thing here"),
    }
    monkeypatch.setattr(command, "trials", lambda: known)
    monkeypatch.setattr(sys, "argv", ["torture", *arguments])
    status = command.main()
    out, err = capsys.readouterr()
    return status, out, err


def test_a_failure_is_told_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _command(monkeypatch, capsys, "--seed", "7", "fine", "fails", "cannot")
    assert status == 1
    assert "fails: round 2: the second is wrong" in out
    assert "again: build/torture --seed 7 --rounds 5 fails" in out
    assert "cannot be run here: no such thing here" in out
    assert "seed 7" in err
    kept = Path(out.split("files: ")[1].strip())
    assert [path.name for path in kept.iterdir()] == ["000002"]
    shutil.rmtree(kept)


def test_an_exception_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _command(monkeypatch, capsys, "--json", "--short", "breaks")
    assert status == 1
    (found,) = json.loads(out)["trials"]
    assert (found["result"], found["rounds"]) == ("1 failure", 0)
    assert "nobody thought of it" in found["failures"][0]
    shutil.rmtree(found["kept"])


@pytest.mark.parametrize(
    ("arguments", "status"), [(["fine"], 0), (["fine", "cannot"], 3), (["no-such"], 2), (["--list"], 0)]
)
def test_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert _command(monkeypatch, capsys, *arguments)[0] == status
