"""What stands out, and what is not known."""

from __future__ import annotations

from typing import Any

from eni_ledger.desk.report.findings import Events, of_associations, outside
from helpers.documents import ts
from helpers.pictures import branch


def taken(*events: Any) -> Events:
    found = Events()
    for seq, event in enumerate(events, 1):
        made: Any = {"seq": seq, "ts": ts(seq), **event}
        found.take(made)
    return found


def test_a_mismatch_and_each_end_without_a_del_are_findings() -> None:
    ends = [
        branch(n, until=ts(n), ended_by=why)
        for n, why in enumerate(["del", "lost", "superseded", "rebooted", "del"], 1)
    ]
    odd = branch(9, mismatch=["vlan_id"], observed_vlan_id=7, since=ts(0))
    found = of_associations([*ends, odd], ts(0), ts(99))
    assert [one["what"] for one in found] == [
        "mismatch",
        "gone without a DEL",
        "taken over without a DEL",
        "ended by a reboot",
    ]
    assert found[0]["text"] == "VLAN 110 declared, 7 in the kernel"


def test_an_end_outside_the_interval_is_none_of_it() -> None:
    assert of_associations([branch(0, until=ts(50), ended_by="lost")], ts(0), ts(49)) == []


def test_failed_adds_reboots_and_clock_steps_are_findings() -> None:
    found = taken(
        {"event": "add_failed", "error_code": 11, "error_msg": "no room"},
        {"event": "boot", "boot_id": "b"},
        {"event": "add", "clock_step_us": 90_000_000},
    ).findings
    assert [(one["what"], one["text"]) for one in found] == [
        ("ADD failed", "error 11: no room"),
        ("reboot", "boot b"),
        ("clock set back", "the clock had been set back by 1m30s"),
    ]


def test_missing_numbers_are_a_gap_from_event_to_event() -> None:
    events = taken({"event": "add"}, {"event": "add", "seq": 5}, {"event": "add", "seq": 7})
    assert events.holes
    assert events.gaps == [
        {"first": ts(1), "last": ts(2), "text": "events 2 to 4 are damaged or missing"},
        {"first": ts(2), "last": ts(3), "text": "event 6 is damaged or missing"},
    ]


def test_several_ledgers_have_numbers_of_their_own() -> None:
    assert not taken({"event": "add", "ledger": "a"}, {"event": "add", "ledger": "b", "seq": 9}).holes


def test_a_boot_without_sync_and_a_damaged_segment_are_gaps() -> None:
    gaps = taken({"event": "boot", "sync": False}, {"event": "checkpoint", "damage": "line 7"}).gaps
    assert [gap["text"] for gap in gaps] == [
        "events right before this boot may be missing: sync was off",
        "the segment before is damaged: line 7",
    ]


def test_before_the_ledger_and_after_a_copy_nothing_is_known() -> None:
    assert list(outside(ts(0), ts(9), ts(0), None)) == []
    assert list(outside(ts(0), ts(9), None, None)) == [
        {"first": ts(0), "last": ts(9), "text": "the ledger has no event"}
    ]
    assert list(outside(ts(0), ts(9), ts(3), ts(7))) == [
        {"first": ts(0), "last": ts(3), "text": "before the ledger begins"},
        {"first": ts(7), "last": ts(9), "text": "after the last event of this copy"},
    ]
