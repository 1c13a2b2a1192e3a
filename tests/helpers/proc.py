"""A directory laid out like proc(5), as far as it tells which process is the ECS agent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

AGENT_ENVIRONMENT = {"ECS_DATADIR": "/data"}  # what ecs-init always sets


def make_process(
    proc: Path,
    pid: int,
    name: str,
    env: Mapping[str, str],
    root: Path | None = None,
    *,
    uid: int = 0,
    start: int = 6000,
) -> Path:
    """Make the files of a process of this user namespace and return their directory.

    `root` is its root directory; `start` is in clock ticks after boot.
    """
    made = proc / str(pid)
    (made / "ns").mkdir(parents=True, exist_ok=True)
    (made / "comm").write_text(name + "\n")
    (made / "environ").write_bytes(b"".join(f"{key}={value}\0".encode() for key, value in env.items()))
    (made / "status").write_text(f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    (made / "stat").write_text(f"{pid} ({name}) S {' '.join(['0'] * 18)} {start} 0\n")
    (made / "mountinfo").write_text("")
    for link, target in (("exe", sys.executable), ("ns/user", "/proc/self/ns/user"), ("root", str(root or "/"))):
        (made / link).unlink(missing_ok=True)
        (made / link).symlink_to(target)
    return made
