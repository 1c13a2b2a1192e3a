"""`eni-ledger prune` and `fsck --repair`, as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.ledger.check.fsck import fsck

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run


@pytest.fixture
def long(filled: Ledger) -> Ledger:
    """Make a ledger with a few sealed segments."""
    filled.settings.rotate_bytes = 1
    for n in range(40, 46):
        filled.add(n, n, f"10.0.9.{n}/20")
    return filled


def test_packs_and_says_so(run: Run, long: Ledger) -> None:
    before = run("who", "10.0.9.41", "--json").json()
    sealed = sorted(path.name for path in long.path.glob("ledger-*.jsonl"))
    planned = run("prune", "--dry-run")
    assert (planned.code, planned.err) == (0, "")
    assert planned.out.startswith(f"would be packed: {len(sealed)} segments")
    assert sorted(path.name for path in long.path.glob("ledger-*.jsonl")) == sealed
    done = run("prune")
    assert done.code == 0
    assert done.out.startswith(f"packed: {len(sealed)} segments")
    assert run("who", "10.0.9.41", "--json").json() == before
    assert run("prune").out.startswith("nothing to do")
    document = run("prune", "--json").json()
    assert {key: document[key] for key in ("removed", "packed", "indexed", "left")} == {
        "removed": [],
        "packed": [],
        "indexed": [],
        "left": [],
    }


def test_retention_from_the_command_line(run: Run, long: Ledger) -> None:
    done = run("prune", "--retain-bytes", "0", "--json")
    assert done.code == 0
    assert len(done.json()["removed"]) > 4
    assert not list(long.path.glob("ledger-*"))
    assert run("fsck").code == 0
    for bad in (["--retain-days", "-1"], ["--retain-bytes", "x"]):
        refused = run("prune", *bad)
        assert refused.code == 2
        assert refused.err.startswith("error: ")


def test_a_damaged_segment_is_named(run: Run, long: Ledger) -> None:
    path = sorted(long.path.glob("ledger-*.jsonl"))[1]
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    done = run("prune")
    assert done.code == 1
    assert f"error: {path.name} stays as it is" in done.err
    assert "try: eni-ledger fsck" in done.err
    assert path.read_bytes() == data


def test_without_a_ledger(run: Run) -> None:
    assert run("prune").code == 3
    assert run("fsck", "--repair").code == 3


def test_repair_says_what_it_did(run: Run, filled: Ledger) -> None:
    assert "repair: nothing to repair" in run("fsck", "--repair").out
    with filled.file.open("ab") as file:
        file.write(b'{"torn')
    done = run("fsck", "--repair")
    assert done.code == 0
    assert "repair: set a torn tail aside: quarantine/torn-" in done.out
    assert fsck(str(filled.path)).sound
    assert run("fsck", "--repair", "--json").json()["repaired"] == []
