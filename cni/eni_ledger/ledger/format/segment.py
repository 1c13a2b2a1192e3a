"""Segments: file names, lines, the chain, and the end of a segment.

Writers append to `ledger.jsonl` only. `ledger-<first>-<last>.jsonl` (seq numbers, 16 digits) is sealed and never
changes again; with `.gz` it is packed. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import FutureFormat, LedgerDamaged
from eni_ledger.base.minijson import loads as _loads
from eni_ledger.ledger.format.line import VERSION, decode, parse_ts, stated_crc, verified_crc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from eni_ledger.base.events import Event

ACTIVE = "ledger.jsonl"
PACKED = ".gz"
"""Suffix of a packed segment; see `gzip_members`."""

INDEX = ".index"
"""Suffix of a segment's index, in place of `.jsonl`; see `archive.index`."""

MAX_LINE = 64 * 1024 * 1024
"""Longest line that is read, in bytes. Writers stay far below; the limit bounds memory for a file without newlines."""

REQUIRED = frozenset(("ts", "seq", "event"))
"""Keys that every event has."""

_CHUNK = 1 << 20
_FIRST_LOOK = 8192
"""Bytes read from the end of the active segment on every ADD: more than two ordinary lines."""


def sealed_name(first: int, last: int) -> str:
    """Return the name of the sealed segment that holds the events `first` to `last`."""
    return f"ledger-{first:016}-{last:016}.jsonl"


def sealed_range(name: str) -> tuple[int, int] | None:
    """Return `(first, last)` of the name of a sealed segment, plain or packed; None for any other name."""
    first, last = name[7:23], name[24:40]
    if (
        name[40:] in (".jsonl", ".jsonl.gz")
        and name[:7] == "ledger-"
        and name[23] == "-"
        and first.isascii()
        and first.isdigit()
        and last.isascii()
        and last.isdigit()
    ):
        return int(first), int(last)
    return None


def forms(name: str) -> tuple[str, str, str]:
    """Return the file names of a sealed segment: plain, packed, and its index."""
    stem = name[:40]
    return f"{stem}.jsonl", f"{stem}.jsonl{PACKED}", f"{stem}{INDEX}"


def list_sealed(dir_fd: int) -> list[str]:
    """Return the names of the sealed segments, oldest first, each once. Raises OSError."""
    return sealed_among(os.listdir(dir_fd))


def sealed_among(names: list[str]) -> list[str]:
    """Return the names of sealed segments in `names`, oldest first, each segment once.

    While a segment is packed, both forms exist for a moment; the plain one is returned.
    """
    sealed: list[str] = []
    for name in sorted(name for name in names if sealed_range(name)):
        if not sealed or sealed[-1][:40] != name[:40]:
            sealed.append(name)
    return sealed


def check_version(event: Event, name: str) -> None:
    """Raise FutureFormat if the event has a later format version than this code reads."""
    version = event.get("v")
    if isinstance(version, int) and version > VERSION:
        raise FutureFormat(
            f"the ledger is in format version {version}; this eni-ledger reads up to {VERSION}",
            name,
            "use the eni-ledger that wrote it, or a later one",
        )


def lines_of(fd: int, name: str, end: int, start: int = 0) -> Iterator[tuple[int, int, bytes, int | None]]:
    """Yield `(number, offset, line, before)` of each line (newline included) of a segment.

    A plain segment is read from its start to byte `end`. A packed one is read from the member at byte `start`; offsets
    are those in the inflated segment, and `before` is the CRC of the line before, where the file states it. An empty
    line stands for bytes that cannot be read: a damaged member, a line longer than MAX_LINE, a last line without LF.
    """
    if name.endswith(PACKED):
        from eni_ledger.ledger.format import gzip_members  # rarely needed by a writer

        yield from gzip_members.lines(fd, start)
        return
    number, offset, at, pending = 0, 0, 0, b""
    while at < end:
        chunk = os.pread(fd, min(_CHUNK, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        pieces = (pending + chunk).split(b"\n")
        pending = pieces.pop()
        if len(pending) > MAX_LINE:
            break
        for piece in pieces:
            number += 1
            yield number, offset, piece + b"\n", None
            offset += len(piece) + 1
    # A file shorter than `end` by now was truncated by a writer whose sync failed.
    if offset < end <= os.fstat(fd).st_size:
        yield number + 1, offset, b"", None


def walk(
    fd: int,
    name: str,
    end: int,
    previous_crc: int | None = None,
    *,
    damage: list[LedgerDamaged] | None = None,
    loads: Callable[[bytes], Any] = _loads,
    start: int = 0,
) -> Iterator[tuple[int, int, Event, int]]:
    """Yield `(number, offset, event, crc)` of each line whose CRC matches.

    `previous_crc` is the CRC of the line before the segment. With None, the checkpoint at the head of the segment
    states it (to read one segment alone), or the member at byte `start` of a packed one. For a line whose CRC does not
    match, raises LedgerDamaged with file, line and offset; with a list `damage`, appends the error there, goes on, and
    takes the CRC that the damaged line states for the next one. Raises FutureFormat, OSError.
    """
    crc = previous_crc
    for number, offset, line, before in lines_of(fd, name, end, start):
        event = _event_of(line, loads)
        if crc is None:
            crc = _stated_previous(event) if offset == 0 and event is not None else before
        if event is not None and crc is not None:
            verified = verified_crc(line, crc)
            if verified >= 0:
                crc = verified
                check_version(event, name)
                yield number, offset, event, crc
                continue
        error = LedgerDamaged("the ledger is damaged", path=name, line=number, offset=offset)
        if damage is None:
            raise error
        damage.append(error)
        try:
            crc = stated_crc(line)
        except ValueError:
            crc = None


def _event_of(line: bytes, loads: Callable[[bytes], Any]) -> Event | None:
    """Return the event of a line, or None if the line is not an event."""
    try:
        event: Event = loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.keys() >= REQUIRED else None


def _stated_previous(event: Event) -> int | None:
    """Return the CRC that a checkpoint is chained to, or None if the event is not a checkpoint."""
    try:
        return int(event["prev_crc"], 16)
    except (KeyError, ValueError, TypeError):
        return None


def newlines(fd: int, end: int) -> int:
    """Return the number of newlines before byte `end`."""
    return sum(os.pread(fd, min(_CHUNK, end - at), at).count(b"\n") for at in range(0, end, _CHUNK))


class Tail:
    """The end of a chain: seq, CRC and time (microseconds since 1970) of the last event, and the size in bytes."""

    __slots__ = ("crc", "seq", "size", "ts_us")

    def __init__(self, seq: int = 0, crc: int = 0, ts_us: int = 0, size: int = 0) -> None:
        self.seq = seq
        self.crc = crc
        self.ts_us = ts_us
        self.size = size


def read_tail(fd: int, name: str) -> tuple[Tail | None, int]:
    """Return the Tail of a segment and the number of torn bytes behind its last newline.

    The Tail is None if the file has no complete line. Reads backwards from the end, so the cost does not depend on the
    size. Raises LedgerDamaged if the CRC of the last complete line does not match, FutureFormat, OSError.
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
        crc = verified_crc(line, previous)
        if crc < 0:
            raise ValueError("the crc does not fit")
        check_version(event, name)
        return Tail(event["seq"], crc, parse_ts(event["ts"]), start + last + 1), torn
    except (ValueError, KeyError, TypeError) as exc:
        offset = start + before + 1
        number = 1 + newlines(fd, offset)
        raise LedgerDamaged("the end of the ledger is damaged", path=name, line=number, offset=offset) from exc
