"""Which process is the ECS agent, told by what only root can arrange.

A name and an environment are anybody's to choose. A *candidate* is a process of uid 0 in this user namespace whose name
is `agent` and whose environment has ECS_DATADIR, which amazon-ecs-init sets (`ecs-init/docker/docker.go`,
getContainerConfig). It is the agent of this installation when its /data is the host's data directory: the same device
and inode. Everything is read through one open directory of proc(5), which stays with its process: a later process of
the same number is never mistaken for it.
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
    """A process that is a candidate, or a plugin at work in the agent's container.

    `start` is in clock ticks after boot. `belongs` is whether its /data is the host's data directory, `outside` whether
    its root directory is this process's own; `data` is where its /data is on this host, None when it has none or that
    cannot be told.
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
        """Whether it is an ECS agent, of this installation or another one."""
        return self.name == NAME or (self.name == NAME_ON_HOST and self.outside)

    @property
    def plugin_path(self) -> str | None:
        """The plugin directory that it was given, None for the agent's default."""
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
    """Return what the process is to us, None when it is neither a candidate nor at work for one.

    `data` is the host's data directory. Raises OSError: PermissionError when it may be the agent and does not let us
    see, ProcessLookupError or FileNotFoundError when it has ended.
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
    found = Process(pid, start, name, belongs, outside, where, env)
    return found if found.is_candidate or belongs else None


def _read(proc_fd: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd), "rb") as file:
        return file.read(_LIMIT)


def _is_root(proc_fd: int) -> bool:
    """Tell whether real, effective, saved and file system user ID are 0, as this user namespace sees them."""
    line = next((one for one in _read(proc_fd, "status").splitlines() if one.startswith(b"Uid:")), b"")
    return line.split()[1:] == [b"0"] * 4


def _environment(proc_fd: int) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in _read(proc_fd, "environ").decode("utf-8", "replace").split("\0"))
    found: dict[str, str] = {}
    for name, equals, value in pairs:
        if equals:
            found.setdefault(name, value)  # getenv(3) and Go's os.Getenv take the first
    return found


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
    """Return which directory of this host is mounted at /data there, None when that cannot be told."""
    theirs = [one for one in _mounts(_read(proc_fd, "mountinfo")) if one[2] == DATA_IN_CONTAINER]
    if not theirs:
        return None
    device, source, _ = theirs[-1]
    with open("/proc/self/mountinfo", "rb") as file:
        ours = [one for one in _mounts(file.read(_LIMIT)) if one[0] == device and _below(source, one[1])]
    if not ours:
        return None
    _, top, place = max(ours, key=lambda one: len(one[1]))
    return os.path.normpath(f"{place}/{source[len(top) :]}")


def _mounts(data: bytes) -> list[tuple[str, str, str]]:
    """Return of each mount the device, the directory of the file system, and where it is; mountinfo of proc(5)."""
    rows = (line.decode("utf-8", "replace").split(" ") for line in data.splitlines())
    return [(row[2], _plain(row[3]), _plain(row[4])) for row in rows if len(row) > 4]


def _plain(text: str) -> str:
    """Return a path without the octal escapes of mountinfo."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
