"""Begins, seals and removes segments. Loaded only when a segment begins or ends, not on each ADD."""

from __future__ import annotations

import errno
import os

from eni_ledger.base.errors import LedgerDamaged, StateDirError
from eni_ledger.base.minijson import loads
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_file, write_file
from eni_ledger.ledger.format.line import VERSION, decode, encode, format_ts, now_us, parse_ts, stated_crc
from eni_ledger.ledger.format.segment import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Fields


def first_seq(fd: int) -> int | None:
    """Return the seq of the first event of the active segment, or None if it cannot be read. Raises OSError."""
    try:
        for _, _, line, _ in segment.lines_of(fd, segment.ACTIVE, os.fstat(fd).st_size):
            return int(decode(line)["seq"])
    except (ValueError, KeyError, TypeError):
        pass
    return None


def start(
    dir_fd: int, tail: Tail, lines: list[bytes], about: Fields, *, previous: str | None, seal: str | None = None
) -> Tail:
    """Begin a new active segment after `tail`; its checkpoint has the live associations `lines`.

    `about` has more keys for the checkpoint (boot_id, instance_id, damage); `previous` is the name of the segment
    before. With `seal`, the present active segment is renamed to that name. The new segment is on disk under a
    temporary name before the old one is renamed, so there is no active segment only between two renames; after a crash
    between them, the next writer begins one. Returns the new Tail. Raises OSError.
    """
    clock_us = now_us()
    ts_us = max(clock_us, tail.ts_us)
    checkpoint = {
        **about,
        "ts": format_ts(ts_us),
        "seq": tail.seq + 1,
        "v": VERSION,
        "event": "checkpoint",
        "prev_crc": f"{tail.crc:08x}",
        "prev_segment": previous,
        "live": [loads(line) for line in lines],
    }
    if ts_us > clock_us:
        checkpoint["clock_step_us"] = ts_us - clock_us
    line, crc = encode(checkpoint, tail.crc)
    if seal:
        write_file(dir_fd, ".next", line, sync=True)
        if seal in os.listdir(dir_fd):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), seal)
        os.rename(segment.ACTIVE, seal, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.rename(".next", segment.ACTIVE, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.fsync(dir_fd)
    else:
        write_file(dir_fd, segment.ACTIVE, line, sync=True)
    return Tail(tail.seq + 1, crc, ts_us, len(line))


def rotate(dir_fd: int, fd: int, tail: Tail, lines: list[bytes], about: Fields) -> Tail | None:
    """Seal the active segment open at `fd`, begin the next one and return its Tail; return None if not rotated.

    Does not rotate a segment that has only its checkpoint. If the next segment cannot be written, for example on a full
    disk, the old one takes the event and the next writer tries again. Raises OSError.
    """
    first = first_seq(fd)
    if first is None or first >= tail.seq:
        return None
    os.fdatasync(fd)
    name = segment.sealed_name(first, tail.seq)
    try:
        return start(dir_fd, tail, lines, about, previous=name, seal=name)
    except (OSError, StateDirError):
        if not os.path.samestat(os.stat(segment.ACTIVE, dir_fd=dir_fd, follow_symlinks=False), os.fstat(fd)):
            raise
        return None


def retain(dir_fd: int, settings: Settings) -> list[str]:
    """Remove the sealed segments that are older than `retain_days` or beyond `retain_bytes`; return their names.

    Removes the oldest first, so that the rest has no gap even after a kill. Raises OSError.
    """
    names = expired(dir_fd, segment.list_sealed(dir_fd), settings)
    for name in names:
        remove(dir_fd, name)
    return names


def expired(dir_fd: int, sealed: list[str], settings: Settings) -> list[str]:
    """Return the segments of `sealed` (oldest first) that retention removes. Raises OSError.

    A segment answers for all times until the next one begins, on a quiet host long after its last event. It is kept
    while any of these times is within `retain_days`.
    """
    total, keep = 0, len(sealed)
    while keep > 0:
        total += size_of(dir_fd, sealed[keep - 1])
        if total > settings.retain_bytes:
            break
        keep -= 1
    oldest_us = now_us() - settings.retain_days * 86_400_000_000
    following = [*sealed[1:], segment.ACTIVE]
    while keep < len(sealed) and begins_us(dir_fd, following[keep]) < oldest_us:
        keep += 1
    return sealed[:keep]


def size_of(dir_fd: int, name: str) -> int:
    """Return the bytes of a sealed segment in all forms, with its index. Raises OSError, but not for missing files."""
    total = 0
    for form in segment.forms(name):
        try:
            total += os.stat(form, dir_fd=dir_fd, follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total


def begins_us(dir_fd: int, name: str) -> int:
    """Return the time of the first event of a segment, or the mtime of the file if that cannot be read.

    In microseconds since 1970. Raises OSError.
    """
    fd = open_file(dir_fd, name, os.O_RDONLY)
    try:
        status = os.fstat(fd)
        for _, _, line, _ in segment.lines_of(fd, name, status.st_size):
            return parse_ts(decode(line)["ts"])
    except (ValueError, KeyError, TypeError):
        pass
    finally:
        os.close(fd)
    return status.st_mtime_ns // 1000


def remove(dir_fd: int, name: str) -> None:
    """Remove all files of a sealed segment. Raises OSError."""
    for form in segment.forms(name):
        try:
            os.unlink(form, dir_fd=dir_fd)
        except FileNotFoundError:
            continue


def sealed_tail(dir_fd: int, name: str) -> tuple[Tail, bool]:
    """Return the end of the chain in the sealed segment `name`, and whether it is verified.

    After damage, seq is taken from the name of the segment, and CRC and time from the last readable line. Raises
    OSError, FutureFormat.
    """
    _, last = segment.sealed_range(name) or (0, 0)
    fd = open_file(dir_fd, name, os.O_RDONLY)
    try:
        try:
            sound, torn = (None, 0) if name.endswith(segment.PACKED) else segment.read_tail(fd, name)
        except LedgerDamaged:
            sound, torn = None, 0
        if sound is not None and not torn and sound.seq == last:
            return sound, True
        tail = Tail(seq=last)
        for _, _, line, _ in segment.lines_of(fd, name, os.fstat(fd).st_size):
            try:
                tail.crc = stated_crc(line)
                tail.ts_us = parse_ts(decode(line)["ts"])
            except (ValueError, KeyError, TypeError):
                continue
        return tail, False
    finally:
        os.close(fd)
