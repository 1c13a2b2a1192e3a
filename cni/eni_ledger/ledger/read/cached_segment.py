"""A segment that is not packed, every line of it proven and kept, for a question that has to ask it more than once.

That is the active one as a rule: what happened of late is what is asked about most.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right

from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import verified_crc
from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from eni_ledger.ledger.read.line_filter import Line

MOST = 64 * 1024 * 1024
"""Bytes of a segment that is kept."""

_PREV_CRC = b'"prev_crc":"'


class Whole:
    """The `lines` of a segment, and `numbers`, for each association which of them are about it (None: who knows).

    `before` is the CRC that the first is chained to, `crc` that of the last; `first` and `last` are their seq. Raises
    ValueError when not every line of `data` is what was written, which a walk through it can tell more about.
    """

    def __init__(self, data: bytes) -> None:
        self.lines = gzip_members.split(data)
        self.numbers: dict[str | None, list[int]] = {}
        head = self.lines[0] if data else b""
        at = head.find(_PREV_CRC) + len(_PREV_CRC)
        if at < len(_PREV_CRC) or line_filter.CHECKPOINT not in head[: line_filter.BEGINNING]:
            raise ValueError("it does not begin with a checkpoint")
        crc = self.before = int(head[at : at + 8], 16)
        numbers, association = self.numbers, line_filter.association
        for number, line in enumerate(self.lines):
            crc = verified_crc(line, crc)
            if crc < 0:
                raise ValueError("a line is not what was written")
            numbers.setdefault(association(line), []).append(number)
        if not all(line_filter.has_canonical_prefix(self.lines[number]) for number in numbers.get(None, ())):
            raise ValueError("a line is not as a writer writes it")
        self.crc = crc
        self.first, self.last = line_filter.seq(head), line_filter.seq(self.lines[-1])

    def between(self, since: str, until: str | None) -> list[bytes]:
        """Return the lines of the events from `since` to `until`, both included."""
        first = bisect_left(self.lines, since.encode(), key=line_filter.ts)
        last = bisect_right(self.lines, until.encode(), key=line_filter.ts) if until else None
        return self.lines[first:last]


class Asked:
    """The lines of a segment that can have to do with one question."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._taken: set[int] = set()

    def with_texts(self, texts: Sequence[bytes]) -> list[Line]:
        """Return the lines with one of `texts` in them, and those whose association takes parsing to tell."""
        lines, unknown = self._whole.lines, self._whole.numbers.get(None, [])
        found = (number for text in texts for number, line in enumerate(lines) if text in line)
        return self._take([*unknown, *found])

    def about(self, ids: Iterable[str], _complete: Container[str] = ()) -> list[Line]:
        """Return the lines that are about one of the associations `ids` and have not been returned before."""
        return self._take(number for one in ids for number in self._whole.numbers.get(one, ()))

    def taken(self) -> Iterator[Line]:
        """Yield all lines that have been returned, in order."""
        for number in sorted(self._taken):
            yield self._whole.lines[number], None

    def _take(self, numbers: Iterable[int]) -> list[Line]:
        new = sorted(set(numbers) - self._taken)
        self._taken.update(new)
        return [(self._whole.lines[number], None) for number in new]
