"""`state.json`: the live associations as of one line of the ledger. Derived: it can always be made anew.

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


STATE_FILE = "state.json"


_LIMIT = 64 * 1024 * 1024
"""Bytes. A thousand associations take one; a file that somebody made larger is not read into memory."""


_SUM_LENGTH = len(',"sum":"00000000","associations":[')


def parsed(line: bytes) -> Any:
    """Return the association of a line, None when it holds none."""
    try:
        return loads(line)
    except ValueError:
        return None


def encode_association(association: dict[str, Any]) -> bytes:
    """Return the line of `state.json` for an association, without comma and newline."""
    return dumps(association).encode("utf-8", "replace")


class StateFile:
    """`state.json`: `head`, what is known of the last event in it, and one line of JSON per association."""

    __slots__ = ("head", "lines")

    def __init__(self, head: dict[str, Any], lines: list[bytes]) -> None:
        self.head = head
        self.lines = lines

    def marks(self) -> tuple[set[str], int] | None:
        """Return the marks of the active segment's events, and the bytes of it that they are of; None for not known."""
        marks, size = self.head.get("marks"), self.head.get("size")
        if not isinstance(marks, list) or not isinstance(size, int) or size < 0:
            return None
        return ({*marks}, size) if all(isinstance(mark, str) for mark in marks) else None

    def encode(self) -> bytes:
        """Return the bytes of the file: one JSON document with one association per line."""
        head = dumps(self.head)[:-1].encode("utf-8", "replace")
        body = b",\n".join(self.lines) + b"\n" if self.lines else b""
        return b'%b,"sum":"%08x","associations":[\n%b]}\n' % (head, crc32(body, crc32(head)), body)


def decode(data: bytes) -> StateFile | None:
    """Return the StateFile that `data` holds, or None when it is not, to the byte, what a writer wrote."""
    first, newline, rest = data.partition(b"\n")
    head, body = first[:-_SUM_LENGTH], rest[:-3]
    stated = b',"sum":"%08x","associations":[' % crc32(body, crc32(head))
    if not newline or first[-_SUM_LENGTH:] != stated or rest[-3:] != b"]}\n":
        return None
    try:
        found = loads(head + b"}")
        if not isinstance(found, dict) or not isinstance(found["seq"], int):
            return None
    except (ValueError, KeyError):
        return None
    return StateFile(found, body[:-1].split(b",\n") if body else [])


def read(dir_fd: int) -> StateFile | None:
    """Return what `state.json` says, or None when it is missing or unusable: it can always be rebuilt."""
    try:
        fd = open_file(dir_fd, STATE_FILE, os.O_RDONLY)
    except (OSError, StateDirError):
        return None
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
    """Replace `state.json`. Not synced: after a crash its `sum` tells, and it is rebuilt. Raises OSError."""
    write_file(dir_fd, STATE_FILE, state.encode(), sync=False)
