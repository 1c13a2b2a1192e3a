"""The writers' lock: `flock` on a file that is never renamed. Readers take none.

Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import fcntl
import os
import time

from eni_ledger.base.errors import LockTimeout, StateDirError
from eni_ledger.ledger.format.directory import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings


_TRIES = 25
"""How often `lock_patiently` waits for the lock."""

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.004


def acquire(dir_fd: int, settings: Settings) -> int:
    """Return a descriptor that holds the lock; closing it releases the lock. Waits for at most `lock_wait_ms`.

    Makes the lock file if it is missing, unless the directory may not hold a ledger (`admission`).

    Polls instead of blocking in `flock`. The kernel hands a lock to a sleeping process, which must be scheduled first;
    with 64 ADDs on two cores that took twice as long as letting a running process take it. Raises LockTimeout, or
    StateDirError if the lock file cannot be opened.
    """
    fd, wait_ms = _open(dir_fd, settings.state_dir), settings.lock_wait_ms
    deadline = time.monotonic() + wait_ms / 1000
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if held(fd):
                return fd
            os.close(fd)  # the file was removed; other writers lock a new one
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
            from eni_ledger.ledger.write.admission import admit  # needed for the first event of a ledger only

            admit(dir_fd, path)
            return open_file(dir_fd, "lock", os.O_RDWR | os.O_CREAT)
    except OSError as exc:
        raise StateDirError("the lock file cannot be opened", f"lock: {exc.strerror}") from exc


def held(fd: int) -> bool:
    """Return whether the lock file open at `fd` still exists, so that its lock excludes others. Raises OSError."""
    return os.fstat(fd).st_nlink > 0


def lock_patiently(dir_fd: int, settings: Settings) -> int:
    """Return a descriptor that holds the lock. Waits for it repeatedly: for commands.

    Raises LockTimeout, StateDirError.
    """
    for _ in range(_TRIES - 1):
        try:
            return acquire(dir_fd, settings)
        except LockTimeout:
            continue
    return acquire(dir_fd, settings)
