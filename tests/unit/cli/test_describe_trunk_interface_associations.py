"""describe-trunk-interface-associations on ledgers that the writer made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from unit.cli.conftest import TASK

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run

NAME = "describe-trunk-interface-associations"


def test_the_command_line_of_the_documents(filled: Ledger, run: Run) -> None:
    done = run(
        NAME, *("--filters", "Name=vlan-id,Values=101", "--query", "InterfaceAssociations[].VlanId", "--output", "text")
    )
    assert (done.code, done.out, done.err) == (0, "101\n", "")


def test_what_is_live_with_its_task(filled: Ledger, run: Run) -> None:
    items = run(NAME).json()["InterfaceAssociations"]
    assert [(item["VlanId"], item.get("BranchInterfaceId")) for item in items] == [
        (102, "eni-0123456789abcdef0"),
        (101, None),
    ]
    assert {"Key": "eni-ledger:task-arn", "Value": TASK} in items[0]["Tags"]


def test_several_values_stand_behind_one_option(filled: Ledger, run: Run) -> None:
    ids = [item["AssociationId"] for item in run(NAME).json()["InterfaceAssociations"]]
    both = run(NAME, "--association-ids", *ids, "--output", "json").json()["InterfaceAssociations"]
    assert [item["AssociationId"] for item in both] == ids
    names = ("Name=vlan-id,Values=101,102", "Name=task-arn,Values=*")
    found = run(NAME, "--filters", *names, "--query", "length(InterfaceAssociations)")
    assert found.out == "1\n"


def test_at_a_time_it_is_what_was_live_then(filled: Ledger, run: Run) -> None:
    first = run("log", "--json").json_lines()[1]["ts"]
    items = run(NAME, "--at", first).json()["InterfaceAssociations"]
    assert [item["VlanId"] for item in items] == [101]
    ended = {tag["Key"] for tag in items[0]["Tags"]}
    assert "eni-ledger:until" in ended


def test_whole_enis_and_other_interfaces_are_left_out(filled: Ledger, run: Run) -> None:
    filled.add(0xB1, None, "10.0.32.9/20", protocol="default", eni_id="eni-0aaaaaaaaaaaaaaaa")
    assert "eni-0aaaaaaaaaaaaaaaa" not in run(NAME).out


def test_pages_go_on_by_the_token(filled: Ledger, run: Run) -> None:
    first = run(NAME, "--max-items", "1").json()
    second = run(NAME, "--starting-token", first["NextToken"]).json()
    assert [len(first["InterfaceAssociations"]), len(second["InterfaceAssociations"])] == [1, 1]
    assert first["InterfaceAssociations"] + second["InterfaceAssociations"] == run(NAME).json()["InterfaceAssociations"]


@pytest.mark.parametrize("output", ["json", "text", "table", "yaml"])
def test_every_form_has_every_branch(filled: Ledger, run: Run, output: str) -> None:
    done = run(NAME, "--output", output)
    assert done.code == 0
    assert "101" in done.out
    assert "102" in done.out
    if output == "yaml":
        assert yaml.safe_load(done.out) == run(NAME, "--json").json()


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--filters", "Name=nonsense,Values=1"], 254, "The filter 'nonsense' is invalid"),
        (["--association-ids", "assoc-00000000000000000"], 254, "does not exist"),
        (["--starting-token", "nonsense"], 254, "NextToken is not valid"),
        (["--starting-token", "eyJhIjoxfQ=="], 255, "Bad starting token"),
        (["--filters", "nonsense"], 252, "--filters"),
        (["--query", "["], 252, "--query"),
        (["--nonsense"], 252, "no such option"),
        (["--output", "xml"], 252, "xml"),
        (["--page-size", "2"], 252, "--page-size"),
        (["--max-items", "many"], 252, "--max-items"),
        (["--at", "nonsense"], 252, "--at"),
        (["--at", "2001-01-01"], 255, "nothing is known of"),
        (["--state-dir", "/nonexistent"], 253, "there is no ledger"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_exit_statuses_are_those_of_the_aws_cli_2(
    filled: Ledger, run: Run, args: list[str], status: int, words: str
) -> None:
    done = run(NAME, *args)
    assert done.code == status, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.err.count("error: ") == 1


def test_of_a_damaged_ledger_it_prints_what_is_proven(filled: Ledger, run: Run) -> None:
    then = run("log", "--json").json_lines()[2]["ts"]
    lines = filled.file.read_bytes().splitlines(keepends=True)
    filled.file.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"0a:12", b"0a:13")]))
    done = run(NAME, "--at", then)
    assert done.code == 254
    assert '"VlanId": 101' in done.out
    assert "error: " in done.err


def test_an_empty_answer_is_none(ledger: Ledger, run: Run) -> None:
    ledger.add(1, 7)
    ledger.delete(1)
    done = run(NAME)
    assert (done.code, done.out) == (0, '{\n    "InterfaceAssociations": []\n}\n')
    assert run(NAME, "--output", "text").out == ""
