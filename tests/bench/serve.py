"""`serve` on a ledger of a million events: how long `/v1/who` takes, requests a second, memory that it grows by.

8 clients ask for 60 seconds about 100 things, while an event is recorded every second. `cold` is the first question
about each thing, `who` all further ones.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from bench import history
from bench.__main__ import FRONT, say
from bench.scene import own_run
from eni_ledger.base.config import Settings
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.write.writer import record
from helpers.ledgers import add_event

EVENTS, CLIENTS, THINGS = 1_000_000, 8, 100
WHO_MS, A_SECOND, GROWN_MIB = 5.0, 200.0, 5.0


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


class Client(threading.Thread):
    """Asks until `end`, one question after the other on one connection."""

    def __init__(self, place: str, paths: list[str], end: float) -> None:
        super().__init__()
        self._connection = http.client.HTTPConnection(place, timeout=60)
        self._paths = paths
        self._end = end
        self.took_ms: list[float] = []

    def run(self) -> None:
        """Ask."""
        while perf_counter() < self._end:
            self.took_ms.append(ask(self._connection, random.choice(self._paths)))


def ask(connection: http.client.HTTPConnection, path: str) -> float:
    """Return the milliseconds of one request."""
    started = perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return (perf_counter() - started) * 1e3


def measured(state_dir: Path, seconds: float) -> dict[str, float]:
    """Return the figures of a server on `state_dir`."""
    numbers = random.Random(1).sample(range(EVENTS // 2), THINGS)
    paths = [f"/v1/who?what=10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in numbers]
    settings = Settings(str(state_dir))
    command: list[str | Path] = [FRONT, "serve", "--state-dir", state_dir, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        place = process.stdout.readline().split("http://")[1].strip()
        pid = process.pid
        connection = http.client.HTTPConnection(place, timeout=60)
        cold = [ask(connection, path) for path in paths]
        before = _resident_mib(pid)
        clients = [Client(place, paths, perf_counter() + seconds) for _ in range(CLIENTS)]
        started = perf_counter()
        for client in clients:
            client.start()
        for number in range(int(seconds) - 1):
            time.sleep(1)
            record(settings, add_event(5000 + number, boot_id=history.BOOT_ID))
        for client in clients:
            client.join()
        took = [each for client in clients for each in client.took_ms]
        grown = _resident_mib(pid) - before
        rate = len(took) / (perf_counter() - started)
        single = [ask(connection, random.choice(paths)) for _ in range(1000)]
        process.terminate()
    return {
        "cold_ms": median(cold),
        "who_ms": median(single),
        "who_of_8_ms": median(took),
        "who_of_8_p99_ms": quantiles(took, n=100)[98],
        "requests_a_second": rate,
        "grown_mib": grown,
        "resident_mib": before + grown,
    }


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --serve")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    own_run()
    with tempfile.TemporaryDirectory() as scratch:
        state_dir = Path(scratch, "state")
        say(f"a ledger of {EVENTS:,} events, packed")
        history.prepare(state_dir, EVENTS, 120)
        prune(Settings(str(state_dir)))
        told = measured(state_dir, options.seconds)
    if options.json:
        print(json.dumps(told))
        return 0
    met = {
        "who_ms": told["who_ms"] <= WHO_MS,
        "requests_a_second": told["requests_a_second"] >= A_SECOND,
        "grown_mib": told["grown_mib"] <= GROWN_MIB,
    }
    for name, value in told.items():
        word = "" if name not in met else "met" if met[name] else "NOT MET"
        print(f"{word:<8} {name}: {value:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
