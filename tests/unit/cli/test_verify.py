"""`eni-ledger verify`: what it says of a ledger whose associations the kernel does not have."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from eni_ledger.kernel import scan as scanning
from helpers.prereq import need

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Run


@pytest.fixture(autouse=True)
def _own_processes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the scan see this process only: what else runs on the machine is not the test's business."""
    need(os.geteuid() == 0, "root, to look into namespaces")
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(scanning, "scan", partial(scanning.scan, str(proc), ()))


def test_without_a_ledger_there_is_nothing_to_verify(run: Run, tmp_path: Path) -> None:
    for options in ([], ["--mark-lost"]):
        done = run("verify", "--state-dir", str(tmp_path / "none"), *options)
        assert (done.code, "there is no ledger here" in done.err, done.out) == (3, True, "")
    assert not (tmp_path / "none").exists()


def test_adopt_begins_a_ledger(run: Run, tmp_path: Path) -> None:
    done = run("verify", "--state-dir", str(tmp_path / "none"), "--adopt")
    assert (done.code in (0, 1), "there is no ledger" in done.err) == (True, False)


def test_what_is_gone_can_be_mended_and_then_nothing_remains(ledger: Ledger, run: Run) -> None:
    added = ledger.add(0xA1, 101)
    done = run("verify")
    assert (done.code, "1 gone" in done.out) == (1, True)
    assert "try: eni-ledger verify --mark-lost" in done.err
    done = run("verify", "--mark-lost")
    assert done.code == 0
    assert "try: " not in done.err
    table, recorded = done.out.index("1 gone"), done.out.index(f"recorded: lost {added['association_id']}")
    assert table < recorded < done.out.index("ledger and kernel agree now")
    assert run("verify").code == 0


def test_the_document_has_both_what_was_found_and_what_is_left(ledger: Ledger, run: Run) -> None:
    ledger.add(0xA1, 101)
    before = run("verify", "--json").json()
    after = run("verify", "--mark-lost", "--json").json()
    assert (before["agrees"], before["remaining"]) == (False, 1)
    assert (after["agrees"], after["remaining"], [one["event"] for one in after["written"]]) == (False, 0, ["lost"])
