"""The files of `install ecs`, and their paths in the agent's container.

::

    /var/lib/ecs/data/eni-ledger/            in the container: /data/eni-ledger
        versions/0.1.0-3f9a1c20de41/         the bundle; the name has the version and a hash of the content
        bundle -> versions/0.1.0-...         swapped by rename: a call in progress goes on with the version it started
        plugins/                             ECS_CNI_PLUGINS_PATH
            vpc-branch-eni -> ../bundle/eni-ledger
            ecs-bridge -> /amazon-ecs-cni-plugins/ecs-bridge      of the agent's image, so always its version
        config.json                          settings of the calls, with paths of the container
        state/                               the ledger
        installed.json                       what was there before, for `uninstall`
    /etc/eni-ledger/config.json              the same settings for commands on the host, with paths of the host
    /etc/ecs/ecs.config                      one line in it
    /usr/local/bin/eni-ledger                a link to the bundle's, unless the file exists
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

from eni_ledger.base import config
from eni_ledger.base.errors import InstallError
from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.install.tree import Tree

AGENT_DATA = "/var/lib/ecs/data"
BASE = f"{AGENT_DATA}/eni-ledger"
DATA_IN_CONTAINER = "/data"
IN_CONTAINER = f"{DATA_IN_CONTAINER}/eni-ledger"
VERSIONS = f"{BASE}/versions"
BUNDLE = f"{BASE}/bundle"
PLUGINS = f"{BASE}/plugins"
CONFIG = f"{BASE}/config.json"
STATE = f"{BASE}/state"
MANIFEST = f"{BASE}/installed.json"

ECS_DIR = "/etc/ecs"
ECS_CONFIG = f"{ECS_DIR}/ecs.config"
# Set by AWS's own images; ecs.config overrides it.
INSTANCE_CONFIG = "/var/lib/ecs/ecs.config"
KEY = "ECS_CNI_PLUGINS_PATH"
PLUGIN_PATH = f"{IN_CONTAINER}/plugins"
RESTART = ("systemctl", "restart", "ecs")

HOST_CONFIG_DIR = "/etc/eni-ledger"
HOST_CONFIG = config.CONFIG_FILE

FRONT = "eni-ledger"
CLI = "eni-ledger-cli"
INTERPRETER = "_internal/eni-ledger-python"  # of the front door in C

# The plugins of the agent's image that are not interposed: those that the agent calls (amazon-ecs-agent 1.105,
# agent/ecscni and ecs-agent/netlib) and the others that amazon-ecs-cni-plugins and amazon-vpc-cni-plugins build for
# Linux. A link to a plugin that the image lacks does no harm.
PASSED_ON = (
    "aws-appmesh",
    "ecs-bridge",
    "ecs-ipam",
    "ecs-serviceconnect",
    "vpc-bridge",
    "vpc-tunnel",
)
BRANCH_ENI, *WHOLE_ENI = INTERPOSED
_PLUGIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_plugin_name(name: str) -> bool:
    """Tell whether a file of this name in the agent's plugin directory can be a plugin."""
    return _PLUGIN_NAME.fullmatch(name) is not None


def same_path(path: str | None, other: str) -> bool:
    """Tell whether both paths are absolute and equal after normalization."""
    return path is not None and path.startswith("/") and _normal(path) == _normal(other)


def is_ours(value: str | None) -> bool:
    """Tell whether a value of ECS_CNI_PLUGINS_PATH is our plugin directory, in any spelling."""
    return same_path(value, PLUGIN_PATH)


def _normal(path: str) -> str:
    return os.path.normpath(f"/{path.lstrip('/')}")  # normpath alone keeps two slashes at the beginning


def plugin_links(delegate_dir: str, more: list[str]) -> dict[str, str]:
    """Return the links of the plugin directory, name to target; `more` are further names in the agent's image."""
    names = {*PASSED_ON, *(name for name in more if is_plugin_name(name))} - {*INTERPOSED}
    links = {name: f"{delegate_dir}/{name}" for name in sorted(names)}
    return {**dict.fromkeys(INTERPOSED, f"../bundle/{FRONT}"), **links}


def lacking(present: Callable[[str], bool]) -> list[str]:
    """Return the delegates that an agent's plugin directory lacks; `present` tells whether it has a name.

    An agent has one plugin for whole ENIs: ecs-eni before September 2023, vpc-eni since.
    """
    absent = [] if present(BRANCH_ENI) else [BRANCH_ENI]
    return absent if any(map(present, WHOLE_ENI)) else [*absent, WHOLE_ENI[0]]


def default_delegate_dir() -> str:
    """Return the plugin directory of the agent's image."""
    return config.AGENT_PLUGIN_DIR


def call_settings(delegate_dir: str) -> dict[str, Any]:
    """Return the settings of config.json, for calls inside the agent's container."""
    return {
        "stateDir": f"{IN_CONTAINER}/state",
        "delegateDir": delegate_dir,
        "agentDb": config.AGENT_DB,
    }


def host_settings() -> dict[str, Any]:
    """Return the settings with which commands on the host find the same ledger."""
    return {"stateDir": STATE, "agentDb": f"{AGENT_DATA}/agent.db"}


def default_settings() -> dict[str, Any]:
    """Return the built-in defaults; a file that has them is treated as if it did not set them."""
    defaults = config.Settings()
    return {"stateDir": defaults.state_dir, "agentDb": defaults.agent_db}


def read_manifest(tree: Tree, path: str) -> dict[str, Any] | None:
    """Return the record of an earlier run, None if there is none. Raises InstallError if it cannot be read."""
    data = tree.read(path)
    if data is None:
        return None
    try:
        manifest = json.loads(data)
        if manifest["v"] != 1:
            raise InstallError("installed by a later eni-ledger", path, "use that version to uninstall or upgrade")
    except (ValueError, KeyError, TypeError) as exc:
        raise InstallError("the record of the installation cannot be read", f"{path}: {exc}") from exc
    return dict(manifest)


def dump_manifest(manifest: dict[str, Any]) -> bytes:
    """Return the record of an installation as JSON; bytes that are not UTF-8 become escapes."""
    return (json.dumps({"v": 1, **manifest}, indent=2) + "\n").encode()
