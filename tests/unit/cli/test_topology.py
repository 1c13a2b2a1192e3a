"""topology on ledgers that the writer made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from helpers.documents import write_ledger
from helpers.pictures import BOOT, branch

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Run


_NOT_OF_EVENTS = ("association_id", "since", "add_seq")


@pytest.fixture
def host(ledger: Ledger) -> Ledger:
    """Return a ledger of two live branches, and one that has ended."""
    for n in range(3):
        event = {key: value for key, value in branch(n, boot_id=None).items() if key not in _NOT_OF_EVENTS}
        ledger.write({"event": "add", **event})
    ledger.write({"event": "del", "container_id": branch(0)["container_id"], "ifname": "eth0"})
    return ledger


def test_the_tree_is_the_usual_form(host: Ledger, run: Run) -> None:
    done = run("topology", "--instance-type", "c5.large")
    assert done.code == 0
    assert "2 VLAN IDs used, 8 left (ECS)" in done.out
    assert "VLAN 102  " in done.out
    assert "VLAN 101  " not in done.out


@pytest.mark.parametrize("form", ["tree", "svg", "html", "mermaid", "dot", "json"])
def test_every_form_has_every_branch(host: Ledger, run: Run, form: str) -> None:
    done = run("topology", "-o", form)
    assert done.code == 0
    for n in (1, 2):
        assert str(101 + n) in done.out
        assert branch(n)["eni_id"] in done.out
    if form == "svg":
        ElementTree.fromstring(done.out)
    if form == "json":
        assert [len(trunk["branches"]) for trunk in done.json()["hosts"][0]["trunks"]] == [2]


def test_json_is_the_same_as_o_json(host: Ledger, run: Run) -> None:
    short, long = run("topology", "--json").json(), run("topology", "-o", "json").json()
    assert short["hosts"] == long["hosts"]


def test_at_a_time_shows_what_was_live_then(host: Ledger, run: Run) -> None:
    then = json.loads(host.file.read_text().splitlines()[1])["ts"]
    done = run("topology", "--at", then, "--json")
    assert [node["vlan_id"] for node in done.json()["hosts"][0]["trunks"][0]["branches"]] == [101]
    assert done.json()["at"] == then


def test_a_time_before_the_ledger_is_an_error(host: Ledger, run: Run) -> None:
    for form in ("tree", "json", "svg"):
        done = run("topology", "--at", "1999-01-01", "-o", form)
        assert done.code == 1
        assert "error: nothing is known of 1999-01-01 00:00:00 UTC: the ledger begins at " in done.err


def test_damage_is_said_and_what_is_proven_is_drawn(host: Ledger, run: Run) -> None:
    lines = host.file.read_bytes().splitlines(keepends=True)
    then = json.loads(lines[2])["ts"]
    lines[3] = lines[3].replace(b'"vlan_id":103', b'"vlan_id":104')
    host.file.write_bytes(b"".join(lines))
    for form in ("tree", "svg", "json", "html", "dot", "mermaid"):
        done = run("topology", "--at", then, "-o", form)
        assert done.code == 3
        assert "102" in done.out
        assert "ledger.jsonl" in done.err
    assert run("topology", "--at", then, "--json").json()["damage"]["line"] == 4
    assert "the ledger is damaged" in run("topology", "--at", then, "-o", "html").out


def test_filters_choose_what_is_drawn(host: Ledger, run: Run) -> None:
    done = run("topology", "--vlan", "103", "--instance-type", "c5.large")
    assert "VLAN 102" not in done.out
    assert "2 VLAN IDs used, 8 left (ECS)" in done.out, "of all of them"
    assert run("topology", "--family", "nobody").out == ""


def test_a_copy_has_no_type_of_this_host_and_says_what_it_is(ledger: Ledger, run: Run) -> None:
    ledger.add(1, 101, "10.0.0.1/24", boot_id=BOOT)
    done = run("topology", "--json", "--state-dir", str(ledger.path), env={"ENI_LEDGER_STATE_DIR": "/nonexistent"})
    assert done.json()["hosts"][0]["instance_type"] is None
    assert any(note.startswith("a copy, as of ") for note in done.json()["notes"])


def test_a_what_chooses_and_one_that_fits_nothing_is_an_error(host: Ledger, run: Run) -> None:
    eni = branch(1)["eni_id"]
    assert "VLAN 102  " in run("topology", eni).out
    assert "VLAN 103  " not in run("topology", eni).out
    done = run("topology", "10.99.0.1", "-o", "svg")
    assert done.code == 1
    assert "nothing that is live now fits: 10.99.0.1" in done.err


def test_times_are_shown_in_the_zone_that_was_chosen(host: Ledger, run: Run) -> None:
    assert "+09:00" in run("topology", "-o", "html", "--tz", "+09:00").out


def test_several_ledgers_are_one_picture(host: Ledger, run: Run, tmp_path: Path) -> None:
    write_ledger(tmp_path / "other", [branch(7, instance_id="i-0000000000000000b")])
    directories = ("--state-dir", str(host.path), "--state-dir", str(tmp_path / "other"))
    hosts = run("topology", "--json", *directories).json()["hosts"]
    assert [each["name"] for each in hosts] == ["i-0000000000000000b", "i-0123456789abcdef0"]
    done = run("report", "-", *directories)
    assert done.code == 0
    assert done.out.count("<dt>Ledger</dt>") == 2


def test_nothing_live_is_no_error(host: Ledger, run: Run) -> None:
    for n in (1, 2):
        host.write({"event": "del", "container_id": branch(n)["container_id"], "ifname": "eth0"})
    done = run("topology", "--instance-type", "c5.large")
    assert (done.code, done.out.count("VLAN 10")) == (0, 0)
    assert "nothing live" in done.err
    assert "no live branch, the last one until 2" in done.out
    assert "UTC; 0 VLAN IDs used, 10 left (ECS)" in done.out
    for form in ("svg", "html", "mermaid", "dot", "json"):
        drawn = run("topology", "-o", form)
        assert drawn.code == 0
        assert branch(0)["trunk_mac"] in drawn.out
    (trunk,) = drawn.json()["hosts"][0]["trunks"]
    assert (trunk["branches"], trunk["vlans_used"]) == ([], [])
    assert trunk["last_until"] > "2"


def test_a_trunk_without_a_live_branch_stands_beside_the_others(host: Ledger, run: Run) -> None:
    other = {"trunk_mac": "0a:00:00:00:0f:0f", "trunk_ifname": "ens7", "vlan_id": 7}
    event = {key: value for key, value in branch(9, boot_id=None, **other).items() if key not in _NOT_OF_EVENTS}
    host.write({"event": "add", **event})
    host.write({"event": "del", "container_id": event["container_id"], "ifname": "eth0"})
    done = run("topology")
    assert done.out.count("trunk ") == 2
    assert "2 VLAN IDs used" in done.out
    assert "no live branch, the last one until" in done.out
    assert "no live branch" not in run("topology", "--family", branch(1)["task_family"]).out


@pytest.mark.parametrize("name", ["large", "m5 large", "", "m5.large; ls"])
def test_what_is_no_instance_type_is_refused(host: Ledger, run: Run, name: str) -> None:
    done = run("topology", "--instance-type", name)
    assert done.code == 2
    assert "not an instance type" in done.err
