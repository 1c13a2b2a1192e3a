"""An open network namespace: its identity, and the process that its path names. On the ADD path."""

from __future__ import annotations

import os

from eni_ledger.base.errors import ObserveError
from eni_ledger.kernel import rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_FILE_LIMIT = 1 << 16


_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


def text(value: str) -> str:
    """Return an environment value as the ledger has it: bytes that are no UTF-8 are `\\xff` escapes."""
    return os.fsencode(value).decode("utf-8", "backslashreplace")


class Netns:
    """An open network namespace.

    `path` as it was given; `fd` holds it; `dev` and `inode` are its identity while it exists; `proc` is the
    directory of the process it was named by (`/proc/<pid>`, or `/host/proc/<pid>` in the ECS agent's
    container), empty when it was named in another way; `pid` and `pid_start` (clock ticks after boot) tell
    that process from a later one of the same number.
    """

    def __init__(self, path: str) -> None:
        """Open `path`. Raises ObserveError when that fails, or when it is not a namespace."""
        self.path = path
        try:
            # O_NONBLOCK: were it a FIFO, nobody would ever let us in.
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            raise ObserveError("the network namespace cannot be opened", f"{path}: {reason}") from exc
        try:
            self.own_fd = os.open(rtnetlink.OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            os.close(self.fd)
            raise ObserveError("our own network namespace cannot be opened", str(exc)) from exc
        self.dev, self.inode = rtnetlink.identity(self.fd)
        self.own = rtnetlink.identity(self.own_fd)
        self.proc, self.pid = _process_of(path)
        self.pid_start = _start_of(self.proc) if self.pid else None
        if not self._is_network():
            self.close()
            raise ObserveError("not a network namespace", path)

    def _is_network(self) -> bool:
        if self.dev != self.own[0]:  # all namespaces are on one device of the kernel's own
            return False
        from fcntl import ioctl

        try:
            return ioctl(self.fd, _NS_GET_NSTYPE) == rtnetlink.CLONE_NEWNET
        except OSError:
            return True  # before Linux 4.11; entering it will tell

    def is_own(self) -> bool:
        """Return whether it is the namespace that this process runs in."""
        return (self.dev, self.inode) == self.own

    def fields(self) -> dict[str, Any]:
        """Return it as the fields of an event."""
        found = {
            "netns_inode": self.inode,
            "netns_dev": self.dev,
            "pid": self.pid,
            "pid_start": self.pid_start,
        }
        return {key: value for key, value in found.items() if value is not None}

    def close(self) -> None:
        """Let go of the namespace."""
        os.close(self.fd)
        os.close(self.own_fd)


def _process_of(path: str) -> tuple[str, int | None]:
    """Return process directory and pid that `path` names, `("", None)` unless it is `/proc/<pid>/ns/net`."""
    for root in ("/proc/", "/host/proc/"):
        pid, slash, rest = path.removeprefix(root).partition("/")
        if path.startswith(root) and slash and rest == "ns/net" and pid.isascii() and pid.isdecimal():
            return root + pid, int(pid)
    return "", None


def _start_of(proc: str) -> int | None:
    """Return field 22 of `/proc/<pid>/stat`, proc(5). Field 2 may hold anything: count from the last `)`."""
    try:
        return int(_read(proc + "/stat").rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _FILE_LIMIT)
    finally:
        os.close(fd)
