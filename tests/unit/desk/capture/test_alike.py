from __future__ import annotations

import pytest

from eni_ledger.desk.capture import alike
from eni_ledger.desk.capture.alike import Alike
from eni_ledger.desk.capture.attribution import Attribution
from eni_ledger.desk.capture.packet import Packet, Tag
from eni_ledger.desk.capture.timeline import Timeline
from helpers.packets import ROUTER, mac
from unit.desk.capture.conftest import ALL, FakeSource, association, at

FIVE, ELEVEN, THIRTEEN = (at(f"2026-11-27T03:{minute}:00Z") for minute in ("05", "11", "13"))


def out(peer: str, own: str = "10.0.32.1") -> Packet:
    return Packet((Tag("802.1Q", 101),), mac(1), ROUTER, own, peer)


def counting(timeline: Timeline) -> tuple[Alike[Attribution], list[Attribution]]:
    """Return a cache that tells the attribution, and those that it had to look for."""
    searched: list[Attribution] = []

    def told(attribution: Attribution, _: int) -> Attribution:
        searched.append(attribution)
        return attribution

    return Alike(timeline, told), searched


def test_peers_that_the_ledger_does_not_know_are_one_to_it(timeline: Timeline) -> None:
    one, searched = counting(timeline)
    found = [one.find(out(f"52.1.2.{number}"), FIVE).told for number in range(100)]
    assert found == searched * 100
    assert len(searched) == 1
    known = one.find(out("10.0.32.3"), FIVE).told
    assert known.target is not None
    assert known.target.association["task_family"] == "db"
    assert len(searched) == 2


def test_an_answer_holds_until_the_next_change_only(timeline: Timeline) -> None:
    one, searched = counting(timeline)
    for when in (FIVE, FIVE + 1, ELEVEN, THIRTEEN, THIRTEEN + 1):
        answer = one.find(out("52.1.2.3"), when)
        assert answer.since <= when < answer.until
    assert len(searched) == 3


def test_what_was_not_asked_of_the_ledger_yet_is_not_answered(timeline: Timeline) -> None:
    tomorrow = association(9, "new", "2026-11-28T12:00:00.000000Z", vlan=109)
    source = FakeSource([*ALL, tomorrow])
    one, _ = counting(Timeline(source))
    packet = Packet((Tag("802.1Q", 109),), ROUTER, mac(9), "52.1.2.3", "10.0.32.9")
    assert one.find(packet, FIVE).told.target is None
    found = one.find(packet, at("2026-11-29T12:00:00Z")).told.target
    assert found is not None
    assert found.association is tomorrow


def test_the_cache_is_bounded(timeline: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_MOST_KEYS", 3)
    one, searched = counting(timeline)
    for number in [*range(20), *range(20)]:
        assert one.find(Packet((), mac(1), mac(number)), FIVE).told.source is not None
    assert len(searched) > 20
