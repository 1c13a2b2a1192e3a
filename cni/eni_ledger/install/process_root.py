"""Reads the file system of another process, by descriptor from that process's root directory.

A path below `/proc/PID/root` cannot be passed to the kernel directly: it would resolve an absolute symbolic link
 in the root directory of this process. Here each component is opened below the one before (openat(2) with
O_PATH and O_NOFOLLOW), a link is read and followed inside the other root, and `..` goes no higher than that root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from eni_ledger.base.host import is_executable

_LINKS = 40  # as path_resolution(7) counts them
_DEPTH = 256  # components below the root, each an open descriptor
_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Root:
    """A root directory, held open. `fd` is closed by `close`, and at the end of a `with` block."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def of_process(cls, proc_fd: int) -> Root:
        """Return the root directory of the process whose directory in proc(5) is open as `proc_fd`. Raises OSError."""
        return cls(os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc_fd))

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the directory."""
        os.close(self.fd)

    def stat(self, path: str = "/") -> os.stat_result:
        """Return what stat(2) says of `path`. Raises OSError."""
        with self._held(path) as fd:
            return os.fstat(fd)

    def names(self, path: str) -> list[str]:
        """Return the names in the directory `path`, sorted. Raises OSError."""
        with self._held(path) as fd:
            readable = os.open(".", _LIST, dir_fd=fd)
        try:
            return sorted(os.listdir(readable))
        finally:
            os.close(readable)

    def is_program(self, path: str) -> bool:
        """Tell whether there is a regular file at `path` with an execute bit. Raises PermissionError."""
        return is_executable(path, self.stat)

    @contextmanager
    def _held(self, path: str) -> Iterator[int]:
        """Open what is at `path`, links followed, with O_PATH."""
        held: list[int] = []  # one for each component, so that `..` needs no look-up that could leave the root
        try:
            self._walk(path, held)
            yield held[-1] if held else self.fd
        finally:
            for fd in held:
                os.close(fd)

    def _walk(self, path: str, held: list[int]) -> None:
        todo = _parts(path)
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if held:
                    os.close(held.pop())
                continue
            if len(held) >= _DEPTH:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
            fd = os.open(part, _HOLD, dir_fd=held[-1] if held else self.fd)
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                held.append(fd)
                continue
            links += 1
            try:
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            if target.startswith("/"):
                while held:
                    os.close(held.pop())
            todo += _parts(target)


def _parts(path: str) -> list[str]:
    """Return the components of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
