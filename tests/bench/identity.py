"""Whose ENI it is, asked under load: ADDs at once, while the agent commits to its database at every one of them.

The database has `TASKS` tasks and is written as bbolt writes it (`helpers.bolt_tree`): pages, sync, meta, sync. Each
task is saved before its ADD starts, as the agent does, and marked as stopped when its DEL is done. Rounds with the
look-up and without it (`agentDb` names no file) take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns
from typing import Any

from bench.__main__ import FRONT, say
from bench.figures import Target
from bench.history import CACHE
from bench.run import Failed, new_container
from bench.scene import Journald, make_namespaces, own_run
from eni_ledger.ledger.query.questions import History
from helpers.agent_db import task
from helpers.bolt_tree import TreeWriter

ADDS, AT_ONCE, TASKS, DELEGATE_MS = 500, 64, 200, 50
# A namespace is used again when the DEL of the task that had it is done.
NAMESPACES = 3 * AT_ONCE
IDENTIFIED, LATER_MS = 99.0, 1.0
ON, OFF = "with the look-up", "without it"
LOADS = CROWD, ALONE = f"{AT_ONCE} at once", "one at a time"
SINGLE = 25
_NULL = os.open(os.devnull, os.O_RDWR)
# As the real plugins, a program that starts quickly; a shell would take more processor time than we do.
_DELEGATE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(void)
{
    struct timespec work = {0, %d * 1000000L}, now;
    const char *command = getenv("CNI_COMMAND");
    if (command && strcmp(command, "ADD") == 0)
        nanosleep(&work, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("{\\"cniVersion\\":\\"0.3.0\\",\\"at\\":%%lld}\\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    return 0;
}
"""


@dataclass
class Task:
    """A task of the agent's and the calls for it."""

    number: int
    key: bytes
    value: bytes
    mac: str
    container: str
    netns: str
    started: int = 0
    answer: int = -1


@dataclass
class Round:
    """What one round came to: milliseconds of each ADD, from its delegate's answer to its end, of processor time."""

    walls: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    at_add: int = 0
    at_del: int = 0
    at_last: int = 0
    adds: int = 0


class Agent:
    """The agent: its database, its calls, at most `AT_ONCE` ADDs at a time."""

    def __init__(self, directory: Path, namespaces: list[str], chance: Random, *, looks: bool) -> None:
        self.directory = directory
        self.chance = chance
        self.namespaces = deque(namespaces)
        self.state = directory / "state"
        delegates, plugins = directory / "delegates", directory / "plugins"
        for made in (delegates, plugins):
            made.mkdir(parents=True)
        source = delegates / "delegate.c"
        source.write_text(_DELEGATE % DELEGATE_MS)
        subprocess.run(["cc", "-O2", "-o", delegates / "vpc-branch-eni", source], check=True)
        self.plugin = plugins / "vpc-branch-eni"
        self.plugin.symlink_to(FRONT)
        self.db = directory / "agent.db"
        settings = {"stateDir": str(self.state), "delegateDir": str(delegates)}
        settings["agentDb"] = str(self.db if looks else directory / "none.db")
        (directory / "config.json").write_text(json.dumps(settings))
        self.writer = TreeWriter(str(self.db), sync=True)
        self.writer.commit({b"metadata": {b"cluster-name": b'"prod"'}, b"images": {}, b"containers": {}})
        self.saved: deque[bytes] = deque()
        self.done: list[Task] = []
        for number in range(TASKS):
            old = self.task(number, "")
            self.writer.change({old.key: old.value.replace(b"RUNNING", b"STOPPED")})
            self.saved.append(old.key)

    def task(self, number: int, netns: str) -> Task:
        mac = f"0a:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}:01"
        key = f"{self.chance.getrandbits(128):032x}"
        more: dict[str, Any] = {
            "Containers": [{"Name": "app", "environment": {"PAD": "x" * self.chance.randrange(1000, 4000)}}]
        }
        stored = task(key, f"eni-{number:017x}", mac, vlan=1 + number % 4000, ip=self.address(number), **more)
        return Task(number, *stored, mac, new_container(), netns)

    @staticmethod
    def address(number: int) -> str:
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def save(self, new: Task) -> None:
        """Commit a task that begins, and what became of others, in one transaction."""
        put = {new.key: new.value} | {old.key: old.value.replace(b"RUNNING", b"STOPPED") for old in self.done}
        self.done.clear()
        self.saved.append(new.key)
        self.writer.change(put, [self.saved.popleft()])

    def start(self, command: str, of: Task) -> int:
        conf = {
            "cniVersion": "0.3.0",
            "name": "network-name",
            "type": "vpc-branch-eni",
            "trunkMACAddress": "0a:ff:ee:dd:cc:bb",
            "branchVlanID": str(1 + of.number % 4000),
            "branchMACAddress": of.mac,
            "ipAddresses": [f"{self.address(of.number)}/8"],
            "gatewayIPAddresses": ["10.255.255.254"],
            "interfaceType": "vlan",
        }
        stdin, of.answer = os.memfd_create("conf"), os.memfd_create("answer")
        os.write(stdin, json.dumps(conf).encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        actions = [
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, of.answer, 1),
            (os.POSIX_SPAWN_DUP2, _NULL, 2),
        ]
        env = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": of.container,
            "CNI_NETNS": of.netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self.plugin.parent),
        }
        of.started = perf_counter_ns()
        try:
            return os.posix_spawn(self.plugin, [str(self.plugin)], env, file_actions=actions)
        finally:
            os.close(stdin)

    def round(self, first: int, adds: int, result: Round, at_once: int = AT_ONCE) -> None:
        """Make `adds` ADDs, for each of them a DEL once as many others have begun as there are at once."""
        adding: dict[int, Task] = {}
        ending: dict[int, Task] = {}
        waiting: deque[Task] = deque()
        number = first
        while number < first + adds or adding or ending or waiting:
            while self.namespaces and len(adding) < at_once and number < first + adds:
                new = self.task(number, self.namespaces.popleft())
                number += 1
                self.save(new)
                adding[self.start("ADD", new)] = new
            last = number == first + adds and not adding
            while waiting and len(ending) < at_once and (len(waiting) > at_once or last):
                old = waiting.popleft()
                ending[self.start("DEL", old)] = old
            pid, status, usage = os.wait3(0)
            now = perf_counter_ns()
            if status:
                raise Failed(f"a call ended with status {os.waitstatus_to_exitcode(status)}")
            if pid in adding:
                of = adding.pop(pid)
                result.walls.append((now - of.started) / 1e6)
                result.processor.append((usage.ru_utime + usage.ru_stime) * 1e3)
                result.after.append((now - json.loads(os.pread(of.answer, 1000, 0))["at"]) / 1e6)
                waiting.append(of)
            else:
                of = ending.pop(pid)
                self.done.append(of)
                self.namespaces.append(of.netns)
            os.close(of.answer)

    def read(self, result: Round) -> None:
        """Count what the ledger knows: at ADD, after DEL, after `identify`."""
        history = History(str(self.state))
        added = [event for event in history.events() if event["event"] == "add"]
        result.adds += len(added)
        result.at_add += sum("eni_id" in event and "task_arn" in event for event in added)
        result.at_del += sum("eni_id" in one for one in history.all())
        settings = self.directory / "config.json"
        command = [str(FRONT), "--state-dir", str(self.state), "identify", "--source", "agent-db"]
        subprocess.run(command, env={**os.environ, "ENI_LEDGER_CONFIG": str(settings)}, check=False, stdout=_NULL)
        result.at_last += sum("eni_id" in one for one in history.all())


def measure(scratch: Path, rounds: int, adds: int) -> dict[tuple[str, str], Round]:
    """Take the rounds in turn, then single calls in turn. Raises Failed, OSError, CalledProcessError."""
    namespaces = make_namespaces(NAMESPACES)
    found = {(load, name): Round() for load in (CROWD, ALONE) for name in (ON, OFF)}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        agents = {}
        for name in (ON, OFF) if number % 2 else (OFF, ON):
            agents[name] = Agent(scratch / f"{number}-{name == ON}", namespaces, Random(number), looks=name == ON)
            agents[name].round(1000, adds, found[CROWD, name])
        agents[ON].read(found[CROWD, ON])
        for single in range(100_000, 100_000 + SINGLE):
            for name in (ON, OFF) if single % 2 else (OFF, ON):
                agents[name].round(single, 1, found[ALONE, name], 1)
        for agent in agents.values():
            shutil.rmtree(agent.directory)
    return found


def targets(found: dict[tuple[str, str], Round]) -> list[Target]:
    """What was to be reached, with what was."""
    on = found[CROWD, ON]

    def later(load: str) -> float:
        return median(found[load, ON].walls) - median(found[load, OFF].walls)

    return [
        Target("ADDs without ENI and task", 100 - IDENTIFIED, 100 - 100 * on.at_add / on.adds, " %"),
        Target("the same after DEL, or the next identify", 0, 100 - 100 * on.at_last / on.adds, " %"),
        *(Target(f"the answer later than without the look-up, {load}", LATER_MS, later(load), " ms") for load in LOADS),
    ]


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --identity")
    parser.add_argument("--rounds", type=int, default=6, help="of 500 ADDs each, with the look-up and without (6)")
    parser.add_argument("--adds", type=int, default=ADDS)
    options = parser.parse_args()
    scratch = CACHE / f"run-{os.getpid()}"
    scratch.mkdir(parents=True, mode=0o755)
    own_run()
    journald = Journald()
    try:
        found = measure(scratch, options.rounds, options.adds)
    except Failed as exc:
        say(str(exc))
        return 1
    finally:
        journald.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{'medians, ms':36} {'call':>9} {'behind its delegate':>20} {'processor':>10}")
    for (load, name), result in found.items():
        wall, after, processor = map(median, (result.walls, result.after, result.processor))
        print(f"{f'{load}, {name}':36} {wall:9.2f} {after:20.2f} {processor:10.2f}")
    on = found[CROWD, ON]
    print(f"identified of {on.adds}: {on.at_add} at ADD, {on.at_del} after DEL, {on.at_last} after identify\n")
    print("\n".join(target.line() for target in targets(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
