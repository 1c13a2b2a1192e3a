from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.desk.capture.timeline import ENI, IP, MAC, VLAN, Lane, Timeline, keys_of
from helpers.packets import mac
from unit.desk.capture.conftest import API, WEB, FakeSource, association, at

if TYPE_CHECKING:
    from eni_ledger.base.events import Association

TAG = ("802.1Q", 101)


def ids(found: tuple[Association, ...]) -> list[str]:
    return [one["task_family"] for one in found]


def test_a_vlan_that_changes_hands(timeline: Timeline) -> None:
    timeline.cover(at("2026-11-27T03:05:00Z"))
    for time, families in {
        "03:00:00.000000": ["api"],
        "03:09:59.999999": ["api"],
        "03:10:00.000000": [],
        "03:11:59.999999": [],
        "03:12:00.000000": ["web"],
        "09:00:00.000000": ["web"],
    }.items():
        span = timeline.at(VLAN, TAG, at(f"2026-11-27T{time}Z"))
        assert ids(span.associations) == families, time
        assert span.since <= at(f"2026-11-27T{time}Z") < span.until
    assert timeline.at(MAC, mac(1), at("2026-11-27T03:05:00Z")).associations == (API,)
    assert timeline.at(IP, "2600:1f14::2", at("2026-11-27T03:15:00Z")).associations == (WEB,)
    assert timeline.at(ENI, API["eni_id"], at("2026-11-27T03:05:00Z")).associations == (API,)


def test_who_was_before_and_comes_after(timeline: Timeline) -> None:
    timeline.cover(at("2026-11-27T03:11:00Z"))
    lane = timeline.lane(VLAN, TAG)
    assert lane.before(at("2026-11-27T03:11:00Z")) == (API, at("2026-11-27T03:10:00Z"))
    assert lane.after(at("2026-11-27T03:11:00Z")) == (WEB, at("2026-11-27T03:12:00Z"))
    assert lane.before(at("2026-11-27T03:05:00Z")) is None
    assert lane.after(at("2026-11-27T03:15:00Z")) is None


def test_as_much_is_loaded_as_is_asked_for(source: FakeSource, timeline: Timeline) -> None:
    timeline.cover(at("2026-11-27T03:05:00Z"))
    timeline.cover(at("2026-11-27T20:05:00Z"))
    assert source.loads == [("2026-11-27T02:05:00.000000Z", "2026-11-28T03:05:00.000000Z")]
    timeline.cover(at("2026-11-29T03:05:00Z"))
    assert len(source.loads) == 2
    timeline.cover(at("2026-11-20T03:05:00Z"))
    assert source.loads[-1][0] == "2026-11-20T02:05:00.000000Z"
    assert timeline.changes == 3


def test_a_ledger_that_grows_is_read_again(source: FakeSource, timeline: Timeline) -> None:
    assert not timeline.refresh()
    timeline.cover(at("2026-11-27T03:20:00Z"))
    assert not timeline.refresh()
    source.grow(association(9, "new", "2026-11-27T03:20:00.000000Z", vlan=109))
    assert timeline.refresh()
    assert ids(timeline.at(VLAN, ("802.1Q", 109), at("2026-11-27T03:21:00Z")).associations) == ["new"]


def test_what_was_declared_and_what_the_kernel_shows() -> None:
    one = association(1, "api", "2026-11-27T03:00:00.000000Z", observed_vlan_id=102, vlan_protocol="802.1ad")
    keys = keys_of({**one, "observed_mac": "0A:00:00:00:00:77", "observed_addresses": ["10.9.9.9/20"]})
    assert (VLAN, ("802.1ad", 101)) in keys
    assert (VLAN, ("802.1ad", 102)) in keys
    assert (MAC, "0a:00:00:00:00:77") in keys
    assert (IP, "10.9.9.9") in keys


def test_values_that_are_none() -> None:
    wrong: Any = {
        "vlan_id": "101",
        "branch_mac": "x\n",
        "addresses": ["\x1b[2J", 7, None],
        "observed_addresses": "10.0.0.1",
        "eni_id": 4,
    }
    assert keys_of(wrong) == []


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_a_lane_against_a_plain_search(intervals: list[tuple[int, int]]) -> None:
    lane = Lane()
    associations: list[Association] = [{"association_id": str(number)} for number in range(len(intervals))]
    for (since, until), one in zip(intervals, associations, strict=True):
        lane.add(since, until, one)
    for moment in range(-1, 22):
        live = [one for (since, until), one in zip(intervals, associations, strict=True) if since <= moment < until]
        span = lane.at(moment)
        assert sorted(one["association_id"] for one in span.associations) == sorted(
            one["association_id"] for one in live
        )
        assert span.since <= moment < span.until
        for other in range(max(span.since, -1), min(span.until, 22)):
            assert lane.at(other).associations == span.associations
