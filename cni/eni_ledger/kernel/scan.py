"""Find the network namespaces of this host and list their interfaces.

A network namespace has no name. A process (`/proc/<pid>/ns/net`) or a bind mount keeps it alive (`/var/run/netns/*` by
iproute2 and CNI runtimes, `/var/run/docker/netns/*` by Docker). Device and inode identify it. The scan opens each
namespace once and enters it by that descriptor, so it reads none twice and never one that has taken the path since.
Our own namespace, which may have interfaces of any kind, is read by pyroute2. The others, of which there may be
hundreds, are read as an ADD reads one: pyroute2 takes 20 ms for each.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from eni_ledger.base.errors import ObserveError
from eni_ledger.base.host import process_start
from eni_ledger.kernel import rtnetlink
from eni_ledger.kernel.pyroute import IPRoute
from eni_ledger.kernel.rtnetlink import Link, protocol_text

PROC = "/proc"
MOUNTS = ("/var/run/netns", "/var/run/docker/netns")
_LINK_SCOPE = 253  # rtnetlink(7), RT_SCOPE_LINK
_IFLA_OPERSTATE, _IFLA_STATS64 = 16, 23  # linux/if_link.h
_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")  # RFC 2863, linux/if.h
COUNTERS = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"),
    *("rx_errors", "tx_errors", "rx_dropped", "tx_dropped"),
)
"""The first members of `struct rtnl_link_stats64`, in this order."""
_STATS = struct.Struct(f"={len(COUNTERS)}Q")
_NOT_THERE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


@dataclass(slots=True)
class ScannedLink:
    """An interface. A VLAN link has `vlan_id`, `parent`, `parent_is_ours` and `vlan_protocol` (`802.1Q`, `802.1ad`).

    `parent` is the index of the link beneath, `parent_is_ours` whether that link is in the namespace of this process,
    which has the trunk. `state` is the operational state in lower case (`up`, `lowerlayerdown`, ...); `counters` has
    the keys of COUNTERS.
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
    state: str = "unknown"
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Namespace:
    """A network namespace: `path` opens it, `pids` are its processes, oldest first."""

    dev: int
    inode: int
    path: str
    pids: list[int] = field(default_factory=list)
    links: list[ScannedLink] = field(default_factory=list)


@dataclass(slots=True)
class Scan:
    """The result of a scan: every other namespace, and links (`own`) and inode (`own_inode`) of this process's own.

    `unreadable` lists the paths that could not be read, with the reason. While it is not empty, a namespace may exist
    that the scan has not found.
    """

    namespaces: list[Namespace] = field(default_factory=list)
    own: list[ScannedLink] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    own_inode: int | None = None

    def find(self, dev: int | None, inode: int) -> Namespace | None:
        """Return the namespace with this identity, None without one. With `dev` None, the inode decides."""
        for namespace in self.namespaces:
            if namespace.inode == inode and dev in (None, namespace.dev):
                return namespace
        return None


def scan(proc: str = PROC, mounts: Sequence[str] = MOUNTS) -> Scan:
    """Return the namespaces and links that the kernel has now. Raises OSError if our own namespace cannot be read."""
    result = Scan()
    with _opened(f"{proc}/self/ns/net" if os.path.exists(f"{proc}/self") else "/proc/self/ns/net") as own_fd:
        own = _identity(own_fd)
        result.own_inode = own[1]
        with closing(IPRoute()) as route:
            result.own = _own_links(route)
        by_identity: dict[tuple[int, int], Namespace] = {}
        for path, pid in _candidates(proc, mounts, result.unreadable):
            _take(path, pid, own, own_fd, by_identity, result.unreadable)
    result.namespaces = list(by_identity.values())
    for namespace in result.namespaces:
        namespace.pids.sort(key=lambda pid: (process_start(f"{proc}/{pid}") or 0, pid))
    return result


def attachments(scanned: Scan) -> list[dict[str, Any]]:
    """Return the branches, as fields with the ledger's keys: VLAN links in another namespace than the link beneath.

    The trunk's name and MAC are included if it is a link of our own namespace.
    """
    trunks = {link.index: link for link in scanned.own}
    branches = []
    for namespace in scanned.namespaces:
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
                "trunk_netns_inode": scanned.own_inode if link.parent_is_ours else None,
                "vlan_protocol": link.vlan_protocol,
                "netns": namespace.path,
                "netns_inode": namespace.inode,
                "netns_dev": namespace.dev,
                "pid": namespace.pids[0] if namespace.pids else None,
            }
            branches.append({key: value for key, value in fields.items() if value is not None})
    return branches


def _candidates(proc: str, mounts: Iterable[str], unreadable: list[str]) -> Iterator[tuple[str, int | None]]:
    """Yield paths that may be namespaces, each with the PID that it belongs to or None."""
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
    """Read the namespace at `path` and add it to `by_identity`, unless it is the one of this process."""
    try:
        with _opened(path) as fd:
            identity = _identity(fd)
            if identity == own or identity[0] != own[0]:  # our own, or a file on which no namespace is mounted
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
    except (OSError, ObserveError) as exc:
        unreadable.append(f"{path}: {getattr(exc, 'strerror', None) or exc}")


def _enter(fd: int, own_fd: int) -> list[ScannedLink]:
    """Return the links of the namespace open at `fd`. Raises OSError, ObserveError."""
    with closing(rtnetlink.open_socket(fd, own_fd)) as sock:
        ours = rtnetlink.nsid(sock, own_fd)
        addresses = rtnetlink.addresses(sock)
        return [
            _scanned(Link(index, attributes), attributes, ours, addresses.get(index, []))
            for index, attributes in rtnetlink.link_attributes(sock)
        ]


def _scanned(link: Link, attributes: dict[int, bytes], ours: int | None, addresses: list[str]) -> ScannedLink:
    """Return a link of a namespace that knows ours by the number `ours`, None where it has none."""
    state = attributes.get(_IFLA_OPERSTATE, b"\0")[0]
    stats = attributes.get(_IFLA_STATS64, b"")
    scanned = ScannedLink(link.index, link.name, link.mac, link.kind, addresses=addresses)
    if link.kind == "vlan":
        scanned.vlan_id, scanned.vlan_protocol, scanned.parent = link.vlan_id, link.vlan_protocol, link.parent
        scanned.parent_is_ours = link.parent_nsid is not None and link.parent_nsid == ours
    scanned.state = _STATES[state] if state < len(_STATES) else str(state)
    if len(stats) >= _STATS.size:
        scanned.counters = dict(zip(COUNTERS, _STATS.unpack_from(stats), strict=True))
    return scanned


def _own_links(route: IPRoute) -> list[ScannedLink]:
    """Return the links of our own namespace."""
    addresses: dict[int, list[str]] = {}
    for message in route.get_addr():
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if message["scope"] < _LINK_SCOPE and address:
            addresses.setdefault(message["index"], []).append(f"{address}/{message['prefixlen']}")
    links = []
    for message in route.get_links():
        link = _link(message)
        link.addresses = addresses.get(link.index, [])
        links.append(link)
    return links


def _link(message: Any) -> ScannedLink:
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
    link.state = str(message.get_attr("IFLA_OPERSTATE") or "unknown").lower()
    stats = message.get_attr("IFLA_STATS64") or {}
    link.counters = {name: stats[name] for name in COUNTERS if name in stats}
    return link


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)
