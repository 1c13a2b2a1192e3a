"""Imported logs: what their adds and dels say of a time before the ledger."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

from eni_ledger.base.config import Settings
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.batch import BATCH, record_found, record_many
from helpers.ledgers import BOOT, TRUNK, add_event, del_event, prove, record, sealed, settings

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]


def imported(kind: str, n: int, when: str, **over: Any) -> Event:
    """Return an import event of branch `n` at a time of 1 November, as the parser of the agent's log makes it."""
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


def write(state_dir: Path, *events: Event, **over: Any) -> None:
    for _ in record_many(settings(state_dir, **over), {"boot_id": BOOT}, events):
        pass


def at(state_dir: Path, when: str) -> list[str]:
    found = History(str(state_dir)).at(f"2026-11-01T{when}.000000Z")
    return [association["branch_mac"][-2:] for association in found]


def test_an_add_and_its_del_are_an_association_of_that_time(tmp_path: Path) -> None:
    record(tmp_path, add_event(9))
    write(tmp_path, imported("add", 1, "10:00:00"), imported("del", 1, "10:05:00"), imported("del", 1, "10:05:01"))
    (found,) = History(str(tmp_path)).who("10.0.0.1")
    assert found["since"] == "2026-11-01T10:00:00.000000Z"
    assert found["until"] == "2026-11-01T10:05:00.000000Z"
    assert (found["ended_by"], found["via"], found["vlan_id"]) == ("del", "import", 2)
    assert (at(tmp_path, "09:59:59"), at(tmp_path, "10:00:00"), at(tmp_path, "10:05:00")) == ([], ["01"], [])
    one, events = History(str(tmp_path)).show(found["association_id"])
    assert one == found
    assert [event["imported_event"] for event in events] == ["add", "del"]


def test_an_add_and_its_del_in_one_second(tmp_path: Path) -> None:
    write(tmp_path, imported("add", 1, "10:00:00"), imported("del", 1, "10:00:00"))
    assert (at(tmp_path, "10:00:00"), at(tmp_path, "10:00:01")) == (["01"], [])


def test_the_order_of_imports_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, imported("del", 1, "10:05:00"), imported("add", 2, "11:00:00"))
    write(tmp_path, imported("add", 1, "10:00:00"), imported("del", 2, "11:30:00"), rotate_bytes=4096)
    assert (at(tmp_path, "10:01:00"), at(tmp_path, "10:06:00"), at(tmp_path, "11:01:00")) == (["01"], [], ["02"])


def test_imports_are_never_live(tmp_path: Path) -> None:
    write(tmp_path, imported("add", 1, "10:00:00"), imported("add", 2, "12:00:00"))
    assert History(str(tmp_path)).live() == []
    first, second = History(str(tmp_path)).who(TRUNK)
    assert (first["until"], first["ended_by"]) == ("2026-11-01T12:00:00.000000Z", "unknown")
    assert second["ended_by"] == "unknown"
    assert at(tmp_path, "11:59:59") == ["01"]
    assert at(tmp_path, "12:00:01") == []


def test_an_add_that_failed_is_no_association(tmp_path: Path) -> None:
    write(tmp_path, imported("add_failed", 1, "10:00:00", error_msg="no such trunk"))
    assert History(str(tmp_path)).who(TRUNK) == []


def test_an_add_of_the_same_vlan_supersedes(tmp_path: Path) -> None:
    write(tmp_path, imported("add", 1, "10:00:00"), imported("add", 2, "11:00:00", vlan_id=2))
    assert (at(tmp_path, "10:59:59"), at(tmp_path, "11:00:00")) == (["01"], [])
    first, _ = History(str(tmp_path)).who(TRUNK)
    assert (first["ended_by"], first["until"]) == ("superseded", "2026-11-01T11:00:00.000000Z")


def test_what_the_ledger_finds_in_place_was_there_all_the_time(tmp_path: Path) -> None:
    write(tmp_path, imported("add", 1, "10:00:00"), imported("add", 2, "11:00:00"))
    adopted = record(tmp_path, {**add_event(1), "event": "adopt", "via": "scan"})
    first, second = History(str(tmp_path)).who("2")
    assert (first["until"], first["ended_by"], first["end_seq"]) == (adopted["ts"], "superseded", adopted["seq"])
    assert second["association_id"] == adopted["association_id"]
    assert at(tmp_path, "23:00:00") == ["01"]


def test_identified_after_its_end(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1, eni_id=None))
    ended = record(tmp_path, del_event(1))
    late = {"event": "identify", "association_id": added["association_id"], "eni_id": "eni-0123456789abcdef0"}
    record(tmp_path, {**late, "late": True, "identity_source": "agent-db"}, rotate_bytes=1)
    assert sealed(tmp_path)
    (found,) = History(str(tmp_path)).who("eni-0123456789abcdef0")
    assert (found["until"], found["ended_by"]) == (ended["ts"], "del")
    assert "identity_source" not in found
    (then,) = History(str(tmp_path)).at(added["ts"])
    assert then == found
    assert [event["event"] for event in History(str(tmp_path)).show(found["association_id"])[1]] == [
        "add",
        "del",
        "identify",
    ]


def test_identified_while_live_is_known_for_all_of_its_life(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1, eni_id=None))
    named = {"event": "identify", "association_id": added["association_id"], "eni_id": "eni-0123456789abcdef0"}
    record(tmp_path, named)
    assert History(str(tmp_path)).at(added["ts"])[0]["eni_id"] == "eni-0123456789abcdef0"
    record(tmp_path, del_event(1), rotate_bytes=1)
    (found,) = History(str(tmp_path)).at(added["ts"])
    assert (found["eni_id"], found["ended_by"]) == ("eni-0123456789abcdef0", "del")


def test_many_events_go_in_by_batches_and_segments_are_sealed_between_them(tmp_path: Path) -> None:
    count = 2 * BATCH + 10
    events = (imported("add", n, f"10:{n // 60:02}:{n % 60:02}") for n in range(count))
    batches = list(record_many(settings(tmp_path, rotate_bytes=65536), {"boot_id": BOOT}, events))
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 10]
    assert sealed(tmp_path)
    assert sum(event["event"] == "import" for event in prove(tmp_path)) == count


def test_adds_get_their_turn_while_a_long_log_is_imported(tmp_path: Path) -> None:
    record(tmp_path, add_event(0), sync=True)
    events = [imported("add", n % 60000, "10:00:00", pad="x" * 200) for n in range(10 * BATCH)]
    importing = Thread(target=write, args=(tmp_path, *events), kwargs={"sync": True})
    importing.start()
    count = 0
    while importing.is_alive():
        count += 1
        assert "spooled" not in record(tmp_path, add_event(count), sync=True)
    importing.join()
    assert count > 1
    assert sum(event["event"] == "import" for event in prove(tmp_path)) == len(events)


def test_what_is_chosen_sees_what_is_live_under_the_lock(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1))
    seen: list[Event] = []

    def choose(live: list[Event]) -> list[Event]:
        seen.extend(live)
        return [{"event": "adopt", "ifname": "eth0", "vlan_id": 7}]

    setting: Settings = settings(tmp_path)
    (written,) = record_found(setting, {"boot_id": BOOT, "via": "scan"}, choose)
    assert [association["association_id"] for association in seen] == [added["association_id"]]
    assert written["association_id"].startswith("assoc-")
    assert (written["via"], written["boot_id"]) == ("scan", BOOT)
    assert len(History(str(tmp_path)).live()) == 2
