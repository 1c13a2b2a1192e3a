"""Every network namespace that can be found, and the interfaces in it.

A namespace has no name of its own; it is found by what holds it: a process (`/proc/<pid>/ns/net`) or a file that it is
mounted on (`/var/run/netns/*` by iproute2 and CNI runtimes, `/var/run/docker/netns/*` by Docker). Device and inode tell
that two of these are the same one. Each is opened once and entered by that descriptor, so that nothing is looked at
twice and nothing else that has taken its path meanwhile; pyroute2 enters it in a child process, this one never moves.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from eni_ledger.base.host import process_start
from eni_ledger.kernel.pyroute import IPRoute, NetlinkError
from eni_ledger.kernel.rtnetlink import protocol_text

PROC = "/proc"
MOUNTS = ("/var/run/netns", "/var/run/docker/netns")
_LINK_SCOPE = 253  # rtnetlink(7), RT_SCOPE_LINK
_NO_NSID = 0xFFFFFFFF  # -1: this namespace has no number there
_NOT_THERE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


@dataclass(slots=True)
class ScannedLink:
    """An interface. `vlan_id`, `parent` (index of the link beneath), `parent_is_ours` and `vlan_protocol` (`802.1Q`,
    `802.1ad`) are those of a VLAN link.

    `parent_is_ours`: the link beneath is in the namespace that the scan was made from, which is the trunk's.
    """

    index: int
    name: str
    mac: str | None
    kind: str
    vlan_id: int | None = None
    parent: int | None = None
    parent_is_ours: bool = False
    addresses: list[str] = field(default_factory=list)
    vlan_protocol: str | None = None


@dataclass(slots=True)
class Namespace:
    """A network namespace: `path` is one that it can be opened by, `pids` its processes, the oldest first."""

    dev: int
    inode: int
    path: str
    pids: list[int] = field(default_factory=list)
    links: list[ScannedLink] = field(default_factory=list)


@dataclass(slots=True)
class Scan:
    """What was found: `namespaces` but our own, `own` the links of that, `own_inode` its inode.

    `unreadable`: what could not be looked into, and why.

    While anything is unreadable a namespace that was not found may be there all the same.
    """

    namespaces: list[Namespace] = field(default_factory=list)
    own: list[ScannedLink] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    own_inode: int | None = None

    def find(self, dev: int | None, inode: int) -> Namespace | None:
        """Return the namespace with this identity, None when it was not found."""
        for namespace in self.namespaces:
            if namespace.inode == inode and dev in (None, namespace.dev):
                return namespace
        return None


def scan(proc: str = PROC, mounts: Sequence[str] = MOUNTS) -> Scan:
    """Return what the kernel has now. Raises OSError when even our own namespace cannot be read."""
    found = Scan()
    with _opened(f"{proc}/self/ns/net" if os.path.exists(f"{proc}/self") else "/proc/self/ns/net") as own_fd:
        own = _identity(own_fd)
        found.own_inode = own[1]
        with closing(IPRoute()) as route:
            found.own = _links(route, None)
        by_identity: dict[tuple[int, int], Namespace] = {}
        for path, pid in _candidates(proc, mounts, found.unreadable):
            _take(path, pid, own, own_fd, by_identity, found.unreadable)
    found.namespaces = list(by_identity.values())
    for namespace in found.namespaces:
        namespace.pids.sort(key=lambda pid: (process_start(f"{proc}/{pid}") or 0, pid))
    return found


def attachments(found: Scan) -> list[dict[str, Any]]:
    """Return every VLAN link in a namespace of another's than the link beneath it, with the ledger's keys.

    That is what a branch is. The trunk's name and MAC are there when it is a link of our own namespace.
    """
    trunks = {link.index: link for link in found.own}
    made = []
    for namespace in found.namespaces:
        beneath = {link.index for link in namespace.links}
        for link in namespace.links:
            if link.vlan_id is None or (not link.parent_is_ours and link.parent in beneath):
                continue
            trunk = trunks.get(link.parent or 0) if link.parent_is_ours else None
            fields: dict[str, Any] = {
                "ifname": link.name,
                "vlan_id": link.vlan_id,
                "observed_vlan_id": link.vlan_id,
                "branch_mac": link.mac,
                "observed_mac": link.mac,
                "addresses": link.addresses,
                "protocol": "vlan",
                "trunk_mac": trunk.mac if trunk else None,
                "trunk_ifname": trunk.name if trunk else None,
                "trunk_ifindex": link.parent,
                "trunk_netns_inode": found.own_inode if link.parent_is_ours else None,
                "vlan_protocol": link.vlan_protocol,
                "netns": namespace.path,
                "netns_inode": namespace.inode,
                "netns_dev": namespace.dev,
                "pid": namespace.pids[0] if namespace.pids else None,
            }
            made.append({key: value for key, value in fields.items() if value is not None})
    return made


def _candidates(proc: str, mounts: Iterable[str], unreadable: list[str]) -> Iterator[tuple[str, int | None]]:
    """Yield the paths that may be namespaces, those of processes with the process."""
    for name in sorted((name for name in os.listdir(proc) if name.isdecimal()), key=int):
        yield f"{proc}/{name}/ns/net", int(name)
    for directory in mounts:
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            continue
        except OSError as exc:
            unreadable.append(f"{directory}: {exc.strerror}")
            continue
        yield from ((f"{directory}/{name}", None) for name in names if name != "default")


def _take(
    path: str,
    pid: int | None,
    own: tuple[int, int],
    own_fd: int,
    by_identity: dict[tuple[int, int], Namespace],
    unreadable: list[str],
) -> None:
    """Look at one path; put the namespace it names, if it is one of its own, into `by_identity`."""
    try:
        with _opened(path) as fd:
            identity = _identity(fd)
            if identity == own or identity[0] != own[0]:  # ours, or a file that no namespace is mounted on (any more)
                return
            namespace = by_identity.get(identity)
            if namespace is None:
                namespace = Namespace(*identity, path)
                namespace.links = _enter(fd, own_fd)
                by_identity[identity] = namespace
            if pid is not None:
                namespace.pids.append(pid)
    except _NOT_THERE:
        return  # ended since it was listed
    except (OSError, NetlinkError, RuntimeError) as exc:
        unreadable.append(f"{path}: {getattr(exc, 'strerror', None) or exc}")


def _enter(fd: int, own_fd: int) -> list[ScannedLink]:
    """Return the links of the namespace that is open at `fd`. Without O_CREAT in its flags pyroute2 makes none."""
    with closing(IPRoute(netns=fd, flags=0, libc=ctypes.CDLL(None, use_errno=True))) as route:
        return _links(route, own_fd)


def _links(route: IPRoute, own_fd: int | None) -> list[ScannedLink]:
    ours = route.get_netnsid(fd=own_fd)["nsid"] if own_fd is not None else None
    addresses: dict[int, list[str]] = {}
    for message in route.get_addr():
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if message["scope"] < _LINK_SCOPE and address:
            addresses.setdefault(message["index"], []).append(f"{address}/{message['prefixlen']}")
    found = []
    for message in route.get_links():
        link = _link(message, ours if ours != _NO_NSID else None)
        link.addresses = addresses.get(link.index, [])
        found.append(link)
    return found


def _link(message: Any, ours: int | None) -> ScannedLink:
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    mac = message.get_attr("IFLA_ADDRESS")
    link = ScannedLink(
        message["index"], message.get_attr("IFLA_IFNAME") or "", mac if mac and len(mac) == 17 else None, kind
    )
    if kind == "vlan":
        data = info.get_attr("IFLA_INFO_DATA")
        link.vlan_id = data.get_attr("IFLA_VLAN_ID") if data else None
        link.vlan_protocol = protocol_text(data.get_attr("IFLA_VLAN_PROTOCOL")) if data else None
        link.parent = message.get_attr("IFLA_LINK")
        nsid = message.get_attr("IFLA_LINK_NETNSID")
        link.parent_is_ours = nsid is not None and nsid == ours
    return link


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)
