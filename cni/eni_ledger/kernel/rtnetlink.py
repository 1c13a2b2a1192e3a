"""The rtnetlink requests that an observation needs, sent in another network namespace.

Source of the formats: rtnetlink(7), netlink(7) and the kernel's uapi headers `linux/rtnetlink.h`,
`if_link.h`, `if_addr.h`, `net_namespace.h`. Numbers are in the host's byte order, as the kernel has them. A
netlink socket belongs to the namespace that it was made in for as long as it lives; so the process is in the
other namespace only while it makes the socket.

pyroute2 would do all this and takes 130 ms to load; these are the parts that each ADD needs.
"""

from __future__ import annotations

import _socket
import os
from _struct import Struct

from eni_ledger.base.errors import ObserveError
from eni_ledger.kernel.setns import setns as _setns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_NETNS = "/proc/thread-self/ns/net"
#: A pause container has a handful of links. A longer reply is not read to its end.
REPLY_LIMIT = 1 << 20
_TIMEOUT_S = 0.2

CLONE_NEWNET = 0x40000000

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_RTM_NEWNSID, _RTM_GETNSID = 88, 90

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_LINK_NETNSID = (
    1,
    3,
    5,
    10,
    18,
    37,
)
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_VLAN_ID, _IFLA_VLAN_PROTOCOL = 1, 2, 1, 5
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_RT_TABLE_MAIN = 254
_RT_SCOPE_LINK = 253
_NETNSA_NSID, _NETNSA_FD = 1, 3

_NLMSGHDR = Struct("=LHHLL")  # length, type, flags, sequence number, port
_NLATTR = Struct("=HH")  # length, type
_IFINFOMSG = Struct("=BxHiLL")  # family, device type, index, flags, change mask
_IFADDRMSG = Struct("=BBBBL")  # family, prefix length, flags, scope, index
_RTMSG = Struct("=8BL")  # family, destination length, source length, tos, table, protocol, scope, type, flags
_U16, _U32, _S32, _BE16 = Struct("=H"), Struct("=L"), Struct("=i"), Struct(">H")

_VLAN_PROTOCOLS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}  # ETH_P_8021Q, ETH_P_8021AD of linux/if_ether.h


class StrayedError(Exception):
    """setns(2) back into our own network namespace failed: nothing may run here that depends on it.

    Not an EniLedgerError on purpose: nothing that handles ordinary failures of an observation may go on after
    it.
    """


class Link:
    """One network interface.

    `index`, `name`; `mac` six octets, lower case, or None; `kind` is `vlan`, `veth`, ... or empty; `vlan_id` and
    `vlan_protocol` (`802.1Q`, `802.1ad`) for VLAN links only; `parent` the index of the link beneath, in the namespace
    with the number `parent_nsid` (None for the same one); `master` the index of the bridge it is in.
    """

    __slots__ = ("index", "kind", "mac", "master", "name", "parent", "parent_nsid", "vlan_id", "vlan_protocol")

    def __init__(self, index: int, attrs: dict[int, bytes]) -> None:
        info = _attributes(attrs.get(_IFLA_LINKINFO, b""))
        data = _attributes(info.get(_IFLA_INFO_DATA, b""))
        self.index = index
        self.name = os.fsdecode(attrs.get(_IFLA_IFNAME, b"").rstrip(b"\0"))
        self.mac = mac_text(attrs.get(_IFLA_ADDRESS, b""))
        self.kind = info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
        vlan = data if self.kind == "vlan" else {}
        self.vlan_id = _number(_U16, vlan.get(_IFLA_VLAN_ID))
        self.vlan_protocol = protocol_text(_number(_BE16, vlan.get(_IFLA_VLAN_PROTOCOL)))
        self.parent = _number(_U32, attrs.get(_IFLA_LINK))
        self.parent_nsid = _number(_S32, attrs.get(_IFLA_LINK_NETNSID))
        self.master = _number(_U32, attrs.get(_IFLA_MASTER))


def pack_index(index: int) -> bytes:
    """Return an interface index as the kernel's structures have it."""
    return _S32.pack(index)


def mac_text(raw: bytes) -> str | None:
    """Return a hardware address of six octets as `0a:1b:...`, None for any other (tunnels have some too)."""
    return raw.hex(":") if len(raw) == 6 else None


def protocol_text(ethertype: int | None) -> str | None:
    """Return the name of a VLAN protocol, `0x9100` of one that has none; None for None."""
    return _VLAN_PROTOCOLS.get(ethertype, f"0x{ethertype:04x}") if ethertype is not None else None


def _number(form: Struct, raw: bytes | None) -> int | None:
    return int(form.unpack_from(raw)[0]) if raw is not None and len(raw) >= form.size else None


def _attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Return the netlink attributes from byte `at` on by type; what does not fit ends them, of two the later counts."""
    attributes = {}
    end = len(data)
    while at + _NLATTR.size <= end:
        length, kind = _NLATTR.unpack_from(data, at)
        if length < _NLATTR.size or at + length > end:
            break
        attributes[kind & 0x3FFF] = data[at + _NLATTR.size : at + length]  # the two upper bits are flags
        at += (length + 3) & ~3
    return attributes


def _messages(sock: _socket.socket, kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Send one request, yield type and body of each message of the answer. Raises OSError, ObserveError."""
    size = _NLMSGHDR.size
    sock.send(_NLMSGHDR.pack(size + len(body), kind, _NLM_F_REQUEST | flags, kind, 0) + body)
    read = 0
    while read < REPLY_LIMIT:
        data = sock.recv(1 << 16)
        read += len(data)
        at = 0
        while at + size <= len(data):
            length, answer, _, sequence, _ = _NLMSGHDR.unpack_from(data, at)
            if length < size or at + length > len(data):
                raise ObserveError("malformed netlink message", f"type {answer}, length {length}")
            payload = data[at + size : at + length]
            at += (length + 3) & ~3
            if sequence != kind:
                continue  # an answer to an earlier question that was not read to its end
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                code = -(_number(_S32, payload) or 0)
                raise OSError(code, os.strerror(code))
            yield answer, payload
            if not flags & _NLM_F_DUMP:
                return
    raise ObserveError("the namespace shows more than can be read", f"{REPLY_LIMIT} bytes for request {kind}")


def links(sock: _socket.socket) -> list[Link]:
    """Return all interfaces of the socket's namespace. Raises OSError, ObserveError."""
    return [Link(index, attributes) for index, attributes in link_attributes(sock)]


def link_attributes(sock: _socket.socket) -> Iterator[tuple[int, dict[int, bytes]]]:
    """Yield index and attributes (`IFLA_*`, by number) of each interface. Raises as `links`."""
    for kind, body in _messages(sock, _RTM_GETLINK, _NLM_F_DUMP, _IFINFOMSG.pack(0, 0, 0, 0, 0)):
        if kind == _RTM_NEWLINK and len(body) >= _IFINFOMSG.size:
            yield _IFINFOMSG.unpack_from(body)[2], _attributes(body, _IFINFOMSG.size)


def _ip_text(family: int, raw: bytes | None) -> str | None:
    size = {_socket.AF_INET: 4, _socket.AF_INET6: 16}.get(family)
    return _socket.inet_ntop(family, raw) if raw is not None and len(raw) == size else None


def addresses(sock: _socket.socket) -> dict[int, list[str]]:
    """Return the addresses with prefix length of each interface, by its index. Raises as `links`.

    Link-local addresses are left out, and so is an interface that has no others.
    """
    by_index: dict[int, list[str]] = {}
    for kind, body in _messages(sock, _RTM_GETADDR, _NLM_F_DUMP, _IFADDRMSG.pack(0, 0, 0, 0, 0)):
        if kind != _RTM_NEWADDR or len(body) < _IFADDRMSG.size:
            continue
        family, prefix, _, scope, owner = _IFADDRMSG.unpack_from(body)
        attrs = _attributes(body, _IFADDRMSG.size)
        address = _ip_text(family, attrs.get(_IFA_LOCAL, attrs.get(_IFA_ADDRESS)))
        if scope < _RT_SCOPE_LINK and address:
            by_index.setdefault(owner, []).append(f"{address}/{prefix}")
    return by_index


def default_gateways(sock: _socket.socket, index: int) -> list[str]:
    """Return the gateways of the default routes (main table) out of one interface. Raises as `links`."""
    gateways = []
    for kind, body in _messages(sock, _RTM_GETROUTE, _NLM_F_DUMP, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
        if kind != _RTM_NEWROUTE or len(body) < _RTMSG.size:
            continue
        family, destination, _, _, table = _RTMSG.unpack_from(body)[:5]
        attrs = _attributes(body, _RTMSG.size)
        gateway = _ip_text(family, attrs.get(_RTA_GATEWAY))
        ours = _number(_U32, attrs.get(_RTA_OIF)) == index and table == _RT_TABLE_MAIN
        if ours and destination == 0 and gateway and gateway not in gateways:
            gateways.append(gateway)
    return gateways


def nsid(sock: _socket.socket, netns_fd: int) -> int | None:
    """Return the number by which the socket's namespace knows the one that `netns_fd` is, None if by none."""
    body = b"\0\0\0\0" + _NLATTR.pack(8, _NETNSA_FD) + _U32.pack(netns_fd)
    for kind, answer in _messages(sock, _RTM_GETNSID, 0, body):
        if kind == _RTM_NEWNSID:
            number = _number(_S32, _attributes(answer, 4).get(_NETNSA_NSID))
            return number if number is not None and number >= 0 else None
    return None


def identity(path_or_fd: str | int) -> tuple[int, int]:
    """Return device and inode, which together are the identity of a namespace. Raises OSError."""
    status = os.stat(path_or_fd)
    return status.st_dev, status.st_ino


def open_socket(netns_fd: int, own_fd: int) -> _socket.socket:
    """Return an rtnetlink socket of the namespace `netns_fd`; this process is in `own_fd` before and after.

    Raises OSError or ImportError when entering is not possible, StrayedError when coming back is not.
    """
    home = identity(own_fd)
    if identity(netns_fd) == home:
        return _netlink_socket()
    try:
        _setns(netns_fd)
        if identity(OWN_NETNS) != identity(netns_fd):
            raise OSError("setns did not enter the namespace")
        return _netlink_socket()
    finally:
        _come_back(own_fd, home)


def _come_back(own_fd: int, home: tuple[int, int]) -> None:
    try:
        if identity(OWN_NETNS) != home:
            _setns(own_fd)
        if identity(OWN_NETNS) == home:
            return
    except (OSError, ImportError) as exc:
        raise StrayedError(f"cannot get back into our own network namespace: {exc}") from exc
    raise StrayedError("cannot get back into our own network namespace")


def _netlink_socket() -> _socket.socket:
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _socket.NETLINK_ROUTE)
    sock.settimeout(_TIMEOUT_S)
    return sock
