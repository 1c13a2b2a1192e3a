"""New segments, sealed ones, and the end of old ones. Loaded only when a segment begins or ends, not on each ADD."""

from __future__ import annotations

import errno
import os
import time

from eni_ledger.fastjson import loads
from eni_ledger.ledger import segment
from eni_ledger.ledger.codec import VERSION, decode, encode, format_ts, now_us, parse_ts, stated_crc
from eni_ledger.ledger.segment import Tail
from eni_ledger.ledger.statedir import open_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.config import Settings


def first_seq(fd: int) -> int | None:
    """Return the seq of a segment's first event, None when its first line is not readable. Raises OSError."""
    try:
        for _, _, line in segment.raw_lines(fd, os.fstat(fd).st_size):
            return int(decode(line)["seq"])
    except (ValueError, KeyError, TypeError):
        pass
    return None


def start(
    dir_fd: int, tail: Tail, lines: list[bytes], about: dict[str, Any], *, previous: str | None, seal: str | None = None
) -> Tail:
    """Begin a new active segment after `tail`, its checkpoint carrying the live associations `lines`.

    `about` are more keys for the checkpoint (boot_id, instance_id, damage), `previous` the name of the segment before
    it. With `seal` the present active segment gets that name. The new segment is on disk under a temporary name before
    the old one is renamed, so that the time without an active segment is two renames; a crash between them is mended
    by the next writer. Returns the new Tail. Raises OSError.
    """
    ts_us = max(now_us(), tail.ts_us)
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


def rotate(dir_fd: int, fd: int, tail: Tail, lines: list[bytes], about: dict[str, Any]) -> Tail | None:
    """Seal the active segment open at `fd` and begin the next; None when there is nothing in it but its checkpoint.

    Raises OSError.
    """
    first = first_seq(fd)
    if first is None or first >= tail.seq:
        return None
    os.fdatasync(fd)
    name = segment.sealed_name(first, tail.seq)
    return start(dir_fd, tail, lines, about, previous=name, seal=name)


def retain(dir_fd: int, settings: Settings) -> list[str]:
    """Remove the sealed segments that are older than `retain_days` or beyond `retain_bytes`; return their names.

    Age is that of the segment's last event, as the file system remembers its last write. Raises OSError.
    """
    oldest = time.time() - settings.retain_days * 86400
    total, removed = 0, []
    for name in reversed(segment.list_sealed(dir_fd)):
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        total += found.st_size
        if total > settings.retain_bytes or found.st_mtime < oldest:
            os.unlink(name, dir_fd=dir_fd)
            removed.append(name)
    return removed


def sealed_tail(dir_fd: int, name: str) -> Tail:
    """Return where the chain ends in the sealed segment `name`; behind damage, as much as its name still tells.

    Raises OSError.
    """
    _, last = segment.sealed_range(name) or (0, 0)
    fd = open_file(dir_fd, name, os.O_RDONLY)
    try:
        tail = Tail(seq=last)
        for _, _, line in segment.raw_lines(fd, os.fstat(fd).st_size):
            try:
                tail.crc = stated_crc(line)
                tail.ts_us = parse_ts(decode(line)["ts"])
            except (ValueError, KeyError, TypeError):
                continue
        return tail
    finally:
        os.close(fd)
