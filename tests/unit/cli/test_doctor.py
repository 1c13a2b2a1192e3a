"""`eni-ledger doctor` as a command: a broken configuration, a narrow terminal. What it asks has tests of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eni_ledger.cli.commands import doctor as command
from eni_ledger.cli.commands.doctor import _wrapped

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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


def test_lines_break_between_words_only() -> None:
    words = "no network configuration in /etc/cni/net.d calls eni-ledger, and there is no ECS agent"
    lines = _wrapped(words, 80, 32)
    assert " ".join(lines) == words
    assert all(len(line) <= 48 for line in lines)
    assert _wrapped(words, None, 32) == _wrapped(words, 40, 32) == [words]
