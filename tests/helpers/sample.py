"""Makes the ledger that `--sample` asks, `cni/eni_ledger/sample/`, with the writer of this project.

`build/sample` runs it; a test holds what it makes against what is there.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from eni_ledger.ledger.format.live import association_of, identity_of
from eni_ledger.ledger.write import rotation, writer
from helpers.ledgers import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft, Event


INSTANCE = "i-0c0ffee0123456789"
BOOTS = ("5a3c1d20-0000-4000-8000-000000000001", "5a3c1d20-0000-4000-8000-000000000002")
ARN = "arn:aws:ecs:eu-central-1:123456789012:task"
TRUNKS = (
    ("0a:58:0c:ff:ee:01", "enp40s0", "eni-0c0ffee0000000001"),
    ("0a:58:0c:ff:ee:02", "enp41s0", "eni-0c0ffee0000000002"),
)


class Host:
    """The host of the sample: tasks come and go at the times that `at` sets."""

    def __init__(self, state_dir: Path) -> None:
        self.now_us = 0
        self._settings = settings(state_dir, sync=True)
        self._random = random.Random("the sample")
        self._numbers = itertools.count(1)
        self._boot = BOOTS[0]
        self._live: dict[str, Draft] = {}

    def at(self, time: str) -> None:
        """Set the clock, in UTC."""
        moment = datetime.strptime(f"2026-11-{time}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        self.now_us = int(moment.timestamp()) * 1_000_000 + self._random.randrange(1_000_000)

    def clock(self) -> int:
        """Return the time in microseconds, a little later each time."""
        self.now_us += self._random.randrange(400, 9000)
        return self.now_us

    def digits(self, count: int) -> str:
        """Return hex digits."""
        return f"{self._random.getrandbits(4 * count):0{count}x}"

    def start(self, name: str, family: str, trunk: int = 0, **over: Any) -> Event:
        """Record the ADD of a task, which is `name` here; `family` is `family:revision`, with `/service` behind it."""
        number, taken = next(self._numbers), list(self._live.values())
        vlan = next(n for n in range(101, 200) if all(one["vlan_id"] != n for one in taken))
        last = next(n for n in range(4, 200) if all(f"10.0.32.{n}/20" not in one["addresses"] for one in taken))
        definition, _, service = family.partition("/")
        mac, ifname, eni = TRUNKS[trunk]
        cluster = "staging" if trunk else "prod"
        event: Draft = {
            "event": "add",
            "instance_id": INSTANCE,
            "boot_id": self._boot,
            "agent_version": "1.97.1",
            "container_id": self.digits(64),
            "ifname": "eth0",
            "network": "ecs-task-eni",
            "eni_id": f"eni-{self.digits(17)}",
            "branch_mac": f"0a:58:0a:00:20:{number:02x}",
            "vlan_id": vlan,
            "addresses": [f"10.0.32.{last}/20"],
            "gateways": ["10.0.32.1"],
            "protocol": "vlan",
            "trunk_eni_id": eni,
            "trunk_mac": mac,
            "trunk_ifname": ifname,
            "vlan_protocol": "802.1Q",
            "netns": f"/proc/{4000 + 7 * number}/ns/net",
            "netns_inode": 4026532100 + 6 * number,
            "netns_dev": 4,
            "pid": 4000 + 7 * number,
            "observed_vlan_id": vlan,
            "observed_mac": f"0a:58:0a:00:20:{number:02x}",
            "task_arn": f"{ARN}/{cluster}/{self.digits(32)}",
            "cluster": cluster,
            "task_family": definition.split(":")[0],
            "task_revision": int(definition.split(":")[1]),
            **({"service": service} if service else {}),
            "via": "interposed",
            "plugin": "vpc-branch-eni",
            "cni_version": "0.3.0",
            "took_ms": round(self._random.uniform(38, 61), 1),
            **over,
        }
        self._live[name] = event = {key: value for key, value in event.items() if value is not None}
        return self.record(event)

    def stop(self, name: str) -> None:
        """Record the DEL of a task."""
        event = self._live.pop(name)
        self.record({"event": "del", "boot_id": self._boot, "via": "interposed", **attachment(event)})

    def record(self, event: Draft) -> Event:
        """Record an event and return it as written."""
        written = writer.record(self._settings, event)
        assert written is not None
        return written

    def reboot(self) -> None:
        """Have the next event be one of the next boot: all tasks have ended."""
        self._boot = BOOTS[1]
        self._live.clear()

    def seal(self) -> None:
        """Have the next event begin a new segment."""
        self._settings.rotate_bytes = 1

    def unseal(self) -> None:
        """Have the events after it follow in the same segment."""
        self._settings.rotate_bytes = 1 << 24


def attachment(event: Draft) -> Draft:
    return {key: event[key] for key in ("container_id", "ifname")}


def happen(host: Host) -> None:
    """Have happen what the sample tells of, in order of time."""
    host.at("23 08:00:12")
    services(host, 17)
    host.at("24 02:00:03")
    nightly(host, "24", 3)
    host.at("24 10:30:41")
    for n in (1, 2, 3):
        host.start(f"api-{n}-next", "api:18/api")
        host.stop(f"api-{n}")
    host.at("24 22:14:09")
    host.reboot()
    services(host, 18)
    host.seal()
    host.at("25 02:00:04")
    nightly(host, "25", 3)
    host.at("25 15:21:50")
    host.start("canary", "canary:3/canary", 1, observed_vlan_id=141, mismatch=["vlan_id"])
    host.at("25 15:58:07")
    host.stop("canary")
    host.at("26 02:00:03")
    nightly(host, "26", 3)
    host.at("26 11:02:30")
    job = host.start("report", "report:5")
    host.at("26 11:20:00")
    lost = identity_of(association_of(job))
    host.record({**lost, "event": "lost", "reason": "verify", "boot_id": BOOTS[1], "via": "scan"})
    host.at("27 02:00:02")
    nightly(host, "27", 2)
    host.at("27 03:12:41")
    host.stop("api-2")
    host.at("27 03:13:05")
    host.start("worker-3", "worker:8/worker")
    host.at("27 03:13:52")
    host.start("api-2", "api:18/api")
    host.at("27 03:20:16")
    failed = {"event": "add_failed", "instance_id": INSTANCE, "boot_id": BOOTS[1], "container_id": host.digits(64)}
    error = {
        "error_code": 100,
        "error_msg": "vpc-branch-eni: trunk enp40s0: link not found",
        "plugin": "vpc-branch-eni",
    }
    host.record({**failed, "ifname": "eth0", "via": "interposed", **error})
    host.at("27 09:30:00")
    late = host.start("search", "search:2/search", 1, task_arn=None, task_family=None, task_revision=None, service=None)
    host.at("27 09:31:04")
    found = {"task_arn": f"{ARN}/staging/{host.digits(32)}", "cluster": "staging", "task_family": "search"}
    known = {"association_id": late["association_id"], "identity_source": "agent-db", "boot_id": BOOTS[1]}
    host.record({"event": "identify", **known, **found, "task_revision": 2, "service": "search"})


def services(host: Host, api: int) -> None:
    for n in (1, 2, 3):
        host.start(f"api-{n}", f"api:{api}/api")
    for n in (1, 2):
        host.start(f"worker-{n}", "worker:8/worker")
        host.start(f"web-{n}", "web:31/web", 1)
    host.start("metrics", "metrics:4/metrics")


def nightly(host: Host, day: str, count: int) -> None:
    for n in range(count):
        host.start(f"batch-{n}", "batch:12")
        host.unseal()
    host.at(f"{day} 02:19:30")
    for n in range(count):
        host.stop(f"batch-{n}")


def make(target: Path) -> list[Path]:
    """Make the sample in `target`, which is emptied, and return its files."""
    with tempfile.TemporaryDirectory() as directory:
        state_dir = Path(directory) / "state"
        host = Host(state_dir)
        with (
            mock.patch.object(writer, "now_us", host.clock),
            mock.patch.object(rotation, "now_us", host.clock),
            mock.patch.object(os, "urandom", lambda count: bytes.fromhex(host.digits(2 * count))),
        ):
            happen(host)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(state_dir.iterdir()):
            if path.is_file() and path.name != "lock":
                shutil.copyfile(path, target / path.name)
    return sorted(target.iterdir())


if __name__ == "__main__":
    for made in make(Path(sys.argv[1])):
        print(made)
