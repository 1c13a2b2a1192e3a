"""`state.json`: the live associations after one line of the ledger. Derived: it can always be rebuilt.

Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import os
from binascii import crc32

from eni_ledger.base.errors import StateDirError
from eni_ledger.base.minijson import dumps, loads
from eni_ledger.ledger.format.directory import open_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.events import Fields


STATE_FILE = "state.json"


_LIMIT = 64 * 1024 * 1024
"""Largest file that is read, in bytes. A thousand associations take about 1 MiB."""


_SUM_LENGTH = len(',"sum":"00000000","associations":[')


def parsed(line: bytes) -> Any:
    """Return the JSON value of a line, or None if it has none."""
    try:
        return loads(line)
    except ValueError:
        return None


def encode_association(association: Fields) -> bytes:
    """Return an association as a line of `state.json`, without comma and newline."""
    return dumps(association).encode("utf-8", "replace")


class StateFile:
    """`state.json`: its `head`, and one line of JSON for each association."""

    __slots__ = ("head", "lines")

    def __init__(self, head: dict[str, Any], lines: list[bytes]) -> None:
        self.head = head
        self.lines = lines

    def marks(self) -> tuple[set[str], int] | None:
        """Return the marks of the active segment, and the bytes of it that they cover; None if they are not known."""
        marks, size = self.head.get("marks"), self.head.get("size")
        if not isinstance(marks, list) or not isinstance(size, int) or size < 0:
            return None
        return ({*marks}, size) if all(isinstance(mark, str) for mark in marks) else None

    def encode(self) -> bytes:
        """Return the bytes of the file: one JSON document, with one association in each line."""
        head = dumps(self.head)[:-1].encode("utf-8", "replace")
        body = b",\n".join(self.lines) + b"\n" if self.lines else b""
        return b'%b,"sum":"%08x","associations":[\n%b]}\n' % (head, crc32(body, crc32(head)), body)


def decode(data: bytes) -> StateFile | None:
    """Return the StateFile in `data`, or None if its `sum` does not match."""
    first, newline, rest = data.partition(b"\n")
    head, body = first[:-_SUM_LENGTH], rest[:-3]
    stated = b',"sum":"%08x","associations":[' % crc32(body, crc32(head))
    if not newline or first[-_SUM_LENGTH:] != stated or rest[-3:] != b"]}\n":
        return None
    try:
        stated_head = loads(head + b"}")
        if not isinstance(stated_head, dict) or not isinstance(stated_head["seq"], int):
            return None
    except (ValueError, KeyError):
        return None
    return StateFile(stated_head, body[:-1].split(b",\n") if body else [])


def read(dir_fd: int) -> StateFile | None:
    """Return the content of `state.json`, or None if it is missing or unusable."""
    try:
        fd = open_file(dir_fd, STATE_FILE, os.O_RDONLY)
    except (OSError, StateDirError):
        return None
    return read_from(fd)


def read_from(fd: int) -> StateFile | None:
    """Return the content of the file that is open at `fd`, which is closed; None if it is unusable."""
    try:
        if os.fstat(fd).st_size > _LIMIT:
            return None
        chunks = []
        while chunk := os.read(fd, 1 << 20):
            chunks.append(chunk)
    except OSError:
        return None
    finally:
        os.close(fd)
    return decode(b"".join(chunks))


def write(dir_fd: int, state: StateFile) -> None:
    """Replace `state.json`, without a sync: after a crash `sum` shows whether it is whole. Raises OSError."""
    write_file(dir_fd, STATE_FILE, state.encode(), sync=False)
