"""What makes a ledger a copy, and what does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base import host
from eni_ledger.base.errors import StateDirError
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.check import repair
from eni_ledger.ledger.read import origin
from eni_ledger.ledger.write import batch, writer
from helpers import ledgers
from helpers.ledgers import (
    ACTIVE,
    BOOT,
    OTHER_BOOT,
    add_event,
    contents,
    del_event,
    locked,
    prove,
    record,
    sealed,
    settings,
)

if TYPE_CHECKING:
    from pathlib import Path

HERE, THERE = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def at(monkeypatch: pytest.MonkeyPatch, instance: str | None, boot: str | None) -> None:
    """Have this be another host; what a kernel says of itself no test can change."""
    monkeypatch.setattr(host, "instance_id", lambda: instance)
    monkeypatch.setattr(host, "boot_id", lambda: boot)


def copied(where: Path, configured: Path) -> origin.Copy | None:
    return origin.copied(str(where), str(configured))


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT, None])
@pytest.mark.parametrize("here", [HERE, THERE, None])
@pytest.mark.parametrize("named", [HERE, THERE, None])
def test_the_definition(
    where: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str | None,
    here: str | None,
    boot: str | None,
    configured: bool,
) -> None:
    written = record(where, add_event(1, instance_id=named))
    at(monkeypatch, here, boot)
    found = copied(where, where if configured else where / "other")
    another_instance = None not in (named, here) and named != here
    another_boot = boot == OTHER_BOOT
    assert (found is not None) == (another_instance or (another_boot and not configured))
    if found:
        assert (found.ts, found.instance_id, found.boot_id) == (written["ts"], named, BOOT)
        assert found.words().startswith(f"as of {written['ts'][:19].replace('T', ' ')} UTC, of {named or 'another'}")


def test_it_is_the_last_event_that_counts(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(where, add_event(1, instance_id=THERE))
    record(where, add_event(2, instance_id=HERE))
    at(monkeypatch, HERE, BOOT)
    assert copied(where, where) is None
    record(where, add_event(3, instance_id=THERE))
    assert copied(where, where) is not None


def test_the_configured_directory_by_another_path(where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(where, add_event(1))
    at(monkeypatch, None, OTHER_BOOT)
    (tmp_path / "link").symlink_to(where)
    for path in (where / ".." / "state", tmp_path / "link"):
        assert copied(path, where) is None
        assert copied(where, path) is None


@pytest.mark.parametrize("known", [True, False])
def test_an_event_that_names_no_boot(where: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """Imported events are of no boot; the one of the ledger stands in state.json, and in the events before."""
    record(where, add_event(1, instance_id=THERE))
    event = {"event": "import", "imported_event": "add", "occurred_ts": "2026-01-01T00:00:00.000000Z"}
    batch.record_found(settings(where), {}, lambda _: [event])
    if not known:
        (where / "state.json").unlink()
    at(monkeypatch, None, OTHER_BOOT)
    found = copied(where, where / "other")
    assert found is not None
    assert (found.instance_id, found.boot_id) == (THERE, BOOT)
    at(monkeypatch, None, BOOT)
    assert copied(where, where / "other") is None


@pytest.mark.parametrize("how", ["torn", "damaged", "no active segment", "packed", "a long line"])
def test_a_ledger_that_is_not_whole(where: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    for n in (1, 2, 3):
        record(where, add_event(n, instance_id=THERE, rotate="x" * 20_000 if how == "a long line" else None))
    path = where / ACTIVE
    if how == "torn":
        path.write_bytes(path.read_bytes() + b'{"ts":"2026')
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:])
    elif how in ("no active segment", "packed"):
        record(where, add_event(4, instance_id=THERE), rotate_bytes=1)
        if how == "packed":
            prune(settings(where))
            assert sealed(where)[0].suffix == ".gz"
        path.unlink()
    at(monkeypatch, HERE, BOOT)
    found = copied(where, where)
    assert found is not None
    assert found.instance_id == THERE


def test_what_is_no_ledger(where: Path) -> None:
    assert copied(where, where) is None
    where.mkdir()
    assert copied(where, where / "other") is None
    assert copied(where / "none", where) is None
    (where / "file").touch()
    with pytest.raises(StateDirError):
        copied(where / "file", where)


@pytest.mark.parametrize("first", ["add", "del"])
def test_a_call_is_recorded_and_the_boot_event_names_the_new_instance(where: Path, first: str) -> None:
    """An image was made of a host with its ledger, say: what was live there has ended."""
    gone = record(where, add_event(1, instance_id=THERE))
    about = {"boot_id": OTHER_BOOT, "instance_id": HERE}
    event = {**(add_event(2) if first == "add" else del_event(1)), **about}
    written = writer.record(settings(where), event)
    assert (written is None) == (first == "del")
    boot = prove(where)[2]
    assert (boot["event"], boot["boot_id"], boot["instance_id"]) == ("boot", OTHER_BOOT, HERE)
    assert gone["association_id"] not in json.dumps(ledgers.state_file(where))


# -- fsck --repair


def mended(where: Path, copy: origin.Copy) -> list[dict[str, Any]]:
    repair.repair(settings(where), {"boot_id": OTHER_BOOT, "instance_id": HERE}, copy)
    return prove(where)


def test_repair_of_a_copy_writes_no_boot_and_ends_nothing(where: Path) -> None:
    record(where, add_event(1, instance_id=THERE))
    with locked(where):
        record(where, add_event(2, instance_id=THERE), lock_wait_ms=0)
    (where / "state.json").unlink()
    events = mended(where, origin.Copy("", THERE, BOOT))
    assert [event["event"] for event in events] == ["checkpoint", "add", "add"]
    assert len(ledgers.state_file(where)["associations"]) == 2
    assert ledgers.state_file(where)["boot_id"] == BOOT


def test_what_waits_in_a_copy_from_another_boot_goes_on_waiting(where: Path) -> None:
    """Which of the two was the later one, only its own host can tell."""
    record(where, add_event(1, instance_id=THERE))
    with locked(where):
        record(where, add_event(2, instance_id=THERE, boot_id=OTHER_BOOT), lock_wait_ms=0)
    before = contents(where)
    assert [event["event"] for event in mended(where, origin.Copy("", THERE, BOOT))] == ["checkpoint", "add"]
    assert {name: data for name, data in contents(where).items() if name.startswith("spool/")} == {
        name: data for name, data in before.items() if name.startswith("spool/")
    }


def test_repair_of_a_damaged_copy_begins_a_segment_of_the_same_host(where: Path) -> None:
    for n in (1, 2, 3):
        record(where, add_event(n, instance_id=THERE))
    data = bytearray((where / ACTIVE).read_bytes())
    data[len(data) // 2] ^= 1
    (where / ACTIVE).write_bytes(data)
    repair.repair(settings(where), {"boot_id": OTHER_BOOT, "instance_id": HERE}, origin.Copy("", THERE, BOOT))
    head = json.loads((where / ACTIVE).read_bytes().splitlines()[0])
    assert (head["event"], head["boot_id"], head["instance_id"], len(head["live"])) == ("checkpoint", BOOT, THERE, 3)


def test_repair_of_a_copy_retires_nothing(where: Path) -> None:
    ledgers.three_segments(where)
    names = [path.name for path in sealed(where)]
    (where / "state.json").unlink()
    asked = settings(where, rotate_bytes=1, retain_days=1, retain_bytes=1)
    repair.repair(asked, {}, origin.Copy("", THERE, BOOT))
    assert [path.name for path in sealed(where)] == names
