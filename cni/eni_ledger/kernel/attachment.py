"""Observe an attachment in the kernel: namespace, process, VLAN ID, MAC, trunk, addresses.

A VLAN link that was moved into another namespace keeps its parent, the trunk, in the namespace it came from.
The kernel tells the parent's index (IFLA_LINK) and by which number the namespace knows the parent's one
(IFLA_LINK_NETNSID); the trunk's name and MAC are looked up only when that namespace is proved to be our own.
"""

from __future__ import annotations

import os
import sys

from eni_ledger.base.errors import ObserveError
from eni_ledger.kernel import rtnetlink
from eni_ledger.kernel.netns import Netns, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable
    from typing import Any

    from eni_ledger.kernel.rtnetlink import Link

_FILE_LIMIT = 1 << 16
_DEPTH = 8  # limit for links stacked on each other
_SIOCGIFNAME, _SIOCGIFHWADDR = 0x8910, 0x8927  # netdevice(7)
_ARPHRD_ETHER = 1
_IFREQ = 40


class NoInterfaceError(ObserveError):
    """The interface is not in the namespace."""


def observe(
    netns: Netns,
    ifname: str,
    *,
    instead: str | None = None,
    others: Iterable[str] = (),
    gateways: bool = True,
    sock: socket | None = None,
) -> dict[str, Any]:
    """Return what the kernel shows of `ifname` in `netns`, as fields of an event.

    `observed_mac`, `addresses`, `gateways` (only looked for when `gateways` says so) and, where there is a VLAN link,
    `branch_mac` (that link's), `vlan_id`, `observed_vlan_id`, `vlan_protocol`, `protocol`, `trunk_ifindex`,
    `trunk_netns_inode`, `trunk_ifname`, `trunk_mac`. An empty list means that it was looked for and there is none; what
    is not known is left out. `elsewhere` has the addresses of the interfaces `others`, by name. Without `ifname` the
    interface `instead` is looked at.

    Where entering the namespace is refused, the VLAN ID and the trunk's name come from `/proc/<pid>/net/vlan`. `sock`
    is an rtnetlink socket of that namespace if there is one already; it is closed. Raises ObserveError when nothing is
    to be seen.
    """
    try:
        sock = sock or rtnetlink.open_socket(netns.fd, netns.own_fd)
    except (OSError, ImportError) as exc:
        fields = _from_proc(netns.proc, ifname)
        if fields is None:
            raise ObserveError("the network namespace cannot be entered", f"{netns.path}: {exc}") from exc
        return fields
    try:
        return _ask(sock, netns, (ifname, instead), others, gateways)
    except OSError as exc:
        raise ObserveError("the kernel does not answer", f"rtnetlink in {netns.path}: {exc}") from exc
    finally:
        sock.close()


def _ask(
    sock: socket, netns: Netns, names: tuple[str, str | None], others: Iterable[str], gateways: bool
) -> dict[str, Any]:
    links = rtnetlink.links(sock)
    by_name = {candidate.name: candidate for candidate in links}
    link = by_name.get(names[0]) or by_name.get(names[1] or "")
    vlan = find_vlan(links, link)
    subject = link or vlan
    if subject is None:
        raise NoInterfaceError("no such interface in the network namespace", f"{names[0]} in {netns.path}")
    addresses = rtnetlink.addresses(sock)
    fields: dict[str, Any] = {"observed_mac": subject.mac, "addresses": addresses.get(subject.index, [])}
    if others:
        fields["elsewhere"] = {name: addresses.get(by_name[name].index, []) for name in others if name in by_name}
    if gateways:
        fields["gateways"] = rtnetlink.default_gateways(sock, subject.index)
    if vlan is not None and vlan.vlan_id is not None:
        fields |= {"vlan_id": vlan.vlan_id, "observed_vlan_id": vlan.vlan_id, "protocol": "vlan"}
        fields |= {"branch_mac": vlan.mac, "vlan_protocol": vlan.vlan_protocol, **_trunk(sock, netns, links, vlan)}
    return {key: value for key, value in fields.items() if value is not None}


def find_vlan(links: list[Link], link: Link | None) -> Link | None:
    """Return the VLAN link that carries `link`: itself, one beneath it, or one in the same bridge (a tap).

    Without `link`, the only VLAN link there is. A VLAN link that has nothing to do with `link` does not
    count: a namespace has other interfaces beside its branch, and they are not on its VLAN.
    """
    vlans = [candidate for candidate in links if candidate.kind == "vlan"]
    if link is None:
        return vlans[0] if len(vlans) == 1 else None
    beneath: Link | None = link
    for _ in range(_DEPTH):
        if beneath is None or beneath.kind == "vlan":
            break
        beneath = _parent(links, beneath)
    if beneath is not None and beneath.kind == "vlan":
        return beneath
    bridged = [candidate for candidate in vlans if link.master and candidate.master == link.master]
    return bridged[0] if len(bridged) == 1 else None


def _parent(links: list[Link], link: Link) -> Link | None:
    """Return the link beneath `link` when it is in the same namespace."""
    if link.parent is None or link.parent_nsid is not None:
        return None
    return next((candidate for candidate in links if candidate.index == link.parent and candidate is not link), None)


def _trunk(sock: socket, netns: Netns, links: list[Link], vlan: Link) -> dict[str, Any]:
    """Return the fields of the link beneath `vlan`; only its index when that is in a third namespace."""
    if vlan.parent is None:
        return {}
    fields: dict[str, Any] = {"trunk_ifindex": vlan.parent}
    beneath = _parent(links, vlan)
    if beneath is not None:
        fields |= {"trunk_netns_inode": netns.inode, "trunk_ifname": text(beneath.name), "trunk_mac": beneath.mac}
    elif vlan.parent_nsid is not None and _is_ours(sock, netns, vlan.parent_nsid):
        fields |= {"trunk_netns_inode": netns.own[1], **own_trunk_fields(vlan.parent)}
    return fields


def _is_ours(sock: socket, netns: Netns, number: int) -> bool:
    try:
        return rtnetlink.nsid(sock, netns.own_fd) == number
    except OSError:
        return False  # not proved


def own_trunk_fields(index: int) -> dict[str, Any]:
    """Return `trunk_ifname` and `trunk_mac` of interface `index` of our own namespace, {} when it is gone."""
    import _socket  # only for a trunk in the namespace of the host
    from fcntl import ioctl

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = bytes(16) + rtnetlink.pack_index(index)
        name = ioctl(sock.fileno(), _SIOCGIFNAME, request.ljust(_IFREQ, b"\0"))[:16]
        answer = ioctl(sock.fileno(), _SIOCGIFHWADDR, name.ljust(_IFREQ, b"\0"))
    except OSError:
        return {}
    finally:
        sock.close()
    ethernet = int.from_bytes(answer[16:18], sys.byteorder) == _ARPHRD_ETHER
    return {
        "trunk_ifname": text(os.fsdecode(name.rstrip(b"\0"))),
        "trunk_mac": rtnetlink.mac_text(answer[18:24]) if ethernet else None,
    }


def _from_proc(proc: str, ifname: str) -> dict[str, Any] | None:
    """Return the VLAN fields that `/proc/<pid>/net/vlan/config` has for `ifname`, None when it has none.

    Two lines of heading, then `link | VLAN ID | link beneath`. Which namespace the latter is in it does not
    say, so the name is all that is taken from it.
    """
    if not proc:
        return None
    try:
        rows = _read(proc + "/net/vlan/config").splitlines()[2:]
    except OSError:
        return None
    for row in rows:
        cells = [cell.strip() for cell in row.split(b"|")]
        if len(cells) == 3 and os.fsdecode(cells[0]) == ifname and cells[1].isdigit():
            number = int(cells[1])
            trunk = text(os.fsdecode(cells[2]))
            return {"vlan_id": number, "observed_vlan_id": number, "protocol": "vlan", "trunk_ifname": trunk}
    return None


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _FILE_LIMIT)
    finally:
        os.close(fd)
