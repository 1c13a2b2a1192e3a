"""A state directory that belongs to another program: nothing in it is made, renamed, replaced or removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.config import load
from eni_ledger.base.errors import EniLedgerError, StateDirError
from eni_ledger.ledger.archive import prune
from eni_ledger.ledger.check import repair
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import admission, batch, probe, warm_up, writer
from helpers.ledgers import (
    ACTIVE,
    BOOT,
    add_event,
    contents,
    copy,
    locked,
    prove,
    record,
    sealed,
    settings,
    state_file,
    three_segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ABOUT = {"boot_id": BOOT}
OTHERS: dict[str, dict[str, bytes]] = {
    "a file": {"motd": b"hello\n"},
    "a hidden file": {".bashrc": b""},
    "a temporary file": {".motd.tmp": b"half"},
    "a directory": {"conf.d/": b""},
    "another state.json": {"state.json": b'{"v":1,"containers":[]}\n'},
    "an array": {"state.json": b"[]"},
    "zeros": {"state.json": bytes(4096)},
    "another ledger.jsonl": {"ledger.jsonl": b'{"ts":"2026-11-23T14:00:00.000000Z","level":"info"}\n' * 3},
    "a ledger.jsonl without a line": {"ledger.jsonl": b"balance: 12"},
    "a lock of others": {"lock": b"1234\n"},
    "a lock, and more": {"lock": b"", "dpkg.log": b"x\n"},
    "failures of others": {"failures.jsonl": b"none\n"},
    "a mark of others": {"identified.json": b'{"seq":1}\n'},
    "a sealed name": {"ledger-0000000000000001-0000000000000009.jsonl": b"no\n"},
}
WRITERS: dict[str, Callable[[Path], object]] = {
    "add": lambda where: record(where, add_event(1)),
    "gc": lambda where: batch.record_gc(settings(where), "net", set(), ABOUT),
    "adopt": lambda where: batch.record_found(settings(where), ABOUT, lambda _: []),
    "probe": lambda where: probe.probe(settings(where)),
    "repair": lambda where: repair.repair(settings(where), ABOUT),
    "prune": lambda where: prune.prune(settings(where)),
}


def made(where: Path, files: dict[str, bytes]) -> Path:
    where.mkdir(mode=0o755)
    for name, data in files.items():
        if name.endswith("/"):
            (where / name).mkdir()
        else:
            (where / name).write_bytes(data)
    return where


def everything(where: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_ino, path.read_bytes() if path.is_file() else b"") for path in where.rglob("*")}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("who", WRITERS)
def test_a_directory_of_others_stays_as_it_is(tmp_path: Path, what: str, who: str) -> None:
    where = made(tmp_path / "etc", OTHERS[what])
    before = everything(where)
    with pytest.raises(StateDirError, match="holds no ledger and is not empty") as caught:
        WRITERS[who](where)
    assert str(where) in caught.value.details
    assert caught.value.hint
    probe.note_failure(settings(where), add_event(1), caught.value)
    warm_up.warm_up(settings(where), add_event(1))
    assert everything(where) == before


def test_a_directory_of_others_whose_lock_is_held_gets_no_spool(tmp_path: Path) -> None:
    where = made(tmp_path / "lib", {"lock": b"", "status": b"x"})
    before = everything(where)
    with locked(where), pytest.raises(StateDirError, match="holds no ledger"):
        record(where, add_event(1), lock_wait_ms=0)
    assert everything(where) == before


def test_a_file_of_others_under_two_names_is_not_replaced(tmp_path: Path) -> None:
    where = made(tmp_path / "etc", OTHERS["another ledger.jsonl"])
    (where / "lock").touch()
    os.link(where / ACTIVE, tmp_path / "second")
    before = everything(where)
    with pytest.raises(StateDirError, match="holds no ledger"):
        record(where, add_event(1))
    assert everything(where) == before


@pytest.mark.parametrize("link", ["ledger.jsonl", "state.json", "lock"])
def test_a_link_is_nothing_that_a_ledger_begins_with(tmp_path: Path, link: str) -> None:
    where = made(tmp_path / "etc", {})
    (tmp_path / "target").touch()
    (where / link).symlink_to(tmp_path / "target")
    with pytest.raises(EniLedgerError):
        record(where, add_event(1))
    assert [path.name for path in where.iterdir()] == [link]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"lost+found/": b""},
        {"lock": b"", "spool/": b"", "quarantine/": b"", "lost+found/": b""},
        {"failures.jsonl": b'{"event":"add"}\n', ".next": b"{", ".state.json.tmp": b"half"},
        {"identified.json": b'{"v":1,"seq":7,"ts":"2026-11-23T14:00:00.000000Z"}\n', ".identified.json.tmp": b""},
        {"ledger.jsonl": b"", "state.json": b""},
    ],
    ids=lambda files: ", ".join(files) or "empty",
)
def test_a_ledger_begins_where_nothing_can_be_lost(tmp_path: Path, files: dict[str, bytes]) -> None:
    where = made(tmp_path / "state", files)
    record(where, add_event(1))
    assert [event["event"] for event in prove(where)] == ["checkpoint", "add"]


def test_what_is_damaged_is_still_known_as_a_ledger(tmp_path: Path) -> None:
    """Whatever single byte is another one, and wherever a file ends; without state.json, which would tell as well."""
    where = tmp_path / "state"
    record(where, add_event(1))
    whole = (where / ACTIVE).read_bytes()
    (where / "state.json").unlink()
    (where / "mine").touch()
    fd = os.open(where, os.O_RDONLY)
    refused = []
    for at in range(len(whole)):
        for data in (whole[: at + 1], whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :]):
            (where / ACTIVE).write_bytes(data)
            try:
                admission.admit(fd, str(where))
            except StateDirError:
                refused.append((at, len(data)))
    os.close(fd)
    assert refused == []


@pytest.mark.parametrize("lost", [ACTIVE, "state.json", "lock", "sealed"])
def test_a_ledger_that_lacks_one_of_its_files_goes_on(tmp_path: Path, lost: str) -> None:
    where = tmp_path / "state"
    three_segments(where)
    (where / "notes.txt").write_text("left by the operator")
    for path in sealed(where) if lost == "sealed" else [where / lost]:
        path.unlink()
    if lost == "state.json":
        (where / lost).write_bytes(bytes(100))
    record(where, add_event(30))
    assert state_file(where)["associations"][-1]["container_id"] == add_event(30)["container_id"]
    assert (where / "notes.txt").read_text() == "left by the operator"


def test_a_ledger_of_which_all_is_wiped_but_state_json_goes_on(tmp_path: Path) -> None:
    where = tmp_path / "state"
    record(where, add_event(1))
    (where / ACTIVE).write_bytes(bytes((where / ACTIVE).stat().st_size))
    record(where, add_event(2))
    assert len(History(str(where)).live()) == 2


def test_repair_removes_no_temporary_file_of_others(tmp_path: Path) -> None:
    where = tmp_path / "state"
    three_segments(where)
    for name in (".mine.tmp", ".next", ".ledger.jsonl.tmp", ".ledger-0000000000000001-0000000000000005.jsonl.gz.tmp"):
        (where / name).write_bytes(b"x")
    repair.repair(settings(where), ABOUT)
    assert [path.name for path in where.glob(".*")] == [".mine.tmp"]


# -- parents


def settings_of_call(path: Path, **env: str) -> Any:
    found = load({"stateDir": str(path)} if not env else {}, {"ENI_LEDGER_CONFIG": "", **env})
    found.sync = False
    return found


def test_parents_are_not_made_for_a_call(tmp_path: Path) -> None:
    where = tmp_path / "one" / "two"
    asked = settings_of_call(where)
    missing = f"cannot be created: {tmp_path / 'one'} does not exist"
    with pytest.raises(StateDirError, match=missing):
        writer.record(asked, add_event(1))
    with pytest.raises(StateDirError, match=missing):
        probe.probe(asked)
    assert list(tmp_path.iterdir()) == []
    where.parent.mkdir()
    assert writer.record(asked, add_event(1))
    assert len(prove(where)) == 2


def test_parents_are_made_for_the_hosts_configuration(tmp_path: Path) -> None:
    where = tmp_path / "one" / "two"
    assert writer.record(settings_of_call(where, ENI_LEDGER_STATE_DIR=str(where)), add_event(1))
    assert len(prove(where)) == 2


def test_a_copy_of_a_ledger_is_a_ledger(tmp_path: Path) -> None:
    three_segments(tmp_path / "state")
    again = copy(tmp_path / "state", tmp_path / "again")
    (again / "lock").unlink()
    (again / "README").touch()
    before = contents(again)
    record(again, add_event(30))
    assert contents(again).keys() >= before.keys()


@pytest.mark.parametrize(
    ("tail", "holds"),
    [
        (b',"crc":"0123abcd"}', True),
        (b'x,"crc":"0123abcd"}', True),
        (b',"crc":"0123abcd"}\n', True),
        (b',"crc":"0123abcd",', False),
        (b',"crc":"0123abcg"}', False),
        (b',"crc":"0123abc"}', False),
        (b'"crc":"0123abcd"}', False),
    ],
)
def test_a_segment_whose_beginning_is_lost_is_known_by_its_end(tmp_path: Path, tail: bytes, *, holds: bool) -> None:
    (tmp_path / ACTIVE).write_bytes(tail)
    dir_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert admission._holds(dir_fd, ACTIVE) is holds
    finally:
        os.close(dir_fd)
