"""What the chain within one segment cannot tell: whether segments fit together, and how each of them begins."""

from __future__ import annotations

import os

from eni_ledger.base.bulk_json import loads
from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.read.segment_index import index_for as index_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event
    from eni_ledger.ledger.read.snapshot import Segment, Snapshot


class Chain:
    """Where a walk through several segments stands. `seq` is that of the last event, 0 before the first.

    Segments that do not fit together are put into `damage`.
    """

    def __init__(self, snapshot: Snapshot, damage: list[LedgerDamaged]) -> None:
        self.seq = 0
        self._crc = -1
        self._snapshot = snapshot
        self._damage = damage
        self._part: Segment
        self._line = 0
        self._before = 0

    def begin(self, part: Segment) -> None:
        """Begin a segment."""
        self._part, self._line, self._before = part, 0, len(self._damage)

    def next(self, number: int, event: Event, crc: int) -> None:
        """Take one proven event; the first of a segment has to go on where the one before it ended."""
        if number == 1 and self.seq:
            fits = event["seq"] == self.seq + 1 and event.get("prev_crc") == f"{self._crc:08x}"
            if not fits and not self._damage:
                self._damage.append(LedgerDamaged("events are missing", path=self._part.name, line=1, offset=0))
        self.seq, self._crc, self._line = event["seq"], crc, number

    def skip(self, part: Segment, seqs: tuple[int, int], before: int, crc: int) -> None:
        """Take note of a segment that is not walked through: of the seq it begins and ends with, and of the CRCs."""
        first, last = seqs
        if self.seq and (first, before) != (self.seq + 1, self._crc) and not self._damage:
            self._damage.append(LedgerDamaged("events are missing", path=part.name, line=1, offset=0))
        self.begin(part)
        self.seq, self._crc, self._line = last, crc, last - first + 1
        if part is self._snapshot.segments[-1]:
            self.end()

    def end(self) -> None:
        """End a segment: it has to hold what its name says, and the last one what `state.json` knew of."""
        named = segment.sealed_range(self._part.name)
        last, gone = named[1] if named else 0, False
        if self._part is self._snapshot.segments[-1] and self._snapshot.known_seq > max(self.seq, last):
            last = self._snapshot.known_seq
            gone = named is not None  # the active one is not there at all
        if self.seq < last and len(self._damage) == self._before:
            path, line, offset = (segment.ACTIVE, 1, 0) if gone else (self._part.name, self._line + 1, self._part.end())
            self._damage.append(LedgerDamaged("events are missing", path=path, line=line, offset=offset))


def head(part: Segment) -> Event | None:
    """Return the first event of a segment, None when it is not sound or the segment is gone."""
    try:
        fd = part.open()
    except FileNotFoundError:
        return None
    try:
        for number, _, event, _ in segment.walk(fd, part.name, part.size, damage=[], loads=loads):
            return event if number == 1 else None
    finally:
        os.close(fd)
    return None


def missing_between(pair: list[Segment]) -> list[LedgerDamaged]:
    """Return the damage when the second of two segments does not begin where the name of the first says it ends."""
    named = segment.sealed_range(pair[0].name)
    event = head(pair[1]) if len(pair) == 2 else None
    if named is None or event is None or event["seq"] == named[1] + 1:
        return []
    return [LedgerDamaged("events are missing", path=pair[1].name, line=1, offset=0)]


def contains_mark(part: Segment, mark: str) -> bool:
    """Tell whether a segment has, or looks as if it had, an event of one of `line.MARKS`."""
    index = index_of(part)
    if index is not None:
        return index.has(mark)
    if mark == "late" and not contains_mark(part, "identify"):
        return False  # what has been looked for already
    if mark not in part.marks:
        marks, size = part.state_marks or ((), 0)
        part.marks[mark] = mark in marks or _contains(part, _TEXTS[mark], size)
    return part.marks[mark]


def _contains(part: Segment, text: bytes, offset: int) -> bool:
    """Tell whether `text` is in a segment, in one that is not packed from `offset` on."""
    try:
        fd = part.open()
    except FileNotFoundError:
        return False
    try:
        if part.packed:
            return any(text in line for _, _, line, _ in segment.lines_of(fd, part.name, part.size))
        while chunk := os.pread(fd, _CHUNK, offset):  # the active segment's descriptors share one position
            if text in chunk:
                return True
            if len(chunk) < _CHUNK:
                break
            offset += len(chunk) - len(text)  # it may lie across the border
    finally:
        os.close(fd)
    return False


_CHUNK = 256 * 1024  # more would be fresh memory for each read, which costs more than the reading
_TEXTS = {
    "boot": b'"event":"boot"',
    "import": b'"event":"import"',
    "identify": b'"event":"identify"',
    "late": b'"late":true',
    "spooled": b'"spooled_ts"',
    "step": b'"clock_step_us"',
    "damage": b'"damage"',
}
