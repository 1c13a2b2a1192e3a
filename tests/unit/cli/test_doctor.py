"""`eni-ledger doctor` as a command: a broken configuration, a narrow terminal. What it asks has tests of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli.commands import doctor as command
from eni_ledger.cli.session import Session
from eni_ledger.doctor.host import WARN, Finding

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Run


def test_a_broken_configuration_keeps_no_other_check_from_looking(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    ledger.add(0xA1, None)
    config = tmp_path / "broken.json"
    config.write_text('{"jurnald": true}')
    done = run("doctor", "--json", "--state-dir", str(ledger.path), env={"ENI_LEDGER_CONFIG": str(config)})
    found = {one["name"]: one for one in done.json()["checks"]}
    assert (done.code, found["configuration"]["status"]) == (1, "fail")
    assert "jurnald" in found["configuration"]["message"]
    assert (found["ledger"]["status"], found["failures"]["status"]) == ("ok", "ok")
    assert "disk" in found


def test_a_configuration_that_is_not_there_is_not_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CONFIG_FILE", str(tmp_path / "none.json"))
    done = run("doctor", "--json", "--state-dir", str(tmp_path / "no"), env={"ENI_LEDGER_CONFIG": ""})
    found = done.json()["checks"][0]
    assert (found["status"], found["message"]) == ("ok", f"there is no {tmp_path}/none.json; the defaults apply")


def test_a_ledger_that_is_not_there_is_not_ok(run: Run, tmp_path: Path) -> None:
    found = {one["name"]: one for one in run("doctor", "--json", "--state-dir", str(tmp_path / "no")).json()["checks"]}
    for name in ("ledger", "failures", "spooled", "identity", "kernel"):
        assert found[name]["status"] == "skipped", found[name]
    assert not (tmp_path / "no").exists()


def test_an_empty_state_directory_option(run: Run) -> None:
    assert run("doctor", "--state-dir", "").code == 2


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_break_between_words_only(
    width: int, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "no network configuration in /etc/cni/net.d calls eni-ledger, and there is no ECS agent"
    found = [Finding("agent-configuration", WARN, words, "eni-ledger install cni"), Finding("disk", WARN, "full")]
    session = Session()
    session.screen.width = width
    monkeypatch.setattr(command, "session_of", lambda *_: session)
    monkeypatch.setattr(command, "run_checks", lambda *_, **__: found)
    out = run("doctor").out
    assert max(len(line) for line in out.splitlines() if "config.json" not in line) <= width
    assert " ".join(words.split()) in " ".join(out.split())
