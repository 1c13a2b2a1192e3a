"""Reads a descriptor in blocks, at once when it is little, in large blocks when it is much; writes without a buffer."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import time

BLOCK = 1 << 20
_FULL_BUFFER = 4096  # a program that writes this much at once, as tcpdump does without -l, waits for nobody
_ROOM = (16 << 20, 1 << 20)  # of a pipe, for root and for others (pipe-max-size): tcpdump goes on while this works
_PAUSE_S = 0.001


class Input:
    """Reads a descriptor, and closes it as a context manager does."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._wide = _widen(fd)
        self._last = 0

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def read(self, size: int = BLOCK, /) -> bytes:
        """Return up to `size` bytes, none at the end. Raises OSError."""
        if self._wide and _FULL_BUFFER <= self._last < BLOCK // 2 and _waiting(self.fd) < BLOCK // 8:
            time.sleep(_PAUSE_S)  # to wake up for each of tcpdump's 4 KiB takes as long as to work on them
        data = os.read(self.fd, size)
        self._last = len(data)
        return data

    def waits(self, seconds: float) -> bool:
        """Tell whether nothing comes for so long."""
        return not select.select([self.fd], [], [], seconds)[0]


def _widen(fd: int) -> bool:
    """Give a pipe room for a whole block at least; tell whether it has that now."""
    for size in _ROOM:
        try:
            return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size) >= BLOCK
        except OSError:  # no pipe, or this user's pipes have as much room as they may
            continue
    return False


def _waiting(fd: int) -> int:
    """Return how many bytes there are to be read from a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


class Output:
    """Writes to a descriptor without a buffer, and closes it as a context manager does."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError; BrokenPipeError when nobody reads it."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
