"""What of a segment matters to an interval when nothing is looked for: most of it was over before, and not parsed."""

from __future__ import annotations

from eni_ledger.ledger.read import line_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SPOOLED = b'"spooled_ts"'


def kept(lines: Iterable[bytes], during: tuple[str, str]) -> list[bool]:
    """Tell of each line whether it says what was live in the interval `during`, or when and how that ended.

    Dropped are associations that were over before it; those that began after it, unless they waited in the spool; and
    events about none. The order of the lines is that of the ledger.
    """
    first, last = during[0].encode(), during[1].encode()
    keep: list[bool] = []
    standing: dict[str, list[int]] = {}
    later: set[str] = set()
    for number, line in enumerate(lines):
        about = line_filter.association(line)
        keep.append(about != "")
        if not about:  # none, or one that takes parsing to tell
            continue
        ts, kind = line_filter.ts(line), line_filter.kind(line)
        if ts <= first:
            if kind in line_filter.BEGINS:
                standing[about] = [number]
            elif kind not in line_filter.ENDS:
                standing.get(about, []).append(number)
            elif (numbers := standing.pop(about, None)) is not None:
                for each in (*numbers, number):
                    keep[each] = False
        elif ts > last:
            if kind in line_filter.BEGINS and _SPOOLED not in line:
                later.add(about)
            keep[number] = about not in later
    return keep
