"""A process that is to /proc what the agent in its container is: a root directory of its own, by pivot_root(2)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers.patience import until

#: $1 is an empty directory, $2 the host's data directory. To be run in a mount namespace of its own.
ENTER = """set -e
mount -t tmpfs tmpfs "$1"
mkdir -p "$1/data" "$1/proc" "$1/old" "$1/amazon-ecs-cni-plugins"
cp /bin/busybox "$1/busybox"
for name in vpc-branch-eni vpc-eni ecs-bridge; do ln "$1/busybox" "$1/amazon-ecs-cni-plugins/$name"; done
mount --bind "$2" "$1/data"
mount -t proc proc "$1/proc"
cd "$1"
pivot_root . old
exec /busybox sh -c '/busybox umount -l /old; /busybox mkfifo /end; printf agent >/proc/self/comm; read _ </end'
"""
UNSHARE = ("unshare", "--mount", "--propagation", "private")


def wait_for_name(pid: int, name: str = "agent") -> None:
    """Wait until a process has set its name."""
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == f"{name}\n", f"process {pid} is not called {name}")


@contextmanager
def container(directory: Path, data: Path, env: Mapping[str, str], *prefix: str) -> Iterator[int]:
    """Run such a process; `prefix` is what its command begins with. `directory` is empty."""
    command = [*prefix, *UNSHARE, "sh", "-c", ENTER, "sh", str(directory), str(data)]
    process = subprocess.Popen(command, env=dict(env))
    try:
        wait_for_name(process.pid)
        yield process.pid
    finally:
        process.kill()
        process.wait()
