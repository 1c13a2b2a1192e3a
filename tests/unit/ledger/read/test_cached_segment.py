"""A segment that is kept while a question is answered: the same answers, and every line of it proven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.line import stated_crc
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import cached_segment
from eni_ledger.ledger.read.terms import Query
from helpers.ledgers import ACTIVE, add_event, del_event, raw_events, record

MINE = "10.0.0.3"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    place = tmp_path / "s"
    for n in range(6):
        record(place, add_event(n))
    record(place, del_event(3))
    return place


def test_it_is_read_once_for_a_whole_second(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    walks: list[str] = []
    real, real_walk = cached_segment.Whole.__init__, segment.walk

    def once(self: cached_segment.Whole, data: bytes) -> None:
        reads.append(len(data))
        real(self, data)

    def walk(fd: int, name: str, *rest: Any, **more: Any) -> Any:
        walks.append(name)
        return real_walk(fd, name, *rest, **more)

    monkeypatch.setattr(cached_segment.Whole, "__init__", once)
    since = next(event["ts"] for event in raw_events(where) if event.get("addresses") == [f"{MINE}/20"])
    with History(str(where)) as history:
        history.at(since, Query(MINE))
        monkeypatch.setattr(segment, "walk", walk)
        found = history.find([Query(MINE)], first=f"{since[:20]}000000Z", last=f"{since[:20]}999999Z")
    assert [one["since"] for one in found] == [since]
    assert reads == [(where / ACTIVE).stat().st_size]
    assert walks.count(ACTIVE) <= 1  # for its first line


def test_events_between_two_moments(where: Path) -> None:
    events = raw_events(where)
    kept = cached_segment.Whole((where / ACTIVE).read_bytes())
    assert (kept.first, kept.last) == (1, len(events))
    for since in (1, 3, 5):
        lines = kept.between(events[since]["ts"], events[5]["ts"])
        assert len(lines) == 6 - since
    assert len(kept.between(events[2]["ts"], None)) == len(events) - 2
    assert kept.between("9", None) == []


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_damage_is_told_as_by_who_goes_through_it(where: Path, at: float) -> None:
    path = where / ACTIVE
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerDamaged) as looked_up:
        History(str(where)).who(MINE)
    with pytest.raises(LedgerDamaged) as gone_through:
        History(str(where)).who("0a:1b:2c:3d:00:03")  # of a MAC no text can be looked for
    assert str(looked_up.value) == str(gone_through.value)
    with pytest.raises(ValueError, match="not what was written"):
        cached_segment.Whole(bytes(data))


@pytest.mark.parametrize("size", [0, 1])
def test_without_a_checkpoint_it_is_not_kept(where: Path, size: int) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        cached_segment.Whole((where / ACTIVE).read_bytes()[:size])


def test_lines_in_another_order_are_gone_through(where: Path) -> None:
    """Of a version, or by a hand, that writes the same keys in another order."""
    path = where / ACTIVE
    *lines, last = path.read_bytes().splitlines(keepends=True)
    event = {**json.loads(last)}
    body = json.dumps({"seq": event.pop("seq"), **event}, separators=(",", ":")).encode()
    body = body[: body.rindex(b',"crc":')]
    path.write_bytes(b"".join(lines) + b'%b,"crc":"%08x"}\n' % (body, crc32(body, stated_crc(lines[-1]))))
    with pytest.raises(ValueError, match="as a writer writes it"):
        cached_segment.Whole(path.read_bytes())
    assert [one.get("ended_by") for one in History(str(where)).who(MINE)] == ["del"]


def test_one_that_is_too_large_is_not_kept(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = History(str(where)).who(MINE)
    monkeypatch.setattr(cached_segment, "MOST", 10)
    monkeypatch.setattr(cached_segment, "Whole", None)
    assert History(str(where)).who(MINE) == answer
