"""A delegate that dies with us, and what else Python has no call for.

The bundle has the same functions in C (`build/bundle.d/front_door.c`), where `vfork` saves the copy of this
process and neither `_ctypes` nor `_signal` has to be loaded before it; this is how they are everywhere else.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CANNOT_RUN = 127
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # linux/prctl.h
_CLONE_NEWNET = 0x40000000
_RTLD_NOW = 2


def _libc(name: str, *arguments: int) -> int:
    """Call a function of the C library. Raises ImportError where Python was built without libffi."""
    import _ctypes  # `ctypes` itself takes 5 ms to load, this half a millisecond

    address = _ctypes.dlsym(_ctypes.dlopen(None, _RTLD_NOW), name)  # type: ignore[arg-type]  # None: this process
    return int(_ctypes.call_function(address, arguments))


def early() -> tuple[int, int, int, int, list[int]] | None:
    """Return the delegate that was started before the interpreter was: in the bundle, where that takes longer than it.

    Its standard input and output (descriptors of memory files), when that was (the monotonic clock, nanoseconds), and
    as `spawn` has them its number and the signals to wait for.
    """
    return None


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
    _libc("getpid")  # loaded here: what fails in the child cannot be told apart
    awaited = [int(SIGCHLD), *(number for number in forwarded if getsignal(number) != SIG_IGN)]
    told, tell = os.pipe2(os.O_CLOEXEC)
    mask = pthread_sigmask(SIG_BLOCK, awaited)
    children = signal(SIGCHLD, SIG_DFL)
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        signal(SIGCHLD, children)
        pthread_sigmask(SIG_SETMASK, mask)
        os.close(told)
        os.close(tell)
        raise
    if pid == 0:
        try:
            _libc("prctl", _PR_SET_PDEATHSIG, int(SIGKILL))
            if os.getppid() != parent:  # we died before it could be told
                os._exit(_CANNOT_RUN)
            as_it_was()
            signal(SIGCHLD, children)
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            pthread_sigmask(SIG_SETMASK, mask)
            os.execve(path, list(arguments), dict(environment))  # noqa: S606 - the delegate, by its full path
        except OSError as exc:
            os.write(tell, b"%d" % (exc.errno or 0))
        finally:
            os._exit(_CANNOT_RUN)
    os.close(tell)
    failed = os.read(told, 16)
    os.close(told)
    if failed:
        os.waitpid(pid, 0)
    return pid, int(failed or b"0"), awaited


def without_handlers() -> None:
    """Have an interrupt end this process, as it ends any other, and be no KeyboardInterrupt."""
    if getsignal(SIGINT) not in (SIG_IGN, SIG_DFL):
        signal(SIGINT, SIG_DFL)


def as_it_was() -> None:
    """Undo what the interpreter did at its start and a program that it executes would inherit."""
    for number in (SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)


def undumpable() -> None:
    """Have the kernel write no core of this process."""
    _libc("prctl", _PR_SET_DUMPABLE, 0)


def setns(fd: int) -> None:
    """Put this process into the network namespace `fd`. Raises OSError or ImportError."""
    known = getattr(os, "setns", None)  # Python 3.12
    if known is not None:
        known(fd, _CLONE_NEWNET)
    elif _libc("setns", fd, _CLONE_NEWNET) != 0:
        raise PermissionError("setns is refused; it takes CAP_SYS_ADMIN")  # errno is not to be had this way
