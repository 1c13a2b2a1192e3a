"""A server of writers in which a chosen call fails, is cut short, stops or kills.

`python -I -S faulty.py SOURCE LIBRARIES`.
Reads a request per line of standard input, a line of JSON, and answers each with one. Each is done in a child process
of its own, forked, so that thousands of them cost little::

    {"do": [...], "dir": "/state", "settings": {...}, "fault": {...} or null, "dry": true or false}

`do` is `["record", event]`, `["gc", network, about]`, `["spool", event]` (another process holds the lock meanwhile), or
`["plugin", environment, stdin]`: the chained plugin, as the front door serves a call; or `["repair", about]`, which is
`fsck --repair`, or `["prune"]`: these two need LIBRARIES. `fault` has `at` (the number of the call, from 1), `how` and
what that needs:

    kill     the process is gone before the call; with `part`, after that part of its bytes
    stop     it is stopped before the call, and the answer comes then: `{"stopped": pid, ...}`; a line more on standard
             input lets it go on and has the second answer
    fail     the call fails with `errno`; with `part` bytes are written first (of a write); with `on`, one of these
             calls is counted and the others are not; with `from`, so does every later one
    nofile   the process may open no descriptor from the number `limit` on

With `dry` a sync is counted and not done: it makes no difference to what a killed process leaves to others.

The answer has `calls` (name and what about, in order; `close` is told and not counted), `status` as waitpid gives it,
and `said`: what `record` returned; `error` when it raised an error of the ledger; `exit`, `out`, `err` of the plugin.
"""

from __future__ import annotations

import fcntl
import importlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from time import monotonic_ns

sys.path.insert(0, sys.argv[1])

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.write import batch, writer
from eni_ledger.plugin import chained, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHANGING = (
    *("mkdir", "rmdir", "rename", "replace", "link", "symlink", "unlink"),
    *("write", "pwrite", "writev", "truncate", "ftruncate", "fsync", "fdatasync", "sync"),
    *("chmod", "fchmod", "chown", "fchown", "utime", "setxattr", "copy_file_range", "sendfile"),
)
_CREATING = os.O_CREAT | os.O_TRUNC


class Faults:
    """Counts the calls that change something, and does what is asked for at one of them."""

    def __init__(self, fault: dict[str, Any] | None, report: int, *, dry: bool) -> None:
        self._fault = {"at": 0, **(fault or {})}
        self._report = report
        self._done = 0
        self._write = os.write
        self._names: dict[int, str] = {}
        for name in CHANGING:
            skipped = dry and name in ("fsync", "fdatasync", "sync")
            setattr(os, name, self._wrap(name, (lambda *_: None) if skipped else getattr(os, name)))
        setattr(os, "open", self._open(os.open))  # noqa: B010 - mypy knows that it is another
        setattr(os, "close", self._close(os.close))  # noqa: B010

    def tell(self, **what: Any) -> None:
        """Write a line to the parent, which waits for it."""
        self._write(self._report, json.dumps(what).encode() + b"\n")

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        creating = self._wrap("open", real)

        def call(path: Any, flags: int, *args: Any, **kw: Any) -> int:
            fd = (creating if flags & _CREATING else real)(path, flags, *args, **kw)
            self._names[fd] = str(path)
            return fd

        return call

    def _close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            if self._names.pop(fd, None) is not None:
                self.tell(call="close", about=fd)
            real(fd)

        return call

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kw: Any) -> Any:
            fault, about = self._fault, args[0]
            if "on" in fault and name not in fault["on"]:
                return real(*args, **kw)
            self._done += 1
            hit = self._done == fault["at"] or ("from" in fault and self._done > fault["at"])
            self.tell(call=name, about=about, file=self._names.get(about, ""), failed=hit and fault["how"] == "fail")
            if hit:
                self._hit(name, args)
            return real(*args, **kw)

        return call

    def _hit(self, name: str, args: tuple[Any, ...]) -> None:
        fault = self._fault
        if "part" in fault and name == "write":
            self._write(args[0], bytes(args[1])[: int(len(args[1]) * fault["part"])])
        if fault["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault["how"] == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            raise OSError(fault["errno"], os.strerror(fault["errno"]))


def _act(request: dict[str, Any], faults: Faults) -> None:
    """Do what is asked for and tell what came of it."""
    if request["fault"] and request["fault"]["how"] == "nofile":
        resource.setrlimit(resource.RLIMIT_NOFILE, (request["fault"]["limit"],) * 2)
    settings = Settings(request["dir"])
    for name, value in request["settings"].items():
        setattr(settings, name, value)
    kind, *given = request["do"]
    if kind == "plugin":
        _plugin(given[0], given[1], faults)
        return
    try:
        if kind == "repair":
            faults.tell(said=[], done=libraries("check.repair").repair(settings, given[0]))
        elif kind == "prune":
            libraries("archive.prune").prune(settings)
            faults.tell(said=[])
        elif kind == "gc":
            faults.tell(said=batch.record_gc(settings, given[0], set(), given[1]))
        else:
            faults.tell(said=writer.record(settings, given[0]))
    except LedgerError as exc:
        faults.tell(error=f"{exc} [{type(exc.__cause__).__name__}: {exc.__cause__}]")


def libraries(name: str) -> Any:
    """Return a module of the ledger that is not on the ADD path, with what it needs of other people's."""
    if sys.argv[2] not in sys.path:
        sys.path.append(sys.argv[2])
    return importlib.import_module(f"eni_ledger.ledger.{name}")


def _plugin(environment: dict[str, str], stdin: str, faults: Faults) -> None:
    """Be the chained plugin, as the front door serves a call."""
    out, err = io.BytesIO(), io.BytesIO()
    status = protocol.serve(environment, io.BytesIO(stdin.encode()), out, err, chained.run, monotonic_ns())
    faults.tell(exit=status, out=out.getvalue().decode(), err=err.getvalue().decode())


def _child(request: dict[str, Any], report: int) -> None:
    try:
        _act(request, Faults(request["fault"], report, dry=request["dry"]))
    except BaseException:
        os.write(report, json.dumps({"bug": traceback.format_exc()}).encode() + b"\n")
    os._exit(0)


def _serve(request: dict[str, Any]) -> None:
    held = -1
    if request["do"][0] in ("repair", "prune"):
        for name in ("check.repair", "archive.prune"):
            libraries(name)  # loaded once, not by each child
    if request["do"][0] == "spool":
        held = os.open(f"{request['dir']}/lock", os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        if held >= 0:
            os.close(held)
        _child(request, writing)
    os.close(writing)
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        print(json.dumps({"stopped": pid}), flush=True)
        sys.stdin.readline()
        os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
    with os.fdopen(reading, "rb") as file:
        told = [json.loads(line) for line in file]
    if held >= 0:
        os.close(held)
    answer: dict[str, Any] = {"status": status, "calls": [each for each in told if "call" in each]}
    for each in told:
        if "call" not in each:
            answer |= each
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        if asked := json.loads(line):
            _serve(asked)
        else:
            print("{}", flush=True)
