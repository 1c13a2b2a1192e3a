"""State directories with a past: many events in sealed segments, and some associations that are live.

Made with the library's own codec, in a fraction of the time that as many ADDs would take. Kept in
.cache/bench by format version; sealed segments never change, so that a copy of a directory shares them by hard links.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import count
from pathlib import Path
from typing import IO, Any

from eni_ledger.base.config import Settings
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.line import VERSION, encode, format_ts, now_us
from eni_ledger.ledger.format.segment import Tail
from eni_ledger.ledger.write.writer import record

CACHE = Path(__file__).parents[2] / ".cache/bench"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
_STEP_US = 1_000_000


def _association(n: int) -> dict[str, Any]:
    """What an add on an ECS host has, with the fields that differ from task to task differing."""
    return {
        "association_id": f"assoc-{n:017x}",
        "instance_id": "i-0123456789abcdef0",
        "boot_id": BOOT_ID,
        "container_id": f"{n:064x}",
        "ifname": "eth0",
        "network": "ecs-trunk",
        "branch_mac": f"0a:00:{n >> 24 & 255:02x}:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}",
        "vlan_id": n % 4094 + 1,
        "addresses": [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/20"],
        "gateways": ["10.0.32.1"],
        "protocol": "vlan",
        "trunk_mac": "0a:ff:ff:ff:ff:01",
        "trunk_ifname": "enp40s0",
        "trunk_ifindex": 3,
        "netns": f"/proc/{n % 30000 + 1000}/ns/net",
        "netns_inode": 4027000000 + n,
        "netns_dev": 4,
        "pid": n % 30000 + 1000,
        "pid_start": n,
        "observed_vlan_id": n % 4094 + 1,
        "via": "chained",
        "plugin": "vlan",
        "cni_version": "1.0.0",
    }


class _Past:
    """A state directory that grows by events whose times the bench chooses."""

    def __init__(self, directory: Path, ts_us: int) -> None:
        directory.mkdir(parents=True, mode=0o750)
        self._directory = directory
        self._tail = Tail(ts_us=ts_us)
        self._file: IO[bytes] | None = None
        self._first = 1
        self._begin(None)

    @property
    def events(self) -> int:
        """How many there are; checkpoints count."""
        return self._tail.seq

    @property
    def bytes(self) -> int:
        """The size of the segment that is written to."""
        return self._tail.size

    def append(self, event: dict[str, Any]) -> None:
        """Add one event a second after the last; begin a new segment when this one is full."""
        ts_us = self._tail.ts_us + _STEP_US
        head = {"ts": format_ts(ts_us), "seq": self._tail.seq + 1, "v": VERSION}
        line, crc = encode({**event, **head}, self._tail.crc)
        assert self._file is not None
        self._file.write(line)
        self._tail = Tail(self._tail.seq + 1, crc, ts_us, self._tail.size + len(line))

    def rotate_if_full(self) -> None:
        """Seal the segment if it is full. Only while nothing is live: the checkpoint says so."""
        if self._tail.size >= Settings().rotate_bytes:
            self.close()
            name = segment.sealed_name(self._first, self._tail.seq)
            (self._directory / segment.ACTIVE).rename(self._directory / name)
            self._begin(name)

    def _begin(self, previous: str | None) -> None:
        about: dict[str, Any] = {"event": "checkpoint", "boot_id": BOOT_ID, "prev_segment": previous, "live": []}
        self._first = self._tail.seq + 1
        self._file = (self._directory / segment.ACTIVE).open("wb")
        self._tail.size = 0
        self.append({**about, "prev_crc": f"{self._tail.crc:08x}"})

    def close(self) -> None:
        """Have everything on disk."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _write_events(directory: Path, events: int) -> None:
    """Write `events` events, adds and their dels, into a new state directory; the last is a minute old."""
    past = _Past(directory, now_us() - events * _STEP_US - 60_000_000)
    for n in count():
        if past.events >= events:
            break
        if n % 50_000 == 0 and n:
            print(f"bench: {past.events:,} of {events:,} events", file=sys.stderr)
        shared = _association(n)
        past.append({**shared, "event": "add", "took_ms": 1.5})
        past.append({**shared, "event": "del", "took_ms": 0.9})
        past.rotate_if_full()
    past.close()


def _cached(events: int) -> Path:
    """The directory with that many events, made when it is not there yet."""
    directory = CACHE / f"history-v{VERSION}-{events}"
    if not directory.exists():
        print(f"bench: writing a history of {events:,} events, once", file=sys.stderr)
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_events(unfinished, events)
        unfinished.rename(directory)
    return directory


def prepare_full(directory: Path, live: int) -> None:
    """Make a state directory whose one segment is as large as it gets, so that the next event begins another one.

    `directory` must not exist; `live` associations are live. Raises OSError, EniLedgerError.
    """
    past = _Past(directory, now_us() - 10 * 86_400 * _STEP_US)
    for n in count():
        if past.bytes >= Settings().rotate_bytes:
            break
        shared = _association(n)
        past.append({**shared, "event": "add", "took_ms": 1.5})
        past.append({**shared, "event": "del", "took_ms": 0.9})
    past.close()
    _make_live(directory, live, rotate_bytes=1 << 40)


def prepare(directory: Path, events: int, live: int) -> None:
    """Make a state directory with a history of `events` events and `live` associations that are live.

    `directory` must not exist; it may share sealed segments with the cache. Raises OSError, EniLedgerError.
    """
    directory.mkdir(parents=True, mode=0o750)
    if events:
        for path in _cached(events).iterdir():
            if path.name == segment.ACTIVE:
                shutil.copyfile(path, directory / path.name)
            else:
                (directory / path.name).hardlink_to(path)
    _make_live(directory, live)


def _make_live(directory: Path, live: int, rotate_bytes: int = Settings().rotate_bytes) -> None:
    settings = Settings(str(directory))
    settings.sync = False
    settings.rotate_bytes = rotate_bytes
    for n in range(live):
        record(settings, {**_association(2_000_000 + n), "association_id": None, "event": "add"})
