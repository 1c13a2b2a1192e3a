"""Where a reader finds the files of a ledger: a state directory, or another place with the same names.

`Source` is what readers use of it; `Directory` is the ordinary one. Standard library only: the front door carries this
module. Writers use descriptors of the state directory (`directory`).
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import StateDirError
from eni_ledger.ledger.format import state_file
from eni_ledger.ledger.format.directory import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Source(Protocol):
        """The files of a ledger, by the names that they have in a state directory.

        `path` is where the only file is, empty if the files are in a directory.
        """

        @property
        def path(self) -> str:
            """Where the only file is."""

        def names(self) -> list[str]:
            """Return the names of the files and subdirectories. Raises OSError."""

        def below(self, directory: str) -> list[str]:
            """Return the names in a subdirectory, none if it is missing or no directory. Raises OSError."""

        def open(self, name: str) -> int:
            """Return a descriptor to read a file by; the caller closes it.

            `name` may be that of a file in a subdirectory. Raises FileNotFoundError, other OSErrors, and StateDirError
            if it is no regular file.
            """

        def inside(self, directory: str) -> Source:
            """Return the files in a subdirectory, to be closed by themselves. Raises OSError."""

        def size(self, name: str) -> int:
            """Return the bytes of a file, 0 if it is missing. Raises OSError."""

        def close(self) -> None:
            """Close what is held open."""


class Directory:
    """The state directory that is open at `fd`, which `close` closes."""

    __slots__ = ("fd",)
    path = ""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def names(self) -> list[str]:
        """Return the names in the directory. Raises OSError."""
        return os.listdir(self.fd)

    def below(self, directory: str) -> list[str]:
        """Return the names in a subdirectory; follows no link. Raises OSError."""
        try:
            fd = self._subdirectory(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def open(self, name: str) -> int:
        """Return a descriptor to read a file by; follows no link. Raises OSError, StateDirError."""
        directory, _, file_name = name.rpartition("/")
        if not directory:
            return open_file(self.fd, name, os.O_RDONLY)
        fd = self._subdirectory(directory)
        try:
            return open_file(fd, file_name, os.O_RDONLY)
        finally:
            os.close(fd)

    def inside(self, directory: str) -> Directory:
        """Return the files in a subdirectory; follows no link. Raises OSError."""
        return Directory(self._subdirectory(directory))

    def size(self, name: str) -> int:
        """Return the bytes of a file, 0 if it is missing. Raises OSError."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close the directory. It may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def _subdirectory(self, name: str) -> int:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)


def read_state(source: Source) -> state_file.StateFile | None:
    """Return the content of `state.json`, or None if it is missing or unusable."""
    try:
        fd = source.open(state_file.STATE_FILE)
    except (OSError, StateDirError):
        return None
    return state_file.read_from(fd)
