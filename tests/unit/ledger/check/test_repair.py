"""`fsck --repair`: what can be mended is, with a copy of what was there; what is damaged stays as evidence."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.errors import FutureFormat, StateDirError, WriteFailed
from eni_ledger.ledger.check import repair
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import state_file
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import writer
from helpers import ledgers
from helpers.ledgers import ACTIVE, BOOT, add_event, append_line, contents, copy, locked, prove, record, three_segments

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = {"boot_id": BOOT}


@pytest.fixture
def where(tmp_path: Path) -> Path:
    three_segments(tmp_path / "state")
    return tmp_path / "state"


def repaired(where: Path) -> list[str]:
    return repair.repair(ledgers.settings(where), ABOUT)


def spool_one(where: Path, n: int) -> None:
    with locked(where):
        writer.record(ledgers.settings(where, lock_wait_ms=0), add_event(n))


def test_nothing_to_do_changes_nothing(where: Path) -> None:
    before = contents(where)
    assert repaired(where) == []
    assert contents(where) == before


def test_a_torn_tail(where: Path) -> None:
    data = (where / ACTIVE).read_bytes()
    (where / ACTIVE).write_bytes(data + b'{"ts":"2026')
    done = repaired(where)
    assert any("copied ledger.jsonl" in words for words in done)
    assert any("set a torn tail aside" in words for words in done)
    assert (where / ACTIVE).read_bytes() == data
    pieces = {path.name: path.read_bytes() for path in (where / "quarantine").iterdir()}
    assert [piece for name, piece in pieces.items() if name.startswith("torn-")] == [b'{"ts":"2026']
    assert [piece for name, piece in pieces.items() if name.endswith(ACTIVE)] == [data + b'{"ts":"2026']
    assert fsck(str(where)).sound
    assert repaired(where) == []


def test_damage_in_the_middle_of_the_active_segment_which_no_writer_looks_at(where: Path) -> None:
    for n in range(20, 24):
        record(where, add_event(n))
    data = bytearray((where / ACTIVE).read_bytes())
    data[len(data) // 2] ^= 1
    (where / ACTIVE).write_bytes(data)
    live = History(str(where)).live()
    done = repaired(where)
    assert any("sealed ledger.jsonl as it is" in words for words in done)
    assert any("named the damage" in words for words in done)
    sealed = ledgers.sealed(where)[-1]
    assert sealed.read_bytes() == data
    report = fsck(str(where))
    assert [one.path for one in report.damage] == [str(sealed)]
    assert History(str(where)).live() == live
    again = contents(where)
    assert repaired(where) == []
    assert contents(where) == again
    assert record(where, add_event(30))["seq"] == report.events + 2  # the damaged line has its seq, too


@pytest.mark.parametrize("how", ["gone", "old", "binary", "another's"])
def test_state_json_is_written_without_a_copy_of_a_sound_segment(where: Path, how: str) -> None:
    path = where / "state.json"
    old = path.read_bytes()
    record(where, add_event(20))
    fresh = ledgers.state_file(where)
    if how == "gone":
        path.unlink()
    elif how == "another's":
        made = state_file.decode(path.read_bytes())
        assert made is not None
        path.write_bytes(state_file.StateFile({**made.head, "crc": "00000000"}, []).encode())
    else:
        path.write_bytes(old if how == "old" else b"\0" * 100)
    replaced = path.read_bytes() if how != "gone" else None
    assert any("wrote state.json anew" in words for words in repaired(where))
    assert {**ledgers.state_file(where), "sum": ""} == {**fresh, "sum": ""}  # the order of keys may be another
    kept = [path.read_bytes() for path in where.glob("quarantine/*")]
    assert kept == ([] if replaced is None else [replaced])


def test_the_spool_is_folded_in(where: Path) -> None:
    spool_one(where, 20)
    spool_one(where, 21)
    assert any("folded 2 of the spool's files in" in words for words in repaired(where))
    assert list((where / "spool").iterdir()) == []
    assert not (where / "quarantine").exists()  # no more is changed than by an ADD
    assert [event["container_id"] for event in prove(where)[-2:]] == [f"{20:064x}", f"{21:064x}"]


def test_no_active_segment(where: Path) -> None:
    prove(where)
    (where / ACTIVE).unlink()
    assert any("began a new ledger.jsonl" in words for words in repaired(where))
    assert not fsck(str(where)).sound  # its events are missing, and stay so
    assert repaired(where) == []


def test_what_was_left_half_written(where: Path) -> None:
    (where / ".state.json.tmp").write_bytes(b"half")
    (where / ".next").write_bytes(b"half")
    assert len(repaired(where)) == 2
    assert not list(where.glob(".*"))


@pytest.mark.parametrize("directory", ["spool", "quarantine"])
def test_what_was_left_half_written_where_others_may_be_writing(where: Path, directory: str) -> None:
    (where / directory).mkdir(exist_ok=True)
    old, new, other = (where / directory / name for name in (".a.json.tmp", ".b.json.tmp", ".c"))
    for path in (old, new, other):
        path.write_text("{")
    for path in (old, other):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert repaired(where) == [f"removed {directory}/.a.json.tmp, which was left half written"]
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_a_quarantine_that_is_a_link_is_not_followed(where: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    kept = tmp_path / "elsewhere/.a.tmp"
    kept.touch()
    os.utime(kept, (1_700_000_000, 1_700_000_000))
    (where / "quarantine").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WriteFailed, match="quarantine"):
        repaired(where)
    assert kept.exists()


def test_a_later_format_is_left_alone(where: Path) -> None:
    append_line(where, v=2, event="novel")
    (where / "state.json").unlink()
    before = contents(where)
    with pytest.raises(FutureFormat):
        repaired(where)
    after = contents(where)
    assert {name: after[name] for name in before} == before


def test_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(StateDirError):
        repaired(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("what", ["torn", "damaged", "spool"])
def test_killed_at_any_step_it_can_be_run_again(
    where: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "torn":
        with (where / ACTIVE).open("ab") as file:
            file.write(b"torn")
    elif what == "damaged":
        data = bytearray((where / ACTIVE).read_bytes())
        data[len(data) // 2] ^= 1
        (where / ACTIVE).write_bytes(data)
    spool_one(where, 20)
    found = (where / ACTIVE).read_bytes()
    steps = 0
    for step in range(1, 60):
        again = copy(where, tmp_path / f"{step}")
        calls = 0

        def counted(real: Any, step: int = step) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls >= step:
                    raise Killed
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in ("rename", "unlink", "fsync", "fdatasync", "write", "ftruncate", "mkdir"):
                patch.setattr(os, name, counted(getattr(os, name)))
            with suppress(Killed):
                repaired(again)
        steps = max(steps, calls)
        repaired(again)
        kept = [piece for name, piece in contents(again).items() if not name.startswith("spool")]
        assert any(piece.startswith(found) for piece in kept), step  # whole, wherever it is now
        assert fsck(str(again)).sound == (what != "damaged"), step
        assert f"{20:064x}" in {one["container_id"] for one in History(str(again)).live()}, step
        if calls < step:
            break
    else:
        raise AssertionError("there are more steps than this")
    assert steps > (3 if what == "spool" else 10)
