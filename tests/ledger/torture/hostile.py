"""A hostile state directory: each name in it is, in turn, what it never should be.

Whatever it is, a writer comes to an end, with success or an error that names the file; nothing outside is read into the
ledger, appended to, cut or removed; readers come to an end too; and when things are put right, the next event is
recorded as if nothing had been.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import probe, writer
from helpers.ledgers import ACTIVE, add_event, append_line, copy, prove, settings, stuck_holder, three_segments
from helpers.patience import PATIENCE_S
from ledger.torture.trial import Run, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20
"""After this a process counts as hanging: a hundred times of what it needs."""

VICTIM = b"root:x:0:0:root:/root:/bin/sh\nthe last line has no end"
SEALED, SPOOLED = "(sealed)", "(spooled)"
NAMES = (
    *(ACTIVE, SEALED, "state.json", "lock", "spool", SPOOLED, "quarantine", "failures.jsonl"),
    *(".state.json.tmp", ".ledger.jsonl.tmp", ".next", "..next.tmp"),
)


def _symlink(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.parent / "not there")


def _loop(path: Path, victim: Path) -> None:
    del victim
    path.symlink_to(path.name)


def _symlink_to_directory(path: Path, victim: Path) -> None:
    path.symlink_to(victim.parent)


def _fifo(path: Path, victim: Path) -> None:
    del victim
    os.mkfifo(path)


def _device(number: tuple[int, int], kind: int) -> Callable[[Path, Path], None]:
    def make(path: Path, victim: Path) -> None:
        del victim
        os.mknod(path, 0o666 | kind, os.makedev(*number))

    return make


def _socket(path: Path, victim: Path) -> None:
    del victim
    here = os.getcwd()  # noqa: PTH109 - a socket's path has to be short, so it is bound from within
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path.name)
    finally:
        os.chdir(here)


def _hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def _directory(path: Path, victim: Path) -> None:
    del victim
    path.mkdir()
    (path / "inside").write_bytes(b"x")


def _empty(path: Path, victim: Path) -> None:
    del victim
    path.write_bytes(b"")


def _binary(path: Path, victim: Path) -> None:
    del victim
    path.write_bytes(bytes(range(256)) * 40)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "symbolic link": _symlink,
    "dangling link": _dangling,
    "link to itself": _loop,
    "link to a directory": _symlink_to_directory,
    "FIFO": _fifo,
    "/dev/null": _device((1, 3), stat.S_IFCHR),
    "/dev/zero": _device((1, 5), stat.S_IFCHR),
    "block device": _device((7, 250), stat.S_IFBLK),
    "socket": _socket,
    "hard link": _hard_link,
    "directory": _directory,
    "empty file": _empty,
    "binary file": _binary,
}
"""What is put in the place of a file."""

CHANGES = ("immutable", "another's", "setuid, for all to write", "no permission")
"""What is done to a file that stays as it is."""


class Bench:
    """The good state directory, and a copy of it for each case. `victim` must never change."""

    def __init__(self, where: Path) -> None:
        where.mkdir(parents=True)
        self.where = where
        self.good = where / "good"
        three_segments(self.good)
        with stuck_holder(self.good):
            writer.record(settings(self.good, lock_wait_ms=0), add_event(20))
        (self.good / "failures.jsonl").write_bytes(b'{"event":"add"}\n')
        (self.good / "quarantine").mkdir()
        outside = where / "outside"
        outside.mkdir()
        self.victim = outside / "victim"
        self.victim.write_bytes(VICTIM)
        self.victim.chmod(0o600)
        self._mtime = self.victim.stat().st_mtime_ns

    def copy(self, name: str) -> Path:
        """Return a fresh copy of the good state directory."""
        to = self.where / name
        if to.exists():
            chattr("-R", "-i", to)
            shutil.rmtree(to)
        return copy(self.good, to)

    def path(self, state: Path, name: str) -> Path:
        """Return what is meant by a name of NAMES."""
        if name == SEALED:
            return sorted(state.glob("ledger-*"))[0]
        if name == SPOOLED:
            return next((state / "spool").iterdir())
        return state / name

    def unharmed(self) -> bool:
        """Whether the files outside are unchanged."""
        found = self.victim.stat()
        same = self.victim.read_bytes() == VICTIM and found.st_mtime_ns == self._mtime
        return same and stat.S_IMODE(found.st_mode) == 0o600 and os.listdir(self.victim.parent) == ["victim"]  # noqa: PTH208


def chattr(*arguments: object) -> bool:
    """Change attributes of files; return whether that works here."""
    done = subprocess.run(["chattr", *map(str, arguments)], capture_output=True, check=False, timeout=PATIENCE_S)
    return done.returncode == 0


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    """Return what `call` did in a process of its own: `ok`, `error` (one of ours, or the system's), `bug`, `hangs`."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        found: dict[str, Any]
        try:
            os.close(read)
            signal.alarm(SECONDS)
            try:
                call()
                found = {"ok": ""}
            except (EniLedgerError, OSError) as exc:
                found = {"error": f"{type(exc).__name__}: {exc}"}
            except BaseException:
                found = {"bug": traceback.format_exc()[-1500:]}
            os.write(write, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if data:
        return dict(json.loads(data))
    return {"hangs" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM else "bug": f"status {status}"}


def readers(state: Path) -> dict[str, Callable[[], Any]]:
    """Return everything that only reads."""
    history = History(str(state))
    return {
        "live": history.live,
        "all": history.all,
        "at": lambda: history.at("2199-01-01T00:00:00.000000Z"),
        "events": lambda: list(history.events()),
        "fsck": lambda: fsck(str(state)),
        "probe": lambda: probe.probe(settings(state)),
        "note_failure": lambda: probe.note_failure(settings(state), {}, ValueError("x")),
    }


def _case(
    trial: Run, bench: Bench, what: str, name: str, make: Callable[[Path], None], undo: Callable[[Path], None]
) -> None:
    state = bench.copy("state")
    path = bench.path(state, name)
    make(path)
    label = f"{name} is {what}"
    done = outcome(lambda: writer.record(settings(state), add_event(30)))
    trial.check("ok" in done or "error" in done, f"{label}: a writer {done}")
    trial.counts["recorded all the same" if "ok" in done else "refused"] += 1
    if "error" in done:
        named = path.name.strip(".").removesuffix(".tmp") in done["error"]
        trial.check(named, f"{label}: the error does not name it: {done}")
    for question, call in readers(state).items():
        found = outcome(call)
        trial.check("ok" in found or "error" in found, f"{label}: {question} {found}")
        trial.counts["questions"] += 1
    trial.check(bench.unharmed(), f"{label}: what is outside has changed: {bench.victim.read_bytes()!r:.300}")
    with suppress(FileNotFoundError):
        undo(path)
    after = outcome(lambda: writer.record(settings(state), add_event(31)))
    trial.check("ok" in after, f"{label}, and then it was put right: {after}")
    live = {one["container_id"] for one in History(str(state)).live()}
    trial.check(add_event(31)["container_id"] in live, f"{label}, and then it was put right: not live")
    trial.check("ok" not in done or add_event(30)["container_id"] in live, f"{label}: told of success, and not live")
    trial.check(bench.unharmed(), f"{label}: what is outside has changed when it was put right")
    trial.counts["cases"] += 1


def _replaced(trial: Run, bench: Bench, name: str, what: str) -> None:
    content: list[bytes] = []

    def make(path: Path) -> None:
        if path.is_file():
            content.append(path.read_bytes())
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        KINDS[what](path, bench.victim)

    def undo(path: Path) -> None:
        found = path.lstat()
        if what in ("empty file", "binary file") or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            return  # what it was is only known to be wrong by what is in it
        shutil.rmtree(path) if stat.S_ISDIR(found.st_mode) else path.unlink()
        if content:
            path.write_bytes(content[0])

    _case(trial, bench, f"a {what}", name, make, undo)


def _changed(trial: Run, bench: Bench, name: str, what: str) -> None:
    def make(path: Path) -> None:
        if not path.exists():
            path.write_bytes(b"left behind")
        if what == "immutable":
            if not chattr("+i", path):
                trial.counts["no chattr here"] += 1
        elif what == "another's":
            os.chown(path, 65534, 65534)
        elif what == "no permission":
            path.chmod(0)
        else:
            path.chmod(0o6777 if path.is_file() else 0o777)

    def undo(path: Path) -> None:
        chattr("-i", path)

    _case(trial, bench, what, name, make, undo)


def _backup_of_hard_links(trial: Run, bench: Bench) -> None:
    """A copy of all files by `cp -al` stays unchanged, and the ledger continues."""
    state = bench.copy("state")
    backup = bench.where / "backup"
    shutil.copytree(state, backup, copy_function=os.link)
    before = {path.name: path.read_bytes() for path in backup.iterdir() if path.is_file()}
    for n in (30, 31):
        writer.record(settings(state, rotate_bytes=1 if n == 31 else 1 << 20), add_event(n))
    trial.check(before == {p.name: p.read_bytes() for p in backup.iterdir() if p.is_file()}, "a backup has changed")
    trial.check(fsck(str(state)).sound and len(prove(state)) > 11, "the ledger behind a backup is not sound")
    shutil.rmtree(backup)
    trial.counts["cases"] += 1


def _directories(trial: Run, bench: Bench) -> None:
    """The state directory itself: a link, another user's, open to all, a file, gone. A reader takes any directory."""

    def linked(state: Path) -> None:
        state.rename(state.with_name("real"))
        state.symlink_to(state.with_name("real"))

    def file(state: Path) -> None:
        shutil.rmtree(state)
        state.write_bytes(b"")

    def fifo(state: Path) -> None:
        shutil.rmtree(state)
        os.mkfifo(state)

    ways: dict[str, Callable[[Path], None]] = {
        "a symbolic link": linked,
        "a file": file,
        "a FIFO": fifo,
        "open to its group": lambda state: state.chmod(0o770),
        "open to all": lambda state: state.chmod(0o757),
        "open to all, sticky": lambda state: state.chmod(0o1777),
        "somebody else's": lambda state: os.chown(state, 65534, 65534),
    }
    for what, make in ways.items():
        state = bench.copy("state")
        make(state)
        before = _contents(state)
        calls: dict[str, Callable[[], Any]] = {
            "record": partial(writer.record, settings(state), add_event(30)),
            **readers(state),
        }
        for question, call in calls.items():
            if question == "note_failure":
                continue  # never raises
            found = outcome(call)
            if state.is_dir() and question not in ("record", "probe"):
                trial.check("ok" in found, f"{what}: {question} {found}")
                trial.counts["questions"] += 1
                continue
            trial.check("error" in found and str(state) in found["error"], f"{what}: {question} {found}")
            trial.counts["refused"] += 1
        trial.check(_contents(state) == before, f"{what}: something was written there")
        trial.counts["cases"] += 1
        shutil.rmtree(state.with_name("real"), ignore_errors=True)
        state.unlink() if state.is_symlink() or not state.is_dir() else shutil.rmtree(state)


def _contents(state: Path) -> dict[str, bytes]:
    if not state.is_dir():
        return {}
    return {p.name: p.read_bytes() for p in sorted(state.iterdir()) if p.is_file() and p.name != "lock"}


def _future(trial: Run, bench: Bench) -> None:
    """A ledger of a later format is left alone, however often it is asked."""
    state = bench.copy("state")
    append_line(state, v=99)
    before = _contents(state)
    done = outcome(lambda: writer.record(settings(state), add_event(30)))
    trial.check("ok" in done and _contents(state) == before, f"of a later format: {done}")
    trial.counts["cases"] += 1


def run(trial: Run) -> None:
    """Each round is one name and one thing in its place; the first rounds are of the directory itself."""
    cases: list[Callable[[Bench], None]] = [
        lambda bench: _directories(trial, bench),
        lambda bench: _backup_of_hard_links(trial, bench),
        lambda bench: _future(trial, bench),
    ]
    every = [(name, what) for name in NAMES for what in (*KINDS, *CHANGES)]
    bench: Bench | None = None
    for number, chance, _ in trial.each():
        bench = bench or Bench(trial.where / "bench")
        if number <= len(cases):
            cases[number - 1](bench)
            continue
        if number == len(cases) + 1:
            chance.shuffle(every)
        name, what = every[(number - len(cases) - 1) % len(every)]
        (_replaced if what in KINDS else _changed)(trial, bench, name, what)


def _needs() -> str:
    return "" if os.geteuid() == 0 else "devices, owners and attributes of files want root"


_ALL = 3 + len(NAMES) * (len(KINDS) + len(CHANGES))
TRIAL = Trial("hostile", "each name of the state directory as what it should not be", run, _ALL, 60, _needs)
