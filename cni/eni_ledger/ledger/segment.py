"""Segments: their names, their lines, the chain through them, and the end of one.

File names are the design: `ledger.jsonl` is written to, `ledger-<first>-<last>.jsonl` (seq numbers, 16 digits) never
changes again. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import os

from eni_ledger.errors import FutureFormat, LedgerDamaged
from eni_ledger.fastjson import loads as _loads
from eni_ledger.ledger.codec import VERSION, decode, parse_ts, sound, stated_crc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

ACTIVE = "ledger.jsonl"
MAX_LINE = 64 * 1024 * 1024
"""Bytes. Nothing that a writer makes comes near; a file without newlines is not read into memory for ever."""

REQUIRED = frozenset(("ts", "seq", "event"))
"""Keys without which a line is no event."""

_CHUNK = 1 << 20
_FIRST_LOOK = 8192
"""Bytes read from the end of the active segment on every ADD: two ordinary lines and to spare."""


def sealed_name(first: int, last: int) -> str:
    """Return the name of the sealed segment that holds the events `first` to `last`."""
    return f"ledger-{first:016}-{last:016}.jsonl"


def sealed_range(name: str) -> tuple[int, int] | None:
    """Return `(first, last)` of a sealed segment's name, None when the name is not one."""
    first, last = name[7:23], name[24:40]
    if (
        len(name) == 46
        and name[:7] == "ledger-"
        and name[23] == "-"
        and name[40:] == ".jsonl"
        and first.isascii()
        and first.isdigit()
        and last.isascii()
        and last.isdigit()
    ):
        return int(first), int(last)
    return None


def list_sealed(dir_fd: int) -> list[str]:
    """Return the names of the sealed segments, oldest first. Raises OSError."""
    return sorted(name for name in os.listdir(dir_fd) if sealed_range(name))


def check_version(event: dict[str, Any], name: str) -> None:
    """Raise FutureFormat when the event was written in a later format than this code knows."""
    version = event.get("v")
    if isinstance(version, int) and version > VERSION:
        raise FutureFormat(
            f"the ledger is in format version {version}; this eni-ledger reads up to {VERSION}",
            name,
            "use the eni-ledger that wrote it, or a later one",
        )


def raw_lines(fd: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield `(number, offset, line)` of each complete line (newline included) before byte `end`, from the start.

    Raises ValueError for a line of more than MAX_LINE bytes.
    """
    number, offset, at, pending = 0, 0, 0, b""
    while at < end:
        chunk = os.pread(fd, min(_CHUNK, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        pieces = (pending + chunk).split(b"\n")
        pending = pieces.pop()
        if len(pending) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes at offset {offset}")
        for piece in pieces:
            number += 1
            yield number, offset, piece + b"\n"
            offset += len(piece) + 1


def walk(
    fd: int,
    name: str,
    end: int,
    previous_crc: int | None = None,
    *,
    damage: list[LedgerDamaged] | None = None,
    loads: Callable[[bytes], Any] = _loads,
) -> Iterator[tuple[int, int, dict[str, Any], int]]:
    """Yield `(number, offset, event, crc)` of each line that the chain proves to be what was written.

    `previous_crc` is that of the line before the segment; None takes the word of the checkpoint at its head (for
    reading one segment alone). At a line that is not what was written LedgerDamaged is raised, with file, line and
    offset; or, when there is a list `damage`, put there, and the walk goes on: a later line is proven when its CRC
    fits the one that the line before it states. Raises FutureFormat for a later format, OSError.
    """
    crc = previous_crc
    number, offset, done = 0, 0, 0
    try:
        for number, offset, line in raw_lines(fd, end):
            done = offset + len(line)
            event = _event_of(line, loads)
            if crc is None and offset == 0 and event is not None:
                crc = _stated_previous(event)
            proven = crc is not None and event is not None and sound(line, crc)
            if proven and event is not None:
                check_version(event, name)
            else:
                found = LedgerDamaged("the ledger is damaged", path=name, line=number, offset=offset)
                if damage is None:
                    raise found
                damage.append(found)
            try:
                crc = stated_crc(line)
            except ValueError:
                crc = None
            if proven and event is not None and crc is not None:
                yield number, offset, event, crc
        # A file that has become shorter than `end` is a writer taking back what it could not sync.
        if done < end <= os.fstat(fd).st_size:
            raise ValueError("the last line has no end")
    except ValueError as exc:  # a line without an end
        found = LedgerDamaged("the ledger is damaged", path=name, line=number + 1, offset=done)
        if damage is None:
            raise found from exc
        damage.append(found)


def _event_of(line: bytes, loads: Callable[[bytes], Any]) -> dict[str, Any] | None:
    """Return the event of a line, None when it holds none."""
    try:
        event = loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.keys() >= REQUIRED else None


def _stated_previous(event: dict[str, Any]) -> int | None:
    """Return the CRC that a checkpoint says it is chained to, None when it is no checkpoint."""
    try:
        return int(event["prev_crc"], 16)
    except (KeyError, ValueError, TypeError):
        return None


def newlines(fd: int, end: int) -> int:
    """Return the number of newlines before byte `end`."""
    return sum(os.pread(fd, min(_CHUNK, end - at), at).count(b"\n") for at in range(0, end, _CHUNK))


class Tail:
    """Where a chain ends: the last event's seq, CRC and time (microseconds), and the size up to it in bytes."""

    __slots__ = ("crc", "seq", "size", "ts_us")

    def __init__(self, seq: int = 0, crc: int = 0, ts_us: int = 0, size: int = 0) -> None:
        self.seq = seq
        self.crc = crc
        self.ts_us = ts_us
        self.size = size


def read_tail(fd: int, name: str) -> tuple[Tail | None, int]:
    """Return the Tail of a segment and the number of torn bytes behind its last newline.

    The Tail is None when the file holds no complete line. Reads from the end, so it costs the same for any length.
    Raises LedgerDamaged when the last complete line is not what was written, FutureFormat for a later format.
    """
    size = os.fstat(fd).st_size
    look = _FIRST_LOOK
    while True:
        start = max(0, size - look)
        data = os.pread(fd, size - start, start)
        last = data.rfind(b"\n")
        before = data.rfind(b"\n", 0, last) if last > 0 else -1
        # The line before the last is needed too: its CRC is what the last one is chained to.
        earlier = data.rfind(b"\n", 0, before) if before > 0 else -1
        if start == 0 or earlier >= 0:
            break
        look *= 8
    torn = size - (start + last + 1)
    if last < 0:
        return None, size
    line = data[before + 1 : last + 1]
    try:
        event = decode(line)
        previous = int(event["prev_crc"], 16) if before < 0 else stated_crc(data[earlier + 1 : before + 1])
        if not sound(line, previous):
            raise ValueError("the crc does not fit")
        check_version(event, name)
        return Tail(event["seq"], stated_crc(line), parse_ts(event["ts"]), start + last + 1), torn
    except (ValueError, KeyError, TypeError) as exc:
        offset = start + before + 1
        number = 1 + newlines(fd, offset)
        raise LedgerDamaged("the end of the ledger is damaged", path=name, line=number, offset=offset) from exc
