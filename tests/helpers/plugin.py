"""Run the plugin as a runtime does: a process, CNI_* in its environment, JSON on its standard input."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")


class Answer:
    """What a call came to: `status`, `stdout` (bytes as they came), `stderr` (text)."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.status = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr.decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        """Return the one JSON document on standard output."""
        return json.loads(self.stdout)

    def code(self) -> int | None:
        """Return the CNI error code, None when the call succeeded."""
        if self.status == 0:
            return None
        code = self.json()["code"]
        assert isinstance(code, int)
        return code

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, stdout={self.stdout!r}, stderr={self.stderr!r})"


class Plugin:
    """The plugin as configured for one test.

    `executable` is the front door, `state_dir` the ledger's directory, `prefix` a command to run it under (`nsenter`,
    `setpriv`), `config` further keys of the network configuration. The environment is empty but for what the call
    has, as it is under a runtime that sets nothing else.
    """

    def __init__(
        self,
        executable: Path,
        state_dir: Path,
        *,
        version: str = "1.0.0",
        network: str = "ecs-trunk",
        prefix: Sequence[str | Path] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.executable = executable
        self.state_dir = state_dir
        self.version = version
        self.network = network
        self.prefix = [str(word) for word in prefix]
        self.config = {"journald": False, **(config or {})}

    def net_conf(self, prev: object = None, **keys: Any) -> dict[str, Any]:
        """Return the network configuration of a call; `prev` becomes prevResult unless it is None."""
        conf = {
            "cniVersion": self.version,
            "name": self.network,
            "type": "eni-ledger",
            "stateDir": str(self.state_dir),
            **self.config,
            **keys,
        }
        return conf if prev is None else conf | {"prevResult": prev}

    def call(
        self,
        command: str,
        stdin: bytes | dict[str, Any],
        *,
        container_id: str | None = "c0ffee",
        netns: str | Path | None = None,
        ifname: str | None = "eth0",
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        """Run one call and return what came of it. A parameter that is None is not in the environment."""
        given = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container_id,
            "CNI_NETNS": None if netns is None else str(netns),
            "CNI_IFNAME": ifname,
            "CNI_PATH": "/opt/cni/bin",
            **(env or {}),
        }
        done = subprocess.run(
            [*self.prefix, str(self.executable)],
            input=stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode(),
            capture_output=True,
            env={key: value for key, value in given.items() if value is not None},
            timeout=timeout,
            check=False,
        )
        return Answer(done)

    def add(self, prev: object, **how: Any) -> Answer:
        """ADD after a plugin whose result is `prev`."""
        return self.call("ADD", self.net_conf(prev), **how)

    def delete(self, prev: object = None, **how: Any) -> Answer:
        """DEL."""
        return self.call("DEL", self.net_conf(prev), **how)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of the active segment, all or those of `kinds`, as the file has them."""
        path = self.state_dir / "ledger.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [event for event in found if not kinds or event["event"] in kinds]


def result(
    version: str,
    *,
    ifname: str = "eth0",
    mac: str | None = None,
    sandbox: str = "/proc/1/ns/net",
    addresses: Sequence[str] = ("10.0.32.4/20",),
    gateway: str | None = "10.0.32.1",
) -> dict[str, Any]:
    """Return a CNI result in the form of `version`, as the plugin before ours would have printed it."""
    if version in ("0.1.0", "0.2.0"):
        found: dict[str, Any] = {"cniVersion": version}
        for address in addresses:
            entry = {"ip": address} | ({"gateway": gateway} if gateway else {})
            found["ip6" if ":" in address else "ip4"] = entry
        return found
    interface = {"name": ifname, "sandbox": sandbox} | ({"mac": mac} if mac else {})
    ips = []
    for address in addresses:
        ip: dict[str, Any] = {"address": address, "interface": 0} | ({"gateway": gateway} if gateway else {})
        ips.append(ip | ({} if version.startswith("1.") else {"version": "6" if ":" in address else "4"}))
    return {"cniVersion": version, "interfaces": [interface], "ips": ips, "dns": {}}


def own_netns() -> str:
    """Return a path of the namespace that the tests themselves run in."""
    return f"/proc/{os.getpid()}/ns/net"
