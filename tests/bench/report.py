"""`report` of 10,000 associations: how long it takes, how large it is, and how soon the page can be used in Chromium.

Usable is when the mark `report-table` is set: after the first painting of the table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.__main__ import FRONT, say
from bench.scene import own_run
from helpers.chromium import Chromium
from helpers.documents import past, write_ledger

ASSOCIATIONS = 10_000
SECONDS, READY_MS, BYTES = 3.0, 1000.0, 2_000_000
_MARK = "(performance.getEntriesByName('report-table')[0] || {}).startTime"


def made(state_dir: Path, page: Path) -> float:
    """Return the seconds that `report` takes, from start to end of the process."""
    started = perf_counter()
    subprocess.run([FRONT, "--state-dir", state_dir, "report", page], check=True, stderr=subprocess.DEVNULL)
    return perf_counter() - started


def ready(page: Path, rounds: int) -> list[float]:
    """Return the milliseconds from navigation to the mark, in a new browser each."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as scratch, Chromium(Path(scratch)) as browser:
            browser.open(page.as_uri())
            found.append(float(browser.wait(_MARK)))
    return found


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --report")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    own_run()
    with tempfile.TemporaryDirectory() as scratch:
        state_dir, page = Path(scratch, "state"), Path(scratch, "r.html")
        say(f"a ledger of {ASSOCIATIONS:,} associations")
        write_ledger(state_dir, past(ASSOCIATIONS))
        seconds = [made(state_dir, page) for _ in range(options.rounds)]
        told: dict[str, object] = {"report_s": median(seconds), "bytes": page.stat().st_size}
        if shutil.which("chromium"):
            told["ready_ms"] = median(ready(page, options.rounds))
        else:
            say("Chromium is not here (build/setup): when the page can be used is not measured")
    if options.json:
        print(json.dumps(told))
        return 0
    for name, limit, unit in (("report_s", SECONDS, "s"), ("bytes", BYTES, "bytes"), ("ready_ms", READY_MS, "ms")):
        reached = told.get(name)
        word = "not measured" if reached is None else "met" if float(str(reached)) <= limit else "NOT MET"
        print(f"{word:<13} {name}: {reached}, target {limit:g} {unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
