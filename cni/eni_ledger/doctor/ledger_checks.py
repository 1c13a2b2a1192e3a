"""The doctor's questions about the ledger, the journal and the kernel's view."""

from __future__ import annotations

import os
import socket

from eni_ledger.base import minijson
from eni_ledger.base.errors import FutureFormat
from eni_ledger.doctor.host import FAIL, NO_LEDGER, OK, SKIPPED, WARN, Check, Finding, Host, hidden
from eni_ledger.identity.source import is_branch, wanted
from eni_ledger.journald import SOCKETS
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format.directory import open_file, open_state_dir
from eni_ledger.ledger.write.probe import FAILURES, FAILURES_LIMIT, unsuitable_filesystem
from eni_ledger.reconcile.verify import VerifyReport, compare
from eni_ledger.render.text import counted, short_id

#: Below this an ADD will soon not be recorded; the second is what a busy host writes in some weeks.
DISK_FAIL, DISK_WARN = 16 << 20, 256 << 20
# What the last line can add to a file that the writer found below its limit.
_LINE_MAX = 1 << 16


def ledger(host: Host) -> Finding:
    """Is every line what was written, in a format that this version reads?"""
    path = host.settings.state_dir
    if missing := host.no_ledger("ledger"):
        return missing
    try:
        report = fsck(path)
    except FutureFormat as exc:
        return Finding("ledger", FAIL, f"written by a later eni-ledger: {exc}", exc.hint or "install that version")
    if not report.sound:
        hint = f"{host.command('fsck')} shows all places; keep the files, they are evidence"
        return Finding(
            "ledger", FAIL, f"{counted(len(report.damage), 'damaged place')}, the first: {report.damage[0]}", hint
        )
    if not report.segments:
        return Finding("ledger", SKIPPED, f"{path}: {NO_LEDGER}")
    return Finding(
        "ledger",
        OK,
        f"{counted(report.events, 'event')} in {counted(len(report.segments), 'segment')}, {report.live} live: sound"
        f"{f'; a copy, {host.copy.words()}' if host.copy else ''}",
    )


def failures(host: Host) -> Finding:
    """Did any event fail to be recorded?"""
    if missing := host.no_ledger("failures"):
        return missing
    path = os.path.join(host.settings.state_dir, FAILURES)
    dir_fd = open_state_dir(host.settings.state_dir, reading=True)
    try:
        with open(open_file(dir_fd, FAILURES, os.O_RDONLY), "rb") as file:
            full = os.fstat(file.fileno()).st_size >= FAILURES_LIMIT
            lines = [line for line in file.read(FAILURES_LIMIT + _LINE_MAX).splitlines() if line.strip()]
    except FileNotFoundError:
        return Finding("failures", OK, f"no failure is on record: there is no {FAILURES}")
    finally:
        os.close(dir_fd)
    if not lines:
        return Finding("failures", OK, f"no failure is on record: {FAILURES} is empty")
    hint = f"mend the cause; {host.command('verify --adopt')} records what is there; then remove {path}"
    least = "at least " if full else ""  # the writer adds nothing to a file of this size
    words = f"{least}{counted(len(lines), 'event')} could not be recorded{_newest(lines)}"
    return Finding("failures", FAIL, words, hint)


def _newest(lines: list[bytes]) -> str:
    """Return the newest failure as text, "" if its line cannot be parsed."""
    try:
        last = minijson.loads(lines[-1])
        of = f" of {last['ifname']} in {last['container_id'][:12]}" if "container_id" in last else ""
        return f", the newest at {last['ts']} ({last.get('event', 'unknown')}{of}): {last['msg']}"
    except (ValueError, KeyError, TypeError, IndexError):
        return ""


def spooled(host: Host) -> Finding:
    """Do events wait in the spool?"""
    if missing := host.no_ledger("spooled"):
        return missing
    if count := host.spooled:
        hint = f"the next ADD or DEL folds them in; fuser -v {host.settings.state_dir}/lock names who holds the lock"
        if host.copy:
            hint = f"{host.command('fsck --repair')} folds them in"
        return Finding("spooled", WARN, f"in the spool: {counted(count, 'event')}", hint)
    return Finding("spooled", OK, "no event waits")


def journal(host: Host) -> Finding:
    """Can journald be reached? Connecting to its socket sends nothing."""
    if not host.settings.journald:
        return Finding("journal", SKIPPED, 'switched off by "journald": false')
    why = ""
    for path in dict.fromkeys(host.paths.of(path) for path in SOCKETS):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(path)
            except OSError as exc:
                why = f"{path}: {exc.strerror or exc}"
                continue
            return Finding("journal", OK, f"journald listens at {path}")
    hint = 'events are in the ledger all the same; "journald": false in the configuration switches it off'
    return Finding("journal", WARN, f"journald cannot be reached: {why}", hint)


def identity(host: Host) -> Finding:
    """Are the ENI and the task of each live branch known?"""
    if missing := host.no_ledger("identity"):
        return missing
    branches = [association for association in host.live if is_branch(association)]
    lacking = [branch for branch in branches if wanted(branch)]
    if not branches:
        return Finding("identity", SKIPPED, "no branch is live in the ledger")
    if lacking:
        keys = sorted(set().union(*map(wanted, lacking)))
        words = f"{len(lacking)} of {len(branches)} live branches lack {', '.join(keys)}"
        return Finding("identity", WARN, words, host.command("identify"))
    return Finding("identity", OK, f"ENI, task and trunk of all {len(branches)} live branches are known")


def kernel(host: Host) -> Finding:
    """Does the kernel agree with the ledger?"""
    if other := host.of_another("kernel"):
        return other
    missing = host.no_ledger("kernel")
    if missing and missing.status != SKIPPED:
        return missing
    report = compare([] if missing else host.live, host.scan, host.paths.proc)
    if missing:
        if not report.unrecorded:
            return missing
        words = f"{len(report.unrecorded)} branches, and there is no ledger that has them"
        return Finding("kernel", WARN, words, f"{host.command('verify --adopt')} begins one with them")
    counts = [f"{report.count(status)} {status}" for status in ("fine", "gone", "changed", "unknown")]
    counts += [counted(len(report.conflicts), "conflict")]
    words = ", ".join([*(text for text in counts if text[0] != "0"), f"{len(report.unrecorded)} unrecorded"])
    if report.agrees:
        return Finding(
            "kernel", OK, f"it has what the ledger says: {words}" if host.live else "no branch, none recorded"
        )
    if report.unrecorded or report.count("gone") or report.count("changed"):
        return Finding("kernel", FAIL, f"kernel and ledger differ: {words}", _mending(report, host))
    if report.unreadable:
        if os.geteuid() != 0:
            return hidden("kernel", _path_of(report.unreadable[0]))
        why = f"not all namespaces could be looked into ({report.unreadable[0]})"
        return Finding("kernel", WARN, f"{why}: {words}", "run it on the host, not in a container")
    if report.conflicts:
        both = report.conflicts[0]
        ids = " and ".join(short_id(association["association_id"]) for association in (both.earlier, both.later))
        hint = "eni-ledger verify shows all; both stay live until the DEL of one of them"
        return Finding("kernel", WARN, f"{words}: {ids}: {both.why}", hint)
    why = next(verdict.why for verdict in report.verdicts if verdict.status == "unknown")
    hint = f"{host.command('verify')} shows which; the DEL of its container ends it"
    return Finding("kernel", WARN, f"{words}: {why}", hint)


def _mending(report: VerifyReport, host: Host) -> str:
    """Return the command that resolves the difference, or shows it if none can."""
    options = [
        *(["--adopt"] if report.unrecorded else []),
        *(["--mark-lost"] if report.count("gone") else []),
    ]
    return (
        host.command(" ".join(["verify", *options])) if options else f"{host.command('verify')} shows what has changed"
    )


def _path_of(unreadable: str) -> str:
    return unreadable.rpartition(": ")[0] or unreadable


def disk(host: Host) -> Finding:
    """Does the file system have room for the ledger, and is it durable?"""
    if other := host.of_another("disk"):
        return other
    path = host.settings.state_dir
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    filesystem = os.statvfs(path)
    free = filesystem.f_bavail * filesystem.f_frsize
    words = f"{free >> 20} MiB are free in {path}"
    hint = 'make room, or lower "retainBytes" in the configuration'
    if filesystem.f_files and not filesystem.f_favail:
        return Finding("disk", FAIL, f"no inode is free in {path}", "remove files")
    if filesystem.f_flag & os.ST_RDONLY:
        return Finding("disk", FAIL, f"{path} is on a read-only file system", "mount it for writing")
    if free >= DISK_FAIL and (why := unsuitable_filesystem(path, f"{host.paths.proc}/self/mountinfo")):
        return Finding("disk", WARN, why, 'set "stateDir" to a directory of a local file system')
    status = FAIL if free < DISK_FAIL else WARN if free < DISK_WARN else OK
    return Finding("disk", status, words, hint if status != OK else "")


CHECKS: tuple[Check, ...] = (ledger, failures, spooled, journal, identity, kernel, disk)
