"""A segment that is not packed, every line of it proven. The active one is kept: it is asked about most."""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from binascii import crc32

from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import TRAILER, trailer
from eni_ledger.ledger.read import line_filter
from eni_ledger.ledger.read.member_lines import LENGTH, MemberLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from eni_ledger.ledger.read.line_filter import Line
    from eni_ledger.ledger.read.queries import Accepts

MOST = 64 * 1024 * 1024
"""Bytes of a segment that is read as a whole."""

_PREV_CRC = b'"prev_crc":"'


class Whole:
    """All lines of a segment. `before` is the CRC that the first is chained to, `crc` that of the last.

    `first` and `last` are their seq; `boots` says whether there is a boot. Raises ValueError when not every line of
    `data` is what was written, or begins as a writer of this version begins it; going through them tells more.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.lines = gzip_members.split(data)
        head = self.lines[0] if data else b""
        at = head.find(_PREV_CRC) + len(_PREV_CRC)
        if at < len(_PREV_CRC) or line_filter.CHECKPOINT not in head[: line_filter.BEGINNING]:
            raise ValueError("it does not begin with a checkpoint")
        crc = self.before = int(head[at : at + 8], 16)
        kind_at, self.boots = line_filter.kind_at, False
        for line in self.lines:
            crc = crc32(line[:-TRAILER], crc)
            if line[-TRAILER:] != trailer(crc):
                raise ValueError("a line is not what was written")
            at = kind_at(line)
            if not at:
                raise ValueError("a line is not as a writer writes it")
            self.boots = self.boots or line[at : at + 5] == b'boot"'
        self.crc = crc
        self.first, self.last = line_filter.seq(head), line_filter.seq(self.lines[-1])

    def between(self, since: str, until: str | None) -> list[bytes]:
        """Return the lines of the events from `since` to `until`, both included."""
        first = bisect_left(self.lines, since.encode(), key=line_filter.ts)
        last = bisect_right(self.lines, until.encode(), key=line_filter.ts) if until else None
        return self.lines[first:last]


class Asked:
    """The lines of a segment that can have to do with one question; `identified`: there are identify events in it."""

    def __init__(self, whole: Whole, *, identified: bool) -> None:
        self._whole = whole
        self._identified = identified
        self._lines = MemberLines(whole.data)

    def with_texts(self, texts: Sequence[bytes], accepts: Accepts | None = None) -> list[Line]:
        """Return the lines with one of `texts` in them that `accepts` accepts, the checkpoint, and boots."""
        found = [line for text in texts for line in self._lines.with_text(text, accepts)]
        ending = (line_filter.CHECKPOINT, *((line_filter.BOOT,) if self._whole.boots else ()))
        return [*found, *(line for text in ending for line in self._lines.with_text(text))]

    def about(self, ids: Iterable[str], complete: Container[str] = ()) -> list[Line]:
        """Return the lines that name one of the associations `ids` and have not been returned before.

        Of those that are `complete` only if there is an identify in the segment; with them may be some others.
        """
        wanted = {one.encode() for one in ids if self._identified or one not in complete}
        return self._lines.about(wanted, usual=all(len(one) == LENGTH for one in wanted))
