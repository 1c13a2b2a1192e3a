"""`eni-ledger verify`: what it says of a ledger whose associations the kernel does not have."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from eni_ledger.kernel import scan as scanning
from eni_ledger.render.text import short_id
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


def test_one_eni_in_two_places_is_a_conflict(ledger: Ledger, run: Run) -> None:
    """Of neither is it known where it is, so the kernel decides nothing: both stay live."""
    nowhere = {"netns_inode": None, "netns_dev": None, "eni_id": "eni-00000000000000009"}
    ids = [ledger.add(n, None, **nowhere)["association_id"] for n in (0xA1, 0xA2)]
    done = run("verify")
    assert done.code == 1
    (row,) = [line.split(maxsplit=4) for line in done.out.splitlines() if line.startswith("conflict")]
    assert row[1:4] == ["-", "0a:12:34:56:78:a1", "-"]
    assert row[4] == f"{short_id(ids[0])}: eni-00000000000000009 is in two places; the other is {short_id(ids[1])}"
    assert "0 fine, 0 gone, 0 changed, 2 unknown, 1 conflict, 0 unrecorded" in done.out
    assert done.err.startswith("both associations of a conflict stay live: ")
    found = run("verify", "--json").json()
    assert found["conflicts"] == [{"association_ids": ids, "why": "eni-00000000000000009 is in two places"}]
    assert (found["agrees"], found["remaining"]) == (False, 3)
