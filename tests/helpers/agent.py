"""The ECS agent's side of a plugin call: its environment, its standard input, its plugin directory, pause processes.

What the agent passes is in `agent/ecscni` and libcni's `pkg/invoke`: the agent's own environment, then CNI_*; no
arguments; a network configuration built in code. On DEL the namespace is the literal `none`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.patience import PATIENCE_S, until
from helpers.plugin import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUNK_MAC = "0a:ff:ee:dd:cc:bb"
#: What the agent's own process has beside the variables of the image.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOSTNAME": "ip-10-0-32-100",
    "ECS_DATADIR": "/data",
    "ECS_LOGFILE": "/log/ecs-agent.log",
    "ECS_AGENT_CONFIG_FILE_PATH": "/etc/ecs/ecs.config.json",
    "ECS_ENABLE_TASK_ENI": "true",
    "ECS_CNI_PLUGINS_PATH": "/data/eni-ledger/plugins",
    "VPC_CNI_LOG_FILE": "/log/vpc-branch-eni.log",
    "ECS_CNI_LOGLEVEL": "info",
}


@dataclass
class Branch:
    """A branch ENI that the agent hands to a task: container ID of the pause container, and what it declares."""

    container_id: str
    vlan: int
    mac: str
    addresses: list[str]
    gateways: list[str] = field(default_factory=lambda: ["10.0.32.1"])
    trunk_mac: str = TRUNK_MAC
    block_imds: bool = True

    def stdin(self) -> bytes:
        """Return the network configuration as it reaches vpc-branch-eni."""
        conf = {
            "cniVersion": "0.3.0",
            "name": "network-name",
            "type": "vpc-branch-eni",
            "trunkMACAddress": self.trunk_mac,
            "branchVlanID": str(self.vlan),
            "branchMACAddress": self.mac,
            "ipAddresses": self.addresses,
            "gatewayIPAddresses": self.gateways,
            "blockInstanceMetadata": self.block_imds,
            "interfaceType": "vlan",
        }
        return json.dumps(conf, separators=(",", ":")).encode()


class Agent:
    """The agent with eni-ledger installed under `home`: `plugins/` of links to `front`, `config.json`, `state/`.

    `delegates` is the directory of the real plugins, `config` further keys of the configuration file.
    """

    def __init__(self, home: Path, front: Path, delegates: Path, **config: object) -> None:
        self.home = home
        self.state_dir = home / "state"
        self.plugins = home / "plugins"
        self.plugins.mkdir(parents=True)
        for name in ("vpc-branch-eni", "vpc-eni", "ecs-eni"):
            (self.plugins / name).symlink_to(front)
        self.agent_db = home / "agent.db"
        self._config = {
            "stateDir": str(self.state_dir),
            "delegateDir": str(delegates),
            "agentDb": str(self.agent_db),
            "journald": False,
        }
        self.configure(**config)

    def configure(self, **config: object) -> None:
        """Change the configuration file."""
        self._config |= config
        (self.home / "config.json").write_text(json.dumps(self._config))

    def environment(self, command: str, container_id: str, netns: str, **more: str) -> dict[str, str]:
        """Return the whole environment of a call."""
        return {
            **ENVIRONMENT,
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container_id,
            "CNI_NETNS": netns,
            "CNI_ARGS": "",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self.plugins),
            **more,
        }

    def call(
        self,
        env: Mapping[str, str],
        stdin: bytes,
        *arguments: str,
        plugin: str = "vpc-branch-eni",
        timeout: float = PATIENCE_S,
    ) -> Answer:
        """Execute a plugin and return what came of it."""
        done = subprocess.run(
            [self.plugins / plugin, *arguments],
            input=stdin,
            env=dict(env),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Answer(done)

    def add(self, branch: Branch, netns: str, **env: str) -> Answer:
        """ADD, as for a task that starts."""
        return self._finished(self.call(self.environment("ADD", branch.container_id, netns, **env), branch.stdin()))

    def delete(self, branch: Branch, **env: str) -> Answer:
        """DEL, as for a task that has stopped."""
        return self._finished(self.call(self.environment("DEL", branch.container_id, "none", **env), branch.stdin()))

    def _finished(self, answer: Answer) -> Answer:
        """Return the answer once its record is written.

        On a machine as busy as one that emulates another, the answer comes before that, and says so: the line is taken
        out, for it is no failure, and the recorder, which goes on by itself, is waited for.
        """
        lines = answer.stderr.splitlines(keepends=True)
        on_time = [line for line in lines if " not recorded: it is not done " not in line]
        if len(on_time) < len(lines):
            front = Path(os.path.realpath(self.plugins / "vpc-branch-eni"))
            recorders = {str(front), str(front.parent / "_internal/eni-ledger-python")}
            until(
                lambda: recorders.isdisjoint(map(_executable, Path("/proc").glob("[0-9]*"))),
                "the recorder did not end",
            )
            answer.stderr = "".join(on_time)
        return answer

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of the active segment, all or those of `kinds`, as the file has them."""
        path = self.state_dir / "ledger.jsonl"
        found = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
        return [event for event in found if not kinds or event["event"] in kinds]


def _executable(process: Path) -> str:
    """Return the program that a process executes, empty when it has ended."""
    try:
        return str((process / "exe").readlink())
    except OSError:
        return ""


_MAKER = """
import ctypes, os, signal, sys
unshare = ctypes.CDLL(None).unshare
for line in sys.stdin:
    if line == "new\\n":
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, b"%d" % unshare(0x40000000))
            os.close(0)
            signal.pause()
        assert os.read(reading, 1) == b"0"
        os.close(reading), os.close(writing)
        print(pid, flush=True)
    else:
        os.kill(int(line), 9)
        os.waitpid(int(line), 0)
        print(flush=True)
"""


class Pauses:
    """Makes pause processes, each in a network namespace of its own, quicker than `unshare` is; a context manager."""

    def __init__(self) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _MAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._alive: set[int] = set()

    def __enter__(self) -> Pauses:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._alive):
            self.stop(pid)
        self._maker.communicate(timeout=PATIENCE_S)

    def start(self) -> int:
        """Return the process ID of a new one."""
        pid = int(self._ask("new"))
        self._alive.add(pid)
        return pid

    def stop(self, pid: int) -> None:
        """End one and wait for its end. Its namespace goes a little later."""
        self._alive.discard(pid)
        self._ask(str(pid))

    def _ask(self, line: str) -> str:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write(line + "\n")
        self._maker.stdin.flush()
        return self._maker.stdout.readline()


def real_delegates() -> Path | None:
    """Return where the real plugins are, None when nobody says."""
    named = os.environ.get("ENI_LEDGER_TEST_DELEGATE_DIR")
    return Path(named) if named else None
