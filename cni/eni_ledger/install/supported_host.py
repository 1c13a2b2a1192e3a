"""Kinds of hosts whose ECS agent cannot be made to call other plugins, and how they are told.

Sources: bottlerocket-os/bottlerocket-core-kit, `packages/ecs-agent`: the agent is /usr/bin/amazon-ecs-agent of the
host, with ECS_CNI_PLUGINS_PATH and ECS_DATADIR of the host. amazon-ecs-agent 1.105, `ecs-agent/netlib/platform`
(`CNIPluginPathDefault`): the agent of Managed Instances calls the plugins in /usr/local/bin, and no setting changes it.
"""

from __future__ import annotations

from eni_ledger.base.errors import InstallError
from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.install.layout import DATA_IN_CONTAINER, KEY
from eni_ledger.install.tree import Tree

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5): the first that is there
ECS_INIT = "/usr/libexec/amazon-ecs-init"
MANAGED_PLUGINS = "/usr/local/bin"


def unsuited(tree: Tree, *, agent_runs: bool) -> InstallError | None:
    """Return why `install ecs` is of no use on this host, None when nothing speaks against it.

    `agent_runs` is whether an agent of this host's data directory was seen, which is proof that it runs in a container.
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
    found = managed_plugins(tree)
    if found and not tree.exists(ECS_INIT):
        return InstallError(
            f"{KEY} does not apply here: this is an instance that ECS manages",
            f"{', '.join(found)} in {MANAGED_PLUGINS} and no {ECS_INIT}: the agent of Managed Instances calls the "
            f"plugins in {MANAGED_PLUGINS}, whatever is set",
            "use container instances of your own",
        )
    return None


def managed_plugins(tree: Tree) -> list[str]:
    """Return which plugins of the agent's are where Managed Instances have them."""
    return [name for name in INTERPOSED if tree.exists(f"{MANAGED_PLUGINS}/{name}")]


def _system(tree: Tree) -> str:
    """Return the ID in os-release(5), empty without one."""
    for path in OS_RELEASE:
        data = tree.read(path)
        if data is None:
            continue
        for line in data.decode("utf-8", "replace").splitlines():
            if line.startswith("ID="):
                return line[3:].strip().strip("\"'").lower()
        return ""
    return ""
