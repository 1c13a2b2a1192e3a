"""Checks before a proof or a change. A reason to stop raises InstallError; the rest becomes a note."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from eni_ledger.base.errors import InstallError
from eni_ledger.install import layout, trial, trial_docker, trial_mountns
from eni_ledger.install.bundle import Bundle, machine_of
from eni_ledger.install.ecs_agent import Agent, refusal
from eni_ledger.install.supported_host import MANAGED_PLUGINS, managed_plugins, unsuited
from eni_ledger.install.tree import Tree

GLIBC = (2, 34)  # what packages are built for: build/portable/portable.py
_SPARE = 64 * 1024 * 1024  # bytes to leave for the ledger and the agent's database
_EXECUTABLES = ("/usr/bin/true", "/usr/sbin/init", "/sbin/init", "/bin/true")


class Unproven(InstallError):
    """The bundle was not tried: no environment for a trial could be made."""


def check_agent(tree: Tree, agent: Agent) -> None:
    """Raise InstallError when this host's ECS agent cannot be given another plugin directory, or would not see it."""
    others = agent.others() if tree.is_host else []
    if others:
        raise refusal(others[0])
    if why := unsuited(tree, agent_runs=tree.is_host and bool(agent.ours())):
        raise why


def check_ecs_host(tree: Tree) -> None:
    """Raise InstallError unless the tree has the ECS agent's directories."""
    wanted = ((layout.ECS_DIR, "the agent's configuration"), (layout.AGENT_DATA, "the agent's data directory"))
    missing = [f"{path}, {what}" for path, what in wanted if not tree.is_dir(path)]
    if missing:
        hint = "install the ecs-init package first; --root names the tree of an image"
        raise InstallError("this is no host of the ECS agent", f"there is no {'; no '.join(missing)}", hint)
    check_writable(tree, layout.ECS_DIR, layout.AGENT_DATA)


def check_writable(tree: Tree, *paths: str) -> None:
    """Raise InstallError unless the directories `paths`, or their nearest existing parents, are writable."""
    for path in paths:
        real = tree.real(tree.nearest(path))
        if os.statvfs(real).f_flag & os.ST_RDONLY:
            raise InstallError("this file system is read-only", real)
        if not os.access(real, os.W_OK | os.X_OK):
            raise InstallError("no permission to change this directory", real, "run this as root")


def check_place(tree: Tree, path: str, bundle: Bundle) -> None:
    """Raise InstallError unless the file system of `path` has room for the bundle and allows execution."""
    status = os.statvfs(tree.real(path))
    if status.f_flag & os.ST_NOEXEC:
        hint = "mount it without noexec"
        raise InstallError("programs must not be executed from this file system", tree.real(path), hint)
    free = status.f_bavail * status.f_frsize
    if free < bundle.size + _SPARE:
        wanted = (bundle.size + _SPARE) >> 20
        raise InstallError("there is not enough room", f"{tree.real(path)}: {free >> 20} MiB free, {wanted} MiB needed")


def check_machine(tree: Tree, bundle: Bundle) -> None:
    """Raise InstallError when the bundle is for another architecture than the host."""
    if tree.is_host:
        machine: str | None = os.uname().machine
    else:
        machine = next((one for path in _EXECUTABLES if (one := machine_of(tree.real(path)))), None)
    if machine and bundle.machine and machine != bundle.machine:
        raise InstallError(
            "the bundle is for another architecture",
            f"it is for {bundle.machine}, this is {machine}",
            f"take the one for {machine}",
        )


def notes(tree: Tree) -> list[str]:
    """Return what the operator should know of this host: an old glibc, SELinux."""
    found = []
    if there := managed_plugins(tree):
        found.append(
            f"{', '.join(there)} in {MANAGED_PLUGINS} too: an agent that calls those, as that of Managed Instances "
            f"does, takes no notice of {layout.KEY}"
        )
    if tree.is_host:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
        match = re.fullmatch(r"glibc (\d+)\.(\d+)", name)
        if match and (int(match[1]), int(match[2])) < GLIBC:
            found.append(f"this host has {name}; packages are made for glibc {GLIBC[0]}.{GLIBC[1]} and later")
        try:
            enforcing = Path("/sys/fs/selinux/enforce").read_text().strip() == "1"
        except OSError:
            enforcing = False
        if enforcing:
            found.append(
                "SELinux enforces here: if Docker runs with selinux-enabled, containers need the label "
                f"container_file_t on {layout.BASE}; ausearch -m avc shows what is refused"
            )
    return found


def prove(tree: Tree, bundle: Bundle, docker: trial_docker.DockerEngine) -> list[str]:
    """Show that the bundle runs in the agent's container; return how it was shown, one sentence each.

    Raises InstallError when it does not run there, Unproven when nothing can be tried.
    """
    attempts: list[Callable[[], str]] = [lambda: trial_mountns.prove_in_namespace(bundle.directory, tree.root)]
    if tree.is_host and docker.answers():
        attempts.append(lambda: trial_docker.prove_in_container(docker, bundle.directory))
    shown, unproven = [], []
    for attempt in attempts:
        try:
            shown.append(attempt())
        except trial.Unprovable as exc:
            unproven.append(str(exc))
    if not shown:
        raise Unproven(
            "it cannot be shown that the bundle runs in the agent's container; nothing was changed",
            "; ".join(unproven),
            "run this as root, outside of a container; --no-proof goes on without",
        )
    return [*shown, *(f"not tried: {words}" for words in unproven)]
