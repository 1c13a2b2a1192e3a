"""How long `scan` takes on a host with many namespaces: `build/bench --scan`.

500 network namespaces with a veth each; what is measured is the whole process, in turns as a table and as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.scene import make_namespaces, own_run

FRONT = Path(__file__).parents[2] / "dist/eni-ledger/eni-ledger"
NAMESPACES, SECONDS = 500, 2.0
FORMS: tuple[tuple[str, ...], ...] = ((), ("-o", "json"))


def taken(form: tuple[str, ...]) -> tuple[float, float]:
    """Return the seconds that one run takes, and those of the processors. Raises CalledProcessError."""
    before, began = os.times(), perf_counter()
    done = subprocess.run([FRONT, "scan", *form], capture_output=True, check=False)
    after = os.times()
    if done.returncode not in (0, 1):  # 1: something is down
        raise subprocess.CalledProcessError(done.returncode, done.args, stderr=done.stderr)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return perf_counter() - began, cpu


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --scan")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    own_run()
    make_namespaces(NAMESPACES)
    runs = [taken(form) for _ in range(options.rounds) for form in FORMS]
    figures = {
        "namespaces": NAMESPACES,
        "scan_s": median(wall for wall, _ in runs),
        "scan_cpu_s": median(cpu for _, cpu in runs),
    }
    if options.json:
        print(json.dumps(figures))
        return 0
    word = "met" if figures["scan_s"] <= SECONDS else "NOT MET"
    print(
        f"{word:<13} scan of {NAMESPACES} namespaces with a veth each: {figures['scan_s']:.2f} s, target {SECONDS:g} s"
    )
    print(f"{'':<13} of the processors, whatever else runs: {figures['scan_cpu_s']:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
