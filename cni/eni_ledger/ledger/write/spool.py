"""The spool: one file for each event that could not wait for the lock; the next writer folds them in.

A file is one line in the ledger's own format, its CRC not chained (seeded with 0), named
`<microseconds, 16 digits>-<pid>-<8 hex>.json` so that the order of names is the order of time, also where the clock was
set back. The name goes into the ledger with the event (`spool`): a writer that dies between appending and unlinking
leaves a file behind, and the name tells the next one that it is already in.

The time in a name counts only when a sound file stands behind it that says the same name (`spool`). No time that is
more than `AHEAD_US` ahead of the clock gets from here into the chain, which never goes back: such an event happened,
as far as can be told, before the next one in the spool, and before it is folded in. Standard library only: loaded on
every ADD.
"""

from __future__ import annotations

import errno
import os

from eni_ledger.base.errors import LedgerError, StateDirError
from eni_ledger.ledger.format import live, segment, state_file
from eni_ledger.ledger.format.directory import open_file, open_subdir, write_file
from eni_ledger.ledger.format.line import decode, encode, format_ts, now_us, parse_ts, sound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DIRECTORY = "spool"
AHEAD_US = 600_000_000
"""Microseconds by which an event may be ahead of the clock, or the time in a file's name ahead of its event."""

_LIMIT = 4 * 1024 * 1024
_MARK = b'"spool":"'
_LONGEST_NAME = 256


def put(dir_fd: int, event: dict[str, Any], occurred_us: int, *, sync: bool) -> dict[str, Any]:
    """Write `event`, which happened at `occurred_us`, into the spool and return it with its `ts`.

    With `sync` it is durable on return. A clock that is behind the ledger, or behind what waits already, was set back:
    `ts` is held and `clock_step_us` says by how much, as if the event were appended now; else it would come to stand
    among what happened before the step, a DEL before its ADD. Raises OSError.
    """
    spool_fd = open_subdir(dir_fd, DIRECTORY)
    try:
        stamp_us, latest_us = _latest(spool_fd)
        clock_us, floor_us = now_us(), _ledger_us(dir_fd)
        if latest_us <= clock_us + AHEAD_US:
            floor_us = max(floor_us, latest_us)
        ts_us = occurred_us
        if clock_us < floor_us:
            ts_us = floor_us
            event = {**event, "clock_step_us": ts_us - occurred_us}
        name = f"{max(ts_us, stamp_us + 1):016}-{os.getpid()}-{os.urandom(4).hex()}.json"
        event = {"ts": format_ts(ts_us), **event}
        write_file(spool_fd, name, encode({**event, "spool": name}, 0)[0], sync=sync)
        if os.fstat(spool_fd).st_nlink == 0:  # removed meanwhile; the file alone may be gone: somebody folded it in
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), DIRECTORY)
        return event
    finally:
        os.close(spool_fd)


def _latest(spool_fd: int) -> tuple[int, int]:
    """Return the time in the name of the last file that waits, and that of its event; -1 without one. Raises OSError.

    The files are read from the last name on, as a rule one of them.
    """
    for name in sorted(os.listdir(spool_fd), reverse=True):
        if _stamp(name) >= 0 and (event := _load(spool_fd, name)) is not None:
            ts_us = parse_ts(event["ts"])
            # Version 0.1.0 does not write the name into the file.
            if event["spool"] == name if "spool" in event else 0 <= _stamp(name) - ts_us <= AHEAD_US:
                return _stamp(name), ts_us
    return -1, -1


def _stamp(name: str) -> int:
    """Return the microseconds in the name of a file that waits, -1 for a name that a writer does not give."""
    digits = name[:16]
    if name[16:17] != "-" or not name.endswith(".json") or not (digits.isascii() and digits.isdigit()):
        return -1
    return int(digits)


def _ledger_us(dir_fd: int) -> int:
    """Return the time of the ledger's last event, 0 when that cannot be told now."""
    try:
        fd = open_file(dir_fd, segment.ACTIVE, os.O_RDONLY)
        try:
            tail, _ = segment.read_tail(fd, segment.ACTIVE)
        finally:
            os.close(fd)
        if tail:
            return tail.ts_us
    except (OSError, LedgerError):
        pass  # of a later format, damaged, or another writer is at it
    known = state_file.read(dir_fd)
    try:
        return parse_ts(known.head["ts"]) if known else 0
    except (ValueError, KeyError, TypeError):
        return 0


def waiting(dir_fd: int) -> list[str]:
    """Return the names of the spooled events, oldest first. Raises OSError, but not for a spool that is not there.

    What is no directory, or a link to one, holds nothing of ours either, and is no reason not to append.
    """
    try:
        spool_fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return sorted(name for name in os.listdir(spool_fd) if name.endswith(".json") and name[0] != ".")
    finally:
        os.close(spool_fd)


def take(dir_fd: int, names: list[str], active_fd: int, ledger_us: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the events in the spool files `names` that are not in the ledger yet, in order, and the names to remove.

    Each event has `spooled_ts` (when it happened; it stays only if the chain has a later time by then) and `spool` (its
    file). A file that is not what was written (power went while it was) is moved to the quarantine. One with a time
    ahead of the clock, and of the ledger's last event at `ledger_us`, is linked there, and its event gets the time of
    the next one in the spool, or the clock's. Call with the lock held; remove the names once the events are durable.
    Raises OSError.

    What is in the ledger already is removed here and now, the active segment open at `active_fd` being synced first:
    left until after the next append, and that writer killed as well, it would outlive the segments that are looked at.
    """
    seen = _already_folded(dir_fd)
    if not seen.isdisjoint(names):
        os.fdatasync(active_fd)
        try:
            remove(dir_fd, [name for name in names if name in seen])
        except OSError:
            pass  # tried again next time
        names = [name for name in names if name not in seen]
    events, done = [], []
    spool_fd = open_subdir(dir_fd, DIRECTORY)
    try:
        before_us = max(now_us(), ledger_us)
        latest_us = max(before_us, now_us() + AHEAD_US)
        for name in reversed(names):
            event = _load(spool_fd, name)
            if event is None:
                _keep(dir_fd, spool_fd, name, os.rename)
                continue
            ts_us = parse_ts(event.pop("ts"))
            if ts_us > latest_us:
                _keep(dir_fd, spool_fd, name, os.link)
                ts_us = before_us
            before_us = min(before_us, ts_us)
            event.pop("spool", None)
            event.pop("crc")
            event |= {"spooled_ts": format_ts(ts_us), "spool": name}
            events.append(event)
            done.append(name)
    finally:
        os.close(spool_fd)
    events.reverse()
    return events, done


def remove(dir_fd: int, names: list[str]) -> None:
    """Unlink those of the spool files that are still there: nothing of them has to be written. Raises OSError."""
    spool_fd = open_subdir(dir_fd, DIRECTORY)
    try:
        for name in names:
            try:
                os.unlink(name, dir_fd=spool_fd)
            except FileNotFoundError:
                pass
    finally:
        os.close(spool_fd)


def _load(spool_fd: int, name: str) -> dict[str, Any] | None:
    try:
        fd = open_file(spool_fd, name, os.O_RDONLY)
    except (OSError, StateDirError):
        return None
    try:
        data = os.read(fd, _LIMIT + 1)
    finally:
        os.close(fd)
    try:
        if len(data) <= _LIMIT and sound(data, 0):
            event = decode(data)
            if _usable(event):
                return event
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _usable(event: dict[str, Any]) -> bool:
    """Tell whether a writer put this here: one file that is none must not keep all others from being recorded.

    Raises ValueError, KeyError, TypeError when it did not.
    """
    kind = event["event"]
    parse_ts(event["ts"])
    if not isinstance(event.get("boot_id"), str | None):
        return False
    if kind in ("add", "adopt"):
        return live.is_well_formed({**event, "since": "", "add_seq": 0})
    if kind == "del":
        return isinstance(event["container_id"], str) and isinstance(event["ifname"], str)
    return isinstance(kind, str) and isinstance(event.get("association_id", ""), str)


def _keep(dir_fd: int, spool_fd: int, name: str, put: Callable[..., None]) -> None:
    """Move (`os.rename`) or link (`os.link`) a file that waits to the quarantine, as found.

    Where that fails it stays where it is, and what is sound has to be written down all the same.
    """
    try:
        quarantine_fd = open_subdir(dir_fd, "quarantine")
        try:
            put(name, f"spool-{name}", src_dir_fd=spool_fd, dst_dir_fd=quarantine_fd)
        finally:
            os.close(quarantine_fd)
    except OSError:
        pass


def _already_folded(dir_fd: int) -> set[str]:
    """Return the names of spool files that the active segment and the one before it say they have the events of."""
    found: set[str] = set()
    for name in [*segment.list_sealed(dir_fd)[-1:], segment.ACTIVE]:
        try:
            fd = open_file(dir_fd, name, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            for _, _, line, _ in segment.lines_of(fd, name, os.fstat(fd).st_size):
                for piece in line.split(_MARK)[1:]:
                    found.add(piece[:_LONGEST_NAME].partition(b'"')[0].decode("ascii", "replace"))
        finally:
            os.close(fd)
    return found
