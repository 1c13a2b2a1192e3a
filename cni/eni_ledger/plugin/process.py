"""Start a delegate that dies with this process, and other system calls that Python lacks.

The bundle has this module in C (`build/front/interpreter.c`): there the supervisor, another process, has started the
delegate; `early`, `wait`, `has_ended` and `forward_answer` talk to the supervisor, and what starts a delegate is not
there.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]  # what `signal` wraps in enums, which takes 5 ms
    SIG_BLOCK,
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIGCHLD,
    SIGINT,
    SIGKILL,
    SIGPIPE,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    signal,
)

from eni_ledger.base import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CANNOT_RUN = 127
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 1, 4, 29, 30  # linux/prctl.h
_MARK, _MARK_OF = 613, 1000


def early() -> tuple[bytes | None, int, bool] | None:
    """Return what has become of the delegate before the interpreter began: in the bundle; None everywhere else.

    That is what standard input gave, None if it has not been read; the errno of why there is no delegate, 0 if it was
    not tried; and whether there is one. Only then `wait`, `has_ended` and `forward_answer` can be called.
    """
    return None


def wait() -> tuple[int, bytes, float]:
    """Return the delegate's wait status, the beginning of its answer, and how long it took in milliseconds."""
    raise NotImplementedError


def has_ended(timeout_ms: int) -> bool:
    """Return whether the delegate has ended, at the latest after so many milliseconds."""
    raise NotImplementedError


def forward_answer() -> None:
    """Have the delegate's answer written to the runtime."""
    raise NotImplementedError


def is_marked() -> bool:
    """Return whether a process that was, or was to become, a delegate of ours is this one or started it.

    The mark is the process's timer slack, which the kernel keeps over fork and execve (prctl(2)): of _MARK_OF
    nanoseconds the remainder _MARK. Nothing that a program looks at is other than without us.
    """
    try:
        return libc.call("prctl", _PR_GET_TIMERSLACK) % _MARK_OF == _MARK
    except ImportError:
        return False


def _mark() -> None:
    slack = libc.call("prctl", _PR_GET_TIMERSLACK)
    libc.call("prctl", _PR_SET_TIMERSLACK, slack - slack % _MARK_OF + _MARK)


def spawn(
    path: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin: int,
    stdout: int,
    forwarded: Iterable[int],
) -> tuple[int, int, list[int]]:
    """Execute `path` in a process of its own. Raises OSError or ImportError when there can be none.

    Returns its number; 0, or the errno of why it could not be executed, and then it has been waited for; and the
    signals to wait for: SIGCHLD and those of `forwarded` that this process does not ignore. From here on they are
    blocked in it (unless there is no process), and SIGCHLD is not ignored: the kernel would throw the exit status away.

    The kernel kills the new process when we die. `stdin` and `stdout` are its descriptors 0 and 1. Blocked and ignored
    are in it the signals that were in this one before; SIGPIPE and SIGXFSZ are as by default.
    """
    libc.call("getpid")  # loaded here: what fails in the child cannot be told apart
    awaited = [int(SIGCHLD), *(number for number in forwarded if getsignal(number) != SIG_IGN)]
    reader, writer = os.pipe2(os.O_CLOEXEC)
    mask = pthread_sigmask(SIG_BLOCK, awaited)
    children = signal(SIGCHLD, SIG_DFL)
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        signal(SIGCHLD, children)
        pthread_sigmask(SIG_SETMASK, mask)
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        try:
            libc.call("prctl", _PR_SET_PDEATHSIG, int(SIGKILL))
            if os.getppid() != parent:  # we died before it could be told
                os._exit(_CANNOT_RUN)
            restore_default_signals()
            signal(SIGCHLD, children)
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            pthread_sigmask(SIG_SETMASK, mask)
            os.execve(path, list(arguments), dict(environment))  # noqa: S606 - the delegate, by its full path
        except OSError as exc:
            os.write(writer, b"%d" % (exc.errno or 0))
        finally:
            os._exit(_CANNOT_RUN)
    os.close(writer)
    failed = os.read(reader, 16)
    os.close(reader)
    if failed:
        os.waitpid(pid, 0)
    return pid, int(failed or b"0"), awaited


def without_handlers() -> None:
    """Have an interrupt end this process, as it ends any other, and be no KeyboardInterrupt."""
    if getsignal(SIGINT) not in (SIG_IGN, SIG_DFL):
        signal(SIGINT, SIG_DFL)


def restore_default_signals() -> None:
    """Restore the signal dispositions that the interpreter changed, and mark the process as a delegate."""
    for number in (SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)
    try:
        _mark()
    except ImportError:
        pass  # without libffi there is no mark


def undumpable() -> None:
    """Have the kernel write no core of this process."""
    libc.call("prctl", _PR_SET_DUMPABLE, 0)
