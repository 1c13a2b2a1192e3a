"""Recognize hosts on which no setting makes the ECS agent call other plugins.

Sources: bottlerocket-os/bottlerocket-core-kit, `packages/ecs-agent`: the agent is /usr/bin/amazon-ecs-agent of the
host, with ECS_CNI_PLUGINS_PATH and ECS_DATADIR of the host. amazon-ecs-agent 1.105, `ecs-agent/netlib/platform`
(`CNIPluginPathDefault`): the agent of Managed Instances calls the plugins in /usr/local/bin, and no setting changes it.
"""

from __future__ import annotations

from eni_ledger.base.errors import InstallError
from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.install.layout import DATA_IN_CONTAINER, KEY
from eni_ledger.install.tree import Tree

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5): the first that exists
ECS_INIT = "/usr/libexec/amazon-ecs-init"
MANAGED_PLUGINS = "/usr/local/bin"


def unsuited(tree: Tree, *, agent_runs: bool) -> InstallError | None:
    """Return why `install ecs` cannot work on this host, None if no reason is known.

    `agent_runs` is whether a running agent has this host's data directory, which proves that it runs in a container.
    """
    if agent_runs:
        return None
    if _system(tree) == "bottlerocket":
        return InstallError(
            "on Bottlerocket the ECS agent is a program of the host and not in a container",
            f"it has no root directory of its own with {DATA_IN_CONTAINER} in it, and its plugins are in the "
            "read-only image of the system",
            "use an ECS-optimized Amazon Linux image",
        )
    plugins = managed_plugins(tree)
    if plugins and not tree.exists(ECS_INIT):
        return InstallError(
            f"{KEY} does not apply here: this is an instance that ECS manages",
            f"{', '.join(plugins)} in {MANAGED_PLUGINS} and no {ECS_INIT}: the agent of Managed Instances calls the "
            f"plugins in {MANAGED_PLUGINS}, whatever is set",
            "use container instances of your own",
        )
    return None


def managed_plugins(tree: Tree) -> list[str]:
    """Return the names of the agent's plugins in the directory of Managed Instances."""
    return [name for name in INTERPOSED if tree.exists(f"{MANAGED_PLUGINS}/{name}")]


def _system(tree: Tree) -> str:
    """Return the ID in os-release(5), empty if it has none."""
    for path in OS_RELEASE:
        data = tree.read(path)
        if data is None:
            continue
        for line in data.decode("utf-8", "replace").splitlines():
            if line.startswith("ID="):
                return line[3:].strip().strip("\"'").lower()
        return ""
    return ""
