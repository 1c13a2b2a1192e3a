"""Recovery of a writer after a crash, damage or interference. Loaded only then, not on each ADD.

Recovery discards nothing: a torn tail is copied to `quarantine/` before it is cut off; a damaged segment is sealed
unchanged, and the checkpoint of the next segment names the damage.
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
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Fields

QUARANTINE = "quarantine"


def break_hard_link(dir_fd: int, fd: int, settings: Settings) -> None:
    """Replace the active segment, open at `fd`, by a copy, because it has more than one hard link.

    The other link may be a backup, which must not change, or the file of another program. Raises StateDirError if the
    file is larger than any segment or is not a segment; OSError.
    """
    admit(dir_fd, settings.state_dir)
    size = os.fstat(fd).st_size
    if size > 2 * settings.rotate_bytes:
        details = f"{segment.ACTIVE}: {size} bytes, with another hard link elsewhere"
        raise StateDirError("a file of the state directory is not a segment", details, "move it out of the way")
    write_file(dir_fd, segment.ACTIVE, os.pread(fd, size, 0), sync=True)


def quarantine_torn_tail(dir_fd: int, fd: int, size: int, torn: int) -> str:
    """Copy the last `torn` bytes of the segment at `fd` to the quarantine, then cut them off at `size` bytes.

    Returns the name of the copy, which is on disk before the cut. Raises OSError; LockTimeout if another writer has
    appended meanwhile, which is possible after the lock file was removed.
    """
    name = f"torn-{now_us():016}-{size}.bin"
    quarantine_fd = open_subdir(dir_fd, QUARANTINE)
    try:
        write_file(quarantine_fd, name, os.pread(fd, torn, size), sync=True)
    finally:
        os.close(quarantine_fd)
    if os.fstat(fd).st_size != size + torn:
        raise LockTimeout("another writer is active", "the lock file was removed")
    os.ftruncate(fd, size)
    os.fsync(fd)
    return name


def replay(fd: int, name: str, size: int, marks: set[str] | None = None) -> tuple[Live, Tail, str | None]:
    """Return what is live after the verified events of a segment, the end of the chain, and the first damage or None.

    Adds the marks of the events to `marks`. Raises OSError, FutureFormat.
    """
    live, tail, lines = Live(), Tail(size=size), 0
    damage: list[LedgerDamaged] = []
    for number, _, event, crc in segment.walk(fd, name, size, damage=damage):
        live.apply(event)
        if marks is not None:
            marks.update(marks_of(event))
        tail.seq, tail.crc, tail.ts_us, lines = event["seq"], crc, parse_ts(event["ts"]), number
    if damage:
        # Lines after the last verified one have a seq too, even if they cannot be read any more.
        tail.seq += sum(1 for _, _, line, _ in segment.lines_of(fd, name, size) if line) - lines
    return live, tail, damage[0].details if damage else None


def rebuild(fd: int, tail: Tail) -> tuple[list[bytes], str | None, set[str], str | None]:
    """Return `(lines, boot_id, marks, damage)` of the active segment; `damage` is None if there is none.

    Raises OSError.
    """
    marks: set[str] = set()
    live, _, damage = replay(fd, segment.ACTIVE, tail.size, marks)
    return [encode_association(association) for association in live], live.boot_id, marks, damage


def seal_damaged(dir_fd: int, fd: int, about: Fields) -> tuple[Tail, list[bytes], str | None]:
    """Seal the damaged active segment unchanged and begin a new one whose checkpoint names the damage.

    What is live comes from `state.json` if that is at least as new as the verified part. Returns the new Tail, the live
    lines and their boot ID. Raises OSError.
    """
    os.fdatasync(fd)
    size = os.fstat(fd).st_size
    live, tail, damage = replay(fd, segment.ACTIVE, size)
    lines, boot_id = [encode_association(association) for association in live], live.boot_id
    sealed = segment.list_sealed(dir_fd)
    before = (segment.sealed_range(sealed[-1]) or (0, 0))[1] if sealed else 0
    state = state_file.read(dir_fd)
    if state is not None and state.head["seq"] >= tail.seq:
        lines, boot_id, tail.seq = state.lines, state.head.get("boot_id"), state.head["seq"]
    first = rotation.first_seq(fd)
    if first is None or first <= before:
        first = before + 1
    tail.seq = max(tail.seq, first)
    name = segment.sealed_name(first, tail.seq)
    about = {**about, "boot_id": boot_id, "damage": (damage or f"after {size} bytes").replace(segment.ACTIVE, name)}
    return rotation.start(dir_fd, tail, lines, about, previous=name, seal=name), lines, boot_id


def begin(dir_fd: int, about: Fields) -> tuple[Tail, list[bytes], str | None]:
    """Begin the first segment, or the next one after a crash between two renames, which leaves no active segment.

    If `state.json` has later events than the sealed segments, the active segment was removed: that is damage, no seq is
    used twice, and what was live stays live. If the last sealed segment is damaged, its writer was killed before the
    next checkpoint; the new checkpoint names that damage. Returns the new Tail, the live lines and their boot ID.
    Raises OSError, FutureFormat.
    """
    sealed = segment.list_sealed(dir_fd)
    name = sealed[-1] if sealed else None
    tail, sound = rotation.sealed_tail(dir_fd, name) if name else (Tail(), True)
    state = state_file.read(dir_fd)
    if state is not None and state.head["seq"] > tail.seq:
        missing = f"{segment.ACTIVE}: events {tail.seq + 1} to {state.head['seq']} are missing"
        about = {**about, "damage": missing}
        tail = Tail(state.head["seq"], int(state.head["crc"], 16), parse_ts(state.head["ts"]))
        lines, boot_id = state.lines, state.head.get("boot_id")
    elif name is None:
        lines, boot_id = [], about.get("boot_id")
    elif sound and state is not None and state.head["seq"] == tail.seq and state.head.get("crc") == f"{tail.crc:08x}":
        lines, boot_id = state.lines, state.head.get("boot_id")
    else:
        live, damage = _replay_sealed(dir_fd, name)
        lines, boot_id = [encode_association(association) for association in live], live.boot_id
        if not sound:
            about = {**about, "damage": damage}
            if state is not None and state.head["seq"] == tail.seq:
                lines, boot_id = state.lines, state.head.get("boot_id")
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
