"""Many writers at once and a reader beside them. That writers are killed is a trial of its own (`torture/kill.py`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eni_ledger.ledger.write import writer
from helpers.ledgers import segments, settings
from helpers.patience import PATIENCE_S
from ledger.torture.writers import Looking, acknowledged, problems, start


@pytest.mark.parametrize("lock_wait_ms", [200, 1])
def test_64_writers_and_a_reader(tmp_path: Path, lock_wait_ms: int) -> None:
    where = tmp_path / "state"
    writer.record(settings(where), {"event": "add_failed", "boot_id": "boot"})
    reader = Looking(where)
    reader.start()
    try:
        go, hold = os.pipe()
        processes = [start(where, n, 6, go=go, rotate_bytes=8000, lock_wait_ms=lock_wait_ms) for n in range(1, 65)]
        os.close(go)
        os.close(hold)
        results = [process.communicate(timeout=PATIENCE_S) for process in processes]
    finally:
        reader.stop()
    assert [process.returncode for process in processes] == [0] * 64, results
    assert [err for _, err in results if err] == []
    assert reader.wrong == []
    assert reader.rounds > 2
    events, wrong = problems(where, [event for out, _ in results for event in acknowledged(out)])
    assert wrong == []
    assert sum(1 for event in events if event["event"] == "add") == 64 * 6
    if lock_wait_ms == 200:  # a writer that folds in what waits in the spool does so in one segment, however much it is
        assert len(segments(where)) > 1
    else:
        assert any("spool" in event for event in events)
