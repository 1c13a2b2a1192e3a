"""`eni-ledger import` of what the real plugins wrote to their logs."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from eni_ledger.ledger.format.json_schema import json_schema
from eni_ledger.ledger.format.schema import Event
from helpers.ledgers import contents, prove, write_chain

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run

LOGS = Path(__file__).parents[2] / "fixtures/agent-log"
LOG = "vpc-branch-eni.log"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return a directory of logs as /var/log/ecs has them: the plain name, which is never written to, is missing."""
    made = tmp_path / "log"
    made.mkdir()
    for path in LOGS.glob(f"{LOG}.*"):
        shutil.copy(path, made)
    return made


def test_a_log_and_its_hours_once(ledger: Ledger, run: Run, logs: Path) -> None:
    done = run("import", str(logs / LOG), "--json")
    assert (done.code, done.err) == (0, "")
    first = done.json()
    assert [Path(name).name for name in first["files"]] == [f"{LOG}.2026-11-23-13", f"{LOG}.2026-11-23-14"]
    assert first["imported"]["add"] > 3
    assert first["unread"] == 0
    imported = ledger.path / "imported"
    assert [path.name for path in ledger.path.iterdir()] == ["imported"]
    events = [event for event in prove(imported) if event["event"] not in ("checkpoint", "lost")]
    assert [event["event"] for event in run("log", "--json").json_lines()] == [e["event"] for e in prove(imported)]
    assert len(events) == sum(first["imported"].values())
    assert len({event["import_id"] for event in events}) == len(events)
    before = contents(ledger.path)
    again = run("import", str(logs / LOG), "--json").json()
    # a repeated DEL of the same second is the same line
    assert (again["imported"], again["known"]) == ({"add": 0, "add_failed": 0, "del": 0}, len(events) + first["known"])
    assert contents(ledger.path) == before


def test_who_answers_from_before_the_installation(ledger: Ledger, run: Run, logs: Path) -> None:
    run("import", str(logs / LOG))
    found = run("who", "0a:1b:2c:3d:00:01", "--json").json()["associations"]
    assert found
    one = next(each for each in found if each["ended_by"] == "del")
    assert (one["via"], one["vlan_id"]) == ("import", 101)
    then = run("who", "101", "--at", one["since"], "--json").json()["associations"]
    assert one["association_id"] in [each["association_id"] for each in then]
    assert run("list", "--json").json()["associations"] == []
    shown = run("show", one["association_id"], "--json").json()
    assert [event["event"] for event in shown["events"]] == ["add", "del"]
    for command in ("who", "show"):
        assert run(command, one["association_id"]).code == 0
    assert "2026-11-23 14:00:" in run("log").out
    assert "log ends" in run("who", "0a:ff:ee:dd:cc:bb").out


def test_packed_copies_under_other_names_are_the_same_lines(ledger: Ledger, run: Run, logs: Path) -> None:
    run("import", str(logs / LOG))
    for path in sorted(logs.iterdir()):
        (logs / f"copy-{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    packed = sorted(str(path) for path in logs.glob("copy-*"))
    again = run("import", *packed, "--json").json()
    assert sum(again["imported"].values()) == 0
    assert again["known"] > 5


def test_a_ledger_begins_behind_what_was_imported(ledger: Ledger, run: Run, logs: Path) -> None:
    run("import", str(logs / LOG))
    ledger.add(1, 101)
    assert sum(run("import", str(logs / LOG), "--json").json()["imported"].values()) == 0
    assert run("fsck").code == 0


def test_what_the_ledger_recorded_itself_is_left_out(ledger: Ledger, run: Run, logs: Path) -> None:
    dry = run("import", "--dry-run", str(logs / LOG), "--json").json()
    event = next(
        json.loads(line)
        for line in imported_lines(run, ledger, logs)
        if '"event":"add"' in line and '"vlan_id":102' in line
    )
    shutil.rmtree(ledger.path)
    ledger.add(2, 102, branch_mac=event["branch_mac"])
    lines = ledger.file.read_bytes()
    events = [json.loads(line) for line in lines.splitlines()]
    moment = event["ts"].replace(".000000Z", ".750000Z")
    write_chain(ledger.file, [{**each, "ts": moment} for each in events])
    (ledger.path / "state.json").unlink()
    found = run("import", "--dry-run", str(logs / LOG), "--json").json()
    assert found["recorded"] >= 1
    assert sum(found["imported"].values()) == sum(dry["imported"].values()) - found["recorded"]


def imported_lines(run: Run, ledger: Ledger, logs: Path) -> list[str]:
    run("import", str(logs / LOG))
    return (ledger.path / "imported" / "ledger.jsonl").read_text().splitlines()


def test_a_dry_run_makes_no_ledger(ledger: Ledger, run: Run, logs: Path) -> None:
    done = run("import", "--dry-run", str(logs / LOG))
    assert (done.code, "would import: " in done.out) == (0, True)
    assert not ledger.path.exists()


def test_lines_that_cannot_be_read_are_counted_by_number(ledger: Ledger, run: Run, logs: Path) -> None:
    path = logs / f"{LOG}.2026-11-23-14"
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(2, b"\xff\xfe garbage\n")
    path.write_bytes(b"".join(lines))
    document = run("import", "--dry-run", str(path), "--json").json()
    assert document["unread"] == 1
    assert list(document["unread_lines"].values()) == [[3]]
    out = run("import", "--dry-run", str(path)).out
    assert "1 lines could not be read:" in out
    assert f"{path.name}: line 3" in out


def test_progress_is_shown_on_terminals_only(ledger: Ledger, run: Run, logs: Path) -> None:
    assert run("import", str(logs / LOG)).err == ""


@pytest.mark.parametrize("name", ["missing.log", ""])
def test_a_log_that_is_not_there(run: Run, tmp_path: Path, name: str) -> None:
    done = run("import", str(tmp_path / name) if name else "")
    assert (done.code, "error: there is no such log" in done.err, "try: " in done.err) == (1, True, True)


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b broken", b"root:x:0:0:root:/root:/bin/sh\nbin:x:1:1::/bin:/bin/false\n"]
)
def test_what_is_no_log_at_all(ledger: Ledger, run: Run, logs: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "passwd").write_bytes(content)
    done = run("import", str(logs / LOG), str(tmp_path / "passwd"))
    assert (done.code, done.out) == (3, "")
    assert f"this is no log of vpc-branch-eni: {tmp_path}/passwd" in done.err
    assert not ledger.path.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("\n\n", "no ADD and no DEL"),
        ("2026-11-23T14:00:00Z [INFO] Plugin vpc-eni version 1 executing CNI command.\n", "no ADD and no DEL"),
        ("2026-11-23T14:00:00Z [ERROR] CNI command failed: file exists\ngarbage\n", "no ADD and no DEL"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--json",)])
def test_an_import_that_read_nothing(
    ledger: Ledger, run: Run, tmp_path: Path, content: str, why: str, more: tuple[str, ...]
) -> None:
    (tmp_path / LOG).write_text(content)
    done = run("import", str(tmp_path / LOG), *more)
    assert (done.code, f"error: nothing was read: {tmp_path}/{LOG}: {why}" in done.err, "try: " in done.err) == (
        1,
        True,
        True,
    )
    if more == ("--json",):
        assert done.json()["imported"] == {}
    assert not ledger.path.exists()


def test_what_was_imported_is_of_the_format_and_fsck_proves_it(ledger: Ledger, run: Run, logs: Path) -> None:
    run("import", str(logs / LOG))
    validator = jsonschema.Draft202012Validator(json_schema("event"))
    for event in prove(ledger.path / "imported"):
        Event.model_validate(event)
        validator.validate(event)
    found = run("fsck", "--json").json()
    assert [(row["path"], row["status"]) for row in found["segments"]] == [("imported/ledger.jsonl", "sound")]
    ledger.add(1, 101)
    file = ledger.path / "imported" / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"vlan_id":101', b'"vlan_id":111', 1))
    done = run("fsck", "--json")
    assert (done.code, [row["status"] for row in done.json()["segments"]]) == (1, ["damaged", "sound"])
    assert [one["path"] for one in done.json()["damage"]] == [str(file)]


def test_an_import_of_what_is_there_already_read_something(ledger: Ledger, run: Run, logs: Path) -> None:
    run("import", str(logs / LOG))
    assert run("import", str(logs / LOG)).code == 0


def test_a_packed_log_that_was_cut_short(run: Run, logs: Path) -> None:
    path = logs / f"{LOG}.2026-11-23-14"
    packed = gzip.compress(path.read_bytes())
    (logs / "cut.gz").write_bytes(packed[: len(packed) // 2])
    done = run("import", "--dry-run", str(logs / "cut.gz"))
    assert (done.code, "1 lines could not be read:" in done.out) == (0, True)


def test_a_directory(run: Run, tmp_path: Path) -> None:
    done = run("import", str(tmp_path))
    assert (done.code, f"error: it is a directory: {tmp_path}" in done.err, "try: " in done.err) == (3, True, True)


def test_without_files(run: Run) -> None:
    done = run("import")
    assert (done.code, "FILE" in done.err) == (2, True)
