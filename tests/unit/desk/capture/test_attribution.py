from __future__ import annotations

import pytest

from eni_ledger.desk.capture.attribution import Attribution, attribute
from eni_ledger.desk.capture.packet import Packet, Tag
from eni_ledger.desk.capture.timeline import Timeline
from eni_ledger.desk.capture.words import as_json, words
from helpers.packets import ROUTER, mac
from unit.desk.capture.conftest import ALL, API, WEB, FakeSource, association, at, damage

TAG = (Tag("802.1Q", 101),)
EVERYBODY = "ff:ff:ff:ff:ff:ff"
API_NAME = "api:17/00000001 eni-00000000000000001"
WEB_NAME = "web:17/00000002 eni-00000000000000002"
DB_NAME = "db:17/00000003 eni-00000000000000003"


def told(timeline: Timeline, packet: Packet, time: str = "03:05:00") -> str:
    moment = at(f"2026-11-27T{time}Z")
    found: Attribution = attribute(timeline, packet, moment)
    assert found.since <= moment < found.until
    text = words(found, timeline, moment)
    document = as_json(packet, found, timeline, moment)
    assert document["note"] == (text or None)
    return text


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(TAG, mac(1), ROUTER, "10.0.32.1", "10.0.0.2"), f"from {API_NAME}"),
        (Packet(TAG, ROUTER, mac(1), "10.0.0.2", "10.0.32.1"), f"to {API_NAME}"),
        (Packet(TAG, mac(1), ROUTER, "10.0.32.1", "10.0.32.3"), f"from {API_NAME} to {DB_NAME} (by address)"),
        (Packet(TAG, mac(1), mac(3), "10.0.32.1", "10.0.32.3"), f"from {API_NAME} to {DB_NAME}"),
        (Packet((), mac(1), ROUTER), f"from {API_NAME}"),
        (Packet((), "", "", "10.0.32.1", "10.0.0.2"), f"from {API_NAME} (by address)"),
        (Packet((), "", "", "10.0.0.2", "2600:1f14::3"), f"to {DB_NAME} (by address)"),
        (Packet(TAG, ROUTER, EVERYBODY, "10.0.0.2", "10.0.32.1"), f"to {API_NAME}"),
        (Packet(TAG, ROUTER, EVERYBODY), f"to {API_NAME}"),
        (Packet(TAG, mac(1), EVERYBODY, "10.0.32.1", "10.0.32.9"), f"from {API_NAME}"),
        (Packet(TAG, ROUTER, "0a:00:00:00:00:99"), f"VLAN of {API_NAME}"),
        (Packet((Tag("802.1ad", 7), *TAG), mac(1), ROUTER), f"from {API_NAME}"),
        (Packet((Tag("802.1Q", 104),), mac(4), ROUTER), "from container 040404040404 eni-?"),
        (Packet(TAG, mac(3), ROUTER), f"from {DB_NAME} but VLAN 101 is that of {API_NAME}"),
        (Packet(TAG, mac(1), ROUTER, "10.0.32.3"), f"from {API_NAME} but 10.0.32.3 is that of {DB_NAME}"),
        (
            Packet(TAG, mac(3), ROUTER, "10.0.32.1"),
            f"from {DB_NAME} but VLAN 101 and 10.0.32.1 are those of {API_NAME}",
        ),
        (Packet((), ROUTER, "0a:00:00:00:00:99", "10.0.0.1", "10.0.0.2"), ""),
        (Packet(), ""),
    ],
)
def test_whose_a_packet_is(timeline: Timeline, packet: Packet, text: str) -> None:
    assert told(timeline, packet) == text


OUT = Packet(TAG, mac(1), ROUTER, "10.0.32.1", "10.0.0.2")
GAP = (
    "VLAN 101: nobody then; api:17/00000001 until 2026-11-27 03:10:00.000 UTC, web:17/00000002 from 2026-11-27"
    " 03:12:00.000 UTC"
)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("03:09:58.999999", f"from {API_NAME}"),
        ("03:11:00", GAP),
        ("03:13:00", f"VLAN of {WEB_NAME}"),
        ("03:12:00.500000", f"VLAN of {WEB_NAME}"),
    ],
)
def test_as_of_the_packet(timeline: Timeline, time: str, text: str) -> None:
    assert told(timeline, OUT, time) == text


def test_within_a_second_of_a_change_of_hands_the_other_one_is_named() -> None:
    one = association(1, "api", "2026-11-27T03:00:00.000000Z", "2026-11-27T03:11:59.500000Z")
    timeline = Timeline(FakeSource([one, WEB]))
    later = "(VLAN of web:17/00000002 from 2026-11-27 03:12:00.000 UTC)"
    assert told(timeline, OUT, "03:11:58") == f"from {API_NAME}"
    assert told(timeline, OUT, "03:11:59.400000") == f"from {API_NAME} {later}"
    back = OUT._replace(source_mac=mac(2), source_ip="10.0.32.2")
    before = "(VLAN of api:17/00000001 until 2026-11-27 03:11:59.500 UTC)"
    assert told(timeline, back, "03:12:00.100000") == f"from {WEB_NAME} {before}"
    assert told(timeline, back, "03:12:00.500000") == f"from {WEB_NAME}"


def test_an_answer_holds_for_all_of_its_interval_and_not_beyond(timeline: Timeline) -> None:
    for packet in (OUT, OUT._replace(source_mac=mac(2)), OUT._replace(target_ip="10.0.32.3"), OUT._replace(tags=())):
        for second in range(0, 1200, 7):
            moment = at("2026-11-27T02:55:00Z") + second * 1_000_000
            found = attribute(timeline, packet, moment)
            for other in (max(found.since, moment - 600_000_000), min(found.until, moment + 600_000_000) - 1):
                assert words(attribute(timeline, packet, other), timeline, other) == words(found, timeline, moment)


def test_a_tag_on_two_trunks(timeline: Timeline) -> None:
    other = association(5, "job", "2026-11-27T03:00:00.000000Z", trunk_mac="0a:ff:00:00:00:02")
    both = Timeline(FakeSource([*ALL, other]))
    assert told(both, OUT) == f"from {API_NAME}"
    assert told(both, OUT._replace(source_mac=mac(5), source_ip="")) == "from job:17/00000005 eni-00000000000000005"
    unknown = told(both, Packet(TAG, ROUTER, "0a:00:00:00:00:99"))
    assert unknown == f"VLAN of {API_NAME} or of job:17/00000005 eni-00000000000000005"


def test_before_the_ledger_begins(timeline: Timeline) -> None:
    begins = "not known, the ledger begins at 2026-11-27 03:00:00 UTC"
    assert told(timeline, OUT, "02:30:00") == f"VLAN 101: {begins}"
    assert told(timeline, OUT._replace(tags=()), "02:30:00") == f"{mac(1)}: {begins}"
    assert told(Timeline(FakeSource([], None)), OUT) == "VLAN 101: not known, the ledger is empty"


def test_after_a_copy_ends(source: FakeSource, timeline: Timeline) -> None:
    source.known = source.known._replace(complete=at("2026-11-27T03:20:00Z"))
    web = OUT._replace(source_mac=mac(2))
    assert "as of" not in told(timeline, web, "03:19:59")
    assert told(timeline, web, "03:20:00").endswith("(as of 2026-11-27 03:20:00 UTC)")
    other = web._replace(tags=(Tag("802.1Q", 999),), source_mac=ROUTER)
    assert told(timeline, other, "03:21:00") == "VLAN 999: not known, the ledger ends at 2026-11-27 03:20:00 UTC"
    assert told(timeline, other, "03:19:00") == "VLAN 999: nobody then"


def test_damage(source: FakeSource, timeline: Timeline) -> None:
    source.known = source.known._replace(damage=damage())
    assert told(timeline, OUT._replace(tags=(Tag("802.1Q", 999),), source_mac=ROUTER, source_ip="")) == (
        "VLAN 999: nobody in what is sound of the ledger"
    )


def test_a_clock_that_was_set_back(source: FakeSource, timeline: Timeline) -> None:
    source.known = source.known._replace(twice=((at("2026-11-27T03:04:00Z"), at("2026-11-27T03:06:00Z")),))
    assert told(timeline, OUT, "03:03:59") == f"from {API_NAME}"
    assert told(timeline, OUT, "03:05:00") == f"from {API_NAME} (the clock was set back: it showed this time twice)"
    assert told(timeline, OUT, "03:06:00") == f"from {API_NAME}"


def test_json(timeline: Timeline) -> None:
    moment = at("2026-11-27T03:05:00Z")
    packet = OUT._replace(target_ip="10.0.32.3")
    document = as_json(packet, attribute(timeline, packet, moment), timeline, moment)
    assert document["ts"] == "2026-11-27T03:05:00.000000Z"
    assert document["vlan_ids"] == [101]
    assert document["from"]["association_id"] == API["association_id"]
    assert document["from"]["service"] is None
    assert document["from"]["by"] == ["vlan", "mac", "ip"]
    assert document["to"]["task_family"] == "db"
    assert document["to"]["by"] == ["ip"]


def test_hostile_names_are_made_safe() -> None:
    bad = association(1, "a\x1b[2J\u202eb\n", "2026-11-27T03:00:00.000000Z", eni_id="eni-\x07")
    assert told(Timeline(FakeSource([bad])), OUT).isprintable()
