"""Doctor checks of the state directory (is it valid, who else may replace it) and of the program's front door."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys
from collections.abc import Iterator

from eni_ledger.base.errors import StateDirError
from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Check, Finding, Host
from eni_ledger.install.bundle import NOT_PROMISED, is_pyinstallers
from eni_ledger.install.layout import FRONT, INTERPRETER
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.write.admission import admit

_LINKS = 40  # as many as Linux follows in one path (path_resolution(7))


def state_dir(host: Host) -> Finding:
    """Is the state directory valid, and may only root replace it?"""
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
    writers = list(dict.fromkeys(writers_above(path)))
    if writers:
        hint = "chown root and chmod go-w these directories, or set stateDir to a place that only root may change"
        return Finding(
            "state-dir", WARN, f"others may put another directory in place of {path}: {'; '.join(writers)}", hint
        )
    return Finding("state-dir", OK, f"only root may put another directory in place of {path}")


def writers_above(path: str) -> Iterator[str]:
    """Yield as text who besides root and this user may write to a directory on the way to `path`, links followed.

    The sticky bit protects entries that root owns from removal and renaming (unlink(2)): such a directory counts only
    if the next component does not exist yet.
    """
    trusted = (0, os.geteuid())
    for directory, name in _way(path):
        status = os.stat(directory)
        if status.st_uid not in trusted:
            yield f"{_user(status.st_uid)} owns {directory}"
        if status.st_mode & stat.S_ISVTX and status.st_uid in trusted and _owner(directory, name) in trusted:
            continue
        mode = f"(mode {stat.S_IMODE(status.st_mode):04o})"
        if status.st_mode & stat.S_IWOTH:
            yield f"everybody may write to {directory} {mode}"
        elif status.st_mode & stat.S_IWGRP:
            yield f"{_group(status.st_gid)} may write to {directory} {mode}"


def _way(path: str) -> Iterator[tuple[str, str]]:
    """Yield each existing directory that path resolution of `path` searches, with the name that it looks up.

    See path_resolution(7).
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


def front_door(host: Host) -> Finding:
    """Does this program have the front door in C, with all that it promises?"""
    del host  # the question is about the program that asks
    name = "front-door"
    if not getattr(sys, "frozen", False):
        return Finding(name, SKIPPED, "this eni-ledger was installed with pip: it is no bundle and has no front door")
    program = os.path.join(os.path.dirname(os.path.realpath(sys.executable)), FRONT)
    if not is_pyinstallers(program):
        interpreter = os.path.join(os.path.dirname(program), INTERPRETER)
        if not os.access(interpreter, os.X_OK):
            words = f"{interpreter} cannot be executed: no call is recorded, and chained calls fail"
            return Finding(name, FAIL, words, "install the bundle again")
        return Finding(name, OK, f"{program} starts the delegate before its interpreter")
    words = f"{program} is PyInstaller's bootloader; it does not promise {'; '.join(NOT_PROMISED)}"
    return Finding(name, WARN, words, "install a package, or run build/bundle where gcc and libpython3-dev are")


CHECKS: tuple[Check, ...] = (state_dir, front_door)
