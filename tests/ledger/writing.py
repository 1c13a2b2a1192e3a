"""A writer process for the tests beside: records events and tells of each one that was acknowledged.

`python -I -S writing.py SOURCE STATE_DIR WORKER COUNT ROTATE_BYTES LOCK_WAIT_MS`: adds, and every third time a del of
what it added before. Begins at the end of its standard input. Prints a line `add|del ASSOCIATION_ID` after the call has
returned, as a runtime would be told.
"""

from __future__ import annotations

import os
import sys

source, state_dir, worker, count, rotate_bytes, lock_wait_ms = sys.argv[1:]
sys.path.insert(0, source)

from eni_ledger.config import Settings  # noqa: E402 - the path comes first
from eni_ledger.ledger.writer import record  # noqa: E402

settings = Settings(state_dir)
settings.rotate_bytes = int(rotate_bytes)
settings.lock_wait_ms = int(lock_wait_ms)
settings.sync = False


def tell(kind: str, association_id: str) -> None:
    """Write one whole line, so that a kill leaves none cut short."""
    os.write(1, f"{kind} {association_id}\n".encode())


os.read(0, 1)  # all of them are let go at once
for n in range(int(count)):
    me = {"boot_id": "boot", "container_id": f"{worker}-{n}", "ifname": "eth0", "network": "n"}
    number = int(worker) * 100_000 + n
    added = record(settings, {"event": "add", **me, "netns_dev": 4, "netns_inode": number, "addresses": ["10.0.0.1/8"]})
    if added is None:
        raise SystemExit("an add was not recorded")
    tell("add", added["association_id"])
    if n % 3 == 2:
        record(settings, {"event": "del", **me})
        tell("del", added["association_id"])
