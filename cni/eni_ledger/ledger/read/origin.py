"""Whose ledger is it: this host's, or a copy of another's?

A ledger is a copy when its last event names another instance than this host, or when it is not in the configured state
directory and is of another boot. In the configured one another boot alone is this host after a reboot, which the next
writer records. A copy is not compared with this host, and no command records in it what this host shows; a plugin call
always records. Standard library only, of what the front door carries: plain questions say it, too.
"""

from __future__ import annotations

import os
from datetime import UTC

from eni_ledger import timespec
from eni_ledger.base import host
from eni_ledger.base.errors import LedgerDamaged, StateDirError
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.line import decode
from eni_ledger.ledger.format.source import Directory, read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from eni_ledger.base.events import Event, Fields
    from eni_ledger.ledger.format.source import Source


_LOOK = 8192  # bytes, in which the last line is as a rule


class Copy:
    """A ledger of another host: `ts` of its last event, `instance_id` (None: no event names one) and `boot_id`."""

    __slots__ = ("boot_id", "instance_id", "ts")

    def __init__(self, ts: str, instance_id: str | None, boot_id: str | None) -> None:
        self.ts = ts
        self.instance_id = instance_id
        self.boot_id = boot_id

    def words(self, zone: tzinfo = UTC) -> str:
        """Return as of when, in `zone`, and of whom it is."""
        of = self.instance_id or f"another host or boot ({self.boot_id or 'not known'})"
        return f"as of {timespec.clock(self.ts, zone, named=True)}, of {of}"


def copied(state_dir: str, configured: str) -> Copy | None:
    """Return whose copy the ledger in `state_dir` is; None when it is this host's or there is none.

    `configured` is the state directory of this host's configuration. Raises StateDirError, FutureFormat, OSError.
    """
    try:
        source = Directory(open_state_dir(state_dir, reading=True))
    except StateDirError as exc:
        if isinstance(exc.__cause__, FileNotFoundError):
            return None
        raise
    try:
        last = last_event(source)
        if last is None:
            return None
        named, here = _text(last, "instance_id"), host.instance_id()
        elsewhere = named is not None and here is not None and named != here
        if not elsewhere:
            if _same(state_dir, configured):
                return None
            boots = _boot_id(source, last), host.boot_id()
            if boots[0] == boots[1] or None in boots:
                return None
        return copy_of(source, last)
    finally:
        source.close()


def copy_of(source: Source, last: Event) -> Copy:
    """Return whose ledger ends with the event `last`, as a copy. Raises OSError."""
    named = _text(last, "instance_id") or _latest(source, "instance_id")
    return Copy(str(last["ts"]), named, _boot_id(source, last))


def _same(one: str, other: str) -> bool:
    """Tell whether two paths are of one directory."""
    try:
        here, there = os.stat(one), os.stat(other)
    except OSError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def last_event(source: Source) -> Event | None:
    """Return the last event that the chain proves. Raises FutureFormat, OSError."""
    for name in (segment.ACTIVE, *reversed(segment.sealed_among(source.names()))):
        try:
            fd = source.open(name)
        except FileNotFoundError:
            continue
        try:
            try:
                tail = None if name.endswith(segment.PACKED) else segment.read_tail(fd, name)[0]
            except LedgerDamaged:
                tail = None
            if tail is not None:
                return decode(_line_before(fd, tail.size))
            proven = [event for _, _, event, _ in segment.walk(fd, name, os.fstat(fd).st_size, damage=[])]
            if proven:
                return proven[-1]
        finally:
            os.close(fd)
    return None


def _line_before(fd: int, end: int) -> bytes:
    """Return the line that ends at byte `end`."""
    look = _LOOK
    while True:
        start = max(0, end - look)
        data = os.pread(fd, end - start, start)
        at = data.rfind(b"\n", 0, len(data) - 1)
        if at >= 0 or start == 0:
            return data[at + 1 :]
        look *= 8


def _boot_id(source: Source, last: Event) -> str | None:
    """Return the boot that the ledger is of after its `last` event, None when that cannot be told."""
    if found := _text(last, "boot_id"):
        return found
    known = read_state(source)
    if known is not None and known.head["seq"] == last["seq"]:
        return _text(known.head, "boot_id")
    return _latest(source, "boot_id")


def _latest(source: Source, key: str) -> str | None:
    """Return the last value of `key` in the last segment, whose checkpoint has what was known before."""
    found = None
    name = max(segment.sealed_among(source.names()), default="") if not source.size(segment.ACTIVE) else segment.ACTIVE
    if not name:
        return None
    fd = source.open(name)
    try:
        for _, _, event, _ in segment.walk(fd, name, os.fstat(fd).st_size, damage=[]):
            found = _text(event, key) or found
    finally:
        os.close(fd)
    return found


def _text(event: Fields, key: str) -> str | None:
    """Return a value that is text, None for any other."""
    value = event.get(key)
    return value if isinstance(value, str) and value else None
