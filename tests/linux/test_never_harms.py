"""The first law: whatever is wrong with our own things, the runtime gets prevResult, byte for byte, and exit status 0.

It is said on stderr, and with `"onError": "fail"` it is an error with the right code instead. Root ignores
file modes, so what is unwritable here is mounted read-only, full, or belongs to another user.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.journal import Journal
from helpers.patience import PATIENCE_S
from helpers.plugin import Answer, Plugin
from helpers.prereq import need
from helpers.trunk import Pause, named_netns, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.usefixtures("namespaces")

# No JSON library writes this; so what comes out is what went in, and not the same said again.
PREV = (
    b'{ "cniVersion":"1.0.0",\t"interfaces":[ {"name":"eth0","mac":"0A:1b:2c:3d:01:01","sandbox":"/x"} ],'
    b'"\\u0061":1.50 }'
)
ANOTHER_USER = 12345


@pytest.fixture
def pause() -> Iterator[Pause]:
    with Pause() as made:
        inside = ("nsenter", f"--net={made.netns}", "ip")
        run(*inside, "link", "add", "eth0", "address", "0a:1b:2c:3d:01:01", "type", "veth", "peer", "name", "peer0")
        yield made


class Trial:
    """An ADD, a DEL and a GC with a fault of eni-ledger's installation."""

    def __init__(self, front_door: Path, tmp_path: Path, pause: Pause) -> None:
        self.front_door = front_door
        self.state_dir = tmp_path / "ledger" / "state"
        self.state_dir.parent.mkdir()
        self.netns = pause.netns

    def plugin(self, prefix: Sequence[str | Path] = (), **config: object) -> Plugin:
        return Plugin(self.front_door, self.state_dir, prefix=prefix, config=config)

    def add(self, prefix: Sequence[str | Path] = (), **config: object) -> Answer:
        plugin = self.plugin(prefix, **config)
        text = json.dumps(plugin.net_conf()).encode()
        return plugin.call("ADD", text[:-1] + b',"prevResult":' + PREV + b"}", netns=self.netns)

    def assert_harmless(self, prefix: Sequence[str | Path], code: int) -> None:
        """Assert the law for ADD, DEL and GC, and that with `onError` `fail` the error has `code`."""
        added = self.add(prefix)
        assert (added.status, added.stdout) == (0, PREV), added
        assert added.stderr.startswith("eni-ledger: ADD not recorded: "), added
        assert "Traceback" not in added.stderr
        assert self.add(prefix, onError="fail").code() == code
        plugin = self.plugin(prefix)
        everything = plugin.net_conf() | {"cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
        for answer in (plugin.delete(netns="none"), plugin.call("GC", everything)):
            assert (answer.status, answer.stdout) == (0, b""), answer
            assert "not recorded: " in answer.stderr


@pytest.fixture
def trial(front_door: Path, tmp_path: Path, pause: Pause) -> Trial:
    return Trial(front_door, tmp_path, pause)


def privately(script: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs another in a mount namespace of its own, after `script`."""
    unshare = ["unshare", "--mount", "--propagation", "private"]
    return [*unshare, "sh", "-ec", script + '\nshift $0\nexec "$@"', str(len(arguments)), *arguments]


def read_only(path: Path) -> list[str | Path]:
    return privately('mount --bind "$1" "$1"\nmount -o remount,bind,ro "$1"', path)


def full(path: Path) -> list[str | Path]:
    """Return the command that runs another with a file system at `path` that has no room left."""
    # Below a name of ours: a directory with anything else and no ledger is not used as one.
    fill = 'mkdir "$1/quarantine"; dd if=/dev/zero of="$1/quarantine/fill" bs=1k count=80 2>/dev/null || true'
    return privately(f'mount -t tmpfs -o size=64k,mode=0750 tmpfs "$1"\n{fill}', path)


# --- the state directory ---


def test_a_missing_one_is_made(trial: Trial) -> None:
    answer = trial.add()
    assert (answer.status, answer.stdout, answer.stderr) == (0, PREV, "")
    found = trial.state_dir.stat()
    assert (found.st_mode & 0o777, found.st_uid) == (0o750, 0)


def test_one_that_cannot_be_made(trial: Trial) -> None:
    trial.assert_harmless(read_only(trial.state_dir.parent), 100)


def test_read_only(trial: Trial) -> None:
    trial.state_dir.mkdir(0o750)
    trial.assert_harmless(read_only(trial.state_dir), 100)


def test_read_only_with_a_ledger(trial: Trial) -> None:
    assert trial.add().status == 0
    trial.assert_harmless(read_only(trial.state_dir), 100)
    assert len(trial.plugin().events("add")) == 1


def test_full(trial: Trial) -> None:
    trial.state_dir.mkdir(0o750)
    trial.assert_harmless(full(trial.state_dir), 102)


def test_no_more_inodes(trial: Trial) -> None:
    trial.state_dir.mkdir(0o750)
    script = 'mount -t tmpfs -o nr_inodes=1,mode=0750 tmpfs "$1"'
    trial.assert_harmless(privately(script, trial.state_dir), 100)


@pytest.mark.parametrize("room", [0, 1, 10, 200])
def test_room_for_a_part_of_a_line(trial: Trial, room: int) -> None:
    """No part of a line is left. The kernel sends SIGXFSZ, which ends a process that does not expect it."""
    assert trial.add().status == 0
    ledger = trial.state_dir / "ledger.jsonl"
    before = ledger.read_bytes()
    trial.assert_harmless(["prlimit", f"--fsize={len(before) + room}", "--"], 102)
    assert ledger.read_bytes() == before
    assert trial.add().stderr == ""


def test_a_symbolic_link(trial: Trial) -> None:
    real = trial.state_dir.with_name("real")
    real.mkdir(0o750)
    trial.state_dir.symlink_to(real)
    trial.assert_harmless([], 100)
    assert list(real.iterdir()) == []


def test_another_users(trial: Trial) -> None:
    trial.state_dir.mkdir(0o750)
    os.chown(trial.state_dir, ANOTHER_USER, 0)
    trial.assert_harmless([], 100)
    assert list(trial.state_dir.iterdir()) == []


def test_one_that_others_may_write_to(trial: Trial) -> None:
    trial.state_dir.mkdir()
    trial.state_dir.chmod(0o777)
    trial.assert_harmless([], 100)


@pytest.mark.parametrize("name", ["lock", "ledger.jsonl", "state.json"])
def test_files_that_are_links(trial: Trial, tmp_path: Path, name: str) -> None:
    """A link in the state directory never leads to a write into a file elsewhere."""
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs\n")
    trial.state_dir.mkdir(0o750)
    (trial.state_dir / name).symlink_to(theirs)
    answer = trial.add()
    assert (answer.status, answer.stdout) == (0, PREV)
    assert theirs.read_text() == "theirs\n"


@pytest.mark.parametrize("name", ["lock", "ledger.jsonl"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_files_that_are_none(trial: Trial, name: str, make: Callable[[Path], None]) -> None:
    trial.state_dir.mkdir(0o750)
    make(trial.state_dir / name)
    answer = trial.add()
    assert (answer.status, answer.stdout) == (0, PREV)
    assert "ADD not recorded: " in answer.stderr
    assert trial.add(onError="fail").status == 1


# Root without any capability: file modes count for it, and it may not enter a namespace.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]


def test_no_permission(trial: Trial) -> None:
    """For the namespace neither; with `fail` that is told, as it comes first."""
    need(shutil.which("setpriv"), "setpriv")
    trial.state_dir.mkdir(0o750)
    trial.state_dir.chmod(0o550)
    trial.assert_harmless(POWERLESS, 110)
    trial.state_dir.parent.chmod(0)
    trial.assert_harmless(POWERLESS, 110)


def test_a_namespace_that_may_not_be_entered(trial: Trial) -> None:
    """What the kernel does not show is not made up: the record has what was declared, and says why."""
    need(shutil.which("setpriv"), "setpriv")
    with named_netns(f"eni-ledger-{os.getpid()}") as trial.netns:
        answer = trial.add(POWERLESS)
        assert (answer.status, answer.stdout) == (0, PREV), answer
        assert "recorded without what the kernel shows: " in answer.stderr
        (event,) = trial.plugin().events("add")
        assert (event["error_code"], event["declared_mac"]) == (110, "0a:1b:2c:3d:01:01")
        assert "entered" in event["error_msg"]
        assert event["netns_inode"] == Path(trial.netns).stat().st_ino
        assert "observed_mac" not in event
        assert trial.add(POWERLESS, onError="fail").code() == 110
        assert len(trial.plugin().events("add")) == 1


@pytest.mark.parametrize("limit", [5, 6, 7, 8])
def test_few_file_descriptors(trial: Trial, limit: int) -> None:
    assert trial.add().status == 0
    answer = trial.add(["prlimit", f"--nofile={limit}", "--"])
    assert (answer.status, answer.stdout) == (0, PREV), answer
    if "not recorded" not in answer.stderr:
        assert len(trial.plugin().events("add")) == 2


# --- the lock ---


@pytest.fixture
def stopped(trial: Trial) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock and is stopped."""
    assert trial.add().status == 0
    script = (
        "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, trial.state_dir / "lock"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_lock_held_by_a_stopped_process(trial: Trial, stopped: subprocess.Popen[bytes], on_error: str) -> None:
    """The event goes to the spool: it is recorded, so `fail` has nothing to fail for. The next writer folds it in."""
    answer = trial.add(onError=on_error)
    assert (answer.status, answer.stdout) == (0, PREV), answer
    assert "spool" in answer.stderr
    deleted = trial.plugin(onError=on_error).delete(netns="none")
    assert (deleted.status, deleted.stdout) == (0, b"")
    assert len(list((trial.state_dir / "spool").iterdir())) == 2
    stopped.kill()
    stopped.wait(PATIENCE_S)
    assert trial.add().stderr == ""
    assert [event["event"] for event in trial.plugin().events("add", "del")] == ["add", "add", "del", "add"]
    assert list((trial.state_dir / "spool").iterdir()) == []


def test_a_stopped_process_and_no_room_for_the_spool(trial: Trial, stopped: subprocess.Popen[bytes]) -> None:
    trial.assert_harmless(read_only(trial.state_dir), 100)


# --- the journal ---


def test_without_journald(trial: Trial) -> None:
    prefix = privately("mount -t tmpfs tmpfs /run")
    for on_error in ("warn", "fail"):  # the ledger is the record, the journal a copy
        answer = trial.add(prefix, journald=True, onError=on_error)
        assert (answer.status, answer.stdout) == (0, PREV)
        assert answer.stderr == "eni-ledger: recorded, but journald did not take the entry\n"
    assert len(trial.plugin().events("add")) == 2


def test_without_journald_and_without_a_ledger(trial: Trial) -> None:
    trial.state_dir.symlink_to("/nonexistent")
    answer = trial.add(privately("mount -t tmpfs tmpfs /run"), journald=True)
    assert (answer.status, answer.stdout) == (0, PREV)
    assert "journald did not take" in answer.stderr
    assert "ADD not recorded: " in answer.stderr


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_failure_is_in_the_journal(trial: Trial, on_error: str) -> None:
    trial.state_dir.symlink_to("/nonexistent")
    with Journal() as journal:
        answer = trial.add(journal.command([]), journald=True, onError=on_error)
        (entry,) = journal.entries("SYSLOG_IDENTIFIER=eni-ledger")
    assert answer.code() == (None if on_error == "warn" else 100)
    assert entry["PRIORITY"] == "3"
    assert str(entry["MESSAGE"]).startswith("ADD not recorded: ")
    # What could not be written to the ledger is not lost: the entry has it.
    assert (entry["CONTAINER_ID"], entry["DECLARED_MAC"]) == ("c0ffee", "0a:1b:2c:3d:01:01")
    assert entry["NETNS"] == trial.netns
    assert entry["ERROR_CODE"] == "100"


def test_what_is_recorded_is_in_the_journal(trial: Trial) -> None:
    with Journal() as journal:
        assert trial.add(journal.command([]), journald=True).stderr == ""
        trial.plugin(journal.command([]), journald=True).delete(netns="none")
        entries = journal.entries("SYSLOG_IDENTIFIER=eni-ledger")
    assert [entry["EVENT"] for entry in entries] == ["add", "del"]
    add, delete = trial.plugin().events("add", "del")
    assert [entry["LEDGER_SEQ"] for entry in entries] == [str(add["seq"]), str(delete["seq"])]


def test_a_journald_that_does_not_read(trial: Trial) -> None:
    with Journal() as journal:
        journal.freeze()
        plugin = trial.plugin(journal.command([]), journald=True)
        answers = [plugin.delete(netns="none") for _ in range(2)] + [trial.add(journal.command([]), journald=True)]
        journal.thaw()
    assert [answer.status for answer in answers] == [0, 0, 0]
    assert answers[-1].stdout == PREV
