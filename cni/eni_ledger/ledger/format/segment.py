"""Segments: their names, their lines, the chain through them, and the end of one.

File names are the design: `ledger.jsonl` is written to, `ledger-<first>-<last>.jsonl` (seq numbers, 16 digits) never
changes again; with `.gz` it is the same, packed. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import os
from binascii import crc32

from eni_ledger.base.errors import FutureFormat, LedgerDamaged
from eni_ledger.base.minijson import loads as _loads
from eni_ledger.ledger.format.line import TRAILER, VERSION, decode, parse_ts, sound, stated_crc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

ACTIVE = "ledger.jsonl"
PACKED = ".gz"
"""What the name of a packed segment ends with; see `packed`."""

INDEX = ".index"
"""What stands in the name of a segment's index in place of `.jsonl`; see `index`."""

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
    """Return `(first, last)` of a sealed segment's name, packed or not, None when the name is not one."""
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
    """Return the names of a sealed segment as it was sealed, of the same packed, and of its index."""
    stem = name[:40]
    return f"{stem}.jsonl", f"{stem}.jsonl{PACKED}", f"{stem}{INDEX}"


def list_sealed(dir_fd: int) -> list[str]:
    """Return the names of the sealed segments, oldest first, each once. Raises OSError."""
    return sealed_among(os.listdir(dir_fd))


def sealed_among(names: list[str]) -> list[str]:
    """Return those of sealed segments, oldest first, each once.

    One that is being packed is there in both forms for a moment; then it is the one that was sealed.
    """
    found: list[str] = []
    for name in sorted(name for name in names if sealed_range(name)):
        if not found or found[-1][:40] != name[:40]:
            found.append(name)
    return found


def check_version(event: dict[str, Any], name: str) -> None:
    """Raise FutureFormat when the event was written in a later format than this code knows."""
    version = event.get("v")
    if isinstance(version, int) and version > VERSION:
        raise FutureFormat(
            f"the ledger is in format version {version}; this eni-ledger reads up to {VERSION}",
            name,
            "use the eni-ledger that wrote it, or a later one",
        )


def lines_of(fd: int, name: str, end: int, start: int = 0) -> Iterator[tuple[int, int, bytes, int | None]]:
    """Yield `(number, offset, line, before)` of each line (newline included) of a segment, from the start.

    Only what is before byte `end`, unless it is packed: then from the member at byte `start` on, offsets are those of
    the inflated segment, and `before` is the CRC of the line before where the file states it. An empty line is a place
    where something is that cannot be read: a damaged member of a packed segment, a line of more than MAX_LINE bytes, a
    last one without an end.
    """
    if name.endswith(PACKED):
        from eni_ledger.ledger.format import gzip_members  # a writer seldom has to

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
    # A file that has become shorter than `end` is a writer taking back what it could not sync.
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
) -> Iterator[tuple[int, int, dict[str, Any], int]]:
    """Yield `(number, offset, event, crc)` of each line that the chain proves to be what was written.

    `previous_crc` is that of the line before the segment; None takes the word of the checkpoint at its head (for
    reading one segment alone), or of the member at byte `start` of a packed one. At a line that is not what was written
    LedgerDamaged is raised, with file, line and offset; or, when there is a list `damage`, put there, and the walk goes
    on: a later line is proven when its CRC fits the one that the line before it states. Raises FutureFormat for a later
    format, OSError.
    """
    crc = previous_crc
    for number, offset, line, before in lines_of(fd, name, end, start):
        event = _event_of(line, loads)
        if crc is None:
            crc = _stated_previous(event) if offset == 0 and event is not None else before
        if event is not None and crc is not None:
            proof = crc32(line[:-TRAILER], crc)
            if line[-TRAILER:] == b',"crc":"%08x"}\n' % proof:
                crc = proof
                check_version(event, name)
                yield number, offset, event, crc
                continue
        found = LedgerDamaged("the ledger is damaged", path=name, line=number, offset=offset)
        if damage is None:
            raise found
        damage.append(found)
        try:
            crc = stated_crc(line)
        except ValueError:
            crc = None


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
