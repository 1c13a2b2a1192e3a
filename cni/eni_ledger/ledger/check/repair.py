"""Repair a ledger (`fsck --repair`): the work of the next writer, done now and in full. No recorded event changes.

The files that will change are first copied to the quarantine, except a sound segment to which events of the spool are
appended. A torn tail is cut off; an active segment that is damaged anywhere is sealed unchanged, and the checkpoint of
the next one names the damage; `state.json` is rebuilt; the spool is folded in; temporary files are removed. Damage in a
sealed segment stays: the content of those lines is lost.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import WriteFailed
from eni_ledger.ledger.check.segment_check import Findings, check_segment
from eni_ledger.ledger.format import segment, state_file
from eni_ledger.ledger.format.directory import open_file, open_state_dir, open_subdir, where, write_file
from eni_ledger.ledger.format.line import now_us
from eni_ledger.ledger.read.continuity import head
from eni_ledger.ledger.read.origin import Copy
from eni_ledger.ledger.read.snapshot import Snapshot
from eni_ledger.ledger.write import spool
from eni_ledger.ledger.write.admission import admit, is_temporary
from eni_ledger.ledger.write.lock import lock_patiently
from eni_ledger.ledger.write.recovery import QUARANTINE, seal_damaged
from eni_ledger.ledger.write.writer import WriteSession

_NEVER = 1 << 40  # bytes, more than any segment has
_WRITTEN_BY_THEN = 3600  # seconds; a spool file is written in milliseconds, or never


def repair(settings: Settings, about: dict[str, Any], copy: Copy | None = None) -> list[str]:
    """Repair what can be repaired; return a sentence for each change, none if there was nothing to do.

    `about` says whose boot it is (`boot_id`, `instance_id`), unless the ledger is a `copy`: a copy keeps its boot
    and instance, nothing is retired, and events of another boot stay in the spool. A run may be killed at any moment
    and repeated. Raises StateDirError, LockTimeout, FutureFormat, WriteFailed.
    """
    if copy:
        about = {key: value for key in ("boot_id", "instance_id") if (value := getattr(copy, key))}
        settings.rotate_bytes = _NEVER
    dir_fd = open_state_dir(settings.state_dir)
    try:
        admit(dir_fd, settings.state_dir)
        lock_fd = lock_patiently(dir_fd, settings)
        session = None
        try:
            done = _sweep(dir_fd)
            before = _Before(settings.state_dir, dir_fd)
            if before.wanting():
                done += before.copy_aside()
                if before.damaged_inside():
                    _seal(dir_fd, about)  # a writer looks at the last line only
                held, lock_fd = lock_fd, -1  # the session's now, also when it fails
                session = WriteSession(settings, dir_fd, about, lock_fd=held, copied=copy is not None)
                session.commit()
                done += before.compare()
        finally:
            if session:
                session.close()
            if lock_fd >= 0:
                os.close(lock_fd)
    except OSError as exc:
        raise WriteFailed("the ledger could not be mended", where(settings, exc)) from exc
    finally:
        os.close(dir_fd)
    return done


def _sweep(dir_fd: int) -> list[str]:
    """Remove temporary files that a killed process left; call with the lock held.

    In the spool, which is written without the lock, only those that are too old to be written still.
    """
    left = [name for name in os.listdir(dir_fd) if is_temporary(name) or name == ".next"]
    for name in left:
        os.unlink(name, dir_fd=dir_fd)
    for directory in (spool.DIRECTORY, QUARANTINE):
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        except OSError:
            continue  # missing, or no directory: its user reports that
        try:
            for name in os.listdir(fd):
                if name[0] != "." or not name.endswith(".tmp"):
                    continue
                with suppress(FileNotFoundError):  # just finished
                    if _is_old(fd, name):
                        os.unlink(name, dir_fd=fd)
                        left.append(f"{directory}/{name}")
        finally:
            os.close(fd)
    return [f"removed {name}, which was left half written" for name in sorted(left)]


def _is_old(dir_fd: int, name: str) -> bool:
    return time.time() - os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mtime > _WRITTEN_BY_THEN


def _seal(dir_fd: int, about: dict[str, Any]) -> None:
    fd = open_file(dir_fd, segment.ACTIVE, os.O_RDWR)
    try:
        seal_damaged(dir_fd, fd, about)
    finally:
        os.close(fd)


class _Before:
    """The state of the directory before the repair; call with the lock held."""

    def __init__(self, state_dir: str, dir_fd: int) -> None:
        self._state_dir = state_dir
        self._dir_fd = dir_fd
        self._names = set(os.listdir(dir_fd))
        self._aside = set(self._quarantined())
        self._waiting = spool.waiting(dir_fd)
        self._active: Findings | None = None
        with Snapshot(state_dir) as snapshot:
            self._sealed = [part for part in snapshot.segments if part.sealed]
            if snapshot.segments and not snapshot.segments[-1].sealed:
                self._active = check_segment(snapshot.segments[-1])
        self._known = state_file.read(dir_fd)

    def wanting(self) -> bool:
        """Return whether there is anything to repair."""
        if not self._active:
            return bool(self._sealed or self._known or self._waiting)
        return bool(not self._fresh() or self._unsound() or self._waiting)

    def _fresh(self) -> bool:
        """Return whether `state.json` is of the last event of the active segment."""
        if self._known is None or self._active is None:
            return False
        of = self._known.head["seq"], self._known.head.get("crc")
        return of == (self._active["last_seq"], f"{self._active['crc'] or 0:08x}")

    def _unsound(self) -> bool:
        """Return whether the active segment has to be cut or sealed."""
        return self.damaged_inside() or bool(self._active and self._active["torn"])

    def damaged_inside(self) -> bool:
        """Return whether a line of the active segment does not match its CRC."""
        return bool(self._active and self._active["damage"])

    def copy_aside(self) -> list[str]:
        """Copy the files that will change to the quarantine, synced; return a sentence about that."""
        stale = self._unsound() or not self._fresh()
        changed = [*([segment.ACTIVE] if self._unsound() else []), *([state_file.STATE_FILE] if stale else [])]
        changed = [name for name in changed if name in self._names]
        if not changed:
            return []
        done, stamp = [], f"{now_us():016}"
        quarantine_fd = open_subdir(self._dir_fd, QUARANTINE)
        try:
            for name in changed:
                copy = f"repair-{stamp}-{name}"
                write_file(quarantine_fd, copy, _read(self._dir_fd, name), sync=True)
                done.append(f"copied {name} to {QUARANTINE}/{copy}")
        finally:
            os.close(quarantine_fd)
        return done

    def compare(self) -> list[str]:
        """Return a sentence for each change since."""
        done = [
            f"set a torn tail aside: {QUARANTINE}/{name}" if name.startswith("torn-") else f"set {name} aside"
            for name in sorted(set(self._quarantined()) - self._aside)
            if not name.startswith("repair-")
        ]
        with Snapshot(self._state_dir) as snapshot:
            new = [part.name for part in snapshot.segments if part.sealed and part.name not in self._names]
            damage = (head(snapshot.segments[-1]) or {}).get("damage")
        done += [f"sealed {segment.ACTIVE} as it is: {name}" for name in new]
        if new and damage:
            done.append(f"named the damage in the checkpoint behind it: {damage}")
        if segment.ACTIVE not in self._names:
            done.append(f"began a new {segment.ACTIVE}")
        known = state_file.read(self._dir_fd)
        if known is not None and (self._known is None or self._known.head != known.head):
            done.append(f"wrote {state_file.STATE_FILE} anew")
        folded = len(set(self._waiting) - set(spool.waiting(self._dir_fd)))
        if folded:
            done.append(f"folded {folded} of the spool's files in")
        return done

    def _quarantined(self) -> list[str]:
        if QUARANTINE not in os.listdir(self._dir_fd):
            return []
        quarantine_fd = open_subdir(self._dir_fd, QUARANTINE)
        try:
            return os.listdir(quarantine_fd)
        finally:
            os.close(quarantine_fd)


def _read(dir_fd: int, name: str) -> bytes:
    fd = open_file(dir_fd, name, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        return file.read()
