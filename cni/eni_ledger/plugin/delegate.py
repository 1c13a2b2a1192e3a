"""Run the plugin that we stand in front of, so that neither it nor the runtime notices.

It gets our arguments, our environment and the bytes of our standard input; its standard error is ours; its answer is
kept until what it did is recorded. Standard input and output are memory files (`memfd_create(2)`): whatever their size,
nobody has to feed or drain a pipe while there is work to do. It is told to die with us (`PR_SET_PDEATHSIG`, prctl(2)):
the ECS agent kills a plugin that takes too long, and only that one process.
"""

from __future__ import annotations

import os
import sys
from _signal import SIG_DFL, SIG_IGN, SIGKILL, SIGPIPE, SIGXFSZ, getsignal, signal  # type: ignore[import-not-found]  # what `signal` wraps in enums
from time import monotonic_ns

from eni_ledger.errors import DelegateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

_CHUNK = 1 << 20
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_RTLD_NOW = 2
_FORWARDED = (1, 2, 3, 10, 12, 15)  # SIGHUP SIGINT SIGQUIT SIGUSR1 SIGUSR2 SIGTERM, signal(7)
_CANNOT_RUN = 127


def find(directory: str, name: str) -> str:
    """Return the path of the delegate `name` in `directory`.

    Raises DelegateError when it is missing, cannot be executed, or is this program again.
    """
    path = f"{directory}/{name}"
    hint = "delegateDir in the configuration file says where the real plugins are"
    try:
        found = os.stat(path)
    except OSError as exc:
        raise DelegateError("the delegate cannot be found", f"{path}: {exc.strerror}", hint) from exc
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise DelegateError("the delegate cannot be executed", path, hint)
    own = os.stat(os.path.realpath(sys.argv[0] if "/" in sys.argv[0] else sys.executable))
    if (found.st_dev, found.st_ino) in ((own.st_dev, own.st_ino), _identity("/proc/self/exe")):
        raise DelegateError("the delegate is eni-ledger itself", path, hint)
    if _called_by_ourselves():
        raise DelegateError("the delegate of eni-ledger is another eni-ledger", path, hint)
    return path


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _called_by_ourselves() -> bool:
    """Whether our parent is an eni-ledger too: a copy of us is the delegate of another, and so on without end."""
    try:
        return os.path.basename(os.readlink(f"/proc/{os.getppid()}/exe")) == "eni-ledger"
    except OSError:
        return False


def become(path: str, env: Mapping[str, str]) -> None:
    """Replace this process by the delegate. Raises DelegateError when that fails; otherwise never returns."""
    _as_it_was()
    try:
        os.execve(path, sys.argv, dict(env))  # noqa: S606 - the delegate, by its full path
    except OSError as exc:
        raise DelegateError("the delegate cannot be executed", f"{path}: {exc.strerror}") from exc


def _as_it_was() -> None:
    """Undo what the interpreter did at its start and a program that it executes would inherit."""
    for number in (SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)


def keep_stdin(stdin: BinaryIO | None) -> int:
    """Return a memory file with everything that `stdin` gives, at its start. Raises OSError."""
    kept = os.memfd_create("stdin")
    if stdin is not None:
        while chunk := stdin.read(_CHUNK):
            os.write(kept, chunk)
    os.lseek(kept, 0, os.SEEK_SET)
    return kept


class Running:
    """The delegate at work. `started` is the monotonic clock, nanoseconds, just before it was."""

    def __init__(self, path: str, env: Mapping[str, str], stdin_fd: int) -> None:
        """Start it. Raises OSError when there can be no process; one that cannot be executed exits with 127."""
        import _ctypes  # `ctypes` takes 5 ms, and `prctl` has no other way from Python

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, _RTLD_NOW), "prctl")  # type: ignore[arg-type]  # None is this process
        self._out = os.memfd_create("stdout")
        self._stdin = stdin_fd
        parent = os.getpid()
        arguments, environment = sys.argv, dict(env)
        self.started = monotonic_ns()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _ctypes.call_function(prctl, (_PR_SET_PDEATHSIG, int(SIGKILL)))
                _as_it_was()
                if os.getppid() != parent:  # we died before it could be told
                    os._exit(_CANNOT_RUN)
                os.dup2(stdin_fd, 0)
                os.dup2(self._out, 1)
                os.execve(path, arguments, environment)  # noqa: S606 - the delegate, by its full path
            except OSError as exc:
                os.write(2, f"eni-ledger: {path} cannot be executed: {exc.strerror}\n".encode("utf-8", "replace"))
            finally:
                os._exit(_CANNOT_RUN)
        for number in _FORWARDED:
            if getsignal(number) != SIG_IGN:  # who told us to ignore one (nohup) has told the delegate as well
                signal(number, self._forward)

    def _forward(self, number: int, _: object) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it is done already

    def wait(self) -> tuple[int, bytes, float]:
        """Return its wait status (see waitpid(2)), its standard output, and how long it took in milliseconds."""
        _, status = os.waitpid(self.pid, 0)
        took_ms = (monotonic_ns() - self.started) / 1e6
        size = os.fstat(self._out).st_size
        chunks = []
        at = 0
        while at < size and (chunk := os.pread(self._out, min(_CHUNK, size - at), at)):
            chunks.append(chunk)
            at += len(chunk)
        os.close(self._out)
        os.close(self._stdin)
        return status, b"".join(chunks), took_ms


def hand_on(answer: bytes) -> None:
    """Write the delegate's answer to our standard output. That nobody reads it is not for us to say."""
    try:
        while answer:
            answer = answer[os.write(1, answer) :]
    except OSError:
        pass


def leave(status: int) -> None:
    """End this process as the delegate ended: with its exit status, or by the signal that ended it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != SIGKILL:
            signal(number, SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)
