"""Run the delegate of an interposed call, transparently for it and for the runtime.

It gets our arguments, our environment and the bytes of our standard input; its standard error is ours; its answer is
kept until what it did is recorded. It dies with us (`PR_SET_PDEATHSIG`, prctl(2)): the ECS agent kills a plugin that
takes too long, and only that one process. Signal mask, dispositions and descriptors are for it what they would have
been without us.

In the bundle it is the child of a process without an interpreter, which hands its answer on whatever becomes of us
(`build/front/supervise.h`): `Supervised`. Everywhere else it is our own, and its standard input and output are
memory files (`memfd_create(2)`): of any size they need no process to feed or drain a pipe, and a process that the
delegate leaves behind does not hold up the answer.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns, sleep

from eni_ledger.base.errors import DelegateError, IoFailure
from eni_ledger.plugin import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    Work = Callable[[Callable[[], bool]], float | None]

_CHUNK = 1 << 20
_FORWARDED = (1, 2, 3, 10, 12, 15)  # SIGHUP SIGINT SIGQUIT SIGUSR1 SIGUSR2 SIGTERM, signal(7)
_S_IFMT, _S_IFDIR = 0o170000, 0o040000  # inode(7)
_HINT = "delegateDir in the configuration file says where the real plugins are"


def find(directory: str, name: str) -> str:
    """Return the path of the delegate `name` in `directory`.

    Raises DelegateError when it is missing, cannot be executed, or is this program again.
    """
    path = f"{directory}/{name}"
    try:
        status = os.stat(path)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise DelegateError("the delegate cannot be found", f"{path}: {reason}", _HINT) from exc
    if not os.access(path, os.X_OK) or status.st_mode & _S_IFMT == _S_IFDIR:
        raise DelegateError("the delegate cannot be executed", path, _HINT)
    if (status.st_dev, status.st_ino) in map(_identity, ("/proc/self/exe", sys.executable, sys.argv[0])):
        raise DelegateError("the delegate is eni-ledger itself", path, _HINT)
    if process.is_marked():  # it calls us through the plugin path: an endless loop
        raise DelegateError("the delegate of eni-ledger is another eni-ledger", path, _HINT)
    return path


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def refusal(directory: str, name: str, failed: int) -> DelegateError:
    """Return why the delegate does not run, where the bundle could not start it: `failed` is the errno of execve(2)."""
    path = f"{directory}/{name}"
    try:
        if not failed:
            find(directory, name)
    except DelegateError as exc:
        return exc
    return DelegateError("the delegate cannot be executed", f"{path}: {os.strerror(failed)}", _HINT)


def exec_delegate(path: str, env: Mapping[str, str]) -> NoReturn:
    """Replace this process by the delegate. Raises DelegateError when that fails; otherwise never returns."""
    process.restore_default_signals()
    try:
        os.execve(path, sys.argv, dict(env))  # noqa: S606 - the delegate, by its full path
    except OSError as exc:
        raise DelegateError("the delegate cannot be executed", f"{path}: {exc.strerror}", _HINT) from exc


def prepare_process() -> None:
    """Prepare this process to start the delegate: an interrupt ends it, descriptors 0 to 2 are open.

    Closed ones are opened on /dev/null, as Go's runtime does in the real plugins: a file of ours in their place would
    be mistaken for them.
    """
    process.without_handlers()
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def memory_file(data: bytes) -> int:
    """Return a memory file of `data`, at its start. Raises OSError."""
    kept = os.memfd_create("stdin")
    while data:
        data = data[os.write(kept, data) :]
    os.lseek(kept, 0, 0)
    return kept


class Supervised:
    """The delegate at work as the bundle has it: another process waits for it, and we record what it says.

    `data` is what standard input gave.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def wait(self, work: Work | None = None) -> tuple[int, bytes, float]:
        """Return its wait status, the beginning of its answer (STDIN_LIMIT bytes), how long it took in milliseconds.

        `work` is as in `Running.wait`.
        """

        def has_ended() -> bool:
            return process.has_ended(0)

        pause = work(has_ended) if work else None
        while work and pause is not None and not process.has_ended(int(pause * 1000)):
            pause = work(has_ended)
        return process.wait()

    def forward_answer(self, answer: bytes) -> None:  # noqa: ARG002 - the other process has it
        """Have the answer written to the runtime."""
        process.forward_answer()

    def give_up(self) -> None:
        """End this process; the other one notes that the call is not recorded, and needs no memory for that."""
        os._exit(1)

    def leave(self, status: int) -> NoReturn:  # noqa: ARG002 - the other process has it
        """End this process; the other one ends as the delegate ended."""
        os._exit(0)


class Running:
    """The delegate at work as our child.

    `data` is what standard input gave. From here on the signals that we forward are blocked in this process, and stay
    so: what the delegate did must be recorded and forwarded even if a signal asks this process to end.
    """

    def __init__(self, path: str, env: Mapping[str, str], data: bytes) -> None:
        """Start it. Raises OSError or ImportError when there can be no process; then nothing has changed.

        Raises DelegateError when it cannot be executed.
        """
        self.data = data
        self._out = os.memfd_create("stdout")
        self._started = monotonic_ns()
        self._pid, failed, self._awaited = process.spawn(path, sys.argv, env, memory_file(data), self._out, _FORWARDED)
        if failed:
            raise DelegateError("the delegate cannot be executed", f"{path}: {os.strerror(failed)}", _HINT)

    def wait(self, work: Work | None = None) -> tuple[int, bytes, float]:
        """Return its wait status (see waitpid(2)), its standard output, and how long it took in milliseconds.

        Signals that reach us meanwhile reach it. `work` is called while it works. It must not raise, returns as soon as
        what it is called with says that there is a signal, and returns the seconds after which it wants to be called
        again, None for never.
        """
        from _signal import SIGCHLD, sigpending, sigtimedwait, sigwait  # type: ignore[import-not-found]  # loaded late

        def signalled() -> bool:
            return not sigpending().isdisjoint(self._awaited)

        done = 0
        pause = work(signalled) if work else None
        while not done:
            if work and pause is not None:
                info = sigtimedwait(self._awaited, pause)
                if info is None:
                    pause = work(signalled)
                    continue
                number = info.si_signo
            else:
                number = sigwait(self._awaited)
            if number != SIGCHLD:
                os.kill(self._pid, number)  # not waited for yet, so the number is still its own
            done, status = os.waitpid(self._pid, os.WNOHANG)
        took_ms = (monotonic_ns() - self._started) / 1e6
        size = os.fstat(self._out).st_size
        chunks = []
        at = 0
        while at < size and (chunk := os.pread(self._out, min(_CHUNK, size - at), at)):
            chunks.append(chunk)
            at += len(chunk)
        return status, b"".join(chunks), took_ms

    def give_up(self) -> None:
        """Do nothing: no other process can note that the call is not recorded."""

    def forward_answer(self, answer: bytes) -> None:
        """Write the answer to our standard output. Raises IoFailure when that fails."""
        while answer:
            try:
                answer = answer[os.write(1, answer) :]
            except BlockingIOError:  # a pipe that is full and that the runtime made non-blocking
                sleep(0.001)
            except OSError as exc:
                raise IoFailure("the answer cannot be written to standard output", str(exc)) from exc

    def leave(self, status: int) -> None:
        """End this process as the delegate ended: with its exit status, or by the signal that ended it."""
        if not os.WIFSIGNALED(status):
            os._exit(os.waitstatus_to_exitcode(status))
        from _signal import SIG_DFL, SIG_UNBLOCK, SIGKILL, pthread_sigmask, signal  # only to die of a signal

        number = os.WTERMSIG(status)
        try:
            process.undumpable()  # no core of ours in the place of its
            if number != SIGKILL:
                signal(number, SIG_DFL)
            pthread_sigmask(SIG_UNBLOCK, (number,))
            os.kill(os.getpid(), number)
        finally:
            os._exit(128 + number)  # process 1 of a container is not ended by its own signals
