"""The clock is set back, or far ahead: what happened keeps its order, and is not put among what happened before."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from eni_ledger.ledger.format import line, live, state_file
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import spool as spool_files
from eni_ledger.ledger.write import writer
from helpers import ledgers
from helpers.ledgers import BOOT, OTHER_BOOT, add_event, del_event, prove, record, settings, stuck_holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event, Fields

NOON = 1_790_000_000_000_000
HOUR = 3_600_000_000


class Clock:
    """A clock that goes on by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.us = NOON

    def time_ns(self) -> int:
        self.us += 1000
        return self.us * 1000

    gmtime = staticmethod(time.gmtime)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(line, "time", made)
    return made


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def spool(where: Path, *events: Fields) -> list[Event]:
    with stuck_holder(where):
        return [record(where, event, lock_wait_ms=0) for event in events]


def test_a_del_in_the_spool_stays_behind_its_add_when_the_clock_is_set_back_between_them(
    where: Path, clock: Clock
) -> None:
    record(where, add_event(1))
    with stuck_holder(where):
        added = record(where, add_event(2), lock_wait_ms=0)
        clock.us -= HOUR
        record(where, del_event(2), lock_wait_ms=0)
        record(where, add_event(3, vlan_id=3), lock_wait_ms=0)
    record(where, add_event(4))
    events = prove(where)
    assert [event["event"] for event in events] == ["checkpoint", "add", "add", "del", "add", "add"]
    assert events[3]["association_id"] == added["association_id"]
    assert len(History(str(where)).live()) == 3


def test_what_waits_in_the_spool_while_the_clock_is_behind_happened_after_what_was_there(
    where: Path, clock: Clock
) -> None:
    first = record(where, add_event(1))
    clock.us -= HOUR
    (waiting,) = spool(where, del_event(1))
    assert waiting["ts"] == first["ts"]
    assert HOUR - 100_000 < waiting["clock_step_us"] <= HOUR
    record(where, add_event(2))
    written = prove(where)[2]
    assert (written["event"], written["clock_step_us"]) == ("del", waiting["clock_step_us"])
    (ended,) = History(str(where)).who(add_event(1)["container_id"])
    assert ended["since"] <= ended["until"]


def test_a_del_that_waited_does_not_end_what_began_after_it(where: Path, clock: Clock) -> None:
    """The same attachment again: cannot happen but by hand, and then the DEL was another one's."""
    record(where, add_event(1))
    spool(where, del_event(2))
    name = next((where / "spool").iterdir())
    late = name.read_bytes()
    writer.record(settings(where), del_event(9))  # folds it in: there is nothing to end
    added = record(where, add_event(2))
    name.write_bytes(late)
    record(where, add_event(3))
    assert added["association_id"] in {one["association_id"] for one in History(str(where)).live()}


ABSURD = f"{9_999_999_999_999_999}-1-00000000.json"


@pytest.mark.parametrize("content", [b"", b"{}\n", b"a sound one, renamed"])
def test_the_time_in_a_name_is_not_believed_for_itself(where: Path, clock: Clock, content: bytes) -> None:
    record(where, add_event(1))
    (first,) = spool(where, add_event(2))
    (file,) = (where / "spool").iterdir()
    (where / "spool" / ABSURD).write_bytes(file.read_bytes() if b"sound" in content else content)
    waiting, gone = spool(where, add_event(3), del_event(2))
    assert first["ts"] < waiting["ts"] < gone["ts"] < line.format_ts(clock.us)
    assert "clock_step_us" not in waiting
    last = record(where, add_event(4))
    assert last["ts"] <= line.format_ts(clock.us)
    kinds = [event["event"] for event in prove(where) if event.get("spool") != ABSURD]
    assert kinds == ["checkpoint", "add", "add", "add", "del", "add"]


def ahead(where: Path, us: int, *events: dict[str, Any]) -> list[str]:
    """Put events into the spool as a writer does whose clock is ahead; return their times."""
    dir_fd = os.open(where, os.O_RDONLY)
    with mock.patch.object(spool_files, "now_us", return_value=NOON + us):
        made = [spool_files.put(dir_fd, event, NOON + us + n, sync=False) for n, event in enumerate(events)]
    os.close(dir_fd)
    return [event["ts"] for event in made]


@pytest.mark.parametrize("minutes", [9, 11, 260 * 365 * 24 * 60])
def test_a_time_far_ahead_of_the_clock_does_not_get_from_the_spool_into_the_chain(
    where: Path, clock: Clock, minutes: int
) -> None:
    record(where, add_event(1))
    new = {**add_event(2), "association_id": "assoc-00000000000000002"}
    times = ahead(where, minutes * 60_000_000, new, del_event(1))
    names = sorted(path.name for path in (where / "spool").iterdir())
    files = {path.name: path.read_bytes() for path in (where / "spool").iterdir()}
    (waiting,) = spool(where, del_event(2))  # by a clock that is right: behind the two in any case
    assert waiting["ts"] <= max(line.format_ts(clock.us), line.format_ts(NOON + 10 * 60_000_000))
    record(where, add_event(4))
    events = prove(where)
    assert [event["event"] for event in events] == ["checkpoint", "add", "add", "del", "del", "add"]
    assert [event["spool"] for event in events[2:4]] == names
    if minutes < 10:
        assert [event["ts"] for event in events[2:4]] == times
        assert not (where / "quarantine").exists()
        return
    assert all(event["ts"] <= line.format_ts(clock.us) for event in events)
    assert not any("spooled_ts" in event for event in events)
    kept = {path.name.removeprefix("spool-"): path.read_bytes() for path in (where / "quarantine").iterdir()}
    assert kept == files
    (one,) = History(str(where)).live()
    assert one["container_id"] == add_event(4)["container_id"]


@pytest.mark.parametrize("older", [False, True])
def test_what_is_put_behind_a_time_far_ahead_keeps_its_order(
    where: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    record(where, add_event(1))
    ahead(where, HOUR, {**add_event(2), "association_id": "assoc-00000000000000002"})
    if older:  # version 0.1.0 does not write the name into the file
        (file,) = (where / "spool").iterdir()
        event = {key: value for key, value in json.loads(file.read_bytes()).items() if key not in ("spool", "crc")}
        file.write_bytes(line.encode(event, 0)[0])
    for n in range(3, 9):  # names that are told apart by chance would be in this order once in a thousand times
        spool(where, add_event(n), del_event(n))
    record(where, add_event(20))
    kinds = [event["event"] for event in prove(where)]
    assert kinds == ["checkpoint", "add", "add", *["add", "del"] * 6, "add"]


def test_a_ledger_that_is_ahead_of_the_clock_takes_from_the_spool_what_happened_then(where: Path, clock: Clock) -> None:
    clock.us += 24 * HOUR  # wrong at boot, as a host without a battery is
    record(where, add_event(1))
    (waiting,) = spool(where, add_event(2))
    later = record(where, add_event(3))
    clock.us -= 24 * HOUR
    record(where, del_event(2))
    ended = prove(where)[-1]
    assert ended["event"] == "del"
    assert waiting["ts"] <= later["ts"] <= ended["ts"]


def test_a_checkpoint_says_too_that_the_clock_is_behind(where: Path, clock: Clock) -> None:
    record(where, add_event(1))
    clock.us -= HOUR
    record(where, add_event(2), rotate_bytes=1)
    head = prove(where)[2]
    assert head["event"] == "checkpoint"
    assert HOUR - 100_000 < head["clock_step_us"] <= HOUR
    clock.us += 2 * HOUR
    record(where, add_event(3), rotate_bytes=1)
    assert "clock_step_us" not in prove(where)[4]


def test_state_json_keeps_the_order_of_the_adds(where: Path) -> None:
    ids = [record(where, add_event(n))["association_id"] for n in (1, 2, 3)]
    identify = {"event": "identify", "association_id": ids[0], "boot_id": BOOT, "service": "web"}
    writer.record(settings(where), identify)
    found = ledgers.state_file(where)["associations"]
    assert [each["association_id"] for each in found] == ids
    assert found[0]["service"] == "web"
    lines = [state_file.encode_association(each) for each in found]
    assert live.apply_to_lines(lines, {"event": "boot", "boot_id": OTHER_BOOT, "ts": "", "seq": 9}, BOOT) == []


def test_a_spool_name_that_is_none_of_ours_does_not_stop_the_next_one(where: Path, clock: Clock) -> None:
    record(where, add_event(1))
    (where / "spool").mkdir(mode=0o750)
    (where / "spool" / "x.json").write_bytes(b"{}\n")
    (waiting,) = spool(where, add_event(2))
    assert waiting["spooled"]
    with mock.patch.object(line, "time", clock):
        record(where, add_event(3))
    assert [event["event"] for event in prove(where)] == ["checkpoint", "add", "add", "add"]
    assert json.loads((where / "quarantine" / "spool-x.json").read_bytes()) == {}


@pytest.mark.parametrize("killed", [False, True])
def test_a_del_that_ended_nothing_does_not_end_what_came_after_it(
    where: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Not even if the writer that folds it in is killed before it removes it, or cannot at first."""
    record(where, add_event(1))
    clock.us -= HOUR
    spool(where, del_event(2))
    unlink, write = os.unlink, state_file.write
    refused: list[object] = []

    def once(*args: Any, **more: Any) -> None:
        if not refused:
            refused.append(args)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(*args, **more)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if killed:
            broken.setattr(state_file, "write", dies)
            with pytest.raises(KeyboardInterrupt):
                record(where, add_event(2))
        else:
            broken.setattr(os, "unlink", once)
            record(where, add_event(2))
            assert refused
    assert state_file.write is write
    record(where, add_event(3))
    assert [event["event"] for event in prove(where)] == ["checkpoint", "add", "add", "add"]
    assert len(History(str(where)).live()) == 3
    assert list((where / "spool").iterdir()) == []
