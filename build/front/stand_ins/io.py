"""The front door's `io`: the C code, and standard streams without text layers.

The interpreter makes `sys.stdin`, `sys.stdout` and `sys.stderr` of what `open` and `TextIOWrapper` give here. The real
module defines four abstract classes first, and the real streams have three layers each.
"""

from _io import *  # noqa: F403
from _io import open as _open
from posix import isatty, read, write


class Stream:
    """A standard stream: bytes, unbuffered; text is written as UTF-8."""

    def __init__(self, fd):
        self._fd = fd
        self.buffer = self.raw = self

    def read(self, size=-1):
        """Up to `size` bytes, fewer only at the end; all there are without `size`."""
        chunks = []
        while size:
            chunk = read(self._fd, min(size, 1 << 16) if size > 0 else 1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk) if size > 0 else 0
        return b"".join(chunks)

    def write(self, data):
        """Write all of `data`, bytes or text."""
        data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
        while data:
            data = data[write(self._fd, data) :]

    def flush(self):
        """Nothing to do."""

    def fileno(self):
        """The descriptor."""
        return self._fd

    def isatty(self):
        """Whether it is a terminal."""
        return isatty(self._fd)


def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True):  # noqa: A001
    """As io.open; a `Stream` for a descriptor that stays open, which is how the interpreter asks for its own."""
    if closefd:
        return _open(file, mode, buffering, encoding, errors, newline)
    return Stream(file)


def TextIOWrapper(buffer, *_):  # noqa: N802
    """The stream itself: it takes text."""
    return buffer
