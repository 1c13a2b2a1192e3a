"""The lines of a piece of a segment, as far as they are asked for: by a text, or by the association they are about."""

from __future__ import annotations

from itertools import accumulate

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import verified_crc
from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from eni_ledger.ledger.read.line_filter import Line
    from eni_ledger.ledger.read.queries import Accepts

LENGTH = len("assoc-0123456789abcdef0")
"""Characters of an association ID, as writers make them."""

_ABOUT, _ANY_ID, _SUPERSEDES = b'"association_id":"', b"association_id", b'"supersedes"'
_CLOSING = len('"}\n')
_DIGITS = 8 + _CLOSING
"""Bytes from the CRC that a line states, in eight digits, to the line behind it."""
_FEW = 2
"""Associations that are searched for one by one."""


class MemberLines:
    """The lines `data`, which belong to `member` of the segment `name`. Each is proven when it is first asked for.

    Without a `member` they are all of a segment, and all proven. Damage that is met goes into the list `damage`.
    """

    def __init__(
        self,
        data: bytes,
        name: str = "",
        member: gzip_members.Member | None = None,
        damage: list[LedgerDamaged] | None = None,
    ) -> None:
        self._name = name
        self._member = member
        self._data = data
        self._damage = damage if damage is not None else []
        self._taken: dict[int, Line | None] = {}
        self._texts: set[bytes | None] = set()

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line, unproven, with its offset."""
        lines = gzip_members.split(self._data)
        return zip(accumulate(map(len, lines), initial=0), lines, strict=False)

    def with_text(self, text: bytes | None, accepts: Accepts | None = None) -> list[Line]:
        """Return the lines with `text` in them that were not asked for before, all of them for None.

        Less those that `accepts` does not. All, too, where it could be written in another way: with escapes, or an
        event's kind not as we write it.
        """
        if text in self._texts or None in self._texts:
            return []
        starts = [] if text is None or b"\\" in self._data else list(_starts(self._data, text, accepts))
        if not starts and (text in (None, line_filter.BOOT, line_filter.CHECKPOINT) or b"\\" in self._data):
            text, starts = None, list(_starts(self._data, b"\n"))
        self._texts.add(text)
        return self.take(starts, parsed=text is not None)

    def about(self, ids: set[bytes], *, usual: bool) -> list[Line]:
        """Return the lines about one of `ids`, or with it in them, that were not asked for before; and some others.

        `usual` is whether all of them are as long as those of a writer.
        """
        data = self._data
        if len(ids) <= _FEW or not usual:
            return [line for one in sorted(ids) for line in self.with_text(one)]
        pieces = data.split(_ABOUT)
        if b"\\" in data or len(pieces) != data.count(_ANY_ID) + 1:
            return self.with_text(None)  # in some lines the ID may not be where it is as a rule
        ends = list(accumulate(map(len, pieces)))
        found = [n for n, piece in enumerate(pieces) if piece[:LENGTH] in ids and n]
        starts = [data.rfind(b"\n", 0, ends[n - 1] + n * len(_ABOUT)) + 1 for n in found]
        return self.take([*starts, *_starts(data, _SUPERSEDES)], parsed=True)

    def take(self, starts: list[int], *, parsed: bool) -> list[Line]:
        """Return the lines at `starts` that were not asked for before; those that are to be `parsed` in any case."""
        new = [(start, self._line(start, parsed=parsed)) for start in starts if start not in self._taken]
        self._taken.update(new)
        return [line for _, line in new if line is not None]

    def _line(self, start: int, *, parsed: bool) -> Line | None:
        """Return the line at `start`, None when it is not what was written."""
        line = self._data[start : self._data.find(b"\n", start) + 1]
        member = self._member
        if member is not None and not self._is_proven(line, start, member.before):
            number = member.line + self._data.count(b"\n", 0, start)
            at = member.offset + start
            self._damage.append(LedgerDamaged("the ledger is damaged", path=self._name, line=number, offset=at))
            return None
        return line, None if parsed else line_filter.association(line)

    def _is_proven(self, line: bytes, start: int, before: int) -> bool:
        """Tell whether a line is chained to the one before it, the first one to `before`."""
        try:
            crc = int(self._data[start - _DIGITS : start - _CLOSING], 16) if start else before
        except ValueError:
            return False
        return verified_crc(line, crc) >= 0


def _starts(data: bytes, text: bytes, accepts: Accepts | None = None) -> Iterator[int]:
    """Yield the offset of each line that has `text` in it, where `accepts` accepts it."""
    at = data.find(text)
    while at >= 0:
        if accepts is None or accepts(data, at):
            yield data.rfind(b"\n", 0, at) + 1
            at = data.find(text, data.find(b"\n", at) + 1)
        else:
            at = data.find(text, at + 1)
