"""The doctor's question about the place of the ledger: is it one, and who may put another directory there?"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator

from eni_ledger.base.errors import StateDirError
from eni_ledger.doctor.host import FAIL, OK, WARN, Check, Finding, Host
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.write.admission import admit

_LINKS = 40  # as many as Linux follows in one path (path_resolution(7))


def state_dir(host: Host) -> Finding:
    """Is the state directory one for a ledger, and may nobody but root put another in its place?"""
    if other := host.of_another("state-dir"):
        return other
    path = host.settings.state_dir
    try:
        dir_fd = open_state_dir(path)
        try:
            admit(dir_fd, path)
        finally:
            os.close(dir_fd)
    except StateDirError as exc:
        if not isinstance(exc.__cause__, FileNotFoundError | PermissionError):
            return Finding("state-dir", FAIL, str(exc), exc.hint)
    found = list(dict.fromkeys(writers_above(path)))
    if found:
        hint = "chown root and chmod go-w these directories, or set stateDir to a place that only root may change"
        return Finding(
            "state-dir", WARN, f"others may put another directory in place of {path}: {'; '.join(found)}", hint
        )
    return Finding("state-dir", OK, f"only root may put another directory in place of {path}")


def writers_above(path: str) -> Iterator[str]:
    """Yield in words who but root and this user may write to a directory on the way to `path`, links followed.

    In one with the sticky bit nobody can remove or rename what root has made (unlink(2)), so there it counts only for
    what is not there yet.
    """
    trusted = (0, os.geteuid())
    for directory, name in _way(path):
        found = os.stat(directory)
        if found.st_uid not in trusted:
            yield f"{_user(found.st_uid)} owns {directory}"
        if found.st_mode & stat.S_ISVTX and found.st_uid in trusted and _owner(directory, name) in trusted:
            continue
        mode = f"(mode {stat.S_IMODE(found.st_mode):04o})"
        if found.st_mode & stat.S_IWOTH:
            yield f"everybody may write to {directory} {mode}"
        elif found.st_mode & stat.S_IWGRP:
            yield f"{_group(found.st_gid)} may write to {directory} {mode}"


def _way(path: str) -> Iterator[tuple[str, str]]:
    """Yield each directory that the kernel looks into on the way to `path`, with the name that it looks for.

    As far as they are there.
    """
    left = path.split("/")[::-1]
    directory, links = "/", 0
    while left and os.path.isdir(directory):
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            directory = os.path.dirname(directory)
            continue
        yield directory, name
        below = os.path.join(directory, name)
        if not os.path.islink(below) or links >= _LINKS:
            directory = below
            continue
        links += 1
        target = os.readlink(below)
        directory = "/" if target.startswith("/") else directory
        left += target.split("/")[::-1]


def _owner(directory: str, name: str) -> int | None:
    try:
        return os.lstat(os.path.join(directory, name)).st_uid
    except OSError:
        return None


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _group(gid: int) -> str:
    try:
        return f"group {grp.getgrgid(gid).gr_name}"
    except KeyError:
        return f"group {gid}"


CHECKS: tuple[Check, ...] = (state_dir,)
