"""The spool: one file for each event whose writer did not get the lock in time. The next writer folds them in.

A file is one line in the format of the ledger, with its CRC seeded with 0. Its name is
`<microseconds, 16 digits>-<pid>-<8 hex>.json`, so that the order of names is the order of events even after the clock
was set back. The line in the ledger has that name (`spool`): if a writer dies between append and unlink, the next one
sees that the event is already in the ledger.

The time in a name counts only if the file is intact and states the same name in `spool`. A time more than `AHEAD_US`
ahead of the clock never enters the chain, which cannot go back. Such an event gets the time of the next event in the
spool, or of the folding in. Standard library only: loaded on
every ADD.
"""

from __future__ import annotations

import errno
import os

from eni_ledger.base.errors import LedgerError, StateDirError
from eni_ledger.ledger.format import live, segment, state_file
from eni_ledger.ledger.format.directory import open_file, open_subdir, write_file
from eni_ledger.ledger.format.line import decode, encode, format_ts, now_us, parse_ts, verified_crc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.base.events import Draft, Fields

DIRECTORY = "spool"
AHEAD_US = 600_000_000
"""Microseconds by which an event may be ahead of the clock, or the time in a file name ahead of its event."""

_LIMIT = 4 * 1024 * 1024
_MARK = b'"spool":"'
_LONGEST_NAME = 256


def put(dir_fd: int, event: Fields, occurred_us: int, *, sync: bool) -> Draft:
    """Write `event`, which happened at `occurred_us`, into the spool and return it with its `ts`.

    With `sync` it is durable on return. If the clock is behind the ledger or behind an event in the spool, it was set
    back: `ts` repeats the later time and `clock_step_us` has the difference, as in an append. Otherwise the event would
    be sorted among those before the step, a DEL before its ADD. Raises OSError.
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
        if os.fstat(spool_fd).st_nlink == 0:  # the directory was removed; a missing file alone was folded in
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), DIRECTORY)
        return event
    finally:
        os.close(spool_fd)


def _latest(spool_fd: int) -> tuple[int, int]:
    """Return the time in the name of the last file in the spool, and the time of its event; -1 if empty.

    Reads files from the last name backwards until one is usable, usually the first. Raises OSError.
    """
    for name in sorted(os.listdir(spool_fd), reverse=True):
        if _stamp(name) >= 0 and (event := _load(spool_fd, name)) is not None:
            ts_us = parse_ts(event["ts"])
            # Version 0.1.0 does not write the name into the file.
            if event["spool"] == name if "spool" in event else 0 <= _stamp(name) - ts_us <= AHEAD_US:
                return _stamp(name), ts_us
    return -1, -1


def _stamp(name: str) -> int:
    """Return the microseconds in the name of a spool file, or -1 for any other name."""
    digits = name[:16]
    if name[16:17] != "-" or not name.endswith(".json") or not (digits.isascii() and digits.isdigit()):
        return -1
    return int(digits)


def _ledger_us(dir_fd: int) -> int:
    """Return the time of the last event of the ledger, or 0 if it cannot be read now."""
    try:
        fd = open_file(dir_fd, segment.ACTIVE, os.O_RDONLY)
        try:
            tail, _ = segment.read_tail(fd, segment.ACTIVE)
        finally:
            os.close(fd)
        if tail:
            return tail.ts_us
    except (OSError, LedgerError):
        pass  # later format, damage, or another writer is active
    state = state_file.read(dir_fd)
    try:
        return parse_ts(state.head["ts"]) if state else 0
    except (ValueError, KeyError, TypeError):
        return 0


def waiting(dir_fd: int) -> list[str]:
    """Return the names of the files in the spool, oldest first. Raises OSError.

    Empty if the spool is missing or not a directory (a link counts as none); that does not stop an append.
    """
    try:
        spool_fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return waiting_among(os.listdir(spool_fd))
    finally:
        os.close(spool_fd)


def waiting_among(names: list[str]) -> list[str]:
    """Return which of the names in the spool are those of events, oldest first."""
    return sorted(name for name in names if name.endswith(".json") and name[0] != ".")


def take(dir_fd: int, names: list[str], active_fd: int, ledger_us: int) -> tuple[list[Draft], list[str]]:
    """Return the events in the spool files `names` that are not in the ledger yet, in order, and the names to remove.

    Each event has `spooled_ts` (when it happened; the writer drops it unless the chain has passed that time) and
    `spool` (its file). A file that was cut short by a power failure is moved to the quarantine. A file with a time
    ahead of both the clock and the last event of the ledger (`ledger_us`) is linked there, and its event gets the time
    of the next one in the spool, or of the clock. Call with the lock held; remove the names when the events are
    durable. Raises OSError.

    Files whose event is in the ledger are removed here, after a sync of the active segment (`active_fd`). If they
    stayed until after the next append, and that writer were killed too, they could outlive the segments that are
    searched.
    """
    folded = _already_folded(dir_fd)
    if not folded.isdisjoint(names):
        os.fdatasync(active_fd)
        try:
            remove(dir_fd, [name for name in names if name in folded])
        except OSError:
            pass  # tried again next time
        names = [name for name in names if name not in folded]
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
    """Unlink the spool files `names`; some may be gone already. Raises OSError."""
    spool_fd = open_subdir(dir_fd, DIRECTORY)
    try:
        for name in names:
            try:
                os.unlink(name, dir_fd=spool_fd)
            except FileNotFoundError:
                pass
    finally:
        os.close(spool_fd)


def _load(spool_fd: int, name: str) -> Draft | None:
    try:
        fd = open_file(spool_fd, name, os.O_RDONLY)
    except (OSError, StateDirError):
        return None
    try:
        data = os.read(fd, _LIMIT + 1)
    finally:
        os.close(fd)
    try:
        if len(data) <= _LIMIT and verified_crc(data, 0) >= 0:
            event = decode(data)
            if _usable(event):
                return dict(event)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _usable(event: Fields) -> bool:
    """Return whether `event` is one that a writer spools, so that a foreign file cannot block all others.

    Raises ValueError, KeyError or TypeError for some that are not.
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


def _keep(dir_fd: int, spool_fd: int, name: str, transfer: Callable[..., None]) -> None:
    """Move (`os.rename`) or link (`os.link`) a spool file to the quarantine.

    If that fails, the file stays in the spool, and the other files are folded in all the same.
    """
    try:
        quarantine_fd = open_subdir(dir_fd, "quarantine")
        try:
            transfer(name, f"spool-{name}", src_dir_fd=spool_fd, dst_dir_fd=quarantine_fd)
        finally:
            os.close(quarantine_fd)
    except OSError:
        pass


def _already_folded(dir_fd: int) -> set[str]:
    """Return the names of the spool files whose events are in the active segment or the one before."""
    folded: set[str] = set()
    for name in [*segment.list_sealed(dir_fd)[-1:], segment.ACTIVE]:
        try:
            fd = open_file(dir_fd, name, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            for _, _, line, _ in segment.lines_of(fd, name, os.fstat(fd).st_size):
                for piece in line.split(_MARK)[1:]:
                    folded.add(piece[:_LONGEST_NAME].partition(b'"')[0].decode("ascii", "replace"))
        finally:
            os.close(fd)
    return folded
