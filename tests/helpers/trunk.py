"""An 802.1Q trunk on a dummy link, pause processes with namespaces of their own, and what `ip` says about them.

`ip` is asked so that the plugin's own reading of the kernel is not its own judge.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helpers.cni_client import Conf

ADDRESS_OF_TRUNK = "0a:1b:2c:3d:00:01"


def run(*argv: str | Path) -> str:
    """Return what a command printed; the test fails when it does."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def kernel_has_trunks() -> bool:
    """Return whether this process may and can make a VLAN link on a dummy link."""
    script = "ip link add t0 type dummy && ip link add link t0 name t0.1 type vlan id 1"
    return subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, check=False).returncode == 0


@dataclass
class Trunk:
    """The trunk link."""

    name: str
    index: int
    mac: str


@contextmanager
def trunk(name: str = "enp40s0") -> Iterator[Trunk]:
    """Make the link and take it away again."""
    run("ip", "link", "add", name, "address", ADDRESS_OF_TRUNK, "type", "dummy")
    try:
        run("ip", "link", "set", name, "up")
        yield Trunk(name, int(Path(f"/sys/class/net/{name}/ifindex").read_text()), ADDRESS_OF_TRUNK)
    finally:
        run("ip", "link", "del", name)


class Pause:
    """A pause process in a network namespace of its own; use as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        self.pid = self._process.pid
        self.netns = f"/proc/{self.pid}/ns/net"
        own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + PATIENCE_S
        while Path(self.netns).readlink() == own:
            assert self._process.poll() is None, "unshare failed"
            assert time.monotonic() < deadline, "unshare does not come to an end"
            time.sleep(0.01)

    def __enter__(self) -> Pause:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; its namespace goes with it, a little later."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)


@contextmanager
def named_netns(name: str) -> Iterator[str]:
    """Make a namespace as `ip netns add` does; give its path."""
    run("ip", "netns", "add", name)
    try:
        yield f"/var/run/netns/{name}"
    finally:
        run("ip", "netns", "del", name)


def link(netns: str, ifname: str = "eth0") -> dict[str, Any]:
    """Return what `ip` knows of a link in a namespace: `address`, `link_index`, `linkinfo.info_data.id`, ..."""
    links = json.loads(run("nsenter", f"--net={netns}", "ip", "-d", "-j", "address", "show", "dev", ifname))
    assert len(links) == 1
    found = links[0]
    assert isinstance(found, dict)
    return found


def wait_for_no_vlan(vlan_id: int) -> None:
    """Wait until the kernel has taken down a dead namespace's VLAN link, which it does in the background."""
    deadline = time.monotonic() + PATIENCE_S
    listing = Path("/proc/net/vlan/config")
    while any(f"| {vlan_id} " in line for line in listing.read_text().splitlines()):
        assert time.monotonic() < deadline, f"VLAN {vlan_id} does not go away"
        time.sleep(0.05)


def branch(trunk_name: str, number: int, state_dir: Path, version: str = "1.0.0", **ledger: object) -> Conf:
    """Return a conflist for branch `number`: VLAN 100+number, 10.0.32.number, a MAC of its own, then eni-ledger."""
    return {
        "cniVersion": version,
        "name": "ecs-trunk",
        "plugins": [
            {
                "type": "vlan",
                "master": trunk_name,
                "vlanId": 100 + number,
                "ipam": {
                    "type": "static",
                    "addresses": [{"address": f"10.0.32.{number}/20", "gateway": "10.0.32.1"}],
                },
            },
            {"type": "tuning", "mac": mac(number)},
            {"type": "eni-ledger", "stateDir": os.fspath(state_dir), **ledger},
        ],
    }


def mac(number: int) -> str:
    """Return the MAC of branch `number`."""
    return f"0a:1b:2c:3d:01:{number:02x}"
