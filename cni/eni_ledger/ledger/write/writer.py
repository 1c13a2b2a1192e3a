"""Appends to the ledger: lock, find the end, apply, write, sync, unlock.

An ADD or DEL costs one call of `record`: one lock, one read of the last 8 KiB, one read of `state.json`, one append
with `fdatasync`, one replacement of `state.json`. The rare cases are in `rotation` and `recovery`, loaded on demand.
Standard library only: loaded on every ADD.

Imports inside functions are those of the rare cases.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import FutureFormat, LedgerDamaged, LedgerError, LockTimeout, StateDirError, WriteFailed
from eni_ledger.ledger.format import live, segment, state_file, supersede
from eni_ledger.ledger.format.directory import in_place, open_file, open_state_dir, where, write_all
from eni_ledger.ledger.format.line import VERSION, decode, encode, format_ts, marks_of, now_us, parse_ts
from eni_ledger.ledger.format.segment import Tail
from eni_ledger.ledger.write import lock, spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Draft, Event, Fields

TAKEN_AWAY = "the ledger was removed or moved while it was written"
_TRIES = 2


def record(settings: Settings, event: Fields) -> Event | None:
    """Append one event and return it as written, with `ts`, `seq` and `association_id`.

    `event` has the keys of the format without ts, seq, v and crc. An `add` gets its `association_id` here, and
    `supersedes` if it ends others. A `del` selects its association by `container_id` and `ifname`, and by other keys
    (`supersede.meant_by`); the remaining keys are copied from the association. If none is live, nothing is written and
    None is returned; if several match, AmbiguousAttachment is raised. A `del` with `identity_source` may become an
    `identify` and the `del`, see `completed_del`. If the lock is not free in time, or the ledger has a later format,
    the event goes to the spool: the result then has `spooled` true, the reason in `spooled_because`, and no `seq`. If
    the state directory is removed or moved meanwhile, the event is recorded again in the directory that is there then.
    Raises LedgerError; then nothing was recorded.
    """
    occurred_us = now_us()
    if event["event"] in ("add", "adopt"):
        event = {**event, "association_id": f"assoc-{os.urandom(9).hex()[:17]}"}
    for _ in range(_TRIES):
        written, in_ledger = _record_here(settings, event, occurred_us)
        if in_ledger:
            return written
    raise WriteFailed(TAKEN_AWAY, settings.state_dir)


def _record_here(settings: Settings, event: Fields, occurred_us: int) -> tuple[Event | None, bool]:
    """Return the result of `record`, and whether it was written to the ledger that readers see.

    That is false if the state directory or the segment was removed or moved meanwhile.
    """
    dir_fd = open_state_dir(settings.state_dir, create=True)
    try:
        try:
            session = WriteSession(settings, dir_fd, event)
            try:
                written = session.add(event)
                session.commit()
                if session.ambiguous:
                    raise session.ambiguous
                return written, session.in_place()
            finally:
                session.close()
        except (LockTimeout, FutureFormat) as exc:
            return _put_into_spool(settings, dir_fd, event, occurred_us, exc), in_place(settings, dir_fd)
    except (OSError, StateDirError, WriteFailed) as exc:
        if not in_place(settings, dir_fd):
            return None, False
        if not isinstance(exc, OSError):
            raise
        raise WriteFailed("the event could not be recorded", where(settings, exc)) from exc
    finally:
        os.close(dir_fd)


def _put_into_spool(settings: Settings, dir_fd: int, event: Fields, occurred_us: int, why: LedgerError) -> Event:
    """Write the event into the spool and return it. Raises WriteFailed with both reasons if that fails too."""
    from eni_ledger.ledger.write.admission import admit

    try:
        admit(dir_fd, settings.state_dir)
        waiting = spool.put(dir_fd, event, occurred_us, sync=settings.sync)
    except OSError as exc:
        raise WriteFailed("neither ledger nor spool could be written", f"{why}; {where(settings, exc)}") from exc
    returned: Any = {**waiting, "spooled": True, "spooled_because": str(why)}
    written: Event = returned
    return written


class WriteSession:
    """The locked ledger, ready to append. `append` and `add` prepare lines, `commit` writes them.

    `lines` are the live associations as lines of `state.json`. `marks` are those of the segment, None after a writer
    without marks. `ambiguous` is the error if `add` found several associations that a del may end. `lock_fd` holds the
    lock already; `close` closes it. With `copied` (from another host), spooled events of another boot stay in the
    spool. Raises LockTimeout, FutureFormat, OSError.
    """

    def __init__(self, settings: Settings, dir_fd: int, about: Fields, lock_fd: int = -1, *, copied: bool = False):
        self._settings = settings
        self._dir_fd = dir_fd
        self._boot_id = about.get("boot_id")
        self._copied = copied
        self._about = {key: about[key] for key in ("boot_id", "instance_id") if about.get(key)}
        self._fd = -1
        self._pending: list[bytes] = []
        self._folded: list[str] = []
        self._changed = False
        self.marks: set[str] | None = None
        self.ambiguous: LedgerError | None = None
        self._lock_fd = lock_fd if lock_fd >= 0 else lock.acquire(dir_fd, settings)
        try:
            self._open()
            self._fold()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock. Discards lines that were not committed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def in_place(self) -> bool:
        """Return whether the ledger that was written is still the one at its path."""
        return in_place(self._settings, self._dir_fd) and os.fstat(self._fd).st_nlink > 0

    def _open(self) -> None:
        """Find the end of the ledger and the live associations; rotate if the segment is full."""
        flags, damaged = os.O_RDWR | os.O_APPEND, False
        try:
            self._fd = open_file(self._dir_fd, segment.ACTIVE, flags)
            if os.fstat(self._fd).st_nlink > 1:
                from eni_ledger.ledger.write.recovery import break_hard_link

                break_hard_link(self._dir_fd, self._fd, self._settings)
                os.close(self._fd)
                self._fd = -1
                self._fd = open_file(self._dir_fd, segment.ACTIVE, flags)
            tail, torn = segment.read_tail(self._fd, segment.ACTIVE)
        except FileNotFoundError:
            tail, torn = None, 0
        except LedgerDamaged:
            tail, torn, damaged = None, 0, True
        if tail is None:  # the caller may have named the directory of another program
            from eni_ledger.ledger.write.admission import admit

            admit(self._dir_fd, self._settings.state_dir)
        if damaged:
            self._seal_damaged()
            return
        if torn:
            from eni_ledger.ledger.write.recovery import quarantine_torn_tail

            quarantine_torn_tail(self._dir_fd, self._fd, tail.size if tail else 0, torn)
        if tail is None:
            from eni_ledger.ledger.write.recovery import begin

            self.tail, self.lines, self.boot_id = begin(self._dir_fd, self._about)
            self._reopen()
            return
        self.tail = tail
        state = state_file.read(self._dir_fd)
        if state is not None and state.head["seq"] > tail.seq:
            self._seal_damaged()  # the segment had more events and was truncated
            return
        if state is not None and state.head["seq"] == tail.seq and state.head.get("crc") == f"{tail.crc:08x}":
            self.lines, self.boot_id = state.lines, state.head.get("boot_id")
            marks, size = state.marks() or (None, 0)
            self.marks = marks if size == tail.size else None
        else:
            from eni_ledger.ledger.write.recovery import rebuild

            self.lines, self.boot_id, self.marks, damage = rebuild(self._fd, tail)
            self._changed = True
            if damage:
                self._seal_damaged()
                return
        if tail.size >= self._settings.rotate_bytes:
            self._rotate()

    def _reopen(self) -> None:
        """Open the new active segment; the next commit replaces `state.json`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._fd = open_file(self._dir_fd, segment.ACTIVE, os.O_RDWR | os.O_APPEND)
        try:
            self.marks = set(marks_of(decode(os.pread(self._fd, self.tail.size, 0))))  # only a checkpoint
        except (ValueError, KeyError):
            self.marks = None  # another program changed it; record without marks
        self._changed = True

    def _seal_damaged(self) -> None:
        from eni_ledger.ledger.write.recovery import seal_damaged

        self.tail, self.lines, self.boot_id = seal_damaged(self._dir_fd, self._fd, self._about)
        self._reopen()

    def _rotate(self) -> None:
        from eni_ledger.ledger.write.rotation import retain, rotate

        about = {**self._about, "boot_id": self.boot_id}
        tail = rotate(self._dir_fd, self._fd, self.tail, self.lines, about)
        if tail is not None:
            self.tail = tail
            self._reopen()
            try:
                retain(self._dir_fd, self._settings)
            except OSError:
                pass  # the next rotation tries again; an old segment must not cost an event

    def _fold(self) -> None:
        """Prepare the events in the spool, oldest first."""
        names = spool.waiting(self._dir_fd)
        if not names:
            return
        events, self._folded = spool.take(self._dir_fd, names, self._fd, self.tail.ts_us)
        without_line = []
        for event in events:
            if self._copied and event.get("boot_id") not in (None, self.boot_id):
                self._folded.remove(event["spool"])  # only its own host knows which of the two boots was later
                continue
            stale = self._boot_id == self.boot_id != event.get("boot_id") and event.get("boot_id") is not None
            if stale:  # from before a reboot that the ledger already has: record it as ended
                event["event_boot_id"] = event.pop("boot_id")
            written = self.add(event, parse_ts(event["spooled_ts"]))
            if written is None:
                without_line.append(event["spool"])
                if self.ambiguous is not None:
                    from eni_ledger.ledger.write.probe import note_failure

                    note_failure(self._settings, event, self.ambiguous)
                    self.ambiguous = None
            if stale and written is not None and written["event"] in ("add", "adopt"):
                ended = {"event": "lost", "reason": "rebooted", **live.identity_of(live.association_of(written))}
                self.append(ended)
        if without_line:
            # No line marks these files as folded in. If they stayed until after the next append, a DEL that ended
            # nothing could end the association of that append: while the clock is behind, all events have one time.
            try:
                spool.remove(self._dir_fd, without_line)
            except OSError:
                pass  # tried again with the others

    def boot(self, about: Fields, occurred_us: int | None = None) -> None:
        """Prepare a `boot` event if `about` has another boot ID than the live associations.

        `occurred_us` is the time of a spooled event, which shows that the host had been rebooted by then.
        """
        boot_id = about.get("boot_id")
        if boot_id and boot_id != self.boot_id:
            if self.boot_id is not None:
                keys = ("boot_id", "instance_id", "agent_version", "via", "clock_step_us", "spooled_ts")
                event = {"event": "boot", **{key: about[key] for key in keys if key in about}}
                self.append(event if self._settings.sync else {**event, "sync": False}, occurred_us)
            self.boot_id = boot_id

    def add(self, event: Fields, occurred_us: int | None = None) -> Event | None:
        """Prepare an event as `record` describes: after a `boot` if needed, and with a `del` completed."""
        self.boot(event, occurred_us)
        if event["event"] == "del":
            association: Fields | None
            try:
                association = supersede.ended_by_del(self.lines, event)
            except LedgerError as exc:
                self.ambiguous, association = exc, None
            if association is None:
                return None
            if "identity_source" in event:
                from eni_ledger.ledger.write.completed_del import completed

                event, identify, association = completed(event, association)
                if identify:
                    self.append(identify, occurred_us)
            without_hints = {key: value for key, value in event.items() if key not in supersede.HINTS}
            event = {**without_hints, **live.identity_of(association)}
        return self.append(event, occurred_us)

    def append(self, event: Fields, occurred_us: int | None = None) -> Event:
        """Prepare the line of one event and apply it to what is live.

        `occurred_us` is the time of a spooled event. For other events the clock is read here, with the lock held: a
        time before the last event then means that the clock stepped back, not that another writer was faster.
        """
        clock_us = now_us() if occurred_us is None else occurred_us
        ts_us = max(clock_us, self.tail.ts_us)
        keys: Any = {**event, "ts": format_ts(ts_us), "seq": self.tail.seq + 1, "v": VERSION}
        written: Event = keys
        if occurred_us == ts_us:
            del written["spooled_ts"]
        elif ts_us > clock_us and occurred_us is None:
            written["clock_step_us"] = ts_us - clock_us
        if written["event"] in ("add", "adopt"):
            written.pop("supersedes", None)  # a spool file may have it; what is live now decides
            if ended := supersede.ended_by(self.lines, written):
                written["supersedes"] = ended
        self.lines = live.apply_to_lines(self.lines, written, self.boot_id)
        if self.marks is not None:
            self.marks.update(marks_of(written))
        line, crc = encode(written, self.tail.crc)
        self._pending.append(line)
        self.tail = Tail(self.tail.seq + 1, crc, ts_us, self.tail.size + len(line))
        return written

    def commit(self) -> None:
        """Write the prepared lines. On return they are durable (unless `sync` is off), and `state.json` is replaced.

        On failure, truncates the segment to its previous size and raises LockTimeout or OSError. A failed sync is never
        repeated on the same descriptor, because the kernel may have dropped the data.
        """
        if self._pending:
            if not lock.held(self._lock_fd):  # removed as stale, or with the whole directory
                raise LockTimeout("the lock file was removed", "another writer may be active")
            data = b"".join(self._pending)
            before = self.tail.size - len(data)
            try:
                write_all(self._fd, data)
                if self._settings.sync:
                    os.fdatasync(self._fd)
            except OSError:
                os.ftruncate(self._fd, before)
                raise
            self._pending = []
            self._changed = True
        if self._changed:
            head: Draft = {"v": VERSION, "seq": self.tail.seq, "ts": format_ts(self.tail.ts_us)}
            head |= {"boot_id": self.boot_id, "crc": f"{self.tail.crc:08x}"}
            if self.marks is not None:
                head["size"], head["marks"] = self.tail.size, sorted(self.marks)
            try:
                state_file.write(self._dir_fd, state_file.StateFile(head, self.lines))
            except (OSError, StateDirError):
                pass  # derived: the next writer rebuilds it
        if self._folded:
            try:
                spool.remove(self._dir_fd, self._folded)
            except OSError:
                pass  # the ledger has their names: the next writer does not fold them in again
