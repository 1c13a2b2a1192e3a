"""`who` with all that can be asked: what the tables print, what fits several things, what is not looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import writer

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
SHORT = TASK.rpartition("/")[2][:12]


@pytest.fixture
def printed(ledger: Ledger) -> Ledger:
    """Give two associations with everything that a table has a column for; in one the kernel shows something else."""
    wrong = {"observed_vlan_id": 103, "observed_addresses": ["10.0.32.6/20"], "mismatch": ["vlan_id", "addresses"]}
    ledger.add(0xA1, 101, "10.0.32.4/20", netns="/host/proc/1161/ns/net", network="n", eni_id="eni-0123456789abcdef0")
    ledger.add(0xA2, 102, "10.0.32.5/20", task_arn=TASK, ifname="eth1", **wrong)
    return ledger


def finds(run: Run, what: str) -> set[str]:
    """Return the first digits of the associations that `who` finds."""
    done = run("who", what, "--json")
    assert done.code == 0, (what, done.err)
    return {one["association_id"][6:14] for one in done.json()["associations"]}


@pytest.mark.parametrize(
    ("command", "columns"),
    [("list", (0, 1, 2, 3, 4, 5, -1)), ("who", (0, 1, 2, 3, -1)), ("log", (3, 4, 5, 6, 8, 10))],
)
def test_everything_that_a_table_prints_is_found(
    printed: Ledger, run: Run, command: str, columns: tuple[int, ...]
) -> None:
    ids = [one["association_id"][6:14] for one in run("list", "--json").json()["associations"]]
    lines = run(command, *(["0a:ff:00:00:00:01"] if command == "who" else [])).out.splitlines()
    rows = [line.replace(";", "").split() for line in lines if " 10.0.32." in line and not line.startswith("!")]
    for row, mine in zip(rows, ids, strict=True):
        for column in columns:
            assert mine in finds(run, row[column]), (row, column)


def test_everything_that_a_card_prints_of_a_branch_and_its_owner_is_found(printed: Ledger, run: Run) -> None:
    for one in run("list", "--json").json()["associations"]:
        card = run("show", one["association_id"]).out.partition("TIME")[0]
        for field in ("vlan_id", "eni_id", "branch_mac", "addresses", "trunk_mac", "task_arn", "container_id"):
            for value in one.get(field) if isinstance(one.get(field), list) else [one.get(field)]:
                # With its prefix length an address is a CIDR with host bits.
                what = str(value).partition("/")[0] if field == "addresses" else str(value)
                assert value is None or (str(value) in card and one["association_id"][6:14] in finds(run, what))
        for field in ("netns_inode", "netns", "pid", "observed_vlan_id", "observed_mac"):
            assert one["association_id"][6:14] in finds(run, str(one[field])), field


def test_the_task_as_list_prints_it_is_the_task_and_no_other_ones_container(printed: Ledger, run: Run) -> None:
    assert SHORT in run("list").out
    done = run("who", SHORT)
    assert (done.code, len(done.out.splitlines())) == (0, 3)  # with the mismatch below
    other = printed.add(0xA4, 104, "10.0.32.7/20", container_id=SHORT + "0" * 52)
    document = run("who", SHORT, "--json").json()
    task = next(one for one in document["associations"] if one.get("task_arn"))
    assert document["fitted"] == {task["association_id"]: "task_arn", other["association_id"]: "container_id"}
    assert list(document) == ["fitted", "associations"]
    ids = [one[6:14] for one in document["fitted"]]
    says = f"{SHORT} fits several things: task_arn of {ids[0]}; container_id of {ids[1]}"
    assert run("who", SHORT).out.splitlines()[-1] == says


def test_one_thing_that_several_had_is_told_as_before(printed: Ledger, run: Run) -> None:
    printed.delete(0xA1)
    printed.add(0xA3, 101, "10.0.32.4/20")
    for what in ("101", "10.0.32.4", TASK, "0a:ff:00:00:00:01"):
        assert "fits several" not in run("who", what).out
        assert list(run("who", what, "--json").json()) == ["associations"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("10.0.32.4/20", "a CIDR with host bits: '10.0.32.4/20'"),
        ("colour:red", "there is no kind 'colour'"),
        ("vlan:web", "not a VLAN ID"),
        (TASK.replace("task/", "container-instance/"), "an ARN of something that is not recorded"),
    ],
)
def test_what_can_be_nothing_is_refused(printed: Ledger, run: Run, what: str, says: str) -> None:
    for more in ([], ["--json"], ["--at", "now"], ["--at", "now", "--json"], ["--at", "2001-01-01"]):
        done = run("who", what, *more)
        assert (done.code, done.out) == (2, ""), more
        assert says in done.err
        assert "\ntry: " in done.err
        assert "nobody" not in done.err


def test_a_name_that_was_a_container_at_another_time_is_nobody_then(printed: Ledger, run: Run) -> None:
    first = printed.add(0xA5, 105, "10.0.32.8/20", container_id="demo-web")
    begin = run("log", "--json", "-n", "9").json_lines()[0]["ts"]
    done = run("who", "demo-web", "--at", begin)
    assert done.code == 1
    assert done.out.splitlines()[0].startswith("demo-web: nobody at ")
    assert done.out.splitlines()[2].startswith("  next: demo-web from ")
    assert "nobody had it at " in done.err
    assert finds(run, "web") == {first["association_id"][6:14]}


def test_what_nothing_has_had_is_nobody(printed: Ledger, run: Run) -> None:
    for what in ("0123456789ab", "web", "web:3", "prod", "enp40s1", "i-0123456789abcdef9", "10.9.0.0/16"):
        done = run("who", what)
        assert done.code == 1
        assert "nobody has had it since " in done.err


def set_back(monkeypatch: pytest.MonkeyPatch, printed: Ledger, hours: float) -> str:
    """Set the clock back by `hours` and record a DEL and an ADD; return the time in the middle of what came twice."""
    now_us = line_format.now_us()
    printed.add(0xA6, 106, "10.0.32.9/20")
    held = line_format.parse_ts(History(str(printed.path)).live()[-1]["since"])
    with monkeypatch.context() as behind:
        behind.setattr(writer, "now_us", lambda: now_us - int(hours * 3600e6))
        printed.delete(0xA1)
        printed.add(0xA7, 101, "10.0.32.4/20")
    return line_format.format_ts(held - int(hours * 1800e6))


def test_a_time_that_came_twice_has_a_note(printed: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    printed.settings.rotate_bytes = 1 << 20
    at = set_back(monkeypatch, printed, 2)
    words = "clock set back by 2h"
    for command in (["list"], ["who", "10.0.32.4"]):
        done = run(*command, "--at", at)
        assert f"note: {words}" in done.err, done.err
        assert done.err.count("clock set back") == 1
        assert "came twice; `log` shows both" in done.err
        document = run(*command, "--at", at, "--json").json()
        assert [note[: len(words)] for note in document["notes"]] == [words]
        assert not {"second_time"} & document.keys()
        for now in (run(*command), run(*command, "--at", "now")):
            assert "set back" not in now.out + now.err
