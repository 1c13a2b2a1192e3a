"""Files of a ledger that are held open: a segment by itself, or the members of an archive.

They need no state directory: a reader asks for them by the names that they would have there.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class HeldFiles:
    """A `Source` of open `files`, by name; `others` are the names of those that are there and not held.

    `path` is that of the one file that there is, for messages. The descriptors stay open until `release`.
    """

    __slots__ = ("_files", "_others", "path")

    def __init__(self, files: Mapping[str, int], others: Iterable[str] = (), path: str = "") -> None:
        self._files = dict(files)
        self._others = set(others)
        self.path = path

    def names(self) -> list[str]:
        """Return the names of the files and subdirectories."""
        return sorted({name.partition("/")[0] for name in (*self._files, *self._others)})

    def below(self, directory: str) -> list[str]:
        """Return the names in a subdirectory."""
        inside = (name.partition("/") for name in (*self._files, *self._others))
        return [name for parent, _, name in inside if parent == directory and name]

    def open(self, name: str) -> int:
        """Return a descriptor to read a file by, at its start. Raises FileNotFoundError."""
        if name not in self._files:
            raise FileNotFoundError(2, "No such file", name)
        fd = os.dup(self._files[name])
        os.lseek(fd, 0, os.SEEK_SET)  # two descriptors of one file share a position: they are read with pread
        return fd

    def inside(self, directory: str) -> HeldFiles:
        """Return the files in a subdirectory."""
        start = f"{directory}/"
        files = {name.removeprefix(start): fd for name, fd in self._files.items() if name.startswith(start)}
        return HeldFiles(files, (name.removeprefix(start) for name in self._others if name.startswith(start)))

    def size(self, name: str) -> int:
        """Return the bytes of a file, 0 if it is missing. Raises OSError."""
        return os.fstat(self._files[name]).st_size if name in self._files else 0

    def close(self) -> None:
        """Do nothing: the next question needs the files again."""

    def release(self) -> None:
        """Close the files."""
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()
