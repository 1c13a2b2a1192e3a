"""The place where it is measured: namespaces with an interface each, and a real journald.

Everything is made in the mount and network namespace that build/bench gave this process, with a `/run` of its own, so
nothing of it is left when the process ends.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from helpers.patience import PATIENCE_S

JOURNALD = Path("/lib/systemd/systemd-journald")
SOCKET = Path("/run/systemd/journal/socket")
# No rate limit: a run sends more than a host does.
_CONFIG = """[Journal]
Storage=volatile
Audit=no
ReadKMsg=no
Seal=no
RateLimitIntervalSec=0
ForwardToWall=no
"""


def own_run() -> None:
    """Put an empty `/run` over the machine's, for this process and its children. Raises CalledProcessError."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def make_namespaces(count: int) -> list[str]:
    """Return the paths of `count` new network namespaces, each with an eth0 that has an address.

    Raises CalledProcessError when the kernel refuses.
    """
    batch = []
    for n in range(count):
        subprocess.run(["ip", "netns", "add", f"task{n}"], check=True)
        batch += [f"link add host{n} type veth peer name eth0 netns task{n}"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)
    for n in range(count):
        inside = f"addr add {address(n)} dev eth0\nlink set eth0 up\nlink set lo up\n"
        subprocess.run(["ip", "-netns", f"task{n}", "-batch", "-"], input=inside, text=True, check=True)
    return [f"/var/run/netns/task{n}" for n in range(count)]


def address(n: int) -> str:
    """Return the address of the n-th namespace's eth0."""
    return f"10.0.{32 + n // 250}.{1 + n % 250}/20"


class Journald:
    """A systemd-journald under the standard paths, seen by this process and its children only.

    `why_not` says why there is none, else it is empty.
    """

    def __init__(self) -> None:
        self.why_not = ""
        self._process: subprocess.Popen[bytes] | None = None
        if not JOURNALD.exists():
            self.why_not = f"{JOURNALD} is not installed"
            return
        config = Path("/run/systemd/journald.conf.d/bench.conf")
        config.parent.mkdir(parents=True)
        config.write_text(_CONFIG)
        self._process = subprocess.Popen(
            [JOURNALD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_S
        while not SOCKET.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                self.why_not = "systemd-journald does not start here"
                return
            time.sleep(0.01)

    def entries(self) -> int:
        """Return how many entries of eni-ledger it has taken."""
        subprocess.run(["journalctl", "--sync"], check=False, capture_output=True)
        found = subprocess.run(
            ["journalctl", "-o", "cat", "--no-pager", "SYSLOG_IDENTIFIER=eni-ledger"],
            check=False,
            capture_output=True,
        )
        return found.stdout.count(b"\n")

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
