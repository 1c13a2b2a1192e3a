"""report on ledgers that the writer made."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from helpers.pictures import branch

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Ran, Run


@pytest.fixture
def host(ledger: Ledger) -> Ledger:
    """Return a ledger of three branches, one of which has ended, and an ADD that failed."""
    for n in range(3):
        known = branch(n, boot_id=None)
        event = {key: value for key, value in known.items() if key not in ("association_id", "since", "add_seq")}
        ledger.write({"event": "add", **event})
    ledger.write({"event": "add_failed", "container_id": "ab" * 32, "ifname": "eth0", "error_msg": "no room"})
    ledger.write({"event": "del", "container_id": branch(0)["container_id"], "ifname": "eth0"})
    return ledger


def times(ledger: Ledger) -> list[str]:
    return [json.loads(line)["ts"] for line in ledger.file.read_text().splitlines()]


def data(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1])
    return document


def made(run: Run, tmp_path: Path, *args: str) -> tuple[Ran, str]:
    path = tmp_path / "r.html"
    done = run("report", str(path), *args)
    return done, path.read_text()


def test_the_page_has_everything_from_the_beginning_until_now(host: Ledger, run: Run, tmp_path: Path) -> None:
    done, text = made(run, tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"{tmp_path}/r.html: 3 associations, ")
    assert data(text)["rows"] == 3
    assert data(text)["columns"]["vlan"] == "101\n102\n103"
    assert "ADD failed" in text
    assert "no room" in text
    assert "None: the ledger covers the whole interval." in text
    assert "proven: every checksum of 6 events" in text
    assert list(tmp_path.glob("*.tmp")) == []


def test_an_interval_has_what_was_live_in_it(host: Ledger, run: Run, tmp_path: Path) -> None:
    stamps = times(host)
    _, text = made(run, tmp_path, "--since", stamps[1], "--until", stamps[1])
    assert data(text)["columns"]["vlan"] == "101"
    _, text = made(run, tmp_path, "--since", stamps[5])
    assert data(text)["columns"]["vlan"] == "102\n103"
    assert "ADD failed" not in text


def test_standard_output_has_the_page_alone(host: Ledger, run: Run) -> None:
    done = run("report", "-")
    assert done.out.startswith("<!DOCTYPE html>")
    assert done.out.endswith("</html>\n")
    assert done.err == ""


def test_an_interval_that_begins_before_the_ledger_has_a_gap(host: Ledger, run: Run, tmp_path: Path) -> None:
    done, text = made(run, tmp_path, "--since", "1999-01-01")
    assert done.code == 0
    assert "before the ledger begins" in text
    assert data(text)["rows"] == 3


def test_an_interval_before_the_ledger_is_an_error_and_no_file(host: Ledger, run: Run, tmp_path: Path) -> None:
    done = run("report", str(tmp_path / "r.html"), "--since", "1999-01-01", "--until", "1999-01-02")
    assert done.code == 1
    assert "error: the interval ends before the ledger begins" in done.err
    assert not (tmp_path / "r.html").exists()


def test_an_interval_that_ends_before_it_begins_is_refused(host: Ledger, run: Run, tmp_path: Path) -> None:
    done = run("report", str(tmp_path / "r.html"), "--since", "2026-01-02", "--until", "2026-01-01")
    assert done.code == 2
    assert "--since is later than --until" in done.err


def test_a_damaged_ledger_gives_what_is_proven_and_says_so(host: Ledger, run: Run, tmp_path: Path) -> None:
    lines = host.file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"vlan_id":102', b'"vlan_id":104')
    host.file.write_bytes(b"".join(lines))
    done, text = made(run, tmp_path)
    assert done.code == 3
    assert "ledger.jsonl" in done.err
    assert data(text)["columns"]["vlan"].startswith("101")
    assert "104" not in data(text)["columns"]["vlan"]
    assert "The ledger is damaged; this page has what is proven." in text
    assert "damaged or missing" in text or "the ledger is damaged" in text


def test_a_copy_says_what_it_is_a_copy_of(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    ledger.add(1, 101, "10.0.0.1/24", boot_id="00000000-0000-4000-8000-00000000000a")
    path = tmp_path / "r.html"
    env = {"ENI_LEDGER_STATE_DIR": "/nonexistent"}
    done = run("report", str(path), "--state-dir", str(ledger.path), env=env)
    assert done.code == 0
    assert "<dt>Copy</dt><dd>as of " in path.read_text()


def test_a_file_that_cannot_be_written_is_an_error(host: Ledger, run: Run, tmp_path: Path) -> None:
    done = run("report", str(tmp_path / "no" / "r.html"))
    assert done.code == 3
    assert "the page cannot be written" in done.err
    (tmp_path / "d").mkdir()
    assert run("report", str(tmp_path / "d")).code == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_more_than_a_browser_can_show_is_refused(
    host: Ledger, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eni_ledger.cli.commands.report.MOST", 2)
    done = run("report", str(tmp_path / "r.html"))
    assert done.code == 2
    assert "too much for one page: 3 associations of at most 2" in done.err


def test_there_has_to_be_a_ledger(run: Run, tmp_path: Path) -> None:
    done = run("report", str(tmp_path / "r.html"))
    assert done.code == 3
    assert "there is no ledger" in done.err


def test_what_was_written_as_json(host: Ledger, run: Run, tmp_path: Path) -> None:
    done, text = made(run, tmp_path, "--since", times(host)[0], "--json")
    assert (done.code, done.err) == (0, "")
    written = done.json()
    assert (written["file"], written["associations"]) == (str(tmp_path / "r.html"), 3)
    assert (written["bytes"], written["since"]) == (len(text.encode()), times(host)[0])
    done = run("report", "-", "--json")
    assert (done.code, done.out) == (2, "")
