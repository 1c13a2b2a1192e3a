"""The bytes of a file, inflated if it is a gzip file: once, from its start to its end, within limits."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass

from eni_ledger.base.errors import ArchiveError

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 16
_FREE = 64 << 20
"""Inflated bytes up to which no ratio is too high."""
_MOST_PARTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read of one file at most: bytes inflated `total`, and in one `member`; `members`; times `ratio` packed.

    Lines of a ledger have random IDs and checksums: they become a tenth, not a hundredth.
    """

    total: int = 2 << 30
    member: int = 1 << 30
    members: int = 20_000
    ratio: int = 100


class Inflated:
    """The bytes of the file open at `fd`, called `path` in errors. `offset` counts inflated bytes that were read.

    `read` and `peek` raise ArchiveError for a gzip file that is cut short, damaged or beyond the limits; OSError.
    """

    def __init__(self, fd: int, path: str, limits: Limits) -> None:
        self.offset = 0
        self.path = path
        self._fd = fd
        self._limits = limits
        self._most = min(limits.total, _half_of_memory())
        self._raw = os.read(fd, _CHUNK)
        self._packed = self._raw.startswith(GZIP)
        self._inflater = zlib.decompressobj(31)
        self._parts = 1
        self._consumed = self._inflated = 0
        self._ready = b""

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end, and leave them to be read."""
        while len(self._ready) < size and (more := self._more()):
            self._ready += more
        return self._ready[:size]

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, at most 64 KiB; none at the end."""
        data = self.peek(min(size, _CHUNK))
        self._ready = self._ready[len(data) :]
        self.offset += len(data)
        return data

    def refuse(self, why: str, hint: str = "") -> ArchiveError:
        """Return the error that something is wrong at the present offset."""
        return ArchiveError(why, f"{self.path} at offset {self.offset}", hint)

    def _more(self) -> bytes:
        """Return some more bytes; none at the end."""
        data = self._unpack() if self._packed else self._take()
        self._inflated += len(data)
        if self._inflated > self._most:
            raise self.refuse(f"the file holds more than {self._most >> 20} MiB", "name its parts one by one")
        if self._inflated > max(_FREE, self._limits.ratio * self._consumed) and self._packed:
            raise self.refuse("the file inflates to more than any ledger would")
        return data

    def _take(self) -> bytes:
        data, self._raw = self._raw or os.read(self._fd, _CHUNK), b""
        self._consumed += len(data)
        return data

    def _unpack(self) -> bytes:
        while True:
            if self._inflater.eof and not self._next_part():
                return b""
            packed = self._inflater.unconsumed_tail or self._take()
            if not packed:
                raise self.refuse("the gzip file is cut short", "copy it again")
            try:
                data = self._inflater.decompress(packed, _CHUNK)
            except zlib.error as exc:
                raise self.refuse("the gzip file is damaged", "copy it again") from exc
            if data:
                return data

    def _next_part(self) -> bool:
        """Begin the next part of a gzip file of several; tell whether there is one."""
        rest = self._inflater.unused_data or self._take()
        while rest and not rest.strip(b"\0"):
            rest = self._take()  # gzip, too, passes over zeros at the end
        if not rest:
            return False
        self._parts += 1
        if not rest.startswith(GZIP[: len(rest)]) or self._parts > _MOST_PARTS:
            raise self.refuse("there is something else behind the end of the gzip file")
        self._inflater, self._raw = zlib.decompressobj(31), rest
        self._consumed -= len(rest)
        return True


def _half_of_memory() -> int:
    """Return half of the bytes that this host can give to a program without swapping, by /proc/meminfo."""
    try:
        with open("/proc/meminfo", "rb") as file:
            for line in file:
                if line.startswith(b"MemAvailable:"):
                    return int(line.split()[1]) * 512
    except (OSError, ValueError, IndexError):
        pass
    return 1 << 62
