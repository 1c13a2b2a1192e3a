"""The writer on real files: what is appended, when segments end, and what it does about what it finds."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.errors import FutureFormat, LockTimeout, StateDirError, WriteFailed
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import directory
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.line import KEYS, format_ts, now_us, parse_ts
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import current
from eni_ledger.ledger.write import batch, probe, writer
from helpers.ledgers import (
    ACTIVE,
    BOOT,
    OTHER_BOOT,
    SOURCE,
    add_event,
    append_line,
    bare_python,
    contents,
    del_event,
    prove,
    record,
    sealed,
    segments,
    settings,
    state_file,
    stuck_holder,
)
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def live_ids(where: Path) -> list[str]:
    return [association["association_id"] for association in History(str(where)).live()]


def kinds(where: Path) -> list[str]:
    return [event["event"] for event in prove(where)]


def damaged(where: Path) -> bool:
    return not fsck(str(where)).sound


# -- what is written


HOSTILE = "a\x9b2J\x7f\u202eb\u2028\u200f\U000e0001\U0001d173"
"""A C1 control sequence, DEL, a direction override, a line separator, and characters beyond U+FFFF."""


def test_every_file_can_be_shown_on_a_terminal(where: Path) -> None:
    named = add_event(1, container_id=HOSTILE, ifname=HOSTILE, netns=f"/é/{HOSTILE}", **{HOSTILE: [{HOSTILE: HOSTILE}]})
    record(where, named)
    record(where, add_event(2), rotate_bytes=1)  # its checkpoint has the first one
    with stuck_holder(where):
        record(where, named, lock_wait_ms=0)
    probe.note_failure(settings(where), named, WriteFailed("no", HOSTILE))
    found = contents(where)
    assert {name.partition("/")[0] for name in found} >= {ACTIVE, "state.json", "spool", "failures.jsonl"}
    for name, data in found.items():
        assert all(line.isprintable() for line in data.decode().split("\n")), name
    assert prove(where)[2]["live"][0][HOSTILE] == [{HOSTILE: HOSTILE}]
    had: Any = History(str(where)).who(named["branch_mac"])
    assert [one[HOSTILE] for one in had] == [[{HOSTILE: HOSTILE}]]


@pytest.mark.parametrize("derived", ["state.json", "rebuilt"])
def test_a_del_ends_what_a_version_without_these_escapes_wrote(
    where: Path, monkeypatch: pytest.MonkeyPatch, derived: str
) -> None:
    with monkeypatch.context() as older:
        for module in (line_format, live_state):
            older.setattr(module, "dumps", lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        added = record(where, add_event(1, container_id=HOSTILE))
        assert HOSTILE.encode() in (where / ACTIVE).read_bytes()
    if derived == "rebuilt":
        (where / "state.json").unlink()
    assert current.find_live(str(where), del_event(1, container_id=HOSTILE)) is not None
    ended = record(where, {**del_event(1), "container_id": HOSTILE})
    assert ended["association_id"] == added["association_id"]
    again = record(where, add_event(2, container_id=HOSTILE))
    with monkeypatch.context() as older:
        for module in (line_format, live_state):
            older.setattr(module, "dumps", lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        record(where, add_event(3))
    assert record(where, add_event(2, container_id=HOSTILE, netns_inode=None))["supersedes"] == [
        again["association_id"]
    ]
    assert prove(where)


def test_an_add(where: Path) -> None:
    before = format_ts(now_us())
    given = add_event(1)
    written = record(where, given, sync=True)
    checkpoint, event = prove(where)
    assert checkpoint["event"] == "checkpoint"
    assert (checkpoint["seq"], checkpoint["prev_crc"], checkpoint["live"]) == (1, "00000000", [])
    assert checkpoint["boot_id"] == BOOT
    assert "prev_segment" not in checkpoint
    assert {**written, "crc": event["crc"]} == event
    assert event["seq"] == 2
    assert before <= event["ts"] <= format_ts(now_us())
    assert {key: event[key] for key in given} == given
    assert event["association_id"].startswith("assoc-")
    assert len(event["association_id"]) == 23
    int(event["association_id"][6:], 16)
    assert [key for key in event if key in KEYS] == [key for key in KEYS if key in event]
    assert given == add_event(1)  # the caller's own


def test_modes_and_owner(where: Path) -> None:
    old = os.umask(0)
    try:
        record(where, add_event(1))
        with stuck_holder(where):
            record(where, add_event(2), lock_wait_ms=0)
    finally:
        os.umask(old)
    assert where.stat().st_mode & 0o7777 == 0o750
    assert (where / "spool").stat().st_mode & 0o7777 == 0o750
    for path in where.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o7777 == 0o640, path
            assert path.stat().st_uid == os.geteuid()


def test_a_del_carries_what_its_association_carried(where: Path) -> None:
    added = record(where, add_event(1))
    record(where, add_event(2))
    written = record(where, del_event(1, netns="none", took_ms=1.5))
    last = prove(where)[-1]
    assert {**written, "crc": last["crc"]} == last
    assert last["event"] == "del"
    for key in ("association_id", "eni_id", "vlan_id", "branch_mac", "addresses", "netns", "netns_inode", "trunk_mac"):
        assert last[key] == added[key]
    assert last["took_ms"] == 1.5
    assert live_ids(where) == [prove(where)[2]["association_id"]]


def test_a_del_of_what_is_not_live_writes_nothing(where: Path) -> None:
    record(where, add_event(1))
    record(where, del_event(1))
    before = contents(where)
    assert writer.record(settings(where), del_event(1)) is None
    assert writer.record(settings(where), del_event(2)) is None
    assert writer.record(settings(where), del_event(1, ifname="eth1")) is None
    assert contents(where) == before


def test_the_first_event_may_be_an_unknown_del(where: Path) -> None:
    assert writer.record(settings(where), del_event(1)) is None
    assert kinds(where) == ["checkpoint"]
    assert state_file(where)["seq"] == 1
    record(where, add_event(1))
    assert kinds(where) == ["checkpoint", "add"]


def test_the_same_attachment_added_again_is_another_association(where: Path) -> None:
    first, second = record(where, add_event(1)), record(where, add_event(1))
    assert first["association_id"] != second["association_id"]
    assert "supersedes" not in first
    assert second["supersedes"] == [first["association_id"]]
    assert prove(where)[-1]["supersedes"] == [first["association_id"]]
    assert live_ids(where) == [second["association_id"]]


def test_ids_do_not_repeat(where: Path) -> None:
    ids = [record(where, add_event(n))["association_id"] for n in range(100)]
    assert len(set(ids)) == 100


def test_a_failed_add_is_an_event_and_no_association(where: Path) -> None:
    record(where, {**add_event(1), "event": "add_failed", "error_code": 11, "error_msg": "no\nroom\ud800"})
    event = prove(where)[-1]
    assert (event["event"], event["error_msg"]) == ("add_failed", "no\nroom?")
    assert "association_id" not in event
    assert live_ids(where) == []


def test_another_boot_comes_before_its_first_event(where: Path) -> None:
    for n in (1, 2):
        record(where, add_event(n))
    written = record(where, add_event(3, boot_id=OTHER_BOOT, instance_id="i-0123456789abcdef0"))
    events = prove(where)
    assert [event["event"] for event in events] == ["checkpoint", "add", "add", "boot", "add"]
    assert events[3]["boot_id"] == OTHER_BOOT
    assert events[3]["instance_id"] == "i-0123456789abcdef0"
    assert live_ids(where) == [written["association_id"]]
    assert state_file(where)["boot_id"] == OTHER_BOOT
    record(where, add_event(4, boot_id=OTHER_BOOT))
    assert kinds(where).count("boot") == 1
    assert "supersedes" not in written  # the boot ended them, not the add


@pytest.mark.parametrize(("sync", "says"), [(True, None), (False, False)])
def test_a_boot_says_that_a_power_cut_may_have_taken_what_was_before_it(
    where: Path, sync: bool, says: bool | None
) -> None:
    record(where, add_event(1), sync=sync)
    record(where, add_event(2, boot_id=OTHER_BOOT), sync=sync)
    boot, add = prove(where)[-2:]
    assert (boot["event"], boot.get("sync"), add["event"]) == ("boot", says, "add")
    assert "sync" not in add
    assert all("sync" not in association for association in state_file(where)["associations"])


def test_a_del_after_a_reboot_finds_nothing_but_notes_the_boot(where: Path) -> None:
    record(where, add_event(1))
    assert writer.record(settings(where), del_event(1, boot_id=OTHER_BOOT)) is None
    assert kinds(where) == ["checkpoint", "add", "boot"]
    assert live_ids(where) == []


def test_a_host_that_does_not_show_its_boot_id(where: Path) -> None:
    record(where, add_event(1, boot_id=None))
    record(where, add_event(2, boot_id=None))
    assert kinds(where) == ["checkpoint", "add", "add"]
    assert len(live_ids(where)) == 2


def test_a_clock_that_stepped_back_is_held_and_said(where: Path) -> None:
    record(where, add_event(1))
    ahead = now_us() + 3_600_000_000
    append_line(where, ts=format_ts(ahead))
    before = now_us()
    written = record(where, add_event(2))
    after = now_us()
    assert written["ts"] == format_ts(ahead)
    assert ahead - after <= written["clock_step_us"] <= ahead - before
    assert "clock_step_us" not in prove(where)[1]


@pytest.mark.parametrize("sync", [True, False])
def test_sync_off_writes_the_same(where: Path, sync: bool) -> None:
    for n in range(3):
        record(where, add_event(n), sync=sync, rotate_bytes=1500)
    assert [event["event"] for event in prove(where)].count("add") == 3


def test_what_has_no_json_form_leaves_the_ledger_as_it_was(where: Path) -> None:
    record(where, add_event(1))
    before = contents(where)
    with pytest.raises((TypeError, ValueError)):
        record(where, add_event(2, took_ms=float("nan")))
    assert contents(where) == before
    record(where, add_event(3))
    assert kinds(where) == ["checkpoint", "add", "add"]


# -- segments


def test_rotation(where: Path) -> None:
    written = [record(where, add_event(n), rotate_bytes=3000) for n in range(40)]
    events = prove(where)
    assert [event["association_id"] for event in events if event["event"] == "add"] == [
        event["association_id"] for event in written
    ]
    paths = segments(where)
    assert len(paths) > 5
    for before, path in pairwise(paths):
        head = json.loads(path.read_bytes().splitlines()[0])
        assert head["prev_segment"] == before.name
        assert head["boot_id"] == BOOT
        adds = [event for event in written if event["seq"] < head["seq"]]
        assert [live["association_id"] for live in head["live"]] == [event["association_id"] for event in adds]
        assert [live["add_seq"] for live in head["live"]] == [event["seq"] for event in adds]
        assert before.stat().st_size >= 3000
    assert not (where / ".next").exists()
    assert fsck(str(where)).sound
    assert len(live_ids(where)) == 40


def test_a_checkpoint_larger_than_a_segment_does_not_rotate_for_ever(where: Path) -> None:
    for n in range(20):
        record(where, add_event(n), rotate_bytes=1)
    assert kinds(where)[:5] == ["checkpoint", "add", "checkpoint", "add", "checkpoint"]
    assert len(segments(where)) == 20
    # A del of nothing does not make one segment after another with nothing in them.
    for _ in range(3):
        writer.record(settings(where, rotate_bytes=1), del_event(99))
    assert len(segments(where)) == 21


def test_retention_by_size_keeps_the_newest(where: Path) -> None:
    for n in range(60):
        record(where, add_event(n), rotate_bytes=1)
        if n > 2:
            record(where, del_event(n - 2), rotate_bytes=1, retain_bytes=20_000)
    sizes = [path.stat().st_size for path in sealed(where)]
    assert sum(sizes) <= 20_000
    assert len(sizes) > 3
    events = prove(where)
    assert events[0]["seq"] > 1
    report = fsck(str(where))
    assert report.sound
    assert any("retention" in note for note in report.notes)


def test_no_room_for_the_next_segment_is_no_reason_to_lose_an_event(where: Path) -> None:
    record(where, add_event(1))
    (where / "..next.tmp").mkdir()  # where the next segment would be written
    record(where, add_event(2), rotate_bytes=1)
    assert kinds(where) == ["checkpoint", "add", "add"]
    (where / "..next.tmp").rmdir()
    record(where, add_event(3), rotate_bytes=1)
    assert kinds(where) == ["checkpoint", "add", "add", "checkpoint", "add"]


def test_a_crash_between_the_two_renames(where: Path) -> None:
    written = [record(where, add_event(n)) for n in range(3)]
    last = prove(where)[-1]["seq"]
    (where / ACTIVE).rename(where / f"ledger-{1:016}-{last:016}.jsonl")
    (where / ".next").write_bytes(b"half a checkpoi")
    ids = [event["association_id"] for event in written]
    assert live_ids(where) == ids
    assert [e["seq"] for e in History(str(where)).events()] == [1, 2, 3, 4]
    assert fsck(str(where)).sound
    (where / "state.json").unlink()  # then from the sealed segment
    assert live_ids(where) == ids
    record(where, add_event(3))
    assert kinds(where) == ["checkpoint", "add", "add", "add", "checkpoint", "add"]
    assert len(live_ids(where)) == 4
    assert fsck(str(where)).sound


def test_an_active_segment_that_was_taken_away_is_damage(where: Path) -> None:
    for n in range(3):
        record(where, add_event(n), rotate_bytes=1)
    record(where, add_event(3))
    lost = prove(where)[-1]["seq"]
    (where / ACTIVE).unlink()
    assert damaged(where)
    written = record(where, add_event(4))
    head = json.loads((where / ACTIVE).read_bytes().splitlines()[0])
    assert head["seq"] == lost + 1
    assert f"to {lost} are missing" in head["damage"]
    assert len(head["live"]) == 4
    assert written["seq"] == lost + 2
    assert damaged(where)
    assert len(live_ids(where)) == 5


def test_the_only_segment_taken_away_is_damage(where: Path) -> None:
    record(where, add_event(1))
    (where / ACTIVE).unlink()
    written = record(where, add_event(2))
    assert written["seq"] == 4
    assert "events 1 to 2 are missing" in json.loads((where / ACTIVE).read_bytes().splitlines()[0])["damage"]
    assert damaged(where)


def test_an_empty_active_segment_is_begun_anew(where: Path) -> None:
    where.mkdir(0o750)
    (where / ACTIVE).touch()
    record(where, add_event(1))
    assert kinds(where) == ["checkpoint", "add"]


# -- the end of the file


@pytest.mark.parametrize("torn", [b"{", b'{"ts":"2026-11-23T14:00:00.000000Z","seq":', b"x" * 20_000, b"\0" * 4096])
def test_a_torn_tail_is_set_aside_and_the_append_goes_on(where: Path, torn: bytes) -> None:
    record(where, add_event(1))
    with (where / ACTIVE).open("ab") as file:
        file.write(torn)
    size = (where / ACTIVE).stat().st_size - len(torn)
    report = fsck(str(where))
    assert report.sound
    assert any(f"{len(torn)} torn bytes at offset {size}" in note for note in report.notes)
    record(where, add_event(2))
    assert kinds(where) == ["checkpoint", "add", "add"]
    (kept,) = (where / "quarantine").iterdir()
    assert kept.read_bytes() == torn
    assert kept.name.startswith("torn-")
    assert fsck(str(where)).sound


def test_nothing_but_a_torn_line(where: Path) -> None:
    where.mkdir(0o750)
    (where / ACTIVE).write_bytes(b'{"ts":"2026')
    record(where, add_event(1))
    assert kinds(where) == ["checkpoint", "add"]
    assert [path.read_bytes() for path in (where / "quarantine").iterdir()] == [b'{"ts":"2026']


@pytest.mark.parametrize("what", ["flipped", "binary", "empty line"])
def test_a_damaged_end_is_sealed_as_it_is_and_the_checkpoint_says_so(where: Path, what: str) -> None:
    for n in range(3):
        record(where, add_event(n))
    path = where / ACTIVE
    data = bytearray(path.read_bytes())
    start = data.rfind(b"\n", 0, -1) + 1
    if what == "flipped":
        data[-30] ^= 1
    elif what == "binary":
        data[start:] = os.urandom(300).replace(b"\n", b"\r") + b"\n"
    else:
        data += b"\n"
    path.write_bytes(data)
    written = record(where, add_event(3))
    (old,) = sealed(where)
    assert old.read_bytes() == bytes(data)
    head = json.loads(path.read_bytes().splitlines()[0])
    line = 5 if what == "empty line" else 4
    offset = len(data) - 1 if what == "empty line" else start
    assert head["damage"] == f"{old.name} line {line}, offset {offset}"
    assert len(head["live"]) == 3  # state.json knew
    assert written["seq"] == head["seq"] + 1
    assert head["seq"] > 4
    report = fsck(str(where))
    assert [(d.path, d.line, d.offset) for d in report.damage][:1] == [(str(old), line, offset)]
    assert any("begins after damage" in note for note in report.notes)
    record(where, add_event(4))  # and on it goes, in the new one
    assert len(sealed(where)) == 1


def test_a_ledger_that_was_cut_at_a_line_is_not_continued_as_if_nothing_were(where: Path) -> None:
    for n in range(3):
        record(where, add_event(n))
    path = where / ACTIVE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    written = record(where, add_event(3))
    assert written["seq"] == 6
    assert "damage" in json.loads(path.read_bytes().splitlines()[0])
    assert len(live_ids(where)) == 4
    report = fsck(str(where))
    assert (report.damage[0].path, report.damage[0].line) == (str(sealed(where)[0]), 4)
    assert report.damage[0].offset == sum(map(len, lines[:-1]))


def test_damage_before_the_end_does_not_stop_an_add(where: Path) -> None:
    for n in range(4):
        record(where, add_event(n))
    data = bytearray((where / ACTIVE).read_bytes())
    data[400] ^= 1
    (where / ACTIVE).write_bytes(data)
    record(where, add_event(4))
    assert len(segments(where)) == 1
    assert damaged(where)
    (where / "state.json").unlink()  # now what is live cannot be proven any more
    record(where, add_event(5))
    assert len(segments(where)) == 2
    assert "line 2, offset" in json.loads((where / ACTIVE).read_bytes().splitlines()[0])["damage"]


# -- state.json


@pytest.mark.parametrize("how", ["missing", "older", "garbage", "empty", "of another ledger", "directory"])
def test_a_state_that_is_not_of_this_moment_is_rebuilt(where: Path, tmp_path: Path, how: str) -> None:
    path = where / "state.json"
    record(where, add_event(1))
    older = path.read_bytes()
    record(where, add_event(2))
    record(where, del_event(1))
    want = state_file(where)
    if how == "of another ledger":  # with as many events
        for event in (add_event(7), add_event(8), del_event(7)):
            record(tmp_path / "other", event)
        path.write_bytes((tmp_path / "other/state.json").read_bytes())
    elif how in ("missing", "directory"):
        path.unlink()
        if how == "directory":
            path.mkdir()
    else:
        path.write_bytes({"older": older, "garbage": b"\0" * 500, "empty": b""}[how])
    assert live_ids(where) == [association["association_id"] for association in want["associations"]]
    written = record(where, add_event(3))
    assert live_ids(where) == [want["associations"][0]["association_id"], written["association_id"]]
    assert fsck(str(where)).sound
    if how != "directory":
        state = state_file(where)
        assert (state["seq"], state["boot_id"]) == (5, BOOT)
        assert state["associations"][0] == want["associations"][0]
        assert not (where / ".state.json.tmp").exists()


def test_a_fifo_under_a_temporary_name_holds_nobody_up(where: Path) -> None:
    record(where, add_event(1))
    os.mkfifo(where / ".state.json.tmp")
    done = bare_python(RECORD, where, json.dumps(add_event(2)))
    assert done.returncode == 0, done.stderr
    assert kinds(where) == ["checkpoint", "add", "add"]


RECORD = """
import os
from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.base.minijson import dumps, loads
from eni_ledger.ledger.write.writer import record
settings = Settings(sys.argv[1])
for text in sys.argv[2:]:
    try:
        print(dumps(record(settings, loads(text))), flush=True)
    except EniLedgerError as exc:
        print("%d %s" % (exc.code, exc), flush=True)
"""


def test_the_add_path_imports_no_more_than_it_may(where: Path) -> None:
    code = (
        "import os; before = set(sys.modules)\n" + RECORD + "print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    record(where, add_event(1))
    done = bare_python(code, where, json.dumps(add_event(2)))
    loaded = set(json.loads(done.stderr.replace("'", '"')))
    own = {name for name in loaded if name.startswith("eni_ledger")}
    assert own == {
        *("eni_ledger", "eni_ledger.base", "eni_ledger.ledger", "eni_ledger.ledger.format", "eni_ledger.ledger.write"),
        *(f"eni_ledger.base.{name}" for name in ("config", "errors", "minijson")),
        *(f"eni_ledger.ledger.format.{name}" for name in ("directory", "line", "live", "segment", "state_file")),
        "eni_ledger.ledger.format.supersede",
        *(f"eni_ledger.ledger.write.{name}" for name in ("lock", "spool", "writer")),
    }
    assert loaded - own <= {"__future__", "_json", "binascii", "fcntl", "time", "errno"}


# -- a later format


def test_a_ledger_of_a_later_format_is_left_alone(where: Path) -> None:
    record(where, add_event(1))
    append_line(where, v=2)
    before = contents(where)
    written = record(where, add_event(2))
    assert written["spooled"] is True
    assert "format version 2" in written["spooled_because"]
    assert "seq" not in written
    after = contents(where)
    (name,) = set(after) - set(before)
    assert name.startswith("spool/")
    assert {key: after[key] for key in before} == before
    with pytest.raises(FutureFormat):
        batch.record_gc(settings(where), "ecs-trunk", set(), {"boot_id": BOOT})
    assert {key: contents(where)[key] for key in before} == before


def test_a_torn_tail_behind_a_later_format_is_left_alone_too(where: Path) -> None:
    record(where, add_event(1))
    append_line(where, v=2)
    with (where / ACTIVE).open("ab") as file:
        file.write(b"{torn")
    before = (where / ACTIVE).read_bytes()
    assert record(where, add_event(2))["spooled"] is True
    assert (where / ACTIVE).read_bytes() == before


def test_a_sealed_segment_of_a_later_format_without_an_active_one(where: Path) -> None:
    record(where, add_event(1))
    append_line(where, v=2)
    (where / ACTIVE).rename(where / f"ledger-{1:016}-{3:016}.jsonl")
    assert record(where, add_event(2))["spooled"] is True
    assert not (where / ACTIVE).exists()


# -- the spool


def spooled(where: Path) -> list[Path]:
    return sorted((where / "spool").iterdir()) if (where / "spool").exists() else []


def test_a_stuck_holder_sends_events_to_the_spool_and_the_next_writer_folds_them_in(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        before = (where / ACTIVE).read_bytes()
        first = record(where, add_event(2), lock_wait_ms=30)
        second = record(where, add_event(3), lock_wait_ms=0)
        ended = record(where, del_event(1), lock_wait_ms=0)
        gone = record(where, del_event(2), lock_wait_ms=0)  # a del of what is in the spool itself
        unknown = record(where, del_event(77), lock_wait_ms=0)
        assert (where / ACTIVE).read_bytes() == before
        with pytest.raises(LockTimeout):
            batch.record_gc(settings(where, lock_wait_ms=0), "ecs-trunk", set(), {"boot_id": BOOT})
    for event in (first, second, ended, gone, unknown):
        assert event["spooled"] is True
        assert "seq" not in event
    assert len(spooled(where)) == 5
    assert any("5 events wait in the spool" in note for note in fsck(str(where)).notes)
    names = [path.name for path in spooled(where)]
    last = record(where, add_event(4))
    events = prove(where)[2:]
    assert [event["event"] for event in events] == ["add", "add", "del", "del", "add"]
    assert [event["association_id"] for event in events][:2] == [first["association_id"], second["association_id"]]
    assert events[3]["association_id"] == first["association_id"]
    assert events[3]["vlan_id"] == first["vlan_id"]
    assert [event["spool"] for event in events[:4]] == names[:4]
    assert [event["ts"] for event in events[:2]] == [first["ts"], second["ts"]]
    assert all("spooled_ts" not in event for event in events)
    assert spooled(where) == []
    assert sorted(live_ids(where)) == sorted([second["association_id"], last["association_id"]])


def test_an_event_whose_time_has_passed_keeps_it_as_spooled_ts(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        waiting = record(where, add_event(2), lock_wait_ms=0)
    later = format_ts(parse_ts(waiting["ts"]) + 60_000_000)
    append_line(where, ts=later)
    record(where, add_event(3))
    event = prove(where)[3]
    assert (event["ts"], event["spooled_ts"]) == (later, waiting["ts"])
    (found,) = (a for a in History(str(where)).live() if a["association_id"] == waiting["association_id"])
    assert found["since"] == waiting["ts"]


def test_folded_exactly_once_when_the_writer_died_before_it_could_unlink(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        record(where, add_event(2), lock_wait_ms=0)
    (file,) = spooled(where)
    kept = file.read_bytes()
    record(where, add_event(3))
    for rotate_bytes in (1 << 20, 1):  # found in the active segment, and in the one that was just sealed
        (where / "spool" / file.name).write_bytes(kept)
        record(where, add_event(10 + rotate_bytes % 7), rotate_bytes=rotate_bytes)
        assert spooled(where) == []
        assert sum(event.get("container_id") == add_event(2)["container_id"] for event in prove(where)) == 1


def test_what_was_folded_in_is_unlinked_before_anything_else_is_written(where: Path) -> None:
    # Else, with that writer killed too, it would still be there when the segment with its event is not looked at.
    record(where, add_event(1))
    with stuck_holder(where):
        record(where, add_event(2), lock_wait_ms=0)
    (file,) = spooled(where)
    kept = file.read_bytes()
    record(where, add_event(3))
    file.write_bytes(kept)
    dir_fd = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    try:
        writer.WriteSession(settings(where), dir_fd, add_event(4)).close()  # all that a writer does before its append
    finally:
        os.close(dir_fd)
    assert spooled(where) == []
    assert kinds(where) == ["checkpoint", "add", "add", "add"]


def test_a_spool_file_is_found_across_the_pieces_in_which_a_segment_is_read(where: Path) -> None:
    for pad in range(0, 120, 17):
        state_dir = where.with_name(f"s{pad}")
        record(state_dir, add_event(1, pad="x" * ((1 << 20) - 1400 + pad * 8)))
        with stuck_holder(state_dir):
            record(state_dir, add_event(2), lock_wait_ms=0)
        (file,) = spooled(state_dir)
        kept = file.read_bytes()
        record(state_dir, add_event(3))
        file.write_bytes(kept)
        record(state_dir, add_event(4))
        assert kinds(state_dir) == ["checkpoint", "add", "add", "add", "add"]


def test_a_spool_file_that_cannot_be_removed_does_not_unmake_the_record(where: Path) -> None:
    need(os.geteuid() == 0, "root, to make a directory immutable")
    record(where, add_event(1))
    with stuck_holder(where):
        record(where, add_event(2), lock_wait_ms=0)
    flag = subprocess.run(["chattr", "+i", where / "spool"], capture_output=True, check=False)
    need(flag.returncode == 0, "a file system with chattr +i")
    try:
        for n in (3, 4):
            assert "seq" in record(where, add_event(n))
    finally:
        subprocess.run(["chattr", "-i", where / "spool"], check=True)
    assert kinds(where) == ["checkpoint", "add", "add", "add", "add"]


@pytest.mark.parametrize("what", ["cut", "empty", "flipped", "garbage", "directory", "fifo", "symlink", "no event"])
def test_a_spool_file_that_is_not_what_was_written_is_set_aside(where: Path, what: str) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        record(where, add_event(2), lock_wait_ms=0)
        record(where, add_event(3), lock_wait_ms=0)
    bad, _ = spooled(where)
    data = bytearray(bad.read_bytes())
    if what == "cut":
        bad.write_bytes(data[:-20])
    elif what == "flipped":
        data[60] ^= 1
        bad.write_bytes(data)
    elif what in ("empty", "garbage"):
        bad.write_bytes(b"\xff" * 300 * (what == "garbage"))
    elif what == "no event":
        bad.write_bytes(b"[]\n")
    else:
        bad.unlink()
        if what == "directory":
            bad.mkdir()
        elif what == "fifo":
            os.mkfifo(bad)
        else:
            bad.symlink_to("/etc/passwd")
    record(where, add_event(4))
    assert [event.get("container_id", "")[-1:] for event in prove(where)] == ["", "1", "3", "4"]
    assert spooled(where) == []
    assert [path.name for path in (where / "quarantine").iterdir()] == [f"spool-{bad.name}"]


def test_unfinished_spool_files_are_not_looked_at(where: Path) -> None:
    record(where, add_event(1))
    (where / "spool").mkdir(0o750)
    (where / "spool/.0000000000000001-1-00000000.json.tmp").write_bytes(b"half")
    (where / "spool/README").write_bytes(b"not ours")
    record(where, add_event(2))
    assert len(spooled(where)) == 2
    assert not (where / "quarantine").exists()


def test_an_event_from_before_a_reboot_that_the_ledger_has_seen(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        late = record(where, add_event(2), lock_wait_ms=0)
    (file,) = spooled(where)
    kept = file.read_bytes()
    file.unlink()
    record(where, add_event(3, boot_id=OTHER_BOOT))
    file.write_bytes(kept)
    last = record(where, add_event(4, boot_id=OTHER_BOOT))
    events = prove(where)
    assert [event["event"] for event in events] == ["checkpoint", "add", "boot", "add", "add", "lost", "add"]
    assert events[4]["event_boot_id"] == BOOT
    assert (events[5]["association_id"], events[5]["reason"]) == (late["association_id"], "rebooted")
    assert kinds(where).count("boot") == 1
    assert last["association_id"] in live_ids(where)
    assert late["association_id"] not in live_ids(where)
    (span,) = History(str(where)).who(late["container_id"])
    assert span["ended_by"] == "rebooted"


def test_a_reboot_while_an_event_waits(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        record(where, add_event(2), lock_wait_ms=0)
        record(where, add_event(3, boot_id=OTHER_BOOT), lock_wait_ms=0)
    last = record(where, add_event(4, boot_id=OTHER_BOOT))
    assert kinds(where) == ["checkpoint", "add", "add", "boot", "add", "add"]
    assert live_ids(where)[-1] == last["association_id"]
    assert len(live_ids(where)) == 2


# -- gc


def test_gc_ends_what_is_not_valid_in_its_network(where: Path) -> None:
    for n in range(4):
        record(where, add_event(n))
    other = record(where, add_event(5, network="other"))
    kept = (add_event(1)["container_id"], "eth0")
    about = {"boot_id": BOOT, "via": "chained", "cni_version": "1.1.0"}
    ended = batch.record_gc(settings(where), "ecs-trunk", {kept, ("unknown", "eth0")}, about)
    assert [event["container_id"] for event in ended] == [add_event(n)["container_id"] for n in (0, 2, 3)]
    events = prove(where)[-3:]
    for event, written in zip(events, ended, strict=True):
        assert {**written, "crc": event["crc"]} == event
        assert (event["event"], event["reason"], event["via"]) == ("lost", "gc", "chained")
        assert event["eni_id"]
        assert event["vlan_id"]
    left = {a["container_id"] for a in History(str(where)).live()}
    assert left == {kept[0], other["container_id"]}
    before = contents(where)
    assert batch.record_gc(settings(where), "ecs-trunk", {kept}, about) == []
    assert batch.record_gc(settings(where), "no such", set(), about) == []
    assert contents(where) == before
    assert len(batch.record_gc(settings(where), "ecs-trunk", set(), about)) == 1


def test_gc_takes_the_ifname_into_account(where: Path) -> None:
    record(where, add_event(1))
    record(where, add_event(1, ifname="eth1", vlan_id=77))
    valid = {(add_event(1)["container_id"], "eth1")}
    (ended,) = batch.record_gc(settings(where), "ecs-trunk", valid, {"boot_id": BOOT})
    assert ended["ifname"] == "eth0"


def test_gc_of_what_waits_in_the_spool(where: Path) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        waiting = record(where, add_event(2), lock_wait_ms=0)
    ended = batch.record_gc(settings(where), "ecs-trunk", set(), {"boot_id": BOOT})
    assert [event["association_id"] for event in ended][1:] == [waiting["association_id"]]
    assert live_ids(where) == []


# -- no room, no luck


@pytest.fixture
def limit() -> Iterator[Any]:
    """Limit the size of files that this process writes: the kernel then cuts a write short and refuses the rest."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def put(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))

    yield put
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("room", [0, 1, 100, 500])
def test_a_write_cut_short_leaves_the_file_as_it_was(where: Path, limit: Any, room: int) -> None:
    for n in range(3):
        record(where, add_event(n))
    before = contents(where)
    limit((where / ACTIVE).stat().st_size + room)
    with pytest.raises(WriteFailed, match="File too large"):
        record(where, add_event(3))
    limit(resource.RLIM_INFINITY)
    assert contents(where) == before
    record(where, add_event(4))
    assert kinds(where) == ["checkpoint", *["add"] * 4]


def test_no_room_even_for_a_ledger(where: Path, limit: Any) -> None:
    limit(10)
    with pytest.raises(WriteFailed):
        record(where, add_event(1))
    limit(resource.RLIM_INFINITY)
    assert not (where / ACTIVE).exists()
    assert {path.name for path in where.iterdir()} == {"lock"}
    record(where, add_event(1))


def test_no_room_for_state_json_is_no_failure(where: Path) -> None:
    first = record(where, add_event(1))
    before = (where / "state.json").read_bytes()
    (where / ".state.json.tmp").mkdir()  # where the next one would be written
    second = record(where, add_event(2))
    record(where, del_event(1))
    assert (where / "state.json").read_bytes() == before
    assert live_ids(where) == [second["association_id"]]
    assert prove(where)[-1]["association_id"] == first["association_id"]
    assert fsck(str(where)).sound


ENOSPC = """
import os
from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.ledger.write import probe, writer
settings = Settings(sys.argv[1])
base = {"boot_id": "b", "ifname": "eth0"}
for n in range(5):
    writer.record(settings, {"event": "add", "container_id": "c%d" % n, **base})
fill = os.open(sys.argv[1] + "/../fill", os.O_WRONLY | os.O_CREAT)
try:
    while os.write(fill, bytes(4096)):
        pass
except OSError:
    pass
failed = 0
while failed < 3:
    before = open(sys.argv[1] + "/ledger.jsonl", "rb").read()
    try:
        writer.record(settings, {"event": "add", "container_id": "x" * 3000, **base})
    except EniLedgerError as exc:
        failed += 1
        assert exc.code == 102 and "No space left" in str(exc), exc
        assert open(sys.argv[1] + "/ledger.jsonl", "rb").read() == before
try:
    probe.probe(settings)
    print("probe passed")
except EniLedgerError as exc:
    assert exc.code == 102 and "No space left" in str(exc), exc
probe.note_failure(settings, {"event": "add"}, ValueError("x"))
os.ftruncate(fill, 0)
written = writer.record(settings, {"event": "add", "container_id": "last", **base})
probe.probe(settings)
print("ok", written["seq"] > 6)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    need(os.geteuid() == 0, "root, to mount a small tmpfs")
    mount = tmp_path / "mnt"
    mount.mkdir()
    script = tmp_path / "script"
    script.write_text(f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n" + ENOSPC)
    command = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -I -S "$3" "$1/state"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", mount, sys.executable, script],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    need("unshare" not in done.stderr, "a mount namespace of one's own")
    assert (done.stdout, done.returncode) == ("ok True\n", 0), done.stderr


# -- the state directory


def test_missing_parents_are_made(tmp_path: Path) -> None:
    where = tmp_path / "a/b/c"
    record(where, add_event(1))
    assert where.stat().st_mode & 0o777 == 0o750
    assert where.parent.stat().st_mode & 0o777 == 0o755


def writing(where: Path) -> list[Any]:
    """Return all that writes to a state directory, or asks whether it can, as calls."""
    made = settings(where, lock_wait_ms=0)
    return [
        lambda: writer.record(made, add_event(9)),
        lambda: writer.record(made, del_event(9)),
        lambda: batch.record_gc(made, "ecs-trunk", set(), {"boot_id": BOOT}),
        lambda: probe.probe(made),
    ]


def everything(where: Path) -> list[Any]:
    """Return all that can be done with a state directory, as calls."""
    history = History(str(where))
    return [
        *writing(where),
        history.live,
        lambda: list(history.events()),
        lambda: history.at("2026-11-23T14:00:00.000000Z"),
        lambda: history.who("101"),
        lambda: list(history.events_of({"association_id": "assoc-0", "since": "", "add_seq": 0})),
        lambda: fsck(str(where)),
    ]


@pytest.mark.parametrize("wrong", ["symlink", "dangling", "file", "fifo", "group", "world", "below a file"])
def test_a_state_directory_that_is_not_safe_is_refused(tmp_path: Path, wrong: str) -> None:
    where = tmp_path / "state"
    real = tmp_path / "real"
    record(real, add_event(1))
    if wrong == "symlink":
        where.symlink_to(real)
    elif wrong == "dangling":
        where.symlink_to(tmp_path / "nowhere")
    elif wrong == "file":
        where.touch()
    elif wrong == "fifo":
        os.mkfifo(where)
    elif wrong == "below a file":
        (tmp_path / "f").touch()
        where = tmp_path / "f/state"
    else:
        where = real
        where.chmod(0o770 if wrong == "group" else 0o757)
    before = contents(real)
    readable = wrong in ("symlink", "group", "world")  # a copy may lie there like this
    for call in writing(where) if readable else everything(where):
        with pytest.raises(StateDirError) as caught:
            call()
        assert str(where) in str(caught.value)
    if readable:
        assert History(str(where)).live() == History(str(real)).live() != []
        assert fsck(str(where)).sound
    probe.note_failure(settings(where), add_event(1), ValueError("x"))
    assert contents(real) == before
    assert not (tmp_path / "nowhere").exists()
    if wrong == "symlink":
        with pytest.raises(StateDirError):
            record(Path(f"{where}/"), add_event(1))


def test_somebody_elses_state_directory_is_refused(where: Path) -> None:
    need(os.geteuid() == 0, "root, to give a directory away")
    record(where, add_event(1))
    before = contents(where)
    os.chown(where, 12345, 12345)
    for call in writing(where):
        with pytest.raises(StateDirError, match="12345"):
            call()
    assert contents(where) == before
    assert len(History(str(where)).live()) == 1


@pytest.mark.parametrize("name", [ACTIVE, "lock"])
@pytest.mark.parametrize("wrong", ["symlink", "dangling", "fifo", "directory"])
def test_what_is_no_file_in_place_of_one(where: Path, tmp_path: Path, name: str, wrong: str) -> None:
    record(where, add_event(1))
    elsewhere = tmp_path / "elsewhere"
    (where / name).rename(elsewhere)
    before = elsewhere.read_bytes()
    if wrong == "symlink":
        (where / name).symlink_to(elsewhere)
    elif wrong == "dangling":
        (where / name).symlink_to(tmp_path / "nowhere")
    elif wrong == "fifo":
        os.mkfifo(where / name)
    else:
        (where / name).mkdir()
    with pytest.raises((StateDirError, WriteFailed)):
        record(where, add_event(2))
    with pytest.raises((StateDirError, WriteFailed)):
        probe.probe(settings(where))
    with pytest.raises((StateDirError, WriteFailed)):
        batch.record_gc(settings(where), "ecs-trunk", set(), {})
    assert elsewhere.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()
    probe.note_failure(settings(where), add_event(2), ValueError("x"))
    assert (where / "failures.jsonl").exists()


def test_a_link_in_place_of_the_quarantine_keeps_a_torn_tail_from_being_cut(where: Path, tmp_path: Path) -> None:
    record(where, add_event(1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (where / "quarantine").symlink_to(elsewhere)
    with (where / ACTIVE).open("ab") as file:
        file.write(b"torn")
    before = (where / ACTIVE).read_bytes()
    with pytest.raises(WriteFailed):
        record(where, add_event(2))
    assert (where / ACTIVE).read_bytes() == before
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_the_spool_holds_nothing_of_ours_and_takes_nothing(where: Path, tmp_path: Path) -> None:
    record(where, add_event(1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (where / "spool").symlink_to(elsewhere)
    record(where, add_event(2))
    assert kinds(where) == ["checkpoint", "add", "add"]
    with stuck_holder(where), pytest.raises(WriteFailed, match="spool"):
        record(where, add_event(3), lock_wait_ms=0)
    assert list(elsewhere.iterdir()) == []


# -- probe and note_failure


def test_probe_leaves_nothing_of_an_event_behind(where: Path) -> None:
    probe.probe(settings(where))
    assert {path.name for path in where.iterdir()} == {"lock", "spool"}
    record(where, add_event(1))
    before = contents(where)
    probe.probe(settings(where))
    assert contents(where) == before
    with stuck_holder(where):
        probe.probe(settings(where, lock_wait_ms=0))  # an ADD would be recorded, in the spool


def test_failures_are_counted(where: Path) -> None:
    record(where, add_event(1))
    probe.note_failure(settings(where), add_event(2), WriteFailed("m", "d"))
    probe.note_failure(settings(where), {"event": "del"}, ValueError("bad \ud800"))
    lines = [json.loads(line) for line in (where / "failures.jsonl").read_text().splitlines()]
    assert [(line["event"], line["code"], line["msg"]) for line in lines] == [
        ("add", 102, "m: d"),
        ("del", 999, "bad ?"),
    ]
    assert lines[0]["container_id"] == add_event(2)["container_id"]
    assert len(lines[0]["ts"]) == 27
    assert any("failures.jsonl" in note for note in fsck(str(where)).notes)


def test_failures_stop_at_a_mebibyte(where: Path) -> None:
    record(where, add_event(1))
    (where / "failures.jsonl").write_bytes(b"x" * (1 << 20))
    probe.note_failure(settings(where), add_event(2), ValueError("x"))
    assert (where / "failures.jsonl").stat().st_size == 1 << 20


@pytest.mark.parametrize("wrong", ["missing", "fifo", "symlink"])
def test_a_failure_that_cannot_be_noted_is_no_failure(where: Path, tmp_path: Path, wrong: str) -> None:
    if wrong != "missing":
        where.mkdir(0o750)
    if wrong == "fifo":
        os.mkfifo(where / "failures.jsonl")
    if wrong == "symlink":
        (where / "failures.jsonl").symlink_to(tmp_path / "nowhere")
    probe.note_failure(settings(where), add_event(2), ValueError("x"))
    assert not (tmp_path / "nowhere").exists()
    assert where.exists() == (wrong != "missing")


# --- taken away meanwhile ---


@pytest.mark.parametrize("how", ["moved", "deleted", "emptied"])
def test_a_ledger_taken_away_while_it_is_written_to(where: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The event goes into the one that is there then; what is missing of the one before is said."""
    record(where, add_event(1))
    commit, taken = writer.WriteSession.commit, where.with_name("taken")

    def commit_and_take(session: writer.WriteSession) -> None:
        commit(session)
        if not taken.exists():
            shutil.copytree(where, taken)
            if how == "emptied":
                for path in where.iterdir():
                    path.unlink()
            else:
                where.rename(where.with_name("moved"))
            if how == "deleted":
                shutil.rmtree(where.with_name("moved"))

    monkeypatch.setattr(writer.WriteSession, "commit", commit_and_take)
    written = record(where, add_event(2))
    monkeypatch.undo()
    (found,) = [event for event in prove(where) if event["event"] == "add"]
    assert (found["association_id"], found["seq"]) == (written["association_id"], written["seq"])
    assert [event["association_id"] for event in prove(taken) if event["event"] == "add"][1:] == [
        found["association_id"]
    ]


def test_a_ledger_that_is_taken_away_again_and_again(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = writer.WriteSession.commit

    def commit_and_take(session: writer.WriteSession) -> None:
        commit(session)
        shutil.rmtree(where)

    monkeypatch.setattr(writer.WriteSession, "commit", commit_and_take)
    with pytest.raises(WriteFailed, match="was removed or moved while it was written"):
        record(where, add_event(1))
    with pytest.raises(WriteFailed, match="was removed or moved while it was written"):
        batch.record_found(settings(where), {"boot_id": BOOT}, lambda _: [{"event": "add_failed"}])


def test_a_spool_taken_away_is_no_record(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(where, add_event(1))
    written = directory.write_file

    def write_and_take(*args: Any, **how: Any) -> None:
        written(*args, **how)
        shutil.rmtree(where / "spool")

    monkeypatch.setattr("eni_ledger.ledger.write.spool.write_file", write_and_take)
    with stuck_holder(where), pytest.raises(WriteFailed, match="neither ledger nor spool"):
        record(where, add_event(2), lock_wait_ms=0)


@pytest.mark.parametrize("what", ["damaged", "cut"])
def test_killed_while_it_sealed_damage(where: Path, what: str) -> None:
    """Between the two renames: the next writer says what that one could not any more, and keeps what is live."""
    for n in (1, 2, 3):
        record(where, add_event(n))
    path = where / ACTIVE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2] if what == "cut" else [*lines[:-1], lines[-1].replace(b'"v":1', b'"v":0')]))
    path.rename(where / "ledger-0000000000000001-0000000000000004.jsonl")
    record(where, add_event(4))
    checkpoint = json.loads(path.read_bytes().splitlines()[0])
    assert checkpoint["damage"].startswith("ledger-0000000000000001-0000000000000004.jsonl ")
    assert checkpoint["seq"] == 5
    assert len(checkpoint["live"]) == 3
    assert len(fsck(str(where)).damage) == 1
