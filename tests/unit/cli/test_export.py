"""`export`: each format read by a program of its own."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from eni_ledger.ledger.query.questions import History
from helpers.ledgers import ACTIVE, add_event, del_event, record, three_segments

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    record(state, add_event(1, addresses=["10.0.32.4/20", "fd00::4/64"], eni_id="eni-0123456789abcdef0"))
    record(state, del_event(1))
    record(state, add_event(2, ifname='a,"b"', mismatch=["vlan_id"], netns_inode=2**64 - 1))
    return state


def test_csv(run: Run, state: Path, tmp_path: Path) -> None:
    done = run("export", "--state-dir", str(state), "--format", "csv")
    first, second = csv.DictReader(io.StringIO(done.out, newline=""))
    assert (first["addresses"], first["vlan_id"], first["ended_by"]) == ("10.0.32.4/20 fd00::4/64", "2", "del")
    assert (second["ifname"], second["mismatch"], second["until"]) == ('a,"b"', "vlan_id", "")
    out = tmp_path / "out.csv"
    done = run("export", "--state-dir", str(state), str(out))
    assert (done.code, done.out, done.err) == (0, "", f"{out}: 2 associations\n")
    assert [row["vlan_id"] for row in csv.DictReader(io.StringIO(out.read_bytes().decode()))] == ["2", "3"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "pod-eni", "sqlite"])
def test_what_was_written_as_json(run: Run, state: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    done = run("export", "--state-dir", str(state), "--format", form, str(out), "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json() == {"file": str(out), "format": form, "associations": 2, "bytes": out.stat().st_size}
    done = run("export", "--state-dir", str(state), "--format", form, "--json")
    assert (done.code, done.out) == (2, "")


def test_jsonl_has_the_keys_of_the_ledger(run: Run, state: Path) -> None:
    done = run("export", "--state-dir", str(state), "--format", "jsonl")
    assert [json.loads(line) for line in done.out.splitlines()] == History(str(state)).all()


def test_pod_eni_has_the_shape_of_the_annotation(run: Run, state: Path) -> None:
    first, second = run("export", "--state-dir", str(state), "--format", "pod-eni").json()
    (association, _) = History(str(state)).all()
    assert first == {
        "eniId": "eni-0123456789abcdef0",
        "ifAddress": association["branch_mac"],
        "privateIp": "10.0.32.4",
        "ipv6Addr": "fd00::4",
        "vlanId": 2,
        "subnetCidr": "10.0.32.0/20",
        "subnetV6Cidr": "fd00::/64",
        "associationID": association["association_id"],
    }
    assert "ipv6Addr" not in second


def test_sqlite_has_associations_and_events(run: Run, state: Path, tmp_path: Path) -> None:
    out = tmp_path / "ledger.db"
    out.write_text("old")
    assert run("export", "--state-dir", str(state), str(out)).code == 0
    database = sqlite3.connect(out)
    rows = database.execute("SELECT vlan_id, ended_by, netns_inode FROM associations ORDER BY add_seq").fetchall()
    assert [row[:2] for row in rows] == [(2, "del"), (3, None)]
    assert rows[1][2] == str(2**64 - 1)
    joined = "SELECT count(*) FROM associations a JOIN events e USING (association_id) WHERE e.event = 'del'"
    assert database.execute(joined).fetchone() == (1,)
    each = "SELECT value FROM associations, json_each(addresses) WHERE vlan_id = 2"
    assert database.execute(each).fetchall() == [("10.0.32.4/20",), ("fd00::4/64",)]
    assert database.execute("SELECT count(*) FROM events").fetchone() == (4,)
    database.close()
    assert {path.name for path in tmp_path.iterdir()} == {"state", "ledger.db", "config.json"}


def test_parquet_is_read_by_duckdb(run: Run, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ledger.parquet"
    assert run("export", "--state-dir", str(state), str(out)).code == 0
    rows = duckdb.execute(f"SELECT vlan_id, addresses FROM '{out}' ORDER BY add_seq").fetchall()
    assert rows[0] == (2, ["10.0.32.4/20", "fd00::4/64"])
    out.unlink()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run("export", "--state-dir", str(state), str(out))
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: parquet needs pyarrow, which is not installed here")
    assert not out.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"state", "config.json"}


def test_an_interval(run: Run, state: Path) -> None:
    second = History(str(state)).all()[1]
    done = run("export", "--state-dir", str(state), "--format", "jsonl", "--since", second["since"])
    assert [json.loads(line)["vlan_id"] for line in done.out.splitlines()] == [3]
    done = run("export", "--state-dir", str(state), "--format", "jsonl", "--since", "now", "--until", "-1h")
    assert (done.code, "--since is later than --until" in done.err) == (2, True)


def test_a_damaged_ledger_gives_what_is_proven(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    three_segments(state)
    (state / ACTIVE).write_bytes((state / ACTIVE).read_bytes()[:-30] + b"x" * 29 + b"\n")
    out = tmp_path / "ledger.db"
    done = run("export", "--state-dir", str(state), str(out))
    assert done.code == 3
    assert "damage" in done.err or "offset" in done.err
    database = sqlite3.connect(out)
    assert database.execute("SELECT count(*) FROM associations").fetchone() > (0,)
    database.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which format?"),
        (["out.txt"], "which format?: out.txt"),
        (["--format", "sqlite"], "sqlite takes a file"),
        (["--format", "xml"], "invalid value for '--format'"),
    ],
)
def test_bad_input(run: Run, state: Path, arguments: list[str], message: str) -> None:
    done = run("export", "--state-dir", str(state), *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_directory_that_is_not_there(run: Run, state: Path, tmp_path: Path) -> None:
    done = run("export", "--state-dir", str(state), str(tmp_path / "none/out.csv"))
    assert (done.code, done.out) == (3, "")
    assert "No such file or directory" in done.err
