"""fsck beside writers: what they do meanwhile is no damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eni_ledger.ledger.check import fsck
from eni_ledger.ledger.check.fsck import FsckReport
from eni_ledger.ledger.check.segment_check import check_segment
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.read.snapshot import Snapshot
from helpers.ledgers import ACTIVE, add_event, raw_events, record


def examined_meanwhile(where: Path, meanwhile: str) -> FsckReport:
    """Take a snapshot, have two events written, and the segment sealed or taken away; then examine the snapshot."""
    for n in range(3):
        record(where, add_event(n))
    with Snapshot(str(where)) as snapshot:
        record(where, add_event(3))
        last = raw_events(where)[-1]["seq"]
        if meanwhile == "sealed":  # the first of the two renames; the writer stands still before the second
            (where / ACTIVE).rename(where / segment.sealed_name(1, last))
        else:
            (where / ACTIVE).unlink()
        check = fsck._Check(snapshot)
        for part in snapshot.segments:
            check.segment(part, check_segment(part))
        check.surroundings()
    return check.report


@pytest.mark.parametrize(("meanwhile", "damaged"), [("sealed", False), ("taken away", True)])
def test_between_the_two_renames_of_a_rotation_nothing_is_missing(
    tmp_path: Path, meanwhile: str, damaged: bool
) -> None:
    report = examined_meanwhile(tmp_path / "s", meanwhile)
    assert [damage.msg.startswith("events are missing") for damage in report.damage] == [True] * damaged


def test_fsck_loads_nothing_that_prunes_or_appends() -> None:
    code = "import sys, eni_ledger.ledger.check.fsck; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "eni_ledger.ledger.check.fsck" in loaded
    assert (
        not {f"eni_ledger.ledger.{name}" for name in ("archive.prune", "archive.index_builder", "write.writer")}
        & loaded
    )
