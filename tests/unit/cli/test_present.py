"""Every form of an answer: golden outputs, and what reads them back."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.cli.main import COMMANDS, load
from eni_ledger.cli.present import present, print_document
from eni_ledger.cli.session import Session
from eni_ledger.render.form import OUTPUTS, Form
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unit.cli.conftest import Ledger, Run

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/5f8a2b3d5f8a2b3d5f8a2b3d5f8a2b3d"
API: dict[str, Any] = {
    "association_id": "assoc-1",
    "since": "2026-11-23T14:00:00.000000Z",
    "vlan_id": 101,
    "eni_id": "eni-1",
    "addresses": ["10.0.32.5/20", "fd00::5/64"],
    "task_arn": TASK,
    "task_family": "api",
    "task_revision": 17,
}
WEB: dict[str, Any] = {
    "association_id": "assoc-2",
    "since": "2026-11-23T15:00:00.000000Z",
    "until": "2026-11-23T16:00:00.000000Z",
    "ended_by": "del",
    "vlan_id": 9,
    "addresses": ["9.0.0.1/20"],
    "task_family": "web|x",
}


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*rows: dict[str, Any], key: str = "associations", width: int | None = None, **form: Any) -> str:
        screen = Screen()
        screen.width, screen.colour = width, False
        print_document(screen, Form(**form), {key: list(rows)})
        return capsys.readouterr().out

    return run


def test_table_of_chosen_columns(printed: Any) -> None:
    assert printed(API, WEB, columns=["VLAN", "ip", "task", "UNTIL"]) == (
        "VLAN  IP                  TASK             UNTIL (UTC)\n"
        " 101  10.0.32.5, fd00::5  api:17/5f8a2b3d  -\n"
        "   9  9.0.0.1             web|x            2026-11-23 16:00:00\n"
    )
    assert printed(API, columns=["vlan_id"], headers=False) == " 101\n"


def test_wide_has_every_column_that_has_a_value(printed: Any) -> None:
    head, first, _ = printed(API, WEB, output="wide").splitlines()
    assert head.split() == ["VLAN", "ENI", "IP", "TASK", "FROM", "(UTC)", "UNTIL", "(UTC)", "ENDED", "BY", "ID"]
    assert "api:17/5f8a2b3d" in first.split()


def test_csv(printed: Any) -> None:
    columns = ["vlan_id", "addresses", "task", "eni_id"]
    assert printed(API, WEB, output="csv", columns=columns) == (
        "vlan_id,addresses,task,eni_id\r\n101,10.0.32.5/20 fd00::5/64,api:17/5f8a2b3d,eni-1\r\n9,9.0.0.1/20,web|x,\r\n"
    )
    every = list(csv.DictReader(io.StringIO(printed(API, WEB, output="csv"))))
    assert {key: value for key, value in every[0].items() if value} == {
        "association_id": "assoc-1",
        "since": API["since"],
        "vlan_id": "101",
        "eni_id": "eni-1",
        "addresses": "10.0.32.5/20 fd00::5/64",
        "task_arn": TASK,
        "task_family": "api",
        "task_revision": "17",
    }


def test_a_formula_is_none_in_a_spreadsheet(printed: Any) -> None:
    evil = {**API, "task_family": "=HYPERLINK(1)", "task_revision": -3}
    assert printed(evil, output="csv", columns=["family", "revision"]).splitlines()[1] == "'=HYPERLINK(1),-3"
    assert printed(evil, output="tsv", columns=["family", "revision"], headers=False) == "'=HYPERLINK(1)\t-3\n"


def test_markdown(printed: Any) -> None:
    assert printed(API, WEB, output="markdown", columns=["vlan", "task"]) == (
        "| VLAN | TASK |\n| ---: | --- |\n| 101 | api:17/5f8a2b3d |\n| 9 | web\\|x |\n"
    )


def test_text_is_as_the_aws_cli_prints_it(printed: Any) -> None:
    text = printed({"b": 1, "a": None, "tags": [{"k": "x", "v": True}], "ips": ["1", "2"]}, {"b": 2}, output="text")
    assert text == "ASSOCIATIONS\tNone\t1\nIPS\t1\nIPS\t2\nTAGS\tx\tTrue\nASSOCIATIONS\t\t2\n"
    assert printed(API, output="text", columns=["vlan_id", "task"]) == "101\tapi:17/5f8a2b3d\n"


def test_json_and_its_lines(printed: Any) -> None:
    assert json.loads(printed(API, WEB, output="json")) == {"associations": [API, WEB]}
    assert [json.loads(line) for line in printed(API, WEB, output="jsonl").splitlines()] == [API, WEB]
    short = printed(API, output="jsonl", columns=["VLAN", "task"])
    assert short == '{"vlan_id":101,"task":"api:17/5f8a2b3d"}\n'


def test_yaml(printed: Any) -> None:
    assert yaml.safe_load(printed(API, WEB, output="yaml")) == {"associations": [API, WEB]}
    assert printed(output="yaml") == "associations: []\n"
    assert printed(API, output="yaml", columns=["vlan", "family"]) == (
        "associations:\n- vlan_id: 101\n  task_family: api\n"
    )


@pytest.mark.parametrize(
    "value", ["no", "on", "1e5", "0o17", "12:30:45", "1.5", ".inf", "2026-11-23", "null", "~", "<<", "0x1f"]
)
def test_yaml_quotes_what_is_no_text(printed: Any, value: str) -> None:
    out = printed({"a": value}, output="yaml")
    assert yaml.safe_load(out) == {"associations": [{"a": value}]}
    assert out.rstrip()[-1] in "'\""


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text(), max_size=3))


@given(st.lists(st.dictionaries(st.text("abc_", min_size=1), VALUES, min_size=1), min_size=1))
def test_what_is_printed_is_read_back(rows: list[dict[str, Any]]) -> None:
    def out(form: Form) -> str:
        screen = Screen()
        parts: list[str] = []
        screen.write = parts.append  # type: ignore[method-assign,assignment]
        print_document(screen, form, {"rows": rows}, rows="rows")
        return "".join(parts)

    assert json.loads(out(Form("json", limit=99))) == {"rows": rows}
    assert [json.loads(line) for line in out(Form("jsonl")).splitlines()] == rows
    for output in ("json", "jsonl", "yaml", "markdown", "tsv", "text"):
        assert all(line.isprintable() or output in ("tsv", "text") for line in out(Form(output, limit=99)).split("\n"))
    if not any("\ud800" <= c <= "\udfff" for c in str(rows)):
        assert yaml.safe_load(out(Form("yaml"))) == {"rows": rows}
    names = list(dict.fromkeys(key for row in rows for key in row))
    read = list(csv.reader(io.StringIO(out(Form("csv")), newline="")))
    assert read[0] == names
    assert len(read) == len(rows) + 1
    for row, cells in zip(rows, read[1:], strict=True):
        for name, cell in zip(names, cells, strict=True):
            value = row.get(name)
            if isinstance(value, str):
                assert cell.removeprefix("'") == safe(value).removeprefix("'")
                assert not cell.startswith(("=", "+", "-", "@"))
            elif isinstance(value, int):
                assert json.loads(cell) == value


def test_ids_only(printed: Any) -> None:
    assert printed(API, WEB, API, quiet=True) == "assoc-1\nassoc-2\n"


def test_sorting_knows_numbers_and_addresses(printed: Any) -> None:
    rows = [API, WEB, {"association_id": "assoc-3", "since": "x"}]
    for sort, want in (("vlan", "2 1 3"), ("-vlan", "1 2 3"), ("IP", "2 1 3"), ("-since", "3 2 1"), ("task", "1 2 3")):
        assert printed(*rows, sort=sort, quiet=True).split() == [f"assoc-{n}" for n in want.split()], sort
    assert printed(*rows, sort="vlan", limit=1, quiet=True) == "assoc-2\n"


def test_counts_by_a_column(printed: Any) -> None:
    rows = [API, WEB, API]
    assert printed(*rows, group_by="family") == "FAMILY  COUNT\napi         2\nweb|x       1\n"
    assert json.loads(printed(*rows, group_by="FAMILY", output="json")) == {
        "groups": [{"task_family": "api", "count": 2}, {"task_family": "web|x", "count": 1}]
    }


def test_a_query(printed: Any) -> None:
    assert json.loads(printed(API, WEB, output="json", query="associations[].vlan_id")) == [101, 9]
    assert printed(API, WEB, output="text", query="associations[].[vlan_id, task_family]") == "101\tapi\n9\tweb|x\n"
    assert printed(API, WEB, output="text", query="associations[0].eni_id") == "eni-1\n"
    assert printed(API, WEB, output="csv", query="associations[].{v: vlan_id, f: task_family}") == (
        "v,f\r\n101,api\r\n9,web|x\r\n"
    )
    assert printed(API, output="json", query="associations[?vlan_id==`1`]") == "[]\n"


@pytest.mark.parametrize("query", ["a[", "foo(", "nosuch(@)", "length(`1`)", "sort_by(associations, &addresses)"])
def test_a_query_that_is_none_is_one_clear_error(printed: Any, query: str) -> None:
    with pytest.raises(UsageError, match="JMESPath"):
        printed(API, WEB, output="json", query=query)


def test_a_column_that_does_not_exist_is_named_with_the_nearest(printed: Any) -> None:
    for form in ({"columns": ["vlam_id"]}, {"sort": "-vlam_id"}, {"group_by": "vlam_id"}):
        for output in OUTPUTS:
            with pytest.raises(UsageError, match="vlam_id") as caught:
                printed(API, output=output, **form)
            assert "vlan_id" in caught.value.hint


def test_options_that_exclude_each_other(printed: Any) -> None:
    for form in (
        {"quiet": True, "output": "csv"},
        {"quiet": True, "columns": ["vlan"]},
        {"columns": ["a"], "query": "b"},
    ):
        with pytest.raises(UsageError, match="exclude each other"):
            printed(API, **form)


@pytest.mark.parametrize("output", [output for output in OUTPUTS if output != "table"])
def test_what_is_sound_is_printed_before_the_damage(capsys: pytest.CaptureFixture[str], output: str) -> None:
    def events() -> Iterator[dict[str, Any]]:
        yield {"ts": "2026-11-23T14:00:00.000000Z", "event": "add", "vlan_id": 101}
        raise LedgerDamaged("the line is not what was written", path="ledger.jsonl", line=2, offset=7)

    with pytest.raises(LedgerDamaged):
        print_document(Screen(), Form(output, limit=5), {"events": events()})
    assert "101" in capsys.readouterr().out


def test_rows_of_any_document(printed: Any) -> None:
    row = {"name": "ledger", "status": "ok", "hint": "no\nline"}
    assert printed(row, key="checks", output="wide") == "NAME    STATUS  HINT\nledger  ok      no\\nline\n"
    assert printed(row, key="checks", quiet=True) == "ledger\n"


def test_a_sorted_table_is_the_usual_one(printed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("/nonexistent")
    present(session, Form(sort="vlan", headers=False), {"associations": [API, WEB]})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["9", "101", "fd00::5"]
    present(session, Form(limit=1), {"events": iter([{"ts": API["since"], "event": "add", "vlan_id": 7}] * 2)})
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_json_after_every_command(name: str) -> None:
    command = load(name)
    assert command is not None
    each = [command, *(command.commands.values() if isinstance(command, click.Group) else [])]
    for one in each:
        assert any("--json" in param.opts for param in one.params), one.name


def test_json_of_commands_that_had_none(run: Run) -> None:
    assert run("completion", "bash", "--json").json()["shell"] == "bash"
    assert "properties" in run("schema", "event", "--json").json()
    assert {"name": "ecs"}.items() <= run("install", "--json").json()["commands"][0].items()
    assert {row["name"] for row in run("help", "--json").json()["commands"]} >= {"list", "who"}
    assert run("help", "who", "--json").json()["commands"][0]["text"].startswith("Usage: ")
    assert run("version", "--json", "--query", "ledger_format").out == "1\n"


def test_forms_of_answers(filled: Ledger, run: Run) -> None:
    assert run("list", "-o", "csv", "--columns", "VLAN,task", "--sort", "vlan").out == (
        "vlan_id,task\r\n101,a3a3a3a3a3a3\r\n102,web/3f9a1c20\r\n"
    )
    assert run("list", "--sort", "-vlan", "--limit", "1").out.splitlines()[1].split()[0] == "102"
    assert run("who", "101", "-q").out.count("assoc-") == 2
    assert run("log", "--query", "length(events)").out == "5\n"
    assert len(run("log", "-o", "csv").out.splitlines()) == 6
    assert run("fsck", "-o", "tsv", "--columns", "path,status", "--no-headers").out == "ledger.jsonl\tsound\n"
    assert run("list", "--group-by", "family", "--json").json()["groups"][0]["count"] == 1
    shown = run("list", "-q", "--limit", "1").out.strip()
    assert run("who", "102", "--sort", "vlan").out == run("who", "102").out  # all of them live
    assert run("list", "--sort", "add_seq").out == run("list").out
    assert len(run("show", shown, "-o", "jsonl").json_lines()) >= 1
    assert run("list", "--json", "-o", "csv").code == 2
    wrong = run("list", "--columns", "vlam")
    assert (wrong.code, wrong.out, wrong.err.splitlines()[1]) == (2, "", "try: vlan")
    assert run("list", "--query", "associations[").code == 2
    assert run("list", "-q", "-o", "json").code == 2
