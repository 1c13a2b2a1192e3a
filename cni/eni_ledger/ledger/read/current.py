"""What is live now, by `state.json` or by replay from the last checkpoint. Takes no lock."""

from __future__ import annotations

import os
import time

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format import segment, state_file
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.live import text_of
from eni_ledger.ledger.format.source import Directory, read_state
from eni_ledger.ledger.format.state_file import parsed
from eni_ledger.ledger.read.snapshot import PAUSE_S, complete_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Fields
    from eni_ledger.ledger.format.source import Source


def find_live(state_dir: str, event: Fields) -> Association | None:
    """Return the live association that a CHECK means, or None; `event` as for `supersede.meant_by`. Takes no lock.

    Raises AmbiguousAttachment, StateDirError, LedgerDamaged, FutureFormat, OSError.
    """
    from eni_ledger.ledger.format.supersede import meant_by  # questions do without; only CHECK needs it

    source = Directory(open_state_dir(state_dir))
    try:
        lines, _ = live_lines(source)
    finally:
        source.close()
    needle = text_of(event["container_id"])
    return meant_by((parsed(line) for line in lines if needle in line), event)


def live_lines(source: Source) -> tuple[list[bytes], str | None]:
    """Return one JSON line for each live association, and the boot id they belong to. Takes no lock.

    `state.json` is believed when it is as new as the ledger; else what is live is worked out from the last checkpoint.
    Raises LedgerDamaged when that is not possible, FutureFormat, OSError.
    """
    for attempt in range(5):
        try:
            fd = source.open(segment.ACTIVE)
        except FileNotFoundError:
            tail = None
        else:
            try:
                tail, _ = segment.read_tail(fd, segment.ACTIVE)
            finally:
                os.close(fd)
        known = read_state(source)
        if known is not None and (tail is None or _as_new(known, tail)):
            return known.lines, known.head.get("boot_id")
        if attempt < 4:
            time.sleep(PAUSE_S)  # a writer between its append and its state.json
    return _replay_last(source)


def cut_short(source: Source) -> LedgerDamaged | None:
    """Return the damage when the ledger ends before the event that `state.json` is of, None when it does not.

    Costs the same for any length of the ledger. Raises LedgerDamaged when its last line is not sound, OSError.
    """
    for attempt in range(5):
        known = read_state(source)  # first: what is appended after it only makes the ledger longer
        if known is None:
            return None
        seq, size = _end(source)
        if seq >= known.head["seq"]:
            return None
        if attempt < 4:
            time.sleep(PAUSE_S)  # a rotation, between its two renames
    return LedgerDamaged("events are missing", path=segment.ACTIVE, line=_lines(source, size) + 1, offset=size)


def _lines(source: Source, size: int) -> int:
    """Return the number of lines in the first `size` bytes of the active segment."""
    if not size:
        return 0
    fd = source.open(segment.ACTIVE)
    try:
        return segment.newlines(fd, size)
    finally:
        os.close(fd)


def _end(source: Source) -> tuple[int, int]:
    """Return the seq that the ledger ends with, 0 for none, and the size of the active segment up to it."""
    try:
        fd = source.open(segment.ACTIVE)
    except FileNotFoundError:
        sealed = segment.sealed_among(source.names())
        return (segment.sealed_range(sealed[-1]) or (0, 0))[1] if sealed else 0, 0
    try:
        tail, _ = segment.read_tail(fd, segment.ACTIVE)
        return (tail.seq, tail.size) if tail else (0, 0)
    finally:
        os.close(fd)


def _as_new(known: state_file.StateFile, tail: segment.Tail) -> bool:
    """Whether `state.json` is of this ledger and no older than what was seen of it."""
    seq = known.head["seq"]
    return bool(seq > tail.seq or (seq == tail.seq and known.head.get("crc") == f"{tail.crc:08x}"))


def _replay_last(source: Source) -> tuple[list[bytes], str | None]:
    """Work out what is live from the last segment alone: its checkpoint and what follows."""
    names = [*segment.sealed_among(source.names()), segment.ACTIVE]
    while names:
        name = names.pop()
        try:
            fd = source.open(name)
        except FileNotFoundError:
            continue
        try:
            live = live_state.Live()
            for _, _, event, _ in segment.walk(fd, name, complete_size(fd)):
                live.apply(event)
        finally:
            os.close(fd)
        return [state_file.encode_association(association) for association in live], live.boot_id
    return [], None
