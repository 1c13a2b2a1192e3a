from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.desk.capture.flow_logs import ADDED, FlowLogs, added
from eni_ledger.desk.capture.timeline import Timeline
from unit.desk.capture.conftest import ALL, ARN, FakeSource, association, at

START = at("2026-11-27T03:05:00Z") // 1_000_000
TASK = "00000001414f0a8a1b2c3d4e5f607182"


def record(eni: str = "eni-00000000000000001", start: int = START, end: int = START + 59) -> str:
    return f"2 123456789010 {eni} 172.31.16.139 172.31.16.21 20641 22 6 20 4249 {start} {end} ACCEPT OK"


def behind(flows: FlowLogs, line: str) -> str | None:
    found = flows.read(line)
    return None if found is None else added(found[1]) if found[0] else " ".join(ADDED)


def test_the_default_format(timeline: Timeline) -> None:
    flows = FlowLogs(timeline)
    assert behind(flows, record()) == f"{TASK} api:17 {'01' * 32}"
    assert behind(flows, f"2026-11-27T03:06:00 {record()}") == f"{TASK} api:17 {'01' * 32}"
    assert behind(flows, record("eni-00000000000000099")) == "- - -"
    assert behind(flows, record(start=START + 3600, end=START + 3660)) == "- - -"
    no_data = f"2 123456789010 eni-00000000000000001 - - - - - - - {START} {START + 59} - NODATA"
    assert behind(flows, no_data) == f"{TASK} api:17 {'01' * 32}"


def test_a_record_that_overlaps_the_begin_or_the_end(timeline: Timeline) -> None:
    flows = FlowLogs(timeline)
    begin = at("2026-11-27T03:12:00Z") // 1_000_000
    assert behind(flows, record("eni-00000000000000002", begin - 60, begin))
    assert "web" in str(behind(flows, record("eni-00000000000000002", begin - 60, begin)))
    assert behind(flows, record("eni-00000000000000002", begin - 60, begin - 1)) == "- - -"


def test_an_eni_with_two_tasks_in_the_interval() -> None:
    again = association(8, "job", "2026-11-27T03:05:30.000000Z", eni_id="eni-00000000000000001")
    first = association(1, "api", "2026-11-27T03:00:00.000000Z", "2026-11-27T03:05:20.000000Z")
    flows = FlowLogs(Timeline(FakeSource([first, again])))
    assert (
        behind(flows, record()) == f"{TASK},{again['task_arn'].removeprefix(ARN)} api:17,job:17 {'01' * 32},{'08' * 32}"
    )


def test_a_format_of_its_own_behind_its_header(timeline: Timeline) -> None:
    flows = FlowLogs(timeline)
    assert behind(flows, "version interface-id start end ecs-task-id flow-direction") == " ".join(ADDED)
    assert behind(flows, f"7 eni-00000000000000001 {START} {START + 5} - egress") == f"{TASK} api:17 {'01' * 32}"
    assert behind(flows, "another line of six words here") == "- - -"
    assert flows.untimed == 1
    assert behind(flows, "too short") is None
    assert behind(flows, "interface-id end") == " ".join(ADDED)
    assert behind(flows, f"eni-00000000000000001 {START}") == f"{TASK} api:17 {'01' * 32}"


def test_a_format_without_a_time(timeline: Timeline) -> None:
    flows = FlowLogs(timeline)
    flows.read("version interface-id")
    assert behind(flows, "7 eni-00000000000000001") == "- - -"
    assert flows.untimed == 1
    fixed = FlowLogs(timeline, START * 1_000_000)
    fixed.read("version interface-id")
    assert behind(fixed, "7 eni-00000000000000001") == f"{TASK} api:17 {'01' * 32}"


def test_before_the_ledger_begins(timeline: Timeline) -> None:
    flows = FlowLogs(timeline)
    assert behind(flows, record(start=1000000000, end=1000000060)) == "- - -"
    assert flows.early == 1


@pytest.mark.parametrize("family", ["a b", "\x1b[2J", "a\nb", "\u2028"])
def test_a_name_stays_one_word(family: str) -> None:
    one = association(1, family, "2026-11-27T03:00:00.000000Z")
    text = behind(FlowLogs(Timeline(FakeSource([one]))), record())
    assert text is not None
    assert text.isprintable()
    assert len(text.split(" ")) == 3


FIELDS = st.lists(st.sampled_from(["version", "interface-id", "start", "end", "7", "-", "9" * 40]), max_size=5)


@given(st.text(max_size=120) | FIELDS.map(" ".join))
def test_what_is_added_to_any_line_is_three_words_or_nothing(text: str) -> None:
    flows = FlowLogs(Timeline(FakeSource(list(ALL))))
    flows.read("version interface-id start end")
    for each in (text, record() + text, f"7 eni-0 {text} {text}"):
        added = behind(flows, each)
        assert added is None or (len(added.split(" ")) == 3 and added.isprintable()), each
