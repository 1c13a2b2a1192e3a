"""A writer process for the tests beside: records events and tells of each one that was acknowledged.

`python -I -S writing.py SOURCE STATE_DIR WORKER COUNT [SETTING=VALUE...]`: adds, and every third time a del of what it
added before. Begins at the end of its standard input. Prints the event as `record` returned it, a line of JSON, after
the call has returned, as a runtime would be told.
"""

from __future__ import annotations

import json
import os
import sys

source, state_dir, worker, count, *given = sys.argv[1:]
sys.path.insert(0, source)

try:  # the path comes first
    from eni_ledger.base.config import Settings
    from eni_ledger.ledger.write.writer import record
except ModuleNotFoundError:  # 0.1.0 and before, which write beside this version
    from eni_ledger.config import Settings  # type: ignore[import-not-found,no-redef]  # of another version
    from eni_ledger.ledger.writer import record  # type: ignore[import-not-found,no-redef]  # the same

settings = Settings(state_dir)
settings.sync = False
for setting in given:
    name, _, value = setting.partition("=")
    setattr(settings, name, int(value))


def do(event: dict[str, object]) -> None:
    """Record an event and write one whole line about it, so that a kill leaves none cut short."""
    written = record(settings, event)
    if written is None:
        raise SystemExit(f"not recorded: {event}")
    os.write(1, json.dumps(written).encode() + b"\n")


os.read(0, 1)  # all of them are let go at once
for n in range(int(count)):
    me: dict[str, object] = {"boot_id": "boot", "container_id": f"{worker}-{n}", "ifname": "eth0", "network": "n"}
    number = int(worker) * 100_000 + n
    do({"event": "add", **me, "netns_dev": 4, "netns_inode": number, "addresses": ["10.0.0.1/8"]})
    if n % 3 == 2:
        do({"event": "del", **me})
