"""Stand-ins for the real plugins that an interposed call runs.

`script` writes one that does whatever a test says. `attach` and `answer` are vpc-branch-eni itself as far as the kernel
is concerned (commands.go in amazon-vpc-cni-plugins): the VLAN link on the trunk found by its MAC, moved into the
namespace, renamed, addresses, default route, IMDS blocked. This file is that program when it is executed; `Resident`
serves the same from the test's own process behind a client of four lines, because in the virtual machine Python needs
seconds to load pyroute2.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import json
import os
import shlex
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyroute2 import IPRoute

VERSION = '{"version":"2026.01.0","dirty":false,"gitShortHash":"0123456"}'
CAPABILITIES = '{"capabilities":["awsvpc-network-mode"]}'
_IMDS = ("169.254.169.254/32", "fd00:ec2::254/128")
_RTN_BLACKHOLE = 6


def script(path: Path, *lines: str) -> Path:
    """Write a shell script and make it executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


@contextmanager
def inside(netns: str) -> Iterator[IPRoute]:
    """Give rtnetlink in another network namespace; this thread is in it only while the socket is made."""
    from pyroute2 import IPRoute

    libc = ctypes.CDLL(None, use_errno=True)
    own, there = (os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in ("/proc/thread-self/ns/net", netns))
    try:
        if libc.setns(there, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        route = IPRoute()
        assert libc.setns(own, 0) == 0
    finally:
        os.close(own)
        os.close(there)
    with route:
        yield route


def attach(conf: Mapping[str, Any], netns: str, ifname: str) -> None:
    """Make the branch's link in `netns`. Raises NetlinkError, OSError."""
    from pyroute2 import IPRoute, NetlinkError

    with IPRoute() as host:
        trunk = next(
            link
            for link in host.get_links()
            if link.get("ifname") == conf.get("trunkName") or link.get("address") == conf.get("trunkMACAddress")
        )
        host.link("set", index=trunk["index"], state="up")
        vlan = int(conf["branchVlanID"])
        name = f"{trunk.get('ifname')}.{vlan}"
        known = {"ifname": name, "kind": "vlan", "link": trunk["index"], "vlan_id": vlan}
        try:
            host.link("add", **known, address=conf["branchMACAddress"])
        except NetlinkError as exc:
            if exc.code != errno.EEXIST:
                raise
            _reset(netns, conf)  # perhaps of an earlier ADD of the same
        else:
            there = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
            host.link("set", ifname=name, net_ns_fd=there)
            os.close(there)
    with inside(netns) as route:
        index = _by_mac(route, conf)
        if not route.link_lookup(ifname=ifname):
            route.link("set", index=index, ifname=ifname)
        route.link("set", index=index, state="up")
        for text in conf.get("ipAddresses", ()):
            address, _, length = text.partition("/")
            route.addr("add", index=index, address=address, prefixlen=int(length))
        for gateway in conf.get("gatewayIPAddresses", ()):
            default = "default" if ipaddress.ip_address(gateway).version == 4 else "::/0"
            route.route("add", dst=default, gateway=gateway, oif=index)
        for network in _IMDS if conf.get("blockInstanceMetadata") else ():
            route.route("add", dst=network, type=_RTN_BLACKHOLE)


def _by_mac(route: IPRoute, conf: Mapping[str, Any]) -> int:
    found = [link["index"] for link in route.get_links() if link.get("address") == conf["branchMACAddress"]]
    if not found:
        raise OSError(errno.ENODEV, f"no link with {conf['branchMACAddress']}")
    return int(found[0])


def _reset(netns: str, conf: Mapping[str, Any]) -> None:
    with inside(netns) as route:
        route.flush_addr(index=_by_mac(route, conf))


def answer(env: Mapping[str, str], stdin: str) -> tuple[int, str]:
    """Return exit status and standard output of one call, having done what it asks for."""
    try:
        conf = json.loads(stdin)
        for pair in filter(None, env.get("CNI_ARGS", "").split(";")):
            key, _, value = pair.partition("=")
            name = {"BranchVlanID": "branchVlanID", "BranchMACAddress": "branchMACAddress"}.get(key)
            name = name or {"IPAddresses": "ipAddresses", "GatewayIPAddresses": "gatewayIPAddresses"}.get(key)
            if name:
                conf[name] = value.split(",") if key.endswith("Addresses") else value
        if env["CNI_COMMAND"] == "ADD":
            attach(conf, env["CNI_NETNS"], env["CNI_IFNAME"])
            link = {"name": env["CNI_IFNAME"], "mac": conf["branchMACAddress"], "sandbox": env["CNI_NETNS"]}
            return 0, json.dumps({"cniVersion": conf["cniVersion"], "interfaces": [link], "dns": {}})
        if "/" in env["CNI_NETNS"]:
            with inside(env["CNI_NETNS"]) as route:
                route.link("del", index=_by_mac(route, conf))
    except Exception as exc:  # as the real one says it
        return (0, "") if env["CNI_COMMAND"] == "DEL" else (1, json.dumps({"code": 999, "msg": str(exc)}))
    return 0, ""


class Resident:
    """vpc-branch-eni in `directory`, served by a thread of this process; use as a context manager.

    One call at a time: the client and the thread talk over two FIFOs.
    """

    _KEYS = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._request, self._answer = directory / "request", directory / "answer"
        format_, values = "\\t".join(["%s"] * 6), " ".join(f'"${key}"' for key in self._KEYS)
        script(
            directory / "vpc-branch-eni",
            f"case $1 in --version) echo {shlex.quote(VERSION)}; exit;; --capabilities) echo "
            f"{shlex.quote(CAPABILITIES)}; exit;; esac",
            "IFS= read -r conf",
            f"printf '{format_}\\n' {values} \"$conf\" >{self._request}",
            f"{{ read -r status; IFS= read -r answer; }} <{self._answer}",
            'printf %s "$answer"; exit "$status"',
        )
        os.mkfifo(self._request)
        os.mkfifo(self._answer)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Resident:
        import pyroute2  # noqa: F401 - now, and not while a call waits

        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._request.write_text("end")
        self._thread.join(600)

    def _serve(self) -> None:
        while (said := self._request.read_text()) != "end":
            *values, conf = said.rstrip("\n").split("\t", 5)
            status, document = answer(dict(zip(self._KEYS, values, strict=True)), conf)
            self._answer.write_text(f"{status}\n{document}\n")


def main() -> int:
    if sys.argv[1:]:
        print({"--version": VERSION, "--capabilities": CAPABILITIES}[sys.argv[1]])
        return 0
    status, document = answer(os.environ, sys.stdin.read())
    sys.stdout.write(document)
    return status


if __name__ == "__main__":
    sys.exit(main())
