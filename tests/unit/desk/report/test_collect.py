"""What a report gathers from a ledger, damaged ones and several ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.report.collect import collect
from eni_ledger.desk.report.page import render
from eni_ledger.ledger.query.many import Many, Part
from eni_ledger.ledger.query.questions import History
from helpers.documents import past, ts, write_ledger

if TYPE_CHECKING:
    from pathlib import Path

NOW = ts(10_000)


def test_all_of_a_ledger_when_no_interval_is_given(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(30))
    document = collect(History(str(tmp_path / "a")), None, None, now=NOW)
    assert [one["vlan_id"] for one in document["associations"]] == [101 + n % 10 for n in range(30)]
    assert (document["first"], document["last"], document["until_now"]) == (ts(0), NOW, True)
    assert document["gaps"] == document["findings"] == document["damage"] == []
    (source,) = document["sources"]
    assert (source["sound"], source["events"]) == (True, 51)
    (host,) = document["picture"]["hosts"]
    assert host["branches"] == 10


def test_an_interval_has_what_was_live_in_it_and_the_picture_of_its_end(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(30))
    document = collect(History(str(tmp_path / "a")), ts(95), ts(104), now=NOW)
    begun = [one["since"] for one in document["associations"]]
    assert begun == [ts(n * 10) for n in range(1, 11)]
    live = [node["since"] for node in document["picture"]["hosts"][0]["trunks"][0]["branches"]]
    assert sorted(live) == [ts(n * 10) for n in range(2, 11)]
    assert document["until_now"] is False


def test_without_the_check_nothing_is_called_proven(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(3))
    document = collect(History(str(tmp_path / "a")), None, None, now=NOW, check=False)
    assert document["sources"] == []
    assert '<b class="dim">not looked at</b>' in render(document)


def test_too_much_for_a_page_is_refused_before_the_chain_is_proven(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(3))
    proven: list[int] = []
    with pytest.raises(UsageError, match="too much for one page: 3 associations of at most 2"):
        collect(History(str(tmp_path / "a")), None, None, now=NOW, most=2, progress=lambda done, _: proven.append(done))
    assert proven == []


def test_a_damaged_moment_is_a_gap_between_the_events_around_it(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(30))
    path = tmp_path / "a/ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[20] = lines[20].replace(b"eth0", b"eth9", 1)
    path.write_bytes(b"".join(lines))
    document = collect(History(str(tmp_path / "a")), None, None, now=NOW)
    assert document["damage"]
    assert document["sources"][0]["sound"] is False
    assert len(document["gaps"]) == 1
    assert document["gaps"][0]["text"] in (
        "event 21 is damaged or missing",
        f"the ledger is damaged: {document['damage'][0]}",
    )
    assert 0 < len(document["associations"]) <= 30
    assert "what is proven" in render(document)


def test_a_copy_ends_with_its_last_event(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(3))
    history = History(str(tmp_path / "a"))
    copies = {history.state_dir: "as of then, of i-1"}
    document = collect(history, None, ts(9_000), now=NOW, as_of=ts(20), copies=copies)
    assert document["gaps"] == [{"first": ts(20), "last": ts(9_000), "text": "after the last event of this copy"}]
    assert document["sources"][0]["copy"] == "as of then, of i-1"


def test_several_ledgers_are_one_report_with_a_source_each(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", past(5))
    others = [{**one, "association_id": f"assoc-{n:017x}"} for n, one in enumerate(past(7))]
    write_ledger(tmp_path / "b", others, instance_id="i-0000000000000000b", trunk_mac="0a:00:00:00:00:0b")
    parts = [Part(str(tmp_path / name), History(str(tmp_path / name))) for name in ("a", "b")]
    document = collect(Many(parts), None, None, now=NOW)
    assert len(document["associations"]) == 12
    assert [source["place"] for source in document["sources"]] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert [host["name"] for host in document["picture"]["hosts"]] == ["i-0000000000000000b", "i-0123456789abcdef0"]
    text = render(document)
    assert "<dt>Host</dt><dd>i-0000000000000000b</dd>" in text
    assert document["gaps"] == []
