"""What a snapshot reads of a segment once and keeps: its index, or its verified lines."""

from __future__ import annotations

import os

from eni_ledger.ledger.archive.index import NAME_AT, Index, open_index, read_heads
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.read import cached_segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.ledger.read.snapshot import Segment


def index_for(part: Segment) -> Index | None:
    """Return the index of a segment, None when there is none that can be used. Raises OSError."""
    if not part.index_read:
        if part.packed:
            _, _, file_name = segment.forms(part.name)
            part.index = _from_heads(part, file_name) or open_index(part.source, file_name, part.name)
        part.index_read = True
    return part.index


def distrust(part: Segment) -> None:
    """Take the index of a segment for one that is not there: it has been found not to be what was written."""
    part.index, part.index_read = None, True


def _from_heads(part: Segment, file_name: str) -> Index | None:
    """Return the index of a segment by what `ledger.index` says of it, None when that is nothing that fits."""
    heads = part.snapshot.heads
    if heads is None:
        lines = read_heads(part.source).splitlines(keepends=True)
        heads = part.snapshot.heads = {line[NAME_AT : line.find(b'"', NAME_AT)]: line for line in lines}
    line = heads.get(part.name.encode())
    if line is None:
        return None
    try:
        return Index(line, part.source, file_name)
    except ValueError:
        return None


def load_segment(part: Segment, *, keep: bool) -> cached_segment.Whole | None:
    """Return a plain segment with all its lines verified; `keep` it with the snapshot. Raises OSError.

    None if it is packed, gone, too large, or not all lines are verified.
    """
    if part.whole_read:
        return part.whole
    whole = None if part.packed else _load(part)
    if keep or whole is None:
        part.whole, part.whole_read = whole, True
    return whole


def _load(part: Segment) -> cached_segment.Whole | None:
    try:
        fd = part.open()
    except FileNotFoundError:
        return None
    try:
        if part.packed or part.size > cached_segment.MOST:  # it has been packed meanwhile
            return None
        return cached_segment.Whole(os.pread(fd, part.size, 0))
    except ValueError:
        return None
    finally:
        os.close(fd)
