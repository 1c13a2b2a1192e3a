"""What runs in the virtual machine whose power is cut: hands the state directory out, then writes until the end.

`python -I -S power_guest.py SOURCE STATE_DIR SEED COUNT PROMISE`: first every file of STATE_DIR goes to standard output
as it was found (`file NAME SIZE`, a newline and the bytes), then the line `begin`, then COUNT events are recorded by
two processes. A line `told {...}` follows each one for which success was told; a runtime would have been told then.
PROMISE is `sync` or `no-sync` (what `sync: false` does).

No more than an ADD loads: Python starts slowly there.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

ROTATE_BYTES, RETAIN_BYTES = 12 * 1024, 400 * 1024
TRUNK = "0a:00:00:00:00:01"


def say(data: bytes) -> None:
    """Write all of it to the console; on return it has left the machine."""
    while data:
        data = data[os.write(1, data) :]


def hand_out(state_dir: str) -> None:
    """Write every file of the state directory to the console."""
    for where, _, names in os.walk(state_dir):
        for name in sorted(names):
            path = f"{where}/{name}"
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a second to import there
                data = file.read()
            say(f"file {path[len(state_dir) + 1 :]} {len(data)}\n".encode() + data)


def events(chance: random.Random, who: str) -> Iterator[dict[str, Any]]:
    """Yield events without end: adds that take each other's VLANs, dels, failures, of a hundred to 9,000 bytes.

    Worker `b` makes no dels: a del that waited in the spool may come too late for its association, and then it is
    rightly nowhere.
    """
    kinds = ("add", "add", "add", "add_failed", *(("del",) if who == "a" else ()))
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
        boot = {"boot_id": file.read().strip(), "via": "chained", "ifname": "eth0", "network": "ecs-trunk"}
    live: list[str] = []
    number = 0
    while True:
        number += 1
        kind = chance.choice(kinds)
        container = f"{boot['boot_id'][:8]}-{who}-{number}"
        if kind == "add_failed":
            yield {"event": kind, **boot, "container_id": container, "error_msg": "x" * chance.randrange(9000)}
        elif kind == "add":
            live.append(container)
            vlan = chance.randrange(1, 13)
            more = {"vlan_id": vlan, "trunk_mac": TRUNK, "branch_mac": f"0a:ff:00:00:00:{vlan:02x}"}
            more["addresses"] = [f"10.0.{vlan}.{n}/20" for n in range(chance.randrange(1, 12))]
            yield {"event": kind, **boot, "container_id": container, **more, "netns_dev": 4, "netns_inode": number}
        elif live:
            yield {"event": kind, **boot, "container_id": live.pop(chance.randrange(len(live)))}


def write(settings: Settings, chance: random.Random, who: str, count: int) -> None:
    """Record `count` events, and tell of each."""
    made = events(chance, who)
    for _ in range(count):
        written = record(settings, next(made))
        if written is not None:
            say(b"told " + dumps(written).encode() + b"\n")


def commit_often(state_dir: str, chance: random.Random) -> None:
    """Have the file system write its journal down all the time, as the other programs of a host do."""
    fd = os.open(f"{state_dir.rpartition('/')[0]}/other", os.O_WRONLY | os.O_CREAT, 0o600)
    for n in itertools.count():
        os.pwrite(fd, b"%d" % n, 0)
        os.fsync(fd)
        time.sleep(chance.random() / 200)


def slow_sync(chance: random.Random) -> Callable[[Any], None]:
    """Return an `fdatasync` that is late now and then: what others make the disk do meanwhile comes before it."""
    sync = os.fdatasync

    def late(fd: Any) -> None:
        if chance.random() < 0.3:
            time.sleep(chance.random() / 10)
        sync(fd)

    return late


def main(state_dir: str, seed: str, count: int, promise: str) -> None:
    """Do what the module says."""
    settings = Settings(state_dir)
    settings.journald = False
    settings.sync = promise != "no-sync"
    settings.rotate_bytes, settings.retain_bytes = ROTATE_BYTES, RETAIN_BYTES
    other = random.Random(f"{seed}-other")
    if other.random() < 0.5 and os.fork() == 0:
        commit_often(state_dir, other)
    vars(os)["fdatasync"] = slow_sync(random.Random(f"{seed}-sync"))
    neighbour = os.fork() == 0
    # The neighbour does not wait long for the lock, so that some of its events go to the spool.
    settings.lock_wait_ms = 10 if neighbour else 60_000
    write(settings, random.Random(f"{seed}-{neighbour}"), "b" if neighbour else "a", count)


if __name__ == "__main__":
    source, state_dir, seed, count, promise = sys.argv[1:]
    hand_out(state_dir)
    say(b"begin\n")
    if int(count):
        import itertools
        import random
        import time

        sys.path.insert(0, source)
        from eni_ledger.base.config import Settings
        from eni_ledger.base.minijson import dumps
        from eni_ledger.ledger.write.writer import record

        main(state_dir, seed, int(count), promise)
