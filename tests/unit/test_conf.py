from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eni_ledger.base.config import DEFAULT_STATE_DIR, Settings, load
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.json_schema import Config, json_schema
from eni_ledger.ledger.query import imported
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.snapshot import Snapshot
from helpers.ledgers import OTHER_BOOT, add_event, plain, prove, record, settings
from helpers.patience import PATIENCE_S
from helpers.prereq import need

CONFIG = Path(__file__).parents[2] / "conf/config.json"
SHIPPERS = CONFIG.parent / "shippers"


def test_the_config_file_is_the_defaults_spelled_out() -> None:
    written = json.loads(CONFIG.read_text())
    assert written == Config().model_dump(by_alias=True)
    assert list(written) == [about.alias or name for name, about in Config.model_fields.items()]


def test_the_config_file_changes_nothing() -> None:
    loaded = load(None, {"ENI_LEDGER_CONFIG": str(CONFIG)})
    defaults = Settings()
    for name in Settings.__slots__:
        assert getattr(loaded, name) == getattr(defaults, name), name


def test_the_model_has_the_defaults_of_the_loader() -> None:
    defaults = Settings()
    assert Config().model_dump() == {name: getattr(defaults, name) for name in Settings.__slots__}


# --- units ---

_UNITS = sorted((CONFIG.parent / "systemd").glob("*.service"))
_MOST = 40  # tenths of the exposure level, of which 10.0 is the worst


@pytest.mark.parametrize("unit", _UNITS, ids=lambda path: path.stem)
def test_a_unit_may_little_and_says_why_it_may_that(unit: Path) -> None:
    """What `systemd-analyze security` misses in a unit has its reason in a comment beside it."""
    need(shutil.which("systemd-analyze"), "systemd-analyze, of systemd 250 or later")
    command = ["systemd-analyze", "security", "--offline=yes", "--json=short", f"--threshold={_MOST}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    need("offline" not in done.stderr, "systemd-analyze, of systemd 250 or later")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, f"exposed to more than {_MOST / 10}"
    lines = unit.read_text().splitlines()
    reasons = [line for line in lines if line.startswith("#")]
    explained = {after.partition("=")[0] for line, after in itertools.pairwise(lines) if line.startswith("#")}
    unexplained = []
    for row in rows:
        if not float(row["exposure"] or 0):
            continue
        names = re.findall(r"(\w+)=", row["name"])
        assert names, row
        if not any(name in explained or re.search(rf"\b{name}=", line) for name in names for line in reasons):
            unexplained.append(row["name"])
    # The clock of the hardware may be read, which ProtectClock= adds by itself.
    assert [name for name in unexplained if name != "DeviceAllow="] == []


# --- shippers ---

_DUCKDB = {
    "string": "VARCHAR",
    "time": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "array": "VARCHAR[]",
    "boolean": "BOOLEAN",
}
_ATHENA = {
    "string": "string",
    "time": "string",
    "integer": "bigint",
    "number": "double",
    "array": "array<string>",
    "boolean": "boolean",
}


def columns() -> dict[str, str]:
    """The keys of an event and what each is, as the JSON Schema has it, without those that are arrays of objects."""
    found = {}
    for name, about in json_schema("event")["properties"].items():
        kinds = [one for one in about.get("anyOf", [about]) if one.get("type") != "null"]
        kind = kinds[0].get("type", "string")
        if "T14:" in str(kinds[0].get("examples")):
            kind = "time"
        if name not in ("live", "containers"):
            found[name] = kind
    return found


def test_duckdb_has_a_column_for_every_key() -> None:
    (block,) = re.findall(r"columns = \{(.*?)\}", (SHIPPERS / "duckdb.sql").read_text(), re.S)
    listed = dict(re.findall(r"(\w+): '([^']+)'", block))
    assert listed.pop("live") == "JSON"
    assert listed.pop("containers") == "STRUCT(id VARCHAR, name VARCHAR, docker_name VARCHAR)[]"
    assert listed == {name: _DUCKDB[kind] for name, kind in columns().items()}


def test_athena_has_a_column_for_every_key() -> None:
    (block,) = re.findall(r"EXISTS eni_ledger \(\n(.*?)\n\)", (SHIPPERS / "athena.sql").read_text(), re.S)
    listed = dict(re.findall(r"^  `(\w+)` ([a-z<>:,_]+?),?$", block, re.M))
    assert listed.pop("containers") == "array<struct<id:string,name:string,docker_name:string>>"
    assert listed == {name: _ATHENA[kind] for name, kind in columns().items()}


def test_shippers_read_the_files_that_the_writer_writes() -> None:
    agent = json.loads((SHIPPERS / "cloudwatch-agent.json").read_text())
    (entry,) = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert entry["file_path"] == f"{DEFAULT_STATE_DIR}/{segment.ACTIVE}"
    assert time.strptime(line_format.format_ts(0)[:-1], entry["timestamp_format"].removesuffix(".%f") + ".000000")
    for name in ("fluent-bit.yaml", "vector.yaml"):
        (pattern,) = re.findall(r"(/\S+\*\.jsonl)", (SHIPPERS / name).read_text())
        directory, _, glob = pattern.rpartition("/")
        assert directory == DEFAULT_STATE_DIR
        assert fnmatch(segment.ACTIVE, glob)
        assert fnmatch(segment.sealed_name(1, 2), glob)
        assert not fnmatch("failures.jsonl", glob)
        assert not fnmatch(segment.sealed_name(1, 2) + segment.PACKED, glob)  # its events were shipped before


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """Give a ledger with packed segments, plain sealed ones, one in both forms, and the active one."""
    where = tmp_path / "state"
    for n in range(30):
        record(where, add_event(n, ifname="a name\n with \u2028", vlan_id=n % 7 + 1), rotate_bytes=4000)
        if n == 20:
            prune(settings(where))
    packed = sorted(where.glob("*.gz"))
    assert len(packed) > 2
    (where / packed[1].stem).write_bytes(plain(packed[1]))
    assert len(list(where.glob("ledger-*.jsonl"))) > 2
    return where


def of_duckdb(where: Path, question: str) -> list[tuple[Any, ...]]:
    """Return what DuckDB answers in the state directory, after duckdb.sql."""
    with contextlib.chdir(where), duckdb.connect() as connection:
        connection.execute((SHIPPERS / "duckdb.sql").read_text())
        return connection.sql(question).fetchall()


def test_duckdb_counts_every_event_of_a_pruned_ledger_once(pruned: Path) -> None:
    assert of_duckdb(pruned, "SELECT seq FROM events ORDER BY seq") == [(event["seq"],) for event in prove(pruned)]


def test_duckdb_gives_every_association_of_a_pruned_ledger_its_end(pruned: Path) -> None:
    every = History(str(pruned)).all()
    ends = [(one["association_id"], one.get("ended_by")) for one in every]
    assert of_duckdb(pruned, "SELECT association_id, ended_by FROM associations ORDER BY add_seq") == ends
    assert {end for _, end in ends} == {None, "superseded"}


@pytest.mark.parametrize("packed", [True, False])
def test_duckdb_reads_a_ledger_with_segments_in_one_form(tmp_path: Path, packed: bool) -> None:
    where = tmp_path / "state"
    for n in range(9):
        record(where, add_event(n), rotate_bytes=4000)
    if packed:
        prune(settings(where))
    assert bool(list(where.glob("ledger-*.jsonl"))) is not packed
    assert of_duckdb(where, "SELECT seq FROM events ORDER BY seq") == [(event["seq"],) for event in prove(where)]


def test_duckdb_reads_imported_history_and_no_boot_of_the_ledger_ends_it(tmp_path: Path) -> None:
    where = tmp_path / "state"
    logged = [{**add_event(n), "ts": f"2026-11-01T10:00:0{n}.000000Z", "import_id": f"{n:032x}"} for n in range(4)]
    events = [{**event, "via": "import", "association_id": f"assoc-{n:017x}"} for n, event in enumerate(logged)]
    record(where, add_event(9))
    record(where, add_event(8, boot_id=OTHER_BOOT))
    with Snapshot(str(where)) as snapshot:
        data = imported.made(snapshot, events)
    (where / "imported").mkdir()
    (where / "imported" / "ledger.jsonl").write_bytes(data)
    ends = [(one["association_id"], one.get("ended_by")) for one in History(str(where)).all()]
    assert [end for _, end in ends] == ["lost"] * 4 + ["rebooted", None]
    assert of_duckdb(where, "SELECT association_id, ended_by FROM associations ORDER BY since, add_seq") == ends


def test_packed_history_is_loaded_once_as_the_readme_says(pruned: Path, tmp_path: Path) -> None:
    """What the shippers read of the ledger, and what the commands of the README load, is every event once."""
    (script,) = re.findall(r"```sh\n(.*?)```", (SHIPPERS / "README.md").read_text(), re.S)
    assert f"cd {DEFAULT_STATE_DIR}\n" in script
    loaded, programs = tmp_path / "loaded", tmp_path / "programs"
    programs.mkdir()
    for name, does in (("aws", f'mkdir -p "{loaded}/${{4%/*}}" && mv "$3" "{loaded}/$4"'), ("systemctl", "")):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    script = script.replace(f"cd {DEFAULT_STATE_DIR}\n", f"cd '{pruned}'\n")
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", script], env=env, check=True, capture_output=True, timeout=PATIENCE_S)
    got = [(file.parent.name, line) for file in loaded.rglob("*.gz") for line in plain(file).splitlines()]
    assert all(day == f"date={json.loads(line)['ts'][:10]}" for day, line in got)
    shipped = [line for file in pruned.glob("ledger*.jsonl") for line in file.read_bytes().splitlines()]
    seqs = [json.loads(line)["seq"] for line in [*shipped, *(line for _, line in got)]]
    assert sorted(seqs) == [event["seq"] for event in prove(pruned)]
