from __future__ import annotations

import json
from datetime import UTC, date

from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.capture.stamps import Stamps
from eni_ledger.desk.capture.text_objects import TextObjects
from eni_ledger.desk.capture.timeline import Timeline
from helpers.packets import ROUTER, mac
from unit.desk.capture.conftest import ALL, FakeSource, line

DAY = date(2026, 11, 27)
ONE = line("03:05:00.000000", mac(1), ROUTER)


def objects(timeline: Timeline) -> TextObjects:
    return TextObjects(timeline, Stamps(UTC, DAY))


def test_one_object_a_packet(timeline: Timeline) -> None:
    reader = objects(timeline)
    found = reader.feed(b"noise\n" + ONE + b"\n\t0x0000: 00\nnoise\n" + ONE + b"\n") + reader.finish()
    assert [each["from"]["task_family"] for each in found] == ["api", "api"]
    assert found[0]["text"] == ONE.decode() + "\n\t0x0000: 00"
    assert found[0]["ts"] == "2026-11-27T03:05:00.000000Z"


def test_the_addresses_of_a_verbose_packet_are_on_its_second_line(timeline: Timeline) -> None:
    first = ONE.split(b"10.0.32.1")[0] + b"(tos 0x0, ttl 64)"
    reader = objects(timeline)
    assert reader.feed(first + b"\n") == []
    (found,) = reader.feed(b"    10.0.32.1.5 > 10.0.32.3.80: F\n") + reader.finish()
    assert (found["source_ip"], found["to"]["task_family"]) == ("10.0.32.1", "db")


def test_a_record_of_a_flow_log(timeline: Timeline) -> None:
    reader = objects(timeline)
    text = b"2 123456789010 eni-00000000000000001 10.0.0.1 10.0.0.2 1 22 6 20 4249 1795748400 1795748460 ACCEPT OK\n"
    (found,) = reader.feed(text)
    assert found["dstport"] == "22"
    assert [each["task_family"] for each in found["associations"]] == ["api"]


def test_lines_without_a_time(timeline: Timeline) -> None:
    reader = objects(timeline)
    assert len(reader.feed(ONE + b"\n" + ONE + b"\n" + ONE[16:] + b"\n")) == 1
    assert isinstance(reader.error, UsageError)


@given(st.binary(max_size=300))
def test_any_text_gives_objects_that_json_can_write(data: bytes) -> None:
    reader = TextObjects(Timeline(FakeSource(list(ALL))), Stamps(UTC, DAY))
    found = reader.feed(data) + reader.finish()
    assert json.loads(json.dumps(found)) == found
    assert len(found) <= data.count(b"\n") + 1
