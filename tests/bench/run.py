"""Running plugins and taking their time: wall clock from spawn to exit, of whole processes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter_ns

from bench.figures import BARE, delegate_names

_CONTAINERS = count(1)
_NULL = os.open(os.devnull, os.O_RDWR)
# Peak memory is asked of a process that is smaller than what it measures: the kernel counts for a child what its parent
# had when it was forked.
_PEAK = """
import os, sys
actions = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Failed(Exception):
    """A plugin did not do what it was asked for, so that its time means nothing."""


@dataclass
class Plugin:
    """A plugin with its configuration: what a runtime has of it."""

    name: str
    program: Path
    conf: Path
    netns: str
    command: str = "ADD"

    def environment(self, command: str, container: str, netns: str | None = None) -> dict[str, str]:
        """The environment of a call."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns or self.netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": "/usr/lib/cni",
            "PATH": os.environ["PATH"],
        }

    def start(self, command: str, container: str, netns: str | None = None) -> int:
        """Start a call; return its PID."""
        stdin = os.open(self.conf, os.O_RDONLY)
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, _NULL, 1), (os.POSIX_SPAWN_DUP2, _NULL, 2)]
        try:
            return os.posix_spawn(
                self.program, [str(self.program)], self.environment(command, container, netns), file_actions=actions
            )
        finally:
            os.close(stdin)

    def timed(self, command: str, container: str) -> tuple[float, float]:
        """Return the milliseconds that a call takes: by the clock, and of processor time.

        Raises Failed when it exits with anything but 0.
        """
        started = perf_counter_ns()
        pid = self.start(command, container)
        _, status, usage = os.wait4(pid, 0)
        taken = (perf_counter_ns() - started) / 1e6
        if status:
            raise Failed(f"{self.name}: {command} ended with status {os.waitstatus_to_exitcode(status)}")
        return taken, (usage.ru_utime + usage.ru_stime) * 1e3

    def add_and_del(self) -> tuple[float, float]:
        """Return what an ADD takes; the DEL that follows keeps the number of live associations."""
        container = new_container()
        taken = self.timed(self.command, container)
        self.timed("DEL", container)
        return taken

    def check(self, quiet: bool) -> None:
        """Make one ADD and its DEL and look at what they print. Raises Failed when it is not what it should be."""
        container = new_container()
        for command in (self.command, "DEL"):
            done = subprocess.run(
                [self.program],
                env=self.environment(command, container),
                stdin=self.conf.open(),
                capture_output=True,
                check=False,
            )
            if done.returncode or (quiet and done.stderr):
                raise Failed(f"{self.name}: {command}: {(done.stdout + done.stderr).decode(errors='replace')}")

    def peak_mib(self) -> float:
        """Return the peak of resident memory of one ADD, in MiB."""
        container = new_container()
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-S", "-c", _PEAK, self.program],
            env=self.environment("ADD", container),
            stdin=self.conf.open(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{self.name}: {done.stderr.decode(errors='replace')}")
        self.timed("DEL", container)
        return int(done.stdout) / 1024

    def all_at_once(self, namespaces: list[str]) -> float:
        """Return the milliseconds from the start of the first of many ADDs to the end of the last."""
        containers = [new_container() for _ in namespaces]
        started = perf_counter_ns()
        pids = [self.start("ADD", *pair) for pair in zip(containers, namespaces, strict=True)]
        states = [os.waitpid(pid, 0)[1] for pid in pids]
        taken = (perf_counter_ns() - started) / 1e6
        if any(states):
            raise Failed(f"{self.name}: {sum(map(bool, states))} of {len(states)} ADDs at once failed")
        for container, netns in zip(containers, namespaces, strict=True):
            os.waitpid(self.start("DEL", container, netns), 0)
        return taken


def new_container() -> str:
    """Return a container ID that was not used before."""
    return f"{next(_CONTAINERS):064x}"


def recorder(front: Path, directory: Path, netns: str, name: str, *, journald: bool) -> Plugin:
    """Return eni-ledger as a chained plugin that writes to the state directory `directory`."""
    mac = "0a:00:00:00:00:01"
    conf = {
        "cniVersion": "1.0.0",
        "name": "ecs-trunk",
        "type": "eni-ledger",
        "stateDir": str(directory),
        "journald": journald,
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "eth0", "mac": mac, "sandbox": netns}],
            "ips": [{"interface": 0, "address": "10.0.32.1/20", "gateway": "10.0.47.254"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.47.254"}],
            "dns": {},
        },
    }
    path = directory.with_suffix(".conf")
    path.write_text(json.dumps(conf))
    return Plugin(name, front, path, netns)


def interposed(
    front: Path, directory: Path, netns: str, delegate_ms: int, *, agent_db: Path | None
) -> tuple[Plugin, Plugin]:
    """Return a delegate that takes `delegate_ms` milliseconds: with eni-ledger in front of it, and alone.

    `directory` gets what `install ecs` lays out: plugins, configuration, state.
    """
    delegates, plugins = directory / "delegates", directory / "plugins"
    for made in (delegates, plugins):
        made.mkdir(parents=True)
    delegate = delegates / "vpc-branch-eni"
    answer = '{"cniVersion":"0.3.0","interfaces":[]}'
    delegate.write_text(f"#!/bin/sh\nsleep {delegate_ms / 1000}\necho '{answer}'\n")
    delegate.chmod(0o755)
    (plugins / "vpc-branch-eni").symlink_to(front)
    settings = {"stateDir": str(directory / "state"), "delegateDir": str(delegates)}
    settings["agentDb"] = str(agent_db or directory / "none.db")
    (directory / "config.json").write_text(json.dumps(settings))
    conf = directory / "agent.conf"
    conf.write_text(
        json.dumps(
            {
                "cniVersion": "0.3.0",
                "name": "network-name",
                "type": "vpc-branch-eni",
                "trunkMACAddress": "0a:ff:ee:dd:cc:bb",
                "branchVlanID": "101",
                "branchMACAddress": "0a:1b:2c:3d:00:01",
                "ipAddresses": ["10.0.32.1/20"],
                "gatewayIPAddresses": ["10.0.47.254"],
                "blockInstanceMetadata": True,
                "interfaceType": "vlan",
            }
        )
    )
    in_front, alone = delegate_names(delegate_ms, agent_db=agent_db is not None)
    return Plugin(in_front, plugins / "vpc-branch-eni", conf, netns), Plugin(alone, delegate, conf, netns)


def bare(front: Path, conf: Path, netns: str) -> Plugin:
    """Return the front door doing the least that it can: VERSION."""
    return Plugin(BARE, front, conf, netns, command="VERSION")


def host_local(program: Path, directory: Path, netns: str) -> Plugin:
    """Return Go's host-local with a range of its own, as the measure of all."""
    ipam = {"type": "host-local", "dataDir": str(directory), "subnet": "10.200.0.0/16"}
    path = directory.with_suffix(".conf")
    path.write_text(json.dumps({"cniVersion": "1.0.0", "name": "bench", "type": "host-local", "ipam": ipam}))
    return Plugin("host-local", program, path, netns)


def spooled(directory: Path) -> int:
    """Return how many adds of a state directory went through the spool."""
    lines = (line for path in directory.glob("ledger*.jsonl") for line in path.read_bytes().splitlines())
    return sum(b'"event":"add"' in line and b'"spool":"' in line for line in lines)
