"""Proves that a bundle runs in the agent's environment before the host is changed.

The environment has the file systems of the agent's container and no others. The trial calls the front door in it as
the agent does: VERSION, then an ADD as `vpc-branch-eni` with a stand-in as the delegate; the ADD must then be in the
ledger.
`trial_mountns.py` makes the environment from a private mount namespace. Where Docker answers, `trial_docker.py` uses a
container, which is closer; with the agent's image on the host, the agent's own plugins are the delegates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install.layout import CLI, FRONT, IN_CONTAINER, PLUGIN_PATH

# Host directory and where the agent's container has it, read-only (ecs-init/docker/docker_config.go); those that a
# program can load something from.
LIBRARIES = (
    ("/usr/lib", "/usr/lib"),
    ("/lib", "/lib"),
    ("/usr/lib64", "/usr/lib64"),
    ("/lib64", "/lib64"),
    ("/sbin", "/host/sbin"),
    ("/etc/alternatives", "/etc/alternatives"),
    ("/usr/sbin", "/usr/sbin"),
)
PROC = ("/proc", "/host/proc")

DELEGATES = "/amazon-ecs-cni-plugins"
STAND_IN = f"{IN_CONTAINER}/bundle/{CLI}"  # ignores CNI_*, prints its help and exits with 0
AS_PLUGIN = f"{PLUGIN_PATH}/vpc-branch-eni"
SETTINGS = {"stateDir": f"{IN_CONTAINER}/state", "delegateDir": DELEGATES, "journald": False}
LEDGER = f"{IN_CONTAINER}/state/ledger.jsonl"

CONTAINER_ID = "eni-ledger-proof"
_MAC = "0a:00:00:00:00:01"


class Unprovable(Exception):
    """The environment of the trial could not be made, which says nothing about the bundle."""


class TrialCall:
    """One call of a trial: the program, its environment and standard input."""

    def __init__(self, path: str, env: Mapping[str, str], stdin: bytes) -> None:
        self.path = path
        self.env = dict(env)
        self.stdin = stdin


def version_call() -> TrialCall:
    """Return the VERSION call."""
    stdin = json.dumps({"cniVersion": "1.0.0"}).encode()
    return TrialCall(f"{IN_CONTAINER}/bundle/{FRONT}", {"CNI_COMMAND": "VERSION", "CNI_PATH": DELEGATES}, stdin)


def add_call() -> TrialCall:
    """Return an ADD as the agent makes it, for an attachment that does not exist."""
    conf = {
        "cniVersion": "0.3.0",
        "name": "network-name",
        "type": "vpc-branch-eni",
        "trunkMACAddress": "0a:00:00:00:00:02",
        "branchVlanID": "1",
        "branchMACAddress": _MAC,
        "ipAddresses": ["192.0.2.1/24"],
        "gatewayIPAddresses": ["192.0.2.254"],
        "interfaceType": "vlan",
    }
    env = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": CONTAINER_ID,
        "CNI_NETNS": "/host/proc/1/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": PLUGIN_PATH,
    }
    return TrialCall(AS_PLUGIN, env, json.dumps(conf).encode())


def judge_version(status: int, stdout: bytes, stderr: bytes) -> None:
    """Raise InstallError unless the result answers `version_call`."""
    answer = _object(stdout)
    if status != 0 or not isinstance(answer.get("supportedVersions"), list):
        raise failed("it does not answer VERSION", status, stderr)


def judge_add(status: int, stdout: bytes, stderr: bytes, ledger: bytes | None) -> None:
    """Raise InstallError unless `add_call` reached the stand-in and its event is in `ledger`."""
    if status != 0 or not stdout.strip():
        raise failed("its call of the delegate fails", status, stderr)
    events = [_object(line) for line in (ledger or b"").splitlines()]
    if not any(event.get("event") == "add" and event.get("container_id") == CONTAINER_ID for event in events):
        raise failed("an ADD is not in the ledger", status, stderr)


def judge_capabilities(status: int, stdout: bytes, stderr: bytes) -> None:
    """Raise InstallError unless the result has the capability that the agent requires of vpc-branch-eni."""
    answer = _object(stdout)
    if status != 0 or "awsvpc-network-mode" not in (answer.get("capabilities") or ()):
        raise failed("the agent's own vpc-branch-eni does not answer through it", status, stderr)


def failed(what: str, status: int, stderr: bytes) -> InstallError:
    """Return the error for a bundle that failed a trial, with the last lines of its standard error."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    # Of the last two lines of a Python program the first is the reason, the second is from PyInstaller.
    output = " / ".join(line.strip() for line in lines[-2:]) if lines else "it says nothing"
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return InstallError(
        "this bundle does not run in the agent's container; nothing was changed",
        f"{what}: {how}, {output:.300}",
        "take a bundle for this machine's architecture and glibc; eni-ledger install ecs --dry-run tries again",
    )


def _object(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
