"""An open network namespace: its identity, and the process that its path names. On the ADD path."""

from __future__ import annotations

import os

from eni_ledger.base.errors import ObserveError
from eni_ledger.base.host import process_start
from eni_ledger.kernel import rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


def text(value: str) -> str:
    """Return an environment value as the ledger writes it: bytes that are not UTF-8 become `\\xff` escapes."""
    return os.fsencode(value).decode("utf-8", "backslashreplace")


class Netns:
    """An open network namespace.

    `path` is the path given; `fd` keeps the namespace open; `dev` and `inode` identify it while it exists. If the path
    is `/proc/<pid>/ns/net`, or `/host/proc/<pid>/ns/net` in the ECS agent's container, `proc` is the directory of that
    process, else empty; `pid` and `pid_start` (clock ticks after boot) identify the process even if its number is
    reused.
    """

    def __init__(self, path: str) -> None:
        """Open `path`. Raises ObserveError when that fails, or if it is not a network namespace."""
        self.path = path
        try:
            # O_NONBLOCK: opening a FIFO without a writer would block.
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
        self.pid_start = process_start(self.proc) if self.pid else None
        if not self._is_network():
            self.close()
            raise ObserveError("not a network namespace", path)

    def _is_network(self) -> bool:
        if self.dev != self.own[0]:  # all namespaces are on one device, nsfs
            return False
        from fcntl import ioctl  # only for what is on nsfs: a load less for any other file

        try:
            return ioctl(self.fd, _NS_GET_NSTYPE) == rtnetlink.CLONE_NEWNET
        except OSError:
            return True  # before Linux 4.11; setns(2) checks the type

    def is_own(self) -> bool:
        """Return whether this is the process's own namespace."""
        return (self.dev, self.inode) == self.own

    def fields(self) -> dict[str, Any]:
        """Return the namespace as fields of an event."""
        values = {
            "netns_inode": self.inode,
            "netns_dev": self.dev,
            "pid": self.pid,
            "pid_start": self.pid_start,
        }
        return {key: value for key, value in values.items() if value is not None}

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self.fd)
        os.close(self.own_fd)


def _process_of(path: str) -> tuple[str, int | None]:
    """Return process directory and pid that `path` names, `("", None)` unless it is `/proc/<pid>/ns/net`."""
    for root in ("/proc/", "/host/proc/"):
        pid, slash, rest = path.removeprefix(root).partition("/")
        if path.startswith(root) and slash and rest == "ns/net" and pid.isascii() and pid.isdecimal():
            return root + pid, int(pid)
    return "", None
