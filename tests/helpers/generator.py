"""Years of a busy host in minutes: a ledger of millions of events, with what is used again used again.

Made with the library's own codec and `Live`, segment by segment as the writer makes them, and with the truth beside it:
who had which address when, for some of them.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.line import VERSION, encode, format_ts

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Draft

BRANCHES = 120  # of the largest instances with trunking
TRUNK = "0a:ff:ff:ff:ff:01"
_FAMILIES = ("web", "api", "worker", "batch", "cron", "ingest", "mail", "search")


@dataclass
class Truth:
    """One association that the ledger must tell of: `until` is empty while it is live."""

    address: str
    container_id: str
    association_id: str
    since: str
    until: str


class Generator:
    """Writes a ledger into `directory`, which must not exist, beginning at `begins_us` (microseconds since 1970).

    Tasks come and go on some 100 branches: VLAN IDs 1 to 121, the lowest free one first, as the agent assigns them;
    some 700 addresses of a subnet, the one that was free the longest being the next; 400 namespace inodes; PIDs below
    32768.
    Every 500th add fails, every 200,000th event the host boots.
    """

    def __init__(self, directory: Path, seed: int, begins_us: int, rotate_bytes: int = 16 * 1024 * 1024) -> None:
        directory.mkdir(parents=True, mode=0o750)
        self.events = 0
        self.truth: list[Truth] = []
        self._directory = directory
        self._chance = random.Random(seed)
        self._rotate_bytes = rotate_bytes
        self._ts_us = begins_us
        self._crc = 0
        self._live: dict[str, Draft] = {}
        self._order: list[str] = []
        self._vlans = list(range(121, 0, -1))
        self._addresses = [f"10.0.{32 + n // 250}.{n % 250 + 4}" for n in range(700)]
        self._inodes = [4026532200 + n for n in range(400)]
        self._boot = 0
        self._size = 0
        self._first = 1
        self._file = (directory / segment.ACTIVE).open("wb", buffering=1 << 20)
        self._checkpoint(None)

    def run(self, events: int, truth_every: int = 1000) -> None:
        """Write events until there are `events`; keep the truth about every `truth_every`th association."""
        while self.events < events:
            if self.events % 200_000 == 199_999:
                self._reboot()
            busy = len(self._live) / BRANCHES
            if self._chance.random() > busy * 0.6:
                self._add(keep=self.events % truth_every < 2)
            else:
                self._del()
            if self._size >= self._rotate_bytes:
                self._rotate()

    def close(self) -> None:
        """Have everything on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _boot_id(self) -> str:
        return f"{self._boot:08x}-0000-4000-8000-000000000000"

    def _append(self, event: Draft) -> Draft:
        self._ts_us += self._chance.randrange(100_000, 60_000_000)
        self.events += 1
        event = {"ts": format_ts(self._ts_us), "seq": self.events, "v": VERSION, **event}
        line, self._crc = encode(event, self._crc)
        self._file.write(line)
        self._size += len(line)
        return event

    def _add(self, *, keep: bool) -> None:
        chance = self._chance
        if not self._vlans or chance.random() < 0.002:
            failed = {"event": "add_failed", "error_code": 100, "error_msg": "the trunk is gone", "took_ms": 80.1}
            self._append({**failed, "boot_id": self._boot_id(), "container_id": f"{chance.getrandbits(256):064x}"})
            return
        pid, family = chance.randrange(2000, 32768), chance.choice(_FAMILIES)
        mac = ":".join(f"{byte:02x}" for byte in (0x0A, *chance.randbytes(5)))
        vlan, address = self._vlans.pop(), self._addresses.pop(0)
        shared = {
            "association_id": f"assoc-{chance.getrandbits(68):017x}",
            "instance_id": "i-0123456789abcdef0",
            "boot_id": self._boot_id(),
            "container_id": f"{chance.getrandbits(256):064x}",
            "ifname": "eth0",
            "network": "network-name",
            "eni_id": f"eni-{chance.getrandbits(68):017x}",
            "branch_mac": mac,
            "vlan_id": vlan,
            "addresses": [f"{address}/20"],
            "gateways": ["10.0.32.1/20"],
            "protocol": "vlan",
            "trunk_mac": TRUNK,
            "trunk_ifname": "enp40s0",
            "trunk_ifindex": 3,
            "netns": f"/host/proc/{pid}/ns/net",
            "netns_inode": self._inodes.pop(0),
            "netns_dev": 4,
            "pid": pid,
            "pid_start": self._ts_us // 10_000,
            "observed_vlan_id": vlan,
            "observed_mac": mac,
            "task_arn": f"arn:aws:ecs:eu-central-1:123456789012:task/prod/{chance.getrandbits(128):032x}",
            "cluster": "prod",
            "task_family": family,
            "task_revision": "17",
        }
        event = self._append(
            {**shared, "event": "add", "via": "interposed", "plugin": "vpc-branch-eni", "took_ms": 61.2}
        )
        one = {**shared, "via": "interposed", "plugin": "vpc-branch-eni", "since": event["ts"], "add_seq": event["seq"]}
        key = str(one["association_id"])
        self._live[key] = one
        self._order.append(key)
        if keep:
            self.truth.append(Truth(address, str(one["container_id"]), key, event["ts"], ""))

    def _del(self) -> None:
        """End one, more often a young one: most tasks are short."""
        chance, order = self._chance, self._order
        if not order:
            return
        at = len(order) - 1 - int(len(order) * chance.random() ** 2 * 0.999)
        one = self._live.pop(order.pop(at))
        identity = {key: value for key, value in one.items() if key not in ("since", "add_seq", "via")}
        event = self._append({**identity, "event": "del", "via": "interposed", "took_ms": 22.8})
        self._ended(one, event["ts"])

    def _ended(self, one: Draft, ts: str) -> None:
        self._vlans.append(one["vlan_id"])
        self._vlans.sort(reverse=True)
        self._addresses.append(one["addresses"][0].partition("/")[0])
        self._inodes.append(one["netns_inode"])
        for truth in self.truth[-400:]:
            if truth.association_id == one["association_id"]:
                truth.until = ts

    def _reboot(self) -> None:
        self._boot += 1
        event = self._append({"event": "boot", "boot_id": self._boot_id(), "instance_id": "i-0123456789abcdef0"})
        for one in self._live.values():
            self._ended(one, event["ts"])
        self._live.clear()
        self._order.clear()

    def _rotate(self) -> None:
        self.close()
        name = segment.sealed_name(self._first, self.events)
        (self._directory / segment.ACTIVE).rename(self._directory / name)
        self._file = (self._directory / segment.ACTIVE).open("wb", buffering=1 << 20)
        self._checkpoint(name)

    def _checkpoint(self, previous: str | None) -> None:
        self._first, self._size = self.events + 1, 0
        live = [self._live[key] for key in self._order]
        about = {"event": "checkpoint", "prev_crc": f"{self._crc:08x}", "prev_segment": previous}
        self._append({**about, "boot_id": self._boot_id(), "live": live})
