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

from eni_ledger.ledger import codec, state, writer
from eni_ledger.ledger.history import History
from helpers import ledgers
from helpers.ledgers import BOOT, OTHER_BOOT, add_event, del_event, prove, record, settings, stuck_holder

NOON = 1_790_000_000_000_000
HOUR = 3_600_000_000


class Clock:
    """A clock that goes on by a millisecond whenever somebody looks at it."""

    def __init__(self) -> None:
        self.us = NOON

    def time_ns(self) -> int:
        self.us += 1000
        return self.us * 1000

    gmtime = staticmethod(time.gmtime)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(codec, "time", made)
    return made


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def spool(where: Path, *events: dict[str, Any]) -> list[dict[str, Any]]:
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
    lines = [state.encode_association(each) for each in found]
    after, ended = state.splice(lines, {"event": "boot", "boot_id": OTHER_BOOT, "ts": "", "seq": 9}, BOOT)
    assert (after, ended) == ([], ids)


def test_a_spool_name_that_is_none_of_ours_does_not_stop_the_next_one(where: Path, clock: Clock) -> None:
    record(where, add_event(1))
    (where / "spool").mkdir(mode=0o750)
    (where / "spool" / "x.json").write_bytes(b"{}\n")
    (waiting,) = spool(where, add_event(2))
    assert waiting["spooled"]
    with mock.patch.object(codec, "time", clock):
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
    unlink, write = os.unlink, state.write
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
            broken.setattr(state, "write", dies)
            with pytest.raises(KeyboardInterrupt):
                record(where, add_event(2))
        else:
            broken.setattr(os, "unlink", once)
            record(where, add_event(2))
            assert refused
    assert state.write is write
    record(where, add_event(3))
    assert [event["event"] for event in prove(where)] == ["checkpoint", "add", "add", "add"]
    assert len(History(str(where)).live()) == 3
    assert list((where / "spool").iterdir()) == []
