"""What a writer does when it does not find things as it left them. Loaded only then, not on each ADD.

Nothing is repaired away: a torn tail is copied to `quarantine/` before it is cut off; a segment with real damage is
sealed as it is, and the checkpoint of the next one names the damage.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerDamaged, LockTimeout, StateDirError
from eni_ledger.ledger.format import segment, state_file
from eni_ledger.ledger.format.directory import open_file, open_subdir, write_file
from eni_ledger.ledger.format.line import marks_of, now_us, parse_ts
from eni_ledger.ledger.format.live import Live
from eni_ledger.ledger.format.segment import Tail
from eni_ledger.ledger.format.state_file import encode_association
from eni_ledger.ledger.write import rotation
from eni_ledger.ledger.write.admission import admit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.config import Settings

QUARANTINE = "quarantine"


def break_hard_link(dir_fd: int, fd: int, settings: Settings) -> None:
    """Put a copy of the active segment, open at `fd`, in its place, because it has another name somewhere.

    A backup of hard links, perhaps, which shall stay as it is; or a file that is not ours, which nobody is to append to
    or cut. Raises StateDirError when it has more bytes than any segment, or is none of a ledger; OSError.
    """
    admit(dir_fd, settings.state_dir)
    size = os.fstat(fd).st_size
    if size > 2 * settings.rotate_bytes:
        details = f"{segment.ACTIVE}: {size} bytes, and it has another name elsewhere"
        raise StateDirError("a file of the state directory is not ours", details, "move it out of the way")
    write_file(dir_fd, segment.ACTIVE, os.pread(fd, size, 0), sync=True)


def quarantine_torn_tail(dir_fd: int, fd: int, size: int, torn: int) -> str:
    """Copy the last `torn` bytes of the segment at `fd` to the quarantine, then cut them off at `size` bytes.

    Returns the name of the copy, which is on disk before the cut. Raises OSError; LockTimeout when another writer has
    appended meanwhile, as it can where somebody removed the lock file.
    """
    name = f"torn-{now_us():016}-{size}.bin"
    quarantine_fd = open_subdir(dir_fd, QUARANTINE)
    try:
        write_file(quarantine_fd, name, os.pread(fd, torn, size), sync=True)
    finally:
        os.close(quarantine_fd)
    if os.fstat(fd).st_size != size + torn:
        raise LockTimeout("another writer is at work", "somebody removed the lock file")
    os.ftruncate(fd, size)
    os.fsync(fd)
    return name


def replay(fd: int, name: str, size: int, marks: set[str] | None = None) -> tuple[Live, Tail, str | None]:
    """Return what is live after the proven events of a segment, where the chain ends, and the first damage or None.

    The events' marks are put into `marks`. Raises OSError, FutureFormat.
    """
    live, tail, lines = Live(), Tail(size=size), 0
    damage: list[LedgerDamaged] = []
    for number, _, event, crc in segment.walk(fd, name, size, damage=damage):
        live.apply(event)
        if marks is not None:
            marks.update(marks_of(event))
        tail.seq, tail.crc, tail.ts_us, lines = event["seq"], crc, parse_ts(event["ts"]), number
    if damage:
        # Every line has a seq, also those behind the last proven one that cannot be read any more.
        tail.seq += sum(1 for _, _, line, _ in segment.lines_of(fd, name, size) if line) - lines
    return live, tail, damage[0].details if damage else None


def rebuild(fd: int, tail: Tail) -> tuple[list[bytes], str | None, set[str], str | None]:
    """Return `(lines, boot_id, marks, damage)` of the active segment; `damage` is None when it is sound.

    Raises OSError.
    """
    marks: set[str] = set()
    live, _, damage = replay(fd, segment.ACTIVE, tail.size, marks)
    return [encode_association(association) for association in live], live.boot_id, marks, damage


def seal_damaged(dir_fd: int, fd: int, about: dict[str, Any]) -> tuple[Tail, list[bytes], str | None]:
    """Seal the damaged active segment as it is and begin a new one whose checkpoint names the damage.

    `state.json` has the better word on what is live when it is as new as the sound part. Returns the new Tail, the
    live lines and the boot id they belong to. Raises OSError.
    """
    os.fdatasync(fd)
    size = os.fstat(fd).st_size
    live, tail, damage = replay(fd, segment.ACTIVE, size)
    lines, boot_id = [encode_association(association) for association in live], live.boot_id
    sealed = segment.list_sealed(dir_fd)
    before = (segment.sealed_range(sealed[-1]) or (0, 0))[1] if sealed else 0
    known = state_file.read(dir_fd)
    if known is not None and known.head["seq"] >= tail.seq:
        lines, boot_id, tail.seq = known.lines, known.head.get("boot_id"), known.head["seq"]
    first = rotation.first_seq(fd)
    if first is None or first <= before:
        first = before + 1
    tail.seq = max(tail.seq, first)
    name = segment.sealed_name(first, tail.seq)
    about = {**about, "boot_id": boot_id, "damage": (damage or f"after {size} bytes").replace(segment.ACTIVE, name)}
    return rotation.start(dir_fd, tail, lines, about, previous=name, seal=name), lines, boot_id


def begin(dir_fd: int, about: dict[str, Any]) -> tuple[Tail, list[bytes], str | None]:
    """Begin the first segment, or the next one where there is no active one: a crash between two renames leaves none.

    When `state.json` knows of later events than the sealed segments, the active one was there and somebody took it
    away: that is damage, no seq is used twice, and what was live still is. When the last sealed segment is damaged,
    whoever sealed it was killed before it could say so in the next one: that is done here. Returns the new Tail, the
    live lines and the boot id they belong to. Raises OSError, FutureFormat.
    """
    sealed = segment.list_sealed(dir_fd)
    name = sealed[-1] if sealed else None
    tail, sound = rotation.sealed_tail(dir_fd, name) if name else (Tail(), True)
    known = state_file.read(dir_fd)
    if known is not None and known.head["seq"] > tail.seq:
        missing = f"{segment.ACTIVE}: events {tail.seq + 1} to {known.head['seq']} are missing"
        about = {**about, "damage": missing}
        tail = Tail(known.head["seq"], int(known.head["crc"], 16), parse_ts(known.head["ts"]))
        lines, boot_id = known.lines, known.head.get("boot_id")
    elif name is None:
        lines, boot_id = [], about.get("boot_id")
    elif sound and known is not None and known.head["seq"] == tail.seq and known.head.get("crc") == f"{tail.crc:08x}":
        lines, boot_id = known.lines, known.head.get("boot_id")
    else:
        live, damage = _replay_sealed(dir_fd, name)
        lines, boot_id = [encode_association(association) for association in live], live.boot_id
        if not sound:
            about = {**about, "damage": damage}
            if known is not None and known.head["seq"] == tail.seq:
                lines, boot_id = known.lines, known.head.get("boot_id")
    return rotation.start(dir_fd, tail, lines, {**about, "boot_id": boot_id}, previous=name), lines, boot_id


def _replay_sealed(dir_fd: int, name: str) -> tuple[Live, str]:
    """Return what is live after the sealed segment `name`, and where it is damaged. Raises OSError, FutureFormat."""
    fd = open_file(dir_fd, name, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        live, _, damage = replay(fd, name, size)
        return live, damage or f"{name} after {size} bytes"
    finally:
        os.close(fd)
