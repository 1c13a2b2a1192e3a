"""The writers' lock: `flock` on a file that is never renamed. Readers take none.

Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import fcntl
import os
import time

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import LockTimeout, StateDirError
from eni_ledger.ledger.format.directory import open_file
from eni_ledger.ledger.write import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings


_TRIES = 25
"""Times that the lock is waited for: nobody waits for a prune."""

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.004


def acquire(dir_fd: int, settings: Settings) -> int:
    """Return a descriptor that holds the lock; closing it lets go. Waits for `lock_wait_ms` of the settings at most.

    The file is made where it is missing, but not in a directory that is not one for a ledger (`foreign`).

    Polls rather than sleep in `flock` with a timer. The kernel's queue hands the lock to one that sleeps and has to
    be scheduled first; with 64 ADDs on two cores that took twice as long as letting whoever runs take it. Raises
    LockTimeout, or StateDirError when the lock file cannot be opened.
    """
    fd, wait_ms = _open(dir_fd, settings.state_dir), settings.lock_wait_ms
    deadline = time.monotonic() + wait_ms / 1000
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if held(fd):
                return fd
            os.close(fd)  # somebody removed the file that we waited for: others lock another one by now
            fd = _open(dir_fd, settings.state_dir)
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0:
                os.close(fd)
                raise LockTimeout(
                    "another writer keeps the ledger locked", f"waited {wait_ms} ms", "fuser -v STATE_DIR/lock names it"
                ) from None
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
        except OSError as exc:
            os.close(fd)
            raise StateDirError("the ledger cannot be locked", f"lock: {exc.strerror}") from exc


def _open(dir_fd: int, path: str) -> int:
    try:
        try:
            return open_file(dir_fd, "lock", os.O_RDWR)
        except FileNotFoundError:
            from eni_ledger.ledger.write.admission import admit  # the first event of a ledger

            admit(dir_fd, path)
            return open_file(dir_fd, "lock", os.O_RDWR | os.O_CREAT)
    except OSError as exc:
        raise StateDirError("the lock file cannot be opened", f"lock: {exc.strerror}") from exc


def held(fd: int) -> bool:
    """Tell whether the lock that `fd` holds keeps others away: not when somebody removed the file. Raises OSError."""
    return os.fstat(fd).st_nlink > 0


def lock_patiently(dir_fd: int, settings: Settings) -> int:
    """Return a descriptor that holds the writers' lock, for who is not waited for; raise LockTimeout, StateDirError."""
    for _ in range(_TRIES - 1):
        try:
            return lock.acquire(dir_fd, settings)
        except LockTimeout:
            continue
    return lock.acquire(dir_fd, settings)
