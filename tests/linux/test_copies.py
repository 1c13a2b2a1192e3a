"""A copy of a ledger on media that cannot be written to: every question is answered from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.ledgers import OTHER_BOOT, add_event, contents, del_event, locked, record, three_segments
from helpers.patience import PATIENCE_S
from helpers.prereq import need

CODE = "import sys; from eni_ledger.cli.main import main; sys.exit(main(sys.argv[1:]))"
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
THERE = "i-0bbbbbbbbbbbbbbbb"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    need(os.geteuid() == 0 and shutil.which("unshare"), "root and unshare, for a read-only mount")
    where = tmp_path / "media"
    three_segments(where)
    record(where, add_event(20, instance_id=THERE, boot_id=OTHER_BOOT))
    record(where, add_event(22, instance_id=THERE, boot_id=OTHER_BOOT))
    record(where, del_event(20, instance_id=THERE, boot_id=OTHER_BOOT))
    with locked(where):
        record(where, add_event(21, instance_id=THERE, boot_id=OTHER_BOOT), lock_wait_ms=0)
    return where


def ask(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "-m", "sh", "-c", READ_ONLY, str(copy), sys.executable, "-c", CODE, *arguments]
    return subprocess.run(
        [*command, "--state-dir", str(copy)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.parametrize("lacks", ["nothing", "lock", "state.json"])
def test_questions_put_to_read_only_media(copy: Path, lacks: str) -> None:
    if lacks != "nothing":
        (copy / lacks).unlink()
    before = contents(copy)
    for question in (["list"], ["who", "10.0.0.20"], ["log"], ["list", "--at", "now"]):
        done = ask(copy, *question)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert f"UTC, of {THERE}\n" in done.stdout.splitlines(keepends=True)[0]
    assert ask(copy, "fsck").returncode == 0
    assert ask(copy, "verify").returncode == 1
    found = {one["name"]: one for one in json.loads(ask(copy, "doctor", "--json").stdout)["checks"]}
    assert found["ledger"]["status"] == "ok"
    assert (found["disk"]["status"], "read-only" in found["disk"]["message"]) == ("skipped", False)
    assert contents(copy) == before


@pytest.mark.parametrize("command", [["fsck", "--repair"], ["prune"], ["verify", "--mark-lost"]], ids=" ".join)
def test_what_would_write_says_why_it_does_not(copy: Path, command: list[str]) -> None:
    done = ask(copy, *command)
    assert done.returncode == 3
    wanted = "Read-only file system" if command[0] == "fsck" else "the ledger is a copy"
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr
