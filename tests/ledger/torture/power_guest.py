"""What runs in the virtual machine whose power is cut: hands the state directory out, then writes until the end.

`python -I -S power_guest.py SOURCE STATE_DIR SEED COUNT PROMISE`: first every file of STATE_DIR goes to standard output
as it was found (`file NAME SIZE`, a newline and the bytes), then the line `begin`, then COUNT events are recorded by
two processes. A line `told {...}` follows each one for which success was told; a runtime would have been told then.
PROMISE is `sync`, `no-sync` (what `sync: false` does), or `broken`: a writer that says it syncs and does not.

No more than an ADD loads: Python starts slowly there.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
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
            path = os.path.join(where, name)
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a second to import there
                data = file.read()
            say(f"file {os.path.relpath(path, state_dir)} {len(data)}\n".encode() + data)


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


if __name__ == "__main__":
    source, state_dir, seed, count, promise = sys.argv[1:]
    hand_out(state_dir)
    say(b"begin\n")
    if int(count):
        sys.path.insert(0, source)
        from random import Random

        from eni_ledger.config import Settings
        from eni_ledger.fastjson import dumps
        from eni_ledger.ledger.writer import record

        if promise == "broken":
            os.fdatasync = lambda _: None
        settings = Settings(state_dir)
        settings.journald = False
        settings.sync = promise != "no-sync"
        settings.rotate_bytes, settings.retain_bytes = ROTATE_BYTES, RETAIN_BYTES
        neighbour = not os.fork()
        # The neighbour does not wait for the lock, so that some of its events go to the spool.
        settings.lock_wait_ms = 10 if neighbour else 60_000
        write(settings, Random(f"{seed}-{neighbour}"), "b" if neighbour else "a", int(count))
        if not neighbour:
            os.wait()
