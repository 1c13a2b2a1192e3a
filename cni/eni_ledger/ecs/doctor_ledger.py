"""The doctor's questions about the ledger, the journal and the kernel's view."""

from __future__ import annotations

import os
import socket

from eni_ledger import fastjson
from eni_ledger.ecs.doctor import FAIL, OK, SKIPPED, WARN, Check, Finding, Host
from eni_ledger.errors import FutureFormat, StateDirError
from eni_ledger.identity.sources import wanted
from eni_ledger.journald import SOCKETS
from eni_ledger.ledger import spool
from eni_ledger.ledger.health import FAILURES
from eni_ledger.ledger.repair import fsck
from eni_ledger.ledger.statedir import open_state_dir

_NO_LEDGER = "there is no ledger yet; the first ADD makes it"
#: Below this an ADD will soon not be recorded; the second is what a busy host writes in some weeks.
DISK_FAIL, DISK_WARN = 16 << 20, 256 << 20


def ledger(host: Host) -> Finding:
    """Is every line what was written, in a format that this version reads?"""
    path = host.settings.state_dir
    try:
        report = fsck(path)
    except FutureFormat as exc:
        return Finding("ledger", FAIL, f"written by a later eni-ledger: {exc}", exc.hint or "install that version")
    except StateDirError as exc:
        if not os.path.lexists(path):
            return Finding("ledger", SKIPPED, f"{path}: {_NO_LEDGER}")
        return Finding("ledger", FAIL, str(exc), exc.hint)
    if not report.sound:
        hint = "eni-ledger fsck shows all places; keep the files, they are evidence"
        return Finding("ledger", FAIL, f"{len(report.damage)} damaged places, the first: {report.damage[0]}", hint)
    if not report.segments:
        return Finding("ledger", SKIPPED, f"{path}: {_NO_LEDGER}")
    return Finding(
        "ledger", OK, f"{report.events} events in {len(report.segments)} segments, {report.live} live: sound"
    )


def failures(host: Host) -> Finding:
    """Are there events that could not be recorded?"""
    path = os.path.join(host.settings.state_dir, FAILURES)
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return Finding("failures", OK, "every event could be recorded")
    try:
        last = fastjson.loads(lines[-1])
        words = f", the last at {last['ts']}: {last['msg']}"
    except (ValueError, KeyError, TypeError, IndexError):
        words = ""
    hint = f"mend the cause; eni-ledger verify --adopt records what is there; then remove {path}"
    return Finding("failures", FAIL, f"{len(lines)} events could not be recorded{words}", hint)


def spooled(host: Host) -> Finding:
    """Do events wait in the spool?"""
    try:
        dir_fd = open_state_dir(host.settings.state_dir)
    except StateDirError:
        return Finding("spooled", SKIPPED, _NO_LEDGER)
    try:
        count = len(spool.waiting(dir_fd))
    finally:
        os.close(dir_fd)
    if count:
        hint = f"the next ADD or DEL folds them in; fuser -v {host.settings.state_dir}/lock names who holds the lock"
        return Finding("spooled", WARN, f"{count} events wait in the spool", hint)
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
    """Is it known of each live branch which ENI and whose it is?"""
    branches = [one for one in host.live if one.get("protocol") in ("vlan", "default")]
    lacking = [one for one in branches if wanted(one)]
    if not branches:
        return Finding("identity", SKIPPED, "no branch is live in the ledger")
    if lacking:
        keys = sorted(set().union(*map(wanted, lacking)))
        words = f"{len(lacking)} of {len(branches)} live branches lack {', '.join(keys)}"
        return Finding("identity", WARN, words, "eni-ledger identify")
    return Finding("identity", OK, f"ENI, task and trunk of all {len(branches)} live branches are known")


def kernel(host: Host) -> Finding:
    """Does the kernel have what the ledger says?"""
    from eni_ledger.kernel.verify import compare

    report = compare(host.live, host.scan, host.paths.proc)
    counts = [f"{report.count(status)} {status}" for status in ("fine", "gone", "changed", "unknown")]
    words = ", ".join([*(text for text in counts if text[0] != "0"), f"{len(report.unrecorded)} unrecorded"])
    if report.agrees:
        return Finding(
            "kernel", OK, f"it has what the ledger says: {words}" if host.live else "no branch, none recorded"
        )
    only_unknown = not report.unrecorded and report.count("gone") + report.count("changed") == 0
    if only_unknown:
        return Finding(
            "kernel", WARN, f"not all namespaces could be looked into: {words}", "run it as root, on the host"
        )
    return Finding("kernel", FAIL, f"kernel and ledger differ: {words}", "eni-ledger verify; with --adopt --mark-lost")


def disk(host: Host) -> Finding:
    """Is there room for the ledger?"""
    path = host.settings.state_dir
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    words = f"{free >> 20} MiB are free in {path}"
    hint = 'make room, or lower "retainBytes" in the configuration'
    if found.f_files and not found.f_favail:
        return Finding("disk", FAIL, f"no inode is free in {path}", "remove files")
    if found.f_flag & os.ST_RDONLY:
        return Finding("disk", FAIL, f"{path} is on a read-only file system", "mount it for writing")
    status = FAIL if free < DISK_FAIL else WARN if free < DISK_WARN else OK
    return Finding("disk", status, words, hint if status != OK else "")


CHECKS: tuple[Check, ...] = (ledger, failures, spooled, journal, identity, kernel, disk)
