"""list, who and log with several WHATs, from standard input, for intervals, with filters; and who was there instead."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli.keys import KEYS
from eni_ledger.ledger.format.schema import Association

if TYPE_CHECKING:
    from unit.cli.conftest import Clock, Ledger, Ran, Run

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/5f8a2b3d4e5f60715f8a2b3d4e5f6071"
DAY = "2026-10-25T03:"


@pytest.fixture
def past(ledger: Ledger, clock: Clock) -> Ledger:
    """Give 10.0.32.4 to api:17 from 03:00 to 03:11:58 and to web from 03:12:40 on; 10.0.32.5 lives from 03:05 on."""
    clock(f"{DAY}00:00.000000Z")
    api = {"task_arn": TASK, "task_family": "api", "task_revision": 17, "service": "shop", "cluster": "prod"}
    ledger.add(0xA1, 101, "10.0.32.4/20", **api)
    clock(f"{DAY}05:00.000000Z")
    ledger.add(0xA2, 102, "10.0.32.5/20", task_family="api-admin", mismatch=["vlan_id"], observed_vlan_id=103)
    clock(f"{DAY}11:58.000000Z")
    ledger.delete(0xA1)
    clock(f"{DAY}12:40.000000Z")
    ledger.add(0xA3, 101, "10.0.32.4/20", task_family="web")
    clock(f"{DAY}20:00.000000Z")
    ledger.write({"event": "add_failed", "container_id": "b1" * 32, "ifname": "eth0", "vlan_id": 102, "error_msg": "x"})
    return ledger


def containers(done: Ran) -> list[str]:
    """Return the first digits of the containers in an answer."""
    return [one["container_id"][:2] for one in done.json()["associations"]]


def at(time: str) -> str:
    """Return a time of the day of the ledger."""
    return f"2026-10-25 {time}"


@pytest.mark.usefixtures("past")
class TestSeveral:
    def test_who_says_which_answer_is_whose(self, run: Run) -> None:
        rows = run("who", "10.0.32.5", "101", "--json").json()["associations"]
        assert [(row["what"], row["container_id"][:2]) for row in rows] == [
            ("10.0.32.5", "a2"),
            ("101", "a1"),
            ("101", "a3"),
        ]
        lines = run("who", "10.0.32.5", "101").out.splitlines()
        assert lines[0].split()[0] == "WHAT"
        assert [line.split()[0] for line in lines[1:4]] == ["10.0.32.5", "101", "101"]

    def test_one_is_as_before(self, run: Run) -> None:
        assert "what" not in run("who", "10.0.32.5", "--json").json()["associations"][0]
        assert run("who", "10.0.32.5").out.split()[0] == "VLAN"

    def test_the_same_twice_is_one(self, run: Run) -> None:
        assert run("who", "101", "101").out == run("who", "101").out

    def test_exit_status_1_when_one_of_them_has_no_answer(self, run: Run) -> None:
        done = run("who", "10.9.9.9", "101")
        assert done.code == 1
        assert "10.9.9.9: nobody has had it since 2026-10-25 03:00:00 UTC, when the ledger begins\n" in done.err
        assert done.err.endswith("error: nothing was found for some of them: 1 of 2\n")
        assert done.out.count(" 101 ") == 2
        document = run("who", "10.9.9.9", "101", "--json").json()
        assert document["missing"] == [{"what": "10.9.9.9"}]

    def test_what_can_be_nothing_is_refused_before_anything_is_answered(self, run: Run) -> None:
        done = run("who", "101", "10.0.0.300")
        assert (done.code, done.out) == (2, "")

    def test_the_field_that_fitted_is_told_of_each(self, past: Ledger, run: Run) -> None:
        past.add(0xA5, 105, "10.0.32.9/20", pid=102)
        rows = run("who", "102", "101", "--json").json()["associations"]
        assert [row.get("fitted") for row in rows] == ["vlan_id", "pid", None, None]
        assert "102 fits several things: vlan_id of " in run("who", "102", "101").out

    def test_list_has_those_that_fit_one(self, run: Run) -> None:
        assert containers(run("list", "10.0.32.5", "--json")) == ["a2"]
        assert sorted(containers(run("list", "10.0.32.5", "vlan:101", "--json"))) == ["a2", "a3"]
        rows = run("list", "10.0.32.5", "vlan:102", "101", "--json").json()["associations"]
        assert sorted(row["what"] for row in rows) == ["10.0.32.5, vlan:102", "101"]
        done = run("list", "10.9.9.9")
        assert (done.code, done.out) == (1, "")
        assert done.err == "error: nothing that is live has it: 10.9.9.9\ntry: eni-ledger who 10.9.9.9\n"

    def test_log_has_the_events_of_those_that_fit_and_calls_that_failed(self, run: Run) -> None:
        def kinds(*args: str) -> list[str]:
            return [event["event"] for event in run("log", *args, "--json").json_lines()]

        assert kinds("10.0.32.4") == ["add", "del", "add"]
        assert kinds("vlan:102") == ["add", "add_failed"]
        assert kinds("vlan:102", "10.0.32.4") == ["add", "add", "del", "add", "add_failed"]
        assert kinds("10.0.32.4", "-n", "1") == ["add"]
        assert kinds("10.0.32.4", "--since", at("03:05"), "--until", at("03:12")) == ["del"]
        done = run("log", "10.9.9.9")
        assert (done.code, done.out, "no events: 10.9.9.9" in done.err) == (1, "", True)


@pytest.mark.usefixtures("past")
class TestStandardInput:
    @staticmethod
    def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    def test_the_first_word_of_each_line(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.feed(monkeypatch, b"10.0.32.5 443 ACCEPT\n\n# comment\n-\n101 # a tag\n10.0.32.5\n")
        done = run("who", "-", "--json")
        assert done.code == 0
        assert [row["what"] for row in done.json()["associations"]] == ["10.0.32.5", "101", "101"]

    def test_a_bad_line_is_named_and_the_rest_is_answered(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        rubbish = b"10.0.32.300\n" + b"x" * 10_000 + b"\n\xff\xfe\x1b[2J\n"
        self.feed(monkeypatch, b"10.0.32.5\n" + rubbish + b"101\n")
        done = run("who", "-", "--json")
        assert done.code == 2
        assert [row["what"] for row in done.json()["associations"]] == ["10.0.32.5", "101", "101"]
        lines = done.err.splitlines()
        assert lines[0] == "line 2: not an IP address: '10.0.32.300'"
        assert lines[1] == "line 3: the line is too long: more than 4096 bytes"
        assert lines[2].startswith("line 4: that cannot be looked for: ")
        assert lines[3] == "error: lines of standard input were not understood: 3 of them, named above"
        assert "\x1b" not in done.err

    @pytest.mark.parametrize("command", ["list", "log"])
    def test_list_and_log_too(self, run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        self.feed(monkeypatch, b"10.0.32.5\n10.0.32.300\n")
        done = run(command, "-")
        assert (done.code, "10.0.32.5" in done.out, "line 2: not an IP" in done.err) == (2, True, True)

    @pytest.mark.parametrize("data", [b"", b"\n# nothing\n", b"10.0.0.300\n"])
    def test_nothing_to_ask_for(self, run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        self.feed(monkeypatch, data)
        done = run("list", "-")
        assert (done.code, done.out) == (2, "")
        assert "standard input" in done.err

    def test_many_lines_take_one_pass(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from eni_ledger.ledger.read.selection import Lookup

        passes = []
        events = Lookup.events

        def counted(self: Lookup, number: int, *args: str) -> object:
            passes.append(number)
            return events(self, number, *args)

        monkeypatch.setattr(Lookup, "events", counted)
        addresses = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(20_000)]
        self.feed(monkeypatch, "\n".join([*addresses, "10.0.32.4", "0a:12:34:56:78:a2", "a1a1a1"]).encode())
        done = run("who", "-", "--json")
        rows = done.json()["associations"]
        assert [(row["what"], row["container_id"][:2]) for row in rows] == [
            ("10.0.32.4", "a1"),
            ("10.0.32.4", "a3"),
            ("10.0.32.5", "a2"),
            ("0a:12:34:56:78:a2", "a2"),
            ("a1a1a1", "a1"),
        ]
        assert len(passes) < 10


@pytest.mark.usefixtures("past")
class TestIntervals:
    @pytest.mark.parametrize(
        ("times", "who", "everything"),
        [
            (["--since", at("03:00"), "--until", at("03:12")], ["a1"], ["a1", "a2"]),
            (["--since", at("03:12"), "--until", at("03:12:39")], [], ["a2"]),
            (["--since", at("03:11"), "--until", at("03:13")], ["a1", "a3"], ["a1", "a2", "a3"]),
            (["--since", at("03:12")], ["a3"], ["a2", "a3"]),
            (["--until", at("03:04")], ["a1"], ["a1"]),
            (["--at", at("03:11:57")], ["a1"], ["a1", "a2"]),
            (["--at", at("03:12")], [], ["a2"]),
        ],
    )
    def test_everything_that_overlapped(
        self, run: Run, times: list[str], who: list[str], everything: list[str]
    ) -> None:
        done = run("who", "10.0.32.4", *times, "--json")
        assert (done.code, containers(done)) == (0 if who else 1, who)
        assert containers(run("list", *times, "--json")) == everything

    def test_the_interval_is_echoed(self, run: Run) -> None:
        times = ["--since", at("03:11"), "--until", at("03:13")]
        words = " from 2026-10-25 03:11:00 UTC to 2026-10-25 03:13:00 UTC\n\n"
        assert run("who", "101", *times).out.startswith(f"101{words}")
        assert run("list", *times).out.startswith(f"live{words}")
        document = run("who", "101", *times, "--json").json()
        assert (document["since"], document["until"]) == (f"{DAY}11:00.000000Z", f"{DAY}13:00.000000Z")

    def test_an_interval_before_the_ledger(self, run: Run) -> None:
        for question in (["who", "101"], ["list"], ["log"]):
            done = run(*question, "--since", "2001-01-01", "--until", "2002-01-01")
            assert (done.code, "nothing is known of 2002-01-01 00:00:00 UTC" in done.err) == (1, True)

    def test_an_interval_of_which_the_ledger_knows_a_part(self, run: Run) -> None:
        done = run("list", "--since", at("02:00"), "--until", at("03:04"))
        assert (done.code, done.err) == (0, "note: the ledger begins at 2026-10-25 03:00:00 UTC\n")
        document = run("who", "101", "--since", at("02:00"), "--json").json()
        assert document["notes"] == ["the ledger begins at 2026-10-25 03:00:00 UTC"]
        assert run("list", "--since", at("03:00")).err == ""

    def test_log_at_is_a_minute_or_a_second(self, run: Run) -> None:
        assert [event["event"] for event in run("log", "--at", at("03:12"), "--json").json_lines()] == ["add"]
        assert [event["event"] for event in run("log", "--at", at("03:11:58"), "--json").json_lines()] == ["del"]
        assert run("log", "--at", at("03:13")).code == 1


@pytest.mark.usefixtures("past")
class TestMisses:
    def test_who_had_it_last_and_next(self, run: Run) -> None:
        done = run("who", "10.0.32.4", "--at", at("03:12"))
        assert done.code == 1
        assert done.out.splitlines() == [
            "10.0.32.4: nobody at 2026-10-25 03:12:00 UTC",
            "  last: api:17/5f8a2b3d until 03:11:58, 2 s before",
            "  next: web from 03:12:40, 40s after",
        ]
        assert done.err.startswith("error: nobody had it at 2026-10-25 03:12:00 UTC: 10.0.32.4\n")

    def test_in_json(self, run: Run) -> None:
        document = run("who", "10.0.32.4", "--at", at("03:12"), "--json").json()
        assert document["associations"] == []
        assert document["before"]["until"] == f"{DAY}11:58.000000Z"
        assert document["after"]["since"] == f"{DAY}12:40.000000Z"
        document = run("who", "102", "--at", at("03:01"), "--json").json()
        assert (document["before"], document["after"]["since"]) == (None, f"{DAY}05:00.000000Z")

    def test_only_one_of_the_two(self, past: Ledger, run: Run) -> None:
        past.delete(0xA3)
        assert "  last: nobody that the ledger knows of\n" in run("who", "102", "--at", at("03:01")).out
        done = run("who", "10.0.32.4", "--at", at("03:30"))
        assert "  last: web until 03:20:00, 10m before\n  next: nobody so far\n" in done.out

    def test_what_nobody_ever_had(self, run: Run) -> None:
        done = run("who", "10.9.9.9", "--at", at("03:12"))
        assert (done.code, done.out) == (1, "")

    def test_of_an_interval(self, run: Run) -> None:
        done = run("who", "10.0.32.4", "--since", at("03:12:00"), "--until", at("03:12:30"))
        assert "  last: api:17/5f8a2b3d until 03:11:58, 2 s before\n" in done.out
        assert "  next: web from 03:12:40, 9 s after\n" in done.out

    def test_of_several(self, run: Run) -> None:
        done = run("who", "10.0.32.4", "102", "--at", at("03:12"))
        assert "10.0.32.4: nobody had it at 2026-10-25 03:12:00 UTC; last: api:17/5f8a2b3d until 03:11:58, " in done.err
        document = run("who", "10.0.32.4", "102", "--at", at("03:12"), "--json").json()
        assert [(one["what"], one["after"]["since"]) for one in document["missing"]] == [
            ("10.0.32.4", f"{DAY}12:40.000000Z")
        ]

    def test_in_the_zone(self, run: Run) -> None:
        done = run("who", "10.0.32.4", "--at", "2026-10-25 04:12", "--tz", "Europe/Berlin")
        assert "  last: api:17/5f8a2b3d until 04:11:58, 2 s before\n" in done.out


@pytest.mark.usefixtures("past")
class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            (["--family", "api"], ["a1"]),
            (["--family", "api*"], ["a1", "a2"]),
            (["--family", "api", "--family", "web"], ["a1", "a3"]),
            (["--family", "api*", "--vlan", "101"], ["a1"]),
            (["--vlan", "103"], ["a2"]),
            (["--service", "shop"], ["a1"]),
            (["--cluster", "p*d"], ["a1"]),
            (["--task", "5f8a2b3d"], ["a1"]),
            (["--trunk", "enp40s0"], ["a1", "a2", "a3"]),
            (["--via", "chained"], ["a1", "a2", "a3"]),
            (["--via", "scan"], []),
            (["--mismatch"], ["a2"]),
            (["--event", "del"], ["a1"]),
            (["--event", "add"], ["a1", "a2", "a3"]),
        ],
    )
    def test_of_list_and_who(self, run: Run, filters: list[str], found: list[str]) -> None:
        done = run("list", "--since", at("02:00"), *filters, "--json")
        assert (done.code, containers(done)) == (0, found)
        live = [each for each in found if each != "a1"]
        assert sorted(containers(run("list", *filters, "--json"))) == sorted(live if "del" not in filters else [])
        whose = [each for each in found if each != "a2"]
        assert containers(run("who", "101", *filters, "--json")) == whose

    @pytest.mark.parametrize(
        ("filters", "kinds"),
        [
            (["--family", "api"], ["add", "del"]),
            (["--event", "del"], ["del"]),
            (["--event", "add*", "--vlan", "102"], ["add", "add_failed"]),
            (["--event", "add", "--family", "api*"], ["add", "add"]),
            (["--mismatch"], ["add"]),
        ],
    )
    def test_of_log(self, run: Run, filters: list[str], kinds: list[str]) -> None:
        assert [event["event"] for event in run("log", *filters, "--json").json_lines()] == kinds


@pytest.mark.usefixtures("past")
class TestJson:
    def test_every_association_has_every_key(self, run: Run) -> None:
        keys = set(Association.model_fields)
        assert set(KEYS) == keys
        for question in (["list"], ["who", "101"], ["list", "--at", at("03:11")], ["who", "101", "102"]):
            for one in run(*question, "--json").json()["associations"]:
                assert keys <= set(one)
                assert set(one) - keys <= {"what", "fitted"}
        document = run("who", "10.0.32.4", "--at", at("03:12"), "--json").json()
        assert keys == set(document["before"]) == set(document["after"])

    def test_a_form_with_a_library_has_the_same_document(self, run: Run) -> None:
        for question in (["list"], ["who", "101", "102"], ["who", "10.0.32.4", "--at", at("03:12")]):
            assert run(*question, "--json").json() == run(*question, "--json", "--limit", "9").json()

    def test_what_is_not_known_is_null(self, run: Run) -> None:
        (one,) = run("list", "10.0.32.5", "--json").json()["associations"]
        assert (one["eni_id"], one["until"], one["gateways"]) == (None, None, None)
        assert one["mismatch"] == ["vlan_id"]


@pytest.mark.usefixtures("past")
class TestForms:
    """What is asked for is asked in any form; that a form is right: test_present."""

    def test_what_is_live_is_live_in_a_table_that_is_sorted(self, run: Run) -> None:
        lines = run("who", "101", "--sort", "-since").out.splitlines()
        assert [" live " in line for line in lines[1:3]] == [True, False]
        assert "UNTIL" not in run("list", "--sort", "vlan_id").out

    def test_a_miss_is_beside_an_answer_for_programs(self, run: Run) -> None:
        done = run("who", "10.0.32.4", "--at", at("03:12"), "-o", "csv")
        assert "10.0.32.4: nobody had it at 2026-10-25 03:12:00 UTC; last: api:17/5f8a2b3d until " in done.err
        assert "last:" not in done.out
        assert '"before"' in run("who", "10.0.32.4", "--at", at("03:12"), "-o", "json").out

    def test_the_what_of_each_answer(self, run: Run) -> None:
        lines = run("who", "10.0.32.5", "101", "-o", "csv", "--columns", "what,container_id").out.splitlines()
        assert [line.split(",")[0] for line in lines] == ["what", "10.0.32.5", "101", "101"]

    def test_filters_and_sort(self, run: Run) -> None:
        done = run("log", "--event", "add", "--sort", "-vlan_id", "-o", "jsonl")
        assert [event["vlan_id"] for event in done.json_lines()] == [102, 101, 101]
