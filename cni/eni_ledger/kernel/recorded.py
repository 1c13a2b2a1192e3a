"""Find what an association recorded again: its network namespace and its trunk's interface.

Inode numbers of namespaces are reused, so that an inode alone may be that of a later namespace: where the ledger has
the pause process, that process has to be there still, with the start time recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from eni_ledger.base.errors import ObserveError
from eni_ledger.base.host import process_start, read_line
from eni_ledger.kernel.scan import MOUNTS, PROC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

SYSFS = "/sys/class/net"


def open_netns(association: Fields, proc: str = PROC) -> int:
    """Return a descriptor of the network namespace that was recorded.

    Raises ObserveError when none was, when it is not there any more, when another one has its inode, or when it cannot
    be opened.
    """
    inode, dev = association.get("netns_inode"), association.get("netns_dev")
    if inode is None:
        raise ObserveError("the ledger does not say which network namespace it is", str(association.get("netns") or ""))
    pid, start = association.get("pid"), association.get("pid_start")
    if pid is not None and start is not None and process_start(f"{proc}/{pid}") != start:
        raise ObserveError("the pause process has ended, and its namespace may be another by now", f"PID {pid}")
    refused: OSError | None = None
    for path in _paths(association, inode, proc):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except PermissionError as exc:
            refused = exc
            continue
        except OSError:
            continue
        status = os.fstat(fd)
        if status.st_ino == inode and dev in (None, status.st_dev):
            return fd
        os.close(fd)
    if refused is not None:
        raise ObserveError(
            "the network namespace cannot be opened", f"{refused.filename}: {refused.strerror}"
        ) from refused
    raise ObserveError("the network namespace is not there any more", f"net:[{inode}]")


def _paths(association: Fields, inode: int, proc: str) -> Iterator[str]:
    """Yield the paths at which the namespace may be found, those that were recorded first."""
    if association.get("pid") is not None:
        yield f"{proc}/{association['pid']}/ns/net"
    recorded = str(association.get("netns") or "")
    yield from (path for path in (recorded, recorded.removeprefix("/host")) if path.startswith("/"))
    for directory in MOUNTS:
        try:
            yield from (f"{directory}/{name}" for name in os.listdir(directory))
        except OSError:
            continue
    for name in filter(str.isdecimal, os.listdir(proc)):
        try:
            if os.readlink(f"{proc}/{name}/ns/net") == f"net:[{inode}]":
                yield f"{proc}/{name}/ns/net"
        except OSError:
            continue


def trunk_interface(association: Fields, sysfs: str = SYSFS) -> str:
    """Return the name that the trunk's interface has now in our own network namespace.

    It is the interface with the index and the MAC recorded; where no index was, the one with that MAC that is no VLAN
    itself. Raises ObserveError when there is none.
    """
    mac, index = association.get("trunk_mac"), association.get("trunk_ifindex")
    netns = association.get("trunk_netns_inode")
    if netns is not None and netns != os.stat("/proc/self/ns/net").st_ino:
        raise ObserveError("the trunk's interface is in another network namespace", f"net:[{netns}]")
    names = sorted(os.listdir(sysfs))
    if association.get("trunk_ifname") in names:  # the name recorded is tried first
        names.insert(0, str(association["trunk_ifname"]))
    for name in names:
        same_mac = mac is None or read_line(f"{sysfs}/{name}/address") == mac
        if index is not None:
            if same_mac and read_line(f"{sysfs}/{name}/ifindex") == str(index):
                return name
        elif mac is not None and same_mac and not Path(f"/proc/net/vlan/{name}").exists():
            return name
    raise ObserveError("the trunk's interface is not there", f"MAC {mac or 'not known'}, index {index or 'not known'}")
