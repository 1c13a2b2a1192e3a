"""Run the plugin that we stand in front of, so that neither it nor the runtime notices.

It gets our arguments, our environment and the bytes of our standard input; its standard error is ours; its answer is
kept until what it did is recorded. Standard input and output are memory files (`memfd_create(2)`): whatever their size,
nobody has to feed or drain a pipe while there is work to do, and a process that the delegate leaves behind keeps nobody
waiting. It dies with us (`PR_SET_PDEATHSIG`, prctl(2)): the ECS agent kills a plugin that takes too long, and
only that one process. Signal mask, dispositions and descriptors are for it what they would have been without us.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns, sleep

from eni_ledger.errors import DelegateError
from eni_ledger.plugin import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO, NoReturn

_CHUNK = 1 << 20
_FORWARDED = (1, 2, 3, 10, 12, 15)  # SIGHUP SIGINT SIGQUIT SIGUSR1 SIGUSR2 SIGTERM, signal(7)
_ANCESTORS = 4  # a script may stand between, and one that it calls
_S_IFMT, _S_IFDIR = 0o170000, 0o040000  # inode(7)
_HINT = "delegateDir in the configuration file says where the real plugins are"


def find(directory: str, name: str) -> str:
    """Return the path of the delegate `name` in `directory`.

    Raises DelegateError when it is missing, cannot be executed, or is this program again.
    """
    path = f"{directory}/{name}"
    try:
        found = os.stat(path)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise DelegateError("the delegate cannot be found", f"{path}: {reason}", _HINT) from exc
    if not os.access(path, os.X_OK) or found.st_mode & _S_IFMT == _S_IFDIR:
        raise DelegateError("the delegate cannot be executed", path, _HINT)
    if (found.st_dev, found.st_ino) in (_identity("/proc/self/exe"), _identity(sys.argv[0])):
        raise DelegateError("the delegate is eni-ledger itself", path, _HINT)
    if _below_ourselves(name):
        raise DelegateError("the delegate of eni-ledger is another eni-ledger", path, _HINT)
    return path


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _below_ourselves(name: str) -> bool:
    """Whether an eni-ledger started us as its delegate, itself or by a script: so it would go on without end.

    Without a bundle it is an interpreter that runs a file called `name`.
    """
    own, pid = _identity("/proc/self/exe"), os.getppid()
    for _ in range(_ANCESTORS):
        try:
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "eni-ledger":
                return True
            if not getattr(sys, "frozen", False) and _identity(f"/proc/{pid}/exe") == own:
                words = _read(f"/proc/{pid}/cmdline").split(b"\0")
                if os.fsencode(name) in [os.path.basename(word) for word in words[:8]]:
                    return True
            pid = int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
    return False


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def become(path: str, env: Mapping[str, str]) -> NoReturn:
    """Replace this process by the delegate. Raises DelegateError when that fails; otherwise never returns."""
    process.as_it_was()
    try:
        os.execve(path, sys.argv, dict(env))  # noqa: S606 - the delegate, by its full path
    except OSError as exc:
        raise DelegateError("the delegate cannot be executed", f"{path}: {exc.strerror}", _HINT) from exc


def prepare_process() -> None:
    """Make this process one that can stand before another: interrupts end it, descriptors 0 to 2 are open.

    Closed ones are opened on /dev/null, as Go's runtime does in the real plugins: a file of ours in their place would
    be mistaken for them.
    """
    process.without_handlers()
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def keep_stdin(stdin: BinaryIO | None) -> int:
    """Return a memory file with everything that `stdin` gives, at its start. Raises OSError."""
    kept = os.memfd_create("stdin")
    if stdin is not None:
        while chunk := stdin.read(_CHUNK):
            while chunk:
                chunk = chunk[os.write(kept, chunk) :]
    os.lseek(kept, 0, 0)
    return kept


class Running:
    """The delegate at work.

    `started` is the monotonic clock, nanoseconds, just before it was; `stdin_fd` the memory file of its standard input.
    From here on the signals that we forward are blocked in this process, and stay so: what the delegate did is to be
    recorded and handed on, whoever asks us to end.
    """

    def __init__(self, path: str, env: Mapping[str, str], stdin_fd: int) -> None:
        """Start it. Raises OSError or ImportError when there can be no process; then nothing has changed.

        Raises DelegateError when it cannot be executed.
        """
        self.stdin_fd = stdin_fd
        self._out = os.memfd_create("stdout")
        self.started = monotonic_ns()
        # Who told us to ignore one (nohup) has told the delegate as well.
        self.pid, failed, self._awaited = process.spawn(path, sys.argv, env, stdin_fd, self._out, _FORWARDED)
        if failed:
            raise DelegateError("the delegate cannot be executed", f"{path}: {os.strerror(failed)}", _HINT)

    @classmethod
    def early(cls) -> Running | None:
        """Return the delegate that the bundle has started already, as it does unless something is unusual; or None."""
        found = process.early()
        if found is None:
            return None
        running = cls.__new__(cls)
        running.stdin_fd, running._out, running.started, running.pid, running._awaited = found
        return running

    def wait(self) -> tuple[int, bytes, float]:
        """Return its wait status (see waitpid(2)), its standard output, and how long it took in milliseconds.

        Signals that reach us meanwhile reach it.
        """
        from _signal import SIGCHLD, sigwait  # type: ignore[import-not-found]  # loaded while it works

        done = 0
        while not done:
            number = sigwait(self._awaited)
            if number != SIGCHLD:
                os.kill(self.pid, number)  # not waited for yet, so the number is still its own
            done, status = os.waitpid(self.pid, os.WNOHANG)
        took_ms = (monotonic_ns() - self.started) / 1e6
        size = os.fstat(self._out).st_size
        chunks = []
        at = 0
        while at < size and (chunk := os.pread(self._out, min(_CHUNK, size - at), at)):
            chunks.append(chunk)
            at += len(chunk)
        return status, b"".join(chunks), took_ms

    def leave(self, status: int) -> None:
        """End this process as the delegate ended: with its exit status, or by the signal that ended it."""
        if not os.WIFSIGNALED(status):
            os._exit(os.waitstatus_to_exitcode(status))
        from _signal import SIG_DFL, SIG_UNBLOCK, SIGKILL, pthread_sigmask, signal

        number = os.WTERMSIG(status)
        try:
            process.undumpable()  # no core of ours in the place of its
            if number != SIGKILL:
                signal(number, SIG_DFL)
            pthread_sigmask(SIG_UNBLOCK, (number,))
            os.kill(os.getpid(), number)
        finally:
            os._exit(128 + number)  # process 1 of a container is not ended by its own signals


def hand_on(answer: bytes) -> None:
    """Write the delegate's answer to our standard output. That nobody reads it is not for us to say."""
    while answer:
        try:
            answer = answer[os.write(1, answer) :]
        except BlockingIOError:  # a pipe that is full and that the runtime made non-blocking
            sleep(0.001)
        except OSError:
            return
