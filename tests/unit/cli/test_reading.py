"""list, who, show, log on ledgers that the writer made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run


def test_list_shows_what_is_live_aligned_and_plain(filled: Ledger, run: Run) -> None:
    done = run("list")
    head, first, second, more = done.out.splitlines()
    assert head.split() == ["VLAN", "ENI/MAC", "IP", "TASK", "NETNS", "PID", "SINCE", "ID"]
    named = ["102", "eni-0123456789abcdef0", "10.0.32.5", "web/3f9a1c20", "4026532162", "1162"]
    assert first.split()[:6] == named
    assert second.split()[:5] == ["101", "0a:12:34:56:78:a3", "10.0.32.4", "a3a3a3a3a3a3", "4026532163"]
    assert more.split() == ["2001:db8::4"]
    assert head.index("IP") == first.index("10.0.32.5") == more.index("2001:db8::4")
    assert "\t" not in done.out
    assert "\x1b" not in done.out
    assert (done.code, done.err) == (0, "")


def test_the_headers_name_what_the_columns_hold(ledger: Ledger, run: Run) -> None:
    ledger.add(1, 101, "10.0.0.1/24")
    assert run("list").out.split()[:4] == ["VLAN", "MAC", "IP", "CONTAINER"]


def test_an_interface_without_vlan_or_address_has_dashes(ledger: Ledger, run: Run) -> None:
    ledger.add(1, None)
    assert run("list").out.splitlines()[1].split()[:3] == ["-", "0a:12:34:56:78:01", "-"]


def test_list_json_is_one_document_with_one_association_a_line(filled: Ledger, run: Run) -> None:
    done = run("list", "--json")
    document = done.json()
    assert list(document) == ["associations"]
    assert [one["vlan_id"] for one in document["associations"]] == [102, 101]
    assert next(line for line in done.out.splitlines() if '"vlan_id":102' in line).startswith('{"')


def test_nothing_live_is_no_error(filled: Ledger, run: Run) -> None:
    filled.delete(0xA2)
    filled.delete(0xA3)
    done = run("list")
    assert (done.code, done.out, done.err) == (0, "", "no live associations\n")
    assert run("list", "--json").json() == {"associations": []}


def test_list_at_a_time_shows_who_was_live_then_and_says_which_time_that_is(filled: Ledger, run: Run) -> None:
    then = json.loads(filled.file.read_text().splitlines()[2])["ts"]  # the second add
    done = run("list", "--at", then)
    assert done.out.startswith(f"live at {then[:10]} {then[11:19]} UTC (")
    assert "a1a1a1a1a1a1" in done.out
    assert "a3a3a3a3a3a3" not in done.out
    for more in ([], ["--json"]):
        done = run("list", "--at", "1999-01-01", *more)
        assert done.code == 1
        assert "error: nothing is known of 1999-01-01 00:00:00 UTC: the ledger begins at " in done.err
    for n in (0xA2, 0xA3):
        filled.delete(n)
    done = run("list", "--at", "now")
    assert (done.code, done.err[:20]) == (0, "nothing was live at ")
    assert run("list", "--at", then, "--json").json()["at"] == then


def test_a_mismatch_is_marked_and_explained(ledger: Ledger, run: Run) -> None:
    event = ledger.add(1, 101, "10.0.0.1/24", observed_mac="0a:00:00:00:00:99", mismatch=["branch_mac"])
    out = run("list").out
    assert "0a:12:34:56:78:01!" in out
    words = "MAC 0a:12:34:56:78:01 declared, 0a:00:00:00:00:99 in the kernel"
    assert f"! {event['association_id']}: {words}" in out
    assert f"mismatch  {words}" in run("show", event["association_id"]).out
    assert f"! {words}" in run("log").out


@pytest.mark.parametrize(
    ("what", "owners"),
    [
        ("10.0.32.4", ["a1", "a3"]),
        ("2001:0db8:0::4", ["a3"]),
        ("101", ["a1", "a3"]),
        ("0A-12-34-56-78-A3", ["a3"]),
        ("eni-0123456789abcdef0", ["a2"]),
        ("a1a1a1a1", ["a1"]),
        ("3f9a1c20de414f0a8a1b2c3d4e5f6071", ["a2"]),
        ("arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071", ["a2"]),
        ("4026532163", ["a3"]),
        ("net:[4026532163]", ["a3"]),
        ("/proc/1163/ns/net", ["a3"]),
        ("vlan102", ["a2"]),
        ("VLAN 102", ["a2"]),
        ("vlan:102", ["a2"]),
        ("VLAN_ID=102", ["a2"]),
    ],
)
def test_who_finds_by_everything_that_has_a_name(filled: Ledger, run: Run, what: str, owners: list[str]) -> None:
    done = run("who", what, "--json")
    assert [one["container_id"][:2] for one in done.json()["associations"]] == owners
    table = run("who", what)
    assert (done.code, table.code, table.err) == (0, 0, "")
    assert table.out.splitlines()[0].split()[:2] == ["VLAN", "ENI" if owners == ["a2"] else "MAC"]


def test_who_says_from_when_until_when_and_how_it_ended(filled: Ledger, run: Run) -> None:
    first, second = run("who", "101").out.splitlines()[1:3]
    assert "DEL" in first.split()
    assert "live" in second.split()


def test_who_at_a_time_gives_one_answer_and_echoes_the_time(filled: Ledger, run: Run) -> None:
    then = json.loads(filled.file.read_text().splitlines()[1])["ts"]
    done = run("who", "101", "--at", then)
    assert done.out.startswith(f"101 at {then[:10]} {then[11:19]} UTC (")
    assert "a1a1a1a1a1a1" in done.out
    assert "a3a3a3a3a3a3" not in done.out
    document = run("who", "101", "--at", "now", "--json").json()
    assert [one["container_id"][:2] for one in document["associations"]] == ["a3"]
    assert document["at"].endswith("Z")


def test_nobody_is_exit_1_with_the_question_that_may_have_an_answer(filled: Ledger, run: Run) -> None:
    done = run("who", "10.9.9.9")
    assert (done.code, done.out) == (1, "")
    begin = json.loads(filled.file.read_text().splitlines()[0])["ts"][:19].replace("T", " ")
    words = f"nobody has had it since {begin} UTC, when the ledger begins: 10.9.9.9"
    assert done.err == f"error: {words}\ntry: eni-ledger list\n"
    done = run("who", "10.9.9.9", "--json")
    assert (done.code, done.json()) == (1, {"associations": []})
    filled.delete(0xA2)
    assert "nobody had it at " in run("who", "102", "--at", "now").err


def test_a_time_from_the_table_finds_who_is_in_the_table(filled: Ledger, run: Run) -> None:
    table = run("who", "10.0.32.4").out.splitlines()[1]
    day, clock = table.split()[4:6]
    assert run("who", "10.0.32.4", "--at", f"{day} {clock}").code == 0
    events = [json.loads(line) for line in filled.file.read_text().splitlines()]
    if events[1]["ts"][:19] == events[4]["ts"][:19]:  # it changed hands in that second
        found = run("who", "10.0.32.4", "--at", f"{day} {clock}", "--json").json()["associations"]
        assert [one["container_id"][:2] for one in found] == ["a1", "a3"]
        assert [one["ended_by"] for one in found[:1]] == ["del"]


def test_a_time_in_the_same_second_as_the_beginning_is_told_apart(filled: Ledger, run: Run) -> None:
    begin = json.loads(filled.file.read_text().splitlines()[0])["ts"]
    done = run("who", "101", "--at", f"{begin[:19]}.000000Z")
    assert done.code == 1
    assert f"nothing is known of {begin[:10]} {begin[11:19]}.000000 UTC" in done.err
    assert f"the ledger begins at {begin[:10]} {begin[11:26]} UTC" in done.err


def test_a_whole_id_is_not_meant_as_the_beginning_of_others(ledger: Ledger, run: Run) -> None:
    for n in range(1, 12):
        ledger.add(n, 100 + n, container_id=f"load{n}")
    found = run("who", "load1", "--json").json()["associations"]
    assert [one["container_id"] for one in found] == ["load1"]
    assert len(run("who", "load", "--json").json()["associations"]) == 11


def test_an_id_as_the_tables_print_it_is_found(filled: Ledger, run: Run) -> None:
    printed = run("list").out.splitlines()[1].split()[-1]
    assert run("who", printed, "--json").json()["associations"][0]["association_id"].startswith(f"assoc-{printed}")


def test_before_the_ledger_began_is_not_the_same_as_nobody(filled: Ledger, run: Run) -> None:
    done = run("who", "101", "--at", "1999-01-01")
    assert done.code == 1
    assert "nothing is known of 1999-01-01 00:00:00 UTC: the ledger begins at " in done.err


def test_show_takes_the_beginning_of_an_id_with_or_without_assoc(filled: Ledger, run: Run) -> None:
    event = filled.delete(0xA3)
    whole = event["association_id"]
    done = run("show", whole)
    assert done.code == 0
    assert whole in done.out
    assert "the runtime's DEL" in done.out
    assert "2001:db8::4/64" in done.out
    assert [line.split()[2] for line in done.out.splitlines() if line[:2] == "20"] == ["add", "del"]
    assert run("show", whole[6:14]).out == done.out
    assert run("show", whole[:14].upper()).out == done.out
    document = run("show", whole, "--json").json()
    assert [one["event"] for one in document["events"]] == ["add", "del"]
    assert document["events"][1]["seq"] == event["seq"]
    assert len(document["associations"]) == 1


def test_show_tells_nothing_too_much_and_something_else_apart(filled: Ledger, run: Run) -> None:
    assert run("show", "assoc-00000000000000000").code == 1
    done = run("show", "10.0.32.4")
    assert (done.code, done.err) == (
        2,
        "error: not an association ID: '10.0.32.4'\ntry: eni-ledger who '10.0.32.4'\n",
    )
    for n in range(1, 40):
        filled.add(n, 200 + n, f"10.1.0.{n}/24")
    shared = [run("show", digit) for digit in "0123456789abcdef"]
    several = [done for done in shared if "associations begin like this" in done.err]
    assert several
    assert {done.code for done in several} == {2}


def test_log_prints_every_event_in_order(filled: Ledger, run: Run) -> None:
    lines = run("log").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["checkpoint", "add", "add", "del", "add"]
    assert lines[0].split() == ["TIME", "(UTC)", "EVENT", "VLAN", "IP", "ENI/MAC", "TASK", "DETAILS"]


def test_log_json_has_the_lines_of_the_ledger(filled: Ledger, run: Run) -> None:
    written = [json.loads(line) for line in filled.file.read_text().splitlines()]
    done = run("log", "--json")
    assert done.json_lines() == written
    assert [list(event) for event in done.json_lines()] == [list(event) for event in written]


def test_log_between_two_times_and_the_last_lines(filled: Ledger, run: Run) -> None:
    stamps = [event["ts"] for event in run("log", "--json").json_lines()]
    part = run("log", "--json", "--since", stamps[1], "--until", stamps[3]).json_lines()
    assert [event["ts"] for event in part] == stamps[1:4]
    assert [event["ts"] for event in run("log", "--json", "-n", "2").json_lines()] == stamps[-2:]
    assert run("log", "-n", "0").err == "no events\n"
    for more in ([], ["--json"]):
        done = run("log", "--until", "1999-01-01", *more)
        assert (done.code, done.out) == (1, "")
        assert "nothing is known of 1999-01-01 00:00:00 UTC" in done.err
        done = run("log", "--since", "now", *more)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: no events: from 2")


def test_a_log_over_several_segments(ledger: Ledger, run: Run) -> None:
    ledger.settings.rotate_bytes = 4096
    for n in range(1, 30):
        ledger.add(n, 100 + n, f"10.0.0.{n}/24")
    assert len(list(ledger.path.glob("ledger-*.jsonl"))) > 1
    events = run("log", "--json").json_lines()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len(run("list").out.splitlines()) == 30
    assert run("fsck").code == 0
    for count in (1, 5, 6, 7, 20, 500):
        assert run("log", "--json", "-n", str(count)).json_lines() == events[-count:]
        middle = run("log", "--json", "-n", str(count), "--since", events[3]["ts"], "--until", events[20]["ts"])
        assert middle.json_lines() == events[3:21][-count:]


def test_fsck_tells_of_a_file_system_that_promises_too_little(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.add(1, 101, "10.0.0.1/24")
    monkeypatch.setattr("eni_ledger.cli.commands.fsck.unsuitable_filesystem", lambda path: f"{path} is on nfs4 (srv:/)")
    assert "is on nfs4 (srv:/)" in run("fsck").out
    assert run("fsck", "--json").json()["notes"] == [f"{ledger.path} is on nfs4 (srv:/)"]


def test_what_was_written_into_a_name_cannot_steer_the_terminal(ledger: Ledger, run: Run) -> None:
    evil = "x\x1b]0;owned\x07\x9b2J\u202e[bold]y[/bold]\nz"
    event = ledger.add(1, 101, "10.0.0.1/24", task_family=evil, network=evil)
    ledger.write({"event": "add_failed", "container_id": evil, "ifname": "eth0", "error_msg": evil})
    for args in (["list"], ["log"], ["who", "101"], ["show", event["association_id"]]):
        done = run(*args)
        assert done.code == 0
        assert all(c.isprintable() or c == "\n" for c in done.out)
        as_json = run(*args, "--json").out
        assert all(c.isprintable() or c == "\n" for c in as_json)
    assert "x\\x1b]0;owned\\x07\\x9b2J\\u202e[bold]y[/bold]\\nz" in run("list").out
    assert run("list", "--json").json()["associations"][0]["network"] == evil
