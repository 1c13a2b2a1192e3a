"""What of a segment matters to an interval when nothing is looked for: most of it was over before, and not parsed."""

from __future__ import annotations

from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_EVENT = b',"v":1,"event":"'
_ADD, _DEL = b'add","association_id":"', b'del","association_id":"'
_SPOOLED, _SUPERSEDES = b'"spooled_ts"', b'"supersedes"'
_SEQ = slice(42, 42 + 18 + len(_EVENT))
"""Where a writer puts what is between the seq and the kind of an event."""


def kept(lines: Iterable[bytes], during: tuple[str, str]) -> list[bool]:
    """Tell of each line whether it says what was live in the interval `during`, or when and how that ended.

    Dropped are associations that were over before it; those that began after it, unless they waited in the spool; and
    events about none. The order of the lines is that of the ledger.
    """
    first, last = during[0].encode(), during[1].encode()
    keep: list[bool] = []
    standing: dict[bytes, list[int]] = {}
    later: set[bytes] = set()
    for number, line in enumerate(lines):
        begins, about = _read(line)
        keep.append(about != b"")
        if not about:  # none, or one that takes parsing to tell
            continue
        ts = line_filter.ts(line)
        if ts <= first:
            if begins:
                standing[about] = [number]
            elif begins is None:
                standing.get(about, []).append(number)
            elif (numbers := standing.pop(about, None)) is not None:
                for each in (*numbers, number):
                    keep[each] = False
        elif ts > last:
            if begins and _SPOOLED not in line:
                later.add(about)
            keep[number] = about not in later
    return keep


def _read(line: bytes) -> tuple[bool | None, bytes | None]:
    """Return whether the event of a line begins an association or ends one, None for neither; and the association.

    The association is as `line_filter.association` says. An `add` and a `del` are told by their fixed places alone: a
    segment has little else.
    """
    at = line.find(_EVENT, _SEQ.start, _SEQ.stop) + len(_EVENT)
    begins = line.startswith(_ADD, at)
    if (begins or line.startswith(_DEL, at)) and line_filter.has_canonical_prefix(line):
        if b"\\" in line or (begins and _SUPERSEDES in line):
            return begins, None
        at += len(_ADD)
        return begins, line[at : line.find(b'"', at)]
    about, kind = line_filter.association(line), line_filter.kind(line)
    encoded = about if about is None else about.encode()
    return (True if kind in line_filter.BEGINS else False if kind in line_filter.ENDS else None), encoded
