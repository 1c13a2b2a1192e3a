"""Trees of hosts to install on, bundles that are none, and pictures of a tree to compare."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.tree import Tree
from eni_ledger.install.trial_docker import DockerEngine

# Written by install and uninstall, so of these the time of the last change is another afterwards.
WRITTEN = ("etc/ecs/ecs.config", "etc/eni-ledger/config.json")
ECS_CONFIG = b"ECS_CLUSTER=prod\n# ours\n\nECS_ENABLE_TASK_ENI=true\n"


def make_host(root: Path, ecs_config: bytes | None = ECS_CONFIG) -> Path:
    """Make the tree of a host with the ECS agent and return it."""
    for name in ("etc/ecs", "var/lib/ecs/data", "var/log/ecs"):
        (root / name).mkdir(parents=True)
    (root / "var/lib/ecs/data/agent.db").write_bytes(b"bolt")
    (root / "etc/ecs/ecs.config.json").write_text("{}")
    if ecs_config is not None:
        (root / "etc/ecs/ecs.config").write_bytes(ecs_config)
        (root / "etc/ecs/ecs.config").chmod(0o640)
    return root


def make_bundle(directory: Path, version: str = "9.9.9") -> Path:
    """Make what looks like a bundle and says that it is `version`; return it."""
    (directory / "_internal").mkdir(parents=True)
    for name in ("eni-ledger", "eni-ledger-cli"):
        (directory / name).write_text(f"#!/bin/sh\necho eni-ledger {version}\n")
        (directory / name).chmod(0o755)
    (directory / "_internal/libpython.so").write_bytes(b"\x7fELF" + version.encode())
    (directory / "_internal/link").symlink_to("libpython.so")
    return directory


def picture(root: Path, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """Return everything below `root`: kind, mode, owner, content or target; of files also when they were changed."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        seen = path.lstat()
        kind: tuple[object, ...] = (stat.S_IFMT(seen.st_mode), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
        if path.is_symlink():
            found[name] = (*kind, str(path.readlink()))
        elif path.is_file():
            when = seen.st_mtime_ns if times and name not in WRITTEN else 0
            found[name] = (*kind, path.read_bytes(), when)
        else:
            found[name] = kind
    return found


class Nobody(Agent):
    """A host on which no agent runs."""

    def __init__(self, root: Path) -> None:
        proc = root.parent / "no-processes"
        proc.mkdir(exist_ok=True)
        super().__init__(str(proc), lambda _: 3)


def no_docker(root: Path) -> DockerEngine:
    """Return a Docker that is not there."""
    return DockerEngine(str(root / "no.sock"))


def killed_at(number: int, root: Path, work: Callable[[Path, Tree], object]) -> bool:
    """Do `work` in a process that is killed at its change `number`; return False when it came to its end."""
    seen = 0

    def after(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(root, Tree(str(root), after))
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(ended)
    assert code in (0, -signal.SIGKILL), code
    return code != 0
