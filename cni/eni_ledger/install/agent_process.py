"""Identifies the ECS agent's process by properties that only root can set up.

Any user can choose a process's name and environment. A *candidate* is a process of uid 0 in this user namespace whose
name is `agent` and whose environment has ECS_DATADIR, which amazon-ecs-init sets (`ecs-init/docker/docker.go`,
getContainerConfig). It is the agent of this installation when its /data is the host's data directory: the same device
and inode. All reads go through one open directory of proc(5), which stays bound to its process: a
later process with the same PID is not mistaken for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from eni_ledger.base.host import process_start
from eni_ledger.install.layout import DATA_IN_CONTAINER, KEY
from eni_ledger.install.process_root import Root

NAME = "agent"  # the program of the agent's image; `comm` in proc(5)
NAME_ON_HOST = "amazon-ecs-agen"  # /usr/bin/amazon-ecs-agent of Bottlerocket, as long as `comm` gets
_DATADIR = "ECS_DATADIR"
_LIMIT = 8 << 20  # bytes of a file of proc(5); arguments and environment have 6 MiB at most, execve(2)
_SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Process:
    """A candidate, or a plugin that runs in the agent's container.

    `start` is in clock ticks after boot. `belongs` is whether its /data is the host's data directory, `outside` whether
    its root directory is this process's own; `data` is where its /data is on this host, None when that is
    not known.
    """

    pid: int
    start: int
    name: str
    belongs: bool
    outside: bool
    data: str | None
    env: dict[str, str] = field(repr=False)

    @property
    def is_candidate(self) -> bool:
        """Whether this is an ECS agent, of this installation or another one."""
        return self.name == NAME or (self.name == NAME_ON_HOST and self.outside)

    @property
    def plugin_path(self) -> str | None:
        """The plugin directory in its environment, None for the agent's default."""
        return self.env.get(KEY) or None


@contextmanager
def opened(proc: str, pid: int) -> Iterator[int]:
    """Open the directory of a process in proc(5). Raises OSError."""
    fd = os.open(f"{proc}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def read_process(proc_fd: int, pid: int, data: os.stat_result | None) -> Process | None:
    """Return the process, None when it is neither a candidate nor a plugin that one runs.

    `data` is the host's data directory. Raises OSError: PermissionError when it may be the agent and cannot be
    inspected, ProcessLookupError or FileNotFoundError when it has ended.
    """
    if not _is_root(proc_fd):
        return None
    start = process_start(".", dir_fd=proc_fd)
    if start is None:
        raise ProcessLookupError(f"process {pid} has ended")
    name = _read(proc_fd, "comm").rstrip(b"\n").decode("utf-8", "replace")
    try:
        env = _environment(proc_fd)
        if _DATADIR not in env or not (name in (NAME, NAME_ON_HOST) or KEY in env):
            return None
        # The caller of a set-user-ID program chooses its name and its environment.
        if os.stat("exe", dir_fd=proc_fd).st_mode & _SET_ID or not _in_our_user_namespace(proc_fd):
            return None
    except PermissionError:
        if name in (NAME, NAME_ON_HOST):
            raise
        return None
    with Root.of_process(proc_fd) as root:
        inside = _stat_or_none(root)
        belongs = inside is not None and data is not None and os.path.samestat(inside, data)
        outside = os.path.samestat(root.stat(), os.stat("/"))
    where = _host_path(proc_fd) if inside is not None and not belongs else None
    # Last: a process that had other privileges, or was another program, when its environment was read is none.
    if not _is_root(proc_fd) or process_start(".", dir_fd=proc_fd) != start:
        return None
    process = Process(pid, start, name, belongs, outside, where, env)
    return process if process.is_candidate or belongs else None


def _read(proc_fd: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd), "rb") as file:
        return file.read(_LIMIT)


def _is_root(proc_fd: int) -> bool:
    """Tell whether real, effective, saved and file system user ID are 0, as this user namespace sees them."""
    line = next((row for row in _read(proc_fd, "status").splitlines() if row.startswith(b"Uid:")), b"")
    return line.split()[1:] == [b"0"] * 4


def _environment(proc_fd: int) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in _read(proc_fd, "environ").decode("utf-8", "replace").split("\0"))
    env: dict[str, str] = {}
    for name, equals, value in pairs:
        if equals:
            env.setdefault(name, value)  # getenv(3) and Go's os.Getenv take the first
    return env


def _in_our_user_namespace(proc_fd: int) -> bool:
    try:
        return os.path.samestat(os.stat("ns/user", dir_fd=proc_fd), os.stat("/proc/self/ns/user"))
    except FileNotFoundError:
        return not os.path.exists("/proc/self/ns/user")  # a kernel without user namespaces


def _stat_or_none(root: Root) -> os.stat_result | None:
    try:
        return root.stat(DATA_IN_CONTAINER)
    except PermissionError:
        raise
    except OSError:
        return None


def _host_path(proc_fd: int) -> str | None:
    """Return the host directory that is mounted at /data there, None if it cannot be determined."""
    theirs = [mount for mount in _mounts(_read(proc_fd, "mountinfo")) if mount[2] == DATA_IN_CONTAINER]
    if not theirs:
        return None
    device, source, _ = theirs[-1]
    with open("/proc/self/mountinfo", "rb") as file:
        own = [mount for mount in _mounts(file.read(_LIMIT)) if mount[0] == device and _below(source, mount[1])]
    if not own:
        return None
    _, top, place = max(own, key=lambda mount: len(mount[1]))
    return os.path.normpath(f"{place}/{source[len(top) :]}")


def _mounts(data: bytes) -> list[tuple[str, str, str]]:
    """Return device, root within the file system and mount point of each mount; mountinfo of proc(5)."""
    rows = (line.decode("utf-8", "replace").split(" ") for line in data.splitlines())
    return [(row[2], _plain(row[3]), _plain(row[4])) for row in rows if len(row) > 4]


def _plain(text: str) -> str:
    """Return a path without the octal escapes of mountinfo."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
