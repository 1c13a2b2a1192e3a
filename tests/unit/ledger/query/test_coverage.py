"""From when on the ledger knows anything, and who was there in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from helpers.ledgers import ACTIVE, BOOT, add_event, raw_events, record, write_chain
from unit.ledger.query.test_imported import Past, imported

if TYPE_CHECKING:
    from pathlib import Path


def test_it_begins_with_the_first_event(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    history, first = History(str(tmp_path)), raw_events(tmp_path)[0]["ts"]
    assert coverage.begin(history) == first
    assert coverage.unknown(history, first) is None
    assert "the ledger begins at " in str(coverage.unknown(history, "2001-01-01T00:00:00.000000Z"))


def test_it_begins_with_what_was_imported(tmp_path: Path) -> None:
    record(tmp_path, add_event(9))
    Past(tmp_path, copied=False).write(imported("add", 1, "10:05:00"), imported("add", 2, "10:00:00"))
    history = History(str(tmp_path))
    assert coverage.begin(history) == "2026-11-01T10:00:00.000000Z"
    assert coverage.unknown(history, "2026-11-01T10:00:00.000000Z") is None
    assert coverage.unknown(history, "2026-11-01T09:59:59.999999Z")


def test_a_damaged_or_empty_ledger_begins_where_it_can_be_read(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    (tmp_path / ACTIVE).write_bytes(b"")
    history = History(str(tmp_path))
    assert coverage.begin(history) is None
    assert coverage.unknown(history, "2001-01-01T00:00:00.000000Z") is None


def test_all_who_were_there_at_any_moment_of_a_second(tmp_path: Path) -> None:
    """One goes in it, one comes and goes in it, one comes in it and stays; one had gone, one comes later."""
    record(tmp_path, add_event(1))
    checkpoint = {**raw_events(tmp_path)[0], "ts": "2026-11-01T10:00:00.000000Z", "live": []}
    (tmp_path / "state.json").unlink()
    lives = [(1, "00.000000", "05.100000"), (2, "05.100000", "05.500000"), (3, "05.500000", None)]
    lives += [(4, "01.000000", "04.999999"), (5, "06.000000", None)]
    made = []
    for n, since, until in lives:
        about = {**add_event(n), "association_id": f"assoc-{n:017x}", "v": 1, "boot_id": BOOT}
        made.append({**about, "ts": f"2026-11-01T10:00:{since}Z"})
        if until:
            made.append({**about, "event": "del", "ts": f"2026-11-01T10:00:{until}Z"})
    made.sort(key=lambda event: (str(event["ts"]), event["event"] == "add"))
    numbered = [{**event, "seq": seq} for seq, event in enumerate([checkpoint, *made], 1)]
    for event in numbered:
        event.pop("crc", None)
    write_chain(tmp_path / ACTIVE, numbered)
    history = History(str(tmp_path))
    found = history.find(first="2026-11-01T10:00:05.000000Z", last="2026-11-01T10:00:05.999999Z")
    assert [int(one["association_id"][6:], 16) for one in found] == [1, 2, 3]
    assert [one.get("ended_by") for one in found] == ["del", "del", None]
    (alone,) = history.find(first="2026-11-01T10:00:05.300000Z", last="2026-11-01T10:00:05.300000Z")
    assert alone["association_id"].endswith("2")
