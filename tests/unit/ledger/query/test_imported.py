"""Imported history: an older ledger in `imported/`; until it is there, made of the `import` events of 0.1.0."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format.line import format_ts, now_us
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.batch import record_found
from eni_ledger.reconcile.import_log import keep
from helpers.ledgers import BOOT, TRUNK, add_event, contents, prove, record, settings, with_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

KEYS = ("association_id", "since", "until", "ended_by", "add_seq", "end_seq", "eni_id")
FIXTURE = Path(__file__).parents[3] / "fixtures" / "imports-0.1.0.json.gz"


def imported(kind: str, n: int, when: str, **over: Any) -> Draft:
    """Return an `import` event of branch `n` at a time of 1 November, as version 0.1.0 wrote it."""
    about = {key: value for key, value in add_event(n).items() if key in ("branch_mac", "vlan_id", "addresses")}
    made = {
        "event": "import",
        "imported_event": kind,
        "occurred_ts": f"2026-11-01T{when}.000000Z",
        "import_id": f"{n:04x}{when.replace(':', '')}".ljust(32, "0" if kind == "add" else "1"),
        "trunk_mac": TRUNK,
        "via": "import",
        **about,
        **over,
    }
    return made | ({"association_id": f"assoc-{made['import_id'][:17]}"} if kind == "add" else {})


class Past:
    """A ledger of 0.1.0 that imported something, before its events were copied or after it."""

    def __init__(self, path: Path, *, copied: bool) -> None:
        self.path = path
        self.copied = copied

    def write(self, *events: Draft, **over: Any) -> None:
        record_found(settings(self.path, **over), {"boot_id": BOOT}, lambda _: list(events))

    def history(self) -> History:
        if self.copied:
            keep(settings(self.path))
            prove(self.path / "imported")
        return History(str(self.path))

    def at(self, when: str) -> list[str]:
        found = self.history().at(f"2026-11-01T{when}.000000Z")
        return [association["branch_mac"][-2:] for association in found]


@pytest.fixture(params=[False, True], ids=["as 0.1.0 left it", "copied"])
def past(tmp_path: Path, request: pytest.FixtureRequest) -> Past:
    return Past(tmp_path, copied=request.param)


def test_an_add_and_its_del_are_an_association_of_that_time(past: Past) -> None:
    record(past.path, add_event(9))
    past.write(imported("add", 1, "10:00:00"), imported("del", 1, "10:05:00"), imported("del", 1, "10:05:01"))
    (found,) = past.history().who("10.0.0.1")
    assert found["since"] == "2026-11-01T10:00:00.000000Z"
    assert found["until"] == "2026-11-01T10:05:00.000000Z"
    assert (found["ended_by"], found["via"], found["vlan_id"]) == ("del", "import", 2)
    assert (past.at("09:59:59"), past.at("10:00:00"), past.at("10:05:00")) == ([], ["01"], [])
    one, events = with_events(past.history(), found["association_id"])
    assert one == found
    assert [event["event"] for event in events] == ["add", "del"]


def test_an_add_and_its_del_in_one_second(past: Past) -> None:
    past.write(imported("add", 1, "10:00:00"), imported("del", 1, "10:00:00"))
    assert (past.at("10:00:00"), past.at("10:00:01")) == (["01"], [])


def test_the_order_of_imports_does_not_matter(past: Past) -> None:
    past.write(imported("del", 1, "10:05:00"), imported("add", 2, "11:00:00"))
    past.write(imported("add", 1, "10:00:00"), imported("del", 2, "11:30:00"), rotate_bytes=4096)
    assert (past.at("10:01:00"), past.at("10:06:00"), past.at("11:01:00")) == (["01"], [], ["02"])


def test_imports_are_never_live(past: Past) -> None:
    past.write(imported("add", 1, "10:00:00"), imported("add", 2, "12:00:00"))
    assert past.history().live() == []
    first, second = past.history().who(TRUNK)
    assert (first["until"], first["ended_by"]) == ("2026-11-01T12:00:00.000000Z", "lost")
    assert (second["until"], second["ended_by"]) == ("2026-11-01T12:00:00.000001Z", "lost")
    _, events = with_events(past.history(), first["association_id"])
    assert events[-1]["reason"] == "log_ends"
    assert past.at("11:59:59") == ["01"]
    assert past.at("12:00:01") == []


def test_an_add_that_failed_is_no_association(past: Past) -> None:
    past.write(imported("add_failed", 1, "10:00:00", error_msg="no such trunk"))
    assert past.history().who(TRUNK) == []


def test_an_add_of_the_same_vlan_supersedes(past: Past) -> None:
    past.write(imported("add", 1, "10:00:00"), imported("add", 2, "11:00:00", vlan_id=2))
    assert (past.at("10:59:59"), past.at("11:00:00"), past.at("11:00:01")) == (["01"], ["02"], [])
    first, _ = past.history().who(TRUNK)
    assert (first["ended_by"], first["until"]) == ("superseded", "2026-11-01T11:00:00.000000Z")


def test_what_the_ledger_finds_in_place_was_there_all_the_time(past: Past) -> None:
    past.write(imported("add", 1, "10:00:00"), imported("add", 2, "11:00:00"))
    adopted = record(past.path, {**add_event(1), "event": "adopt", "via": "scan"})
    first, second = past.history().who("2")
    assert (first["until"], first["ended_by"]) == (adopted["ts"], "lost")
    assert second["association_id"] == adopted["association_id"]
    assert past.at("23:00:00") == ["01"]


def test_one_of_another_mac_in_its_place_ends_it_before_the_log_does(past: Past) -> None:
    added = record(past.path, add_event(1))
    later = format_ts(now_us() + 3_600_000_000)
    past.write(imported("add", 7, "10:00:00", vlan_id=added["vlan_id"]), imported("add", 8, "", occurred_ts=later))
    (first,) = past.history().who(add_event(7)["branch_mac"])
    assert (first["until"], first["ended_by"]) == (added["ts"], "lost")


def test_the_log_of_events_has_them_first(past: Past) -> None:
    record(past.path, add_event(3))
    past.write(imported("add", 1, "10:00:00"), imported("add_failed", 2, "10:00:00", error_msg="no such trunk"))
    events = list(past.history().events(until="2026-11-01T23:00:00.000000Z"))
    assert [event["event"] for event in events] == ["checkpoint", "add", "add_failed", "lost"]
    assert [event["event"] for event in past.history().events(imported=False)][:2] == ["checkpoint", "add"]


def test_what_0_1_0_imports_later_is_copied_as_well(tmp_path: Path) -> None:
    past = Past(tmp_path, copied=True)
    past.write(imported("add", 1, "10:00:00"))
    assert len(past.history().who(TRUNK)) == 1
    past.write(imported("del", 1, "10:05:00"), imported("add", 2, "11:00:00"), rotate_bytes=1)
    first, second = past.history().who(TRUNK)
    assert (first["ended_by"], second["ended_by"]) == ("del", "lost")
    before = contents(tmp_path)
    assert keep(settings(tmp_path)) == ""
    assert contents(tmp_path) == before


def test_a_dry_run_copies_nothing(tmp_path: Path) -> None:
    Past(tmp_path, copied=False).write(imported("add", 1, "10:00:00"))
    assert keep(settings(tmp_path), dry_run=True) == "copied"
    assert not (tmp_path / "imported").exists()


def test_imported_history_is_removed_when_all_of_it_is_beyond_retention(tmp_path: Path) -> None:
    past = Past(tmp_path, copied=True)
    record(tmp_path, add_event(1))
    past.write(imported("add", 1, "10:00:00", occurred_ts="2020-11-01T10:00:00.000000Z"))
    assert keep(settings(tmp_path, retain_days=36_500)) == "copied"
    assert keep(settings(tmp_path), dry_run=True) == "removed"
    assert keep(settings(tmp_path)) == "removed"
    assert not (tmp_path / "imported" / "ledger.jsonl").exists()


def test_damage_in_it_is_named_and_the_damaged_file_kept(tmp_path: Path) -> None:
    past = Past(tmp_path, copied=True)
    record(tmp_path, add_event(9))
    past.write(imported("add", 1, "10:00:00"), imported("add", 2, "11:00:00"))
    past.history()
    file = tmp_path / "imported" / "ledger.jsonl"
    damaged = file.read_bytes().replace(b'"vlan_id":3', b'"vlan_id":4')
    file.write_bytes(damaged)
    with pytest.raises(LedgerDamaged, match=r"imported/ledger\.jsonl line 3"):
        History(str(tmp_path)).all()
    assert keep(settings(tmp_path)) == "copied"
    prove(tmp_path / "imported")
    (kept,) = (tmp_path / "quarantine").iterdir()
    assert kept.read_bytes() == damaged


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("copied", [False, True])
def test_answers_of_a_ledger_that_0_1_0_imported_into(tmp_path: Path, number: int, copied: bool) -> None:
    """Of random histories, packed and plain: what 0.1.0 answered of what it recorded, and which imports it knew."""
    case = json.loads(gzip.decompress(FIXTURE.read_bytes()))[number]
    where = tmp_path / "state"
    where.mkdir(0o750)
    for name, data in case["files"].items():
        (where / name).write_bytes(base64.b64decode(data))
    if copied:
        assert keep(settings(where, retain_days=36_500)) == "copied"
    history = History(str(where))
    logged = {one["association_id"] for one in history.all() if one.get("via") == "import"}
    assert logged
    for question, rows in case["answers"].items():
        words = question.split()
        if words[0] not in ("all", "who", "list") or question == "list":
            continue
        if question == "all":
            found = history.all()
        else:
            found = history.who(*words[1::2]) if words[0] == "who" else history.at(words[2])
        now = [[one.get(key) for key in KEYS] for one in found]
        assert [row for row in now if row[0] not in logged] == [row for row in rows if row[0] not in logged], question
        mine, theirs = [row for row in now if row[0] in logged], [row for row in rows if row[0] in logged]
        assert [row[:2] for row in mine] == [row[:2] for row in theirs], question
        assert [row[2:4] for row in mine if row[3] == "del"] == [row[2:4] for row in theirs if row[3] == "del"]
