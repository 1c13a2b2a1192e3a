"""The trials of `build/torture`, a short run of each."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from eni_ledger import ledger
from helpers import qemu
from helpers.prereq import need
from ledger.torture import __main__ as command
from ledger.torture import full, injected, kill_within, moved, power_cut, stuck, traced
from ledger.torture.discover import attempt, trials
from ledger.torture.scenarios import SCENARIOS
from ledger.torture.trial import Run, Trial, Unfit
from ledger.torture.versions import changed

TRIALS = trials()
SEED = 20261117


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_trial(trial: Trial, tmp_path: Path) -> None:
    outcome = attempt(trial, Run(tmp_path, SEED, trial.short))
    assert outcome.run.failures == []
    need(not outcome.cannot, outcome.cannot)
    assert outcome.run.counts["rounds"] == trial.short
    assert sum(outcome.counts.values()) > 0, "nothing was tried"


def test_the_specification_names_every_trial() -> None:
    assert ledger.__doc__
    assert [name for name in TRIALS if f"\n``{name}`` " not in ledger.__doc__] == []


# --- would they notice? ---


class Enough(KeyboardInterrupt):
    """What had to be seen was seen: ends a trial as Ctrl-C does."""


class UntilItFails(Run):
    """A run that ends with the first failure."""

    def check(self, fine: bool, what: str) -> bool:
        super().check(fine, what)
        if not fine:
            raise Enough
        return fine


@dataclass
class Broken:
    """What is wrong with a writer, the trial that has to notice, in which situation, and what it then says."""

    what: str
    trial: str
    situation: str
    says: str
    file: str
    old: str
    new: str


_LISTED = 'sorted(name for name in names if name.endswith(".json") and name[0] != ".")'
BROKEN = (
    Broken(
        *(
            "state.json is believed though the ledger is ahead of it",
            "kill",
            "",
            "live|not recorded|is there",
        ),
        "ledger/write/writer.py",
        'if state is not None and state.head["seq"] == tail.seq and state.head.get("crc") == f"{tail.crc:08x}":',
        "if state is not None:",
    ),
    Broken(
        *("a torn tail is cut off and not kept", "kill-within", "torn tail", "is not in the quarantine"),
        *("ledger/write/recovery.py", "write_file(quarantine_fd, name, os.pread(fd, torn, size), sync=True)", "pass"),
    ),
    Broken(
        *("what is folded in is folded in again", "kill-within", "fold of three", "is 2 times in the ledger"),
        *("ledger/write/spool.py", "folded = _already_folded(dir_fd)", "folded: set[str] = set()"),
    ),
    Broken(
        *("spool files are removed too early", "kill-within", "fold of three", "is 0 times in the ledger"),
        "ledger/write/spool.py",
        "    return events, done\n",
        "    remove(dir_fd, done)\n    return events, []\n",
    ),
    Broken(
        *(
            "the damage that a killed writer sealed is not told",
            "kill-within",
            "damaged end",
            "damaged places became 2",
        ),
        *("ledger/write/recovery.py", 'about = {**about, "damage": damage}', "pass"),
    ),
    Broken(
        *("a sync that failed is tried again", "no-room", "add", "again on descriptor"),
        "ledger/write/writer.py",
        "                    os.fdatasync(self._fd)\n",
        "                    try:\n                        os.fdatasync(self._fd)\n"
        "                    except OSError:\n                        os.fdatasync(self._fd)\n",
    ),
    Broken(
        *("success is told whatever came of it", "no-room", "add", "acknowledged .* is there 0 times"),
        "ledger/write/writer.py",
        "os.ftruncate(self._fd, before)\n                raise",
        "os.ftruncate(self._fd, before)",
    ),
    Broken(
        *("a failure of ours is the task's", "no-room", "add", "answered"),
        *("plugin/record.py", 'if settings.on_error == "fail":\n        raise exc', "raise exc"),
    ),
    Broken(
        *("a failure is not told", "no-room", "add", "is there 0 times"),
        *("plugin/record.py", "        raise exc\n    call.complain(message)\n", "        raise exc\n"),
    ),
    Broken(
        *("nobody looks whether the ledger is still there", "neighbours", "add", "is there 0 times|neither recorded"),
        *("ledger/write/writer.py", "return written, session.in_place()", "return written, True"),
    ),
    Broken(
        *("a lock file that was removed is as good as any", "neighbours", "fold of what is folded", "lock removed"),
        *("ledger/write/lock.py", "return os.fstat(fd).st_nlink > 0", "return True"),
    ),
    Broken(
        *("what waited is folded in as it comes", "neighbours", "add", "was folded in after"),
        *("ledger/write/spool.py", _LISTED, f"{_LISTED}[::-1]"),
    ),
    Broken(
        *("an event is not synced", "power-cut", "ext4 told", "told are lost|are missing"),
        *("ledger/write/writer.py", "                    os.fdatasync(self._fd)\n", "                    pass\n"),
    ),
    Broken(
        *("a name in a directory is not synced", "power-cut", "xfs spooled", "told are lost"),
        *("ledger/format/directory.py", "    if sync:\n        os.fsync(dir_fd)\n", ""),
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.what.replace(" ", "-"))
def test_a_broken_writer_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Broken) -> None:
    """A trial that cannot fail shows nothing."""
    trial = TRIALS[broken.trial]
    cannot = trial.needs()
    need(not cannot, cannot)
    if broken.situation:
        for module in (injected, kill_within, full, traced, moved, stuck):
            monkeypatch.setattr(module, "SCENARIOS", [each for each in SCENARIOS if each.name == broken.situation])
        if broken.trial == "power-cut":
            fs, moment = broken.situation.split()
            monkeypatch.setattr(power_cut, "FILE_SYSTEMS", {fs: power_cut.FILE_SYSTEMS[fs]})
            monkeypatch.setattr(power_cut, "MOMENTS", (moment,))
    source = changed(tmp_path / "broken", [(broken.file, broken.old, broken.new)])
    # Some faults show only when a kill comes at the right moment: as many rounds as that takes, it ends with the first.
    run = UntilItFails(tmp_path, SEED, 10 * trial.short, source=source)
    with suppress(Enough):
        outcome = attempt(trial, run)
        need(not outcome.cannot, outcome.cannot)
    (failure,) = run.failures
    assert re.search(broken.says, failure), failure


# --- the machine whose power is cut ---


def test_a_machine_that_does_not_come_up_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot = power_cut.TRIAL.needs()
    need(not cannot, cannot)
    starts = qemu.ends_first(tmp_path / "bin", 1, monkeypatch)
    monkeypatch.setattr(power_cut, "FILE_SYSTEMS", {"ext4": power_cut.FILE_SYSTEMS["ext4"]})
    outcome = attempt(power_cut.TRIAL, Run(tmp_path / "run", SEED, 1))
    assert (outcome.run.failures, outcome.cannot) == ([], "")
    assert outcome.counts["ext4: cuts"] == 1
    assert starts() == 3  # one that ends at once, the one that is cut off, the last


def test_a_machine_that_never_comes_up_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot = power_cut.TRIAL.needs()
    need(not cannot, cannot)
    starts = qemu.ends_first(tmp_path / "bin", 99, monkeypatch)
    monkeypatch.setattr(power_cut, "FILE_SYSTEMS", {"ext4": power_cut.FILE_SYSTEMS["ext4"]})
    outcome = attempt(power_cut.TRIAL, Run(tmp_path / "run", SEED, 1))
    assert outcome.run.failures == []
    assert "ext4: the virtual machine failed" in outcome.cannot
    assert "did not come up (attempt 3 of 3)" in outcome.cannot
    assert starts() == 3


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


def _unfit(run: Run) -> None:
    raise Unfit("its machine does not start")


def _command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    known = {
        "fine": Trial("fine", "nothing", _fine, 3, 1),
        "fails": Trial("fails", "a wrong one", _fails, 5, 2),
        "breaks": Trial("breaks", "an exception", _breaks, 5, 2),
        "unfit": Trial("unfit", "nothing", _unfit, 5, 2),
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
    ("arguments", "status"), [(["fine"], 0), (["fine", "cannot"], 3), (["unfit"], 3), (["no-such"], 2), (["--list"], 0)]
)
def test_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert _command(monkeypatch, capsys, *arguments)[0] == status
