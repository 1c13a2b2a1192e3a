"""Commands on a ledger that was copied from another host: they answer, say of whom, and record nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base import host
from eni_ledger.kernel import scan as scanning
from helpers.ledgers import BOOT, add_event, contents, del_event, locked, prove, record
from helpers.prereq import need

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Ran, Run

HERE, THERE = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a ledger of another boot, not in the configured directory, with one association live and one ended."""
    where = tmp_path / "copy"
    record(where, add_event(1, instance_id=THERE))
    record(where, add_event(2, instance_id=THERE))
    record(where, del_event(1, instance_id=THERE))
    return where


def as_of(copy: Path) -> str:
    return f"as of {prove(copy)[-1]['ts'][:19].replace('T', ' ')} UTC, of {THERE}"


QUESTIONS = [
    ["list"],
    ["list", "--at", "now"],
    ["who", "10.0.0.1"],
    ["who", "3", "--at", "now"],
    ["log"],
    ["log", "-n1"],
]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_an_answer_says_as_of_when_and_of_whom(run: Run, copy: Path, question: list[str]) -> None:
    before = contents(copy)
    done = run(*question, "--state-dir", str(copy))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == [as_of(copy), ""]
    quoted = run(*question, "--json", "--state-dir", str(copy))
    assert (quoted.code, quoted.err) == (0, f"note: {as_of(copy)}\n")
    assert "as of" not in quoted.out
    assert contents(copy) == before


def test_show(run: Run, copy: Path) -> None:
    one = prove(copy)[1]["association_id"]
    assert run("show", one, "--state-dir", str(copy)).out.startswith(as_of(copy))
    assert run("show", one, "--json", "--state-dir", str(copy)).json()["events"]


def test_that_nobody_had_it_is_as_of_then_too(run: Run, copy: Path) -> None:
    done = run("who", "10.9.9.9", "--state-dir", str(copy))
    assert (done.code, done.out) == (1, f"{as_of(copy)}\n\n")


def test_ages_are_those_of_then(run: Run, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eni_ledger.cli.session.datetime", Later)
    row = run("list", "--state-dir", str(copy)).out.splitlines()[-1]
    assert row.split()[-2] in ("0s", "1s", "2s")


class Later:
    """A clock that is years ahead."""

    @staticmethod
    def now(zone: object) -> object:
        from datetime import UTC, datetime

        assert zone is UTC
        return datetime.now(UTC).replace(year=2099)


def test_the_ledger_of_this_host_says_nothing(run: Run, ledger: Ledger) -> None:
    """Another boot alone is this host after a reboot."""
    record(ledger.path, add_event(1, instance_id=THERE))
    for question in ([], ["--state-dir", str(ledger.path)]):
        done = run("list", *question)
        assert ("as of" in done.out, done.err) == (False, "")


def test_another_instance_in_the_configured_directory_is_a_copy(
    run: Run, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger.path, add_event(1, instance_id=THERE))
    monkeypatch.setattr(host, "instance_id", lambda: HERE)
    assert f"of {THERE}" in run("list").out
    assert run("prune").code == 3


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "--adopt"],
        ["verify", "--mark-lost"],
        ["verify", "--adopt", "--mark-lost", "--json"],
        ["identify"],
        ["identify", "--dry-run"],
        ["import", "/dev/null"],
        ["prune"],
    ],
    ids=" ".join,
)
def test_what_would_record_or_remove_refuses(run: Run, copy: Path, command: list[str]) -> None:
    before = contents(copy)
    done = run(*command, "--state-dir", str(copy))
    assert (done.code, done.out) == (3, "")
    assert f"error: the ledger is a copy: {copy}, {as_of(copy)}" in done.err
    assert f"try: run this command on {THERE}" in done.err
    assert contents(copy) == before


def test_verify_compares_nothing(run: Run, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "scan", lambda *_: pytest.fail("the kernel was looked at"))
    done = run("verify", "--state-dir", str(copy))
    assert done.code == 1
    assert as_of(copy) in done.out
    assert "1 live then; not compared with this kernel: the ledger is a copy" in done.out
    found = run("verify", "--json", "--state-dir", str(copy)).json()
    assert list(found) == ["agrees", "associations", "unrecorded", "conflicts", "unreadable", "written", "remaining"]
    (one,) = found["associations"]
    assert (found["agrees"], one["status"]) == (False, "unknown")
    assert as_of(copy) in one["why"]
    assert as_of(copy) in found["unreadable"][0]


def test_fsck_says_it_and_repairs_without_a_boot(run: Run, copy: Path) -> None:
    with locked(copy):
        record(copy, add_event(4, instance_id=THERE), lock_wait_ms=0)
    (copy / "state.json").unlink()
    found = run("fsck", "--json", "--state-dir", str(copy)).json()
    assert found["notes"][0] == f"a copy, {as_of(copy)}"
    assert found["sound"]
    done = run("fsck", "--repair", "--state-dir", str(copy))
    assert done.code == 0
    assert "repair: folded 1 of the spool's files in" in done.out
    assert "wrote state.json anew" in done.out
    assert "boot" not in [event["event"] for event in prove(copy)]
    assert {event.get("boot_id") for event in prove(copy)} == {BOOT}


def test_doctor_asks_this_host_nothing_about_it(run: Run, copy: Path) -> None:
    (copy / "failures.jsonl").write_text('{"ts":"2026-11-23T14:00:00.000000Z","msg":"no room"}\n')
    with locked(copy):
        record(copy, add_event(4, instance_id=THERE), lock_wait_ms=0)
    done = run("doctor", "--json", "--state-dir", str(copy))
    found = {one["name"]: one for one in done.json()["checks"]}
    for name in ("state-dir", "kernel", "disk"):
        assert (found[name]["status"], as_of(copy) in found[name]["message"]) == ("skipped", True)
    assert as_of(copy) in found["ledger"]["message"]
    assert found["identity"]["hint"] == f"eni-ledger identify on {THERE}"
    assert found["spooled"]["hint"] == f"eni-ledger fsck --repair --state-dir {copy} folds them in"
    assert f"verify --adopt on {THERE}" in found["failures"]["hint"]
    assert all("verify --mark-lost" not in one.get("hint", "") for one in found.values())


def test_what_doctor_advises_is_about_the_ledger_that_was_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "second"
    record(where, add_event(1, boot_id=host.boot_id()))
    monkeypatch.setattr(scanning, "scan", lambda *_: scanning.Scan())
    checks = run("doctor", "--json", "--state-dir", str(where)).json()["checks"]
    found = {one["name"]: one for one in checks}
    assert found["kernel"]["hint"] == f"eni-ledger verify --mark-lost --state-dir {where}"
    assert found["identity"]["hint"] == f"eni-ledger identify --state-dir {where}"


# -- however it lies there


def answers(run: Run, path: Path) -> list[Ran]:
    questions = (["list"], ["who", "10.0.0.1"], ["log"], ["fsck"], ["verify"], ["doctor"])
    return [run(*question, "--state-dir", str(path)) for question in questions]


def readable(done: Ran, warning: str = "") -> bool:
    return "error: " not in done.err and done.code in (0, 1) and (warning in done.err or warning in done.out)


@pytest.mark.parametrize(
    ("uid", "mode", "files", "warning"),
    [
        (65534, 0o750, 0o640, "it belongs to user 65534"),
        (0, 0o775, 0o664, "others may write to it (mode 0775)"),  # umask 002
        (0, 0o777, 0o666, "others may write to it (mode 0777)"),
        (0, 0o750, 0o664, ""),
        (0, 0o750, 0o640, ""),
    ],
)
def test_a_copy_of_another_user_or_open_to_others(
    run: Run, copy: Path, uid: int, mode: int, files: int, warning: str
) -> None:
    need(os.geteuid() == 0, "root, to give files away")
    with locked(copy):
        record(copy, add_event(4, instance_id=THERE), lock_wait_ms=0)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, uid, -1)
        path.chmod(mode if path.is_dir() else files)
    listed, who, log, *others = answers(run, copy)
    for done in (listed, who, log):
        assert readable(done, warning), done.err
        assert as_of(copy) in done.out
        assert (done.err == "") == (warning == "")
    for done in others:
        assert readable(done), done.err
    assert len(list((copy / "spool").iterdir())) == 1
    if warning:
        done = run("fsck", "--repair", "--state-dir", str(copy))
        assert (done.code, "not safe to use" in done.err) == (3, True)


def test_a_copy_behind_a_link(run: Run, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy)
    for done in answers(run, tmp_path / "link"):
        assert readable(done), done.err
        assert as_of(copy) in done.out
    done = run("list", "--state-dir", str(tmp_path / "link"))
    assert done.err == ""
