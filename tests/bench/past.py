"""`build/bench --past`: who had this address then, asked of years of history; of eni-ledger and of what else one has.

Everyone gets the same events and the same questions, and is asked as one asks it: a process from its start to its end.
`jq` and DuckDB read the ledger as it was before it was packed, which is quicker for them; DuckDB's own start and import
are not counted. The journal is made by systemd-journal-remote from the entries that eni-ledger sends.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.figures import Figures, explained, pairs_table, times_table
from bench.history import CACHE
from bench.rounds import Measured, Pair, Rounds, Taken
from eni_ledger import journald
from eni_ledger.base.config import Settings
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.line import now_us, parse_ts
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.writer import WriteSession
from helpers.generator import Generator

FRONT = Path(__file__).parents[2] / "dist/eni-ledger/eni-ledger"
JOURNAL_REMOTE = Path("/lib/systemd/systemd-journal-remote")
BEGINS_US = 1_451_606_400_000_000  # 2016-01-01: ten million events are ten years of a busy host
WHO_MS, FSCK_MB_S = 100.0, 200.0
OURS = "eni-ledger"

DUCKDB = """
import sys, time, duckdb
path, address, when = sys.argv[1:]
duckdb.sql("SET enable_progress_bar = false")
started = time.perf_counter()
columns = "{ts: 'VARCHAR', seq: 'BIGINT', event: 'VARCHAR', association_id: 'VARCHAR', addresses: 'VARCHAR[]'}"
found = duckdb.sql(
    f"SELECT * FROM read_json('{path}/ledger*.jsonl', format='newline_delimited', columns={columns},"
    " maximum_object_size=67108864) WHERE event IN ('add', 'adopt')"
    f" AND list_contains(addresses, '{address}/20') AND ts <= '{when}' ORDER BY seq DESC LIMIT 1"
).fetchall()
print(found[0][3], (time.perf_counter() - started) * 1e3)
"""


def say(text: str) -> None:
    """Tell about progress, on stderr."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def histories(events: int) -> tuple[Path, Path, list[dict[str, str]]]:
    """Return the ledger with that many events, the same packed, and the truth about it. Made once and kept."""
    place = CACHE / f"past-{events}"
    if not (place / "truth.json").exists():
        shutil.rmtree(place, ignore_errors=True)
        say(f"writing {events:,} events, once")
        made = Generator(place / "plain", 1, BEGINS_US)
        made.run(events, truth_every=max(1000, events // 2000))
        made.close()
        say("packing them")
        shutil.copytree(place / "plain", place / "packed")
        (place / "packed").chmod(0o750)
        settings = Settings(str(place / "packed"))
        settings.retain_days, settings.retain_bytes = 100_000, 1 << 50
        write_state(settings)
        began = perf_counter()
        report = prune(settings)
        taken = perf_counter() - began
        before = sum(row["bytes"] for row in report.packed)
        after = sum(row["packed_bytes"] for row in report.packed)
        index = sum(row["index_bytes"] for row in report.packed)
        (place / "packing.json").write_text(
            json.dumps({"bytes": before, "packed": after, "index": index, "seconds": taken})
        )
        (place / "truth.json").write_text(json.dumps([asdict(one) for one in made.truth]))
    return place / "plain", place / "packed", json.loads((place / "truth.json").read_text())


def write_state(settings: Settings) -> None:
    """Write the `state.json` that a writer leaves behind."""
    dir_fd = open_state_dir(settings.state_dir)
    try:
        session = WriteSession(settings, dir_fd, {})
        session.commit()
        session.close()
    finally:
        os.close(dir_fd)


def timed(command: list[str | Path]) -> tuple[float, str]:
    """Return the milliseconds that a command takes, and what it printed. Raises CalledProcessError."""
    began = perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return (perf_counter() - began) * 1e3, done.stdout


def of_eni_ledger(packed: Path) -> Callable[[dict[str, str]], tuple[float, str]]:
    """Return a function that asks eni-ledger."""

    def ask(one: dict[str, str]) -> tuple[float, str]:
        taken, out = timed([FRONT, "--state-dir", packed, "who", one["address"], "--at", one["since"], "--json"])
        return taken, json.loads(out)["associations"][0]["association_id"]

    return ask


def of_jq(plain: Path) -> Callable[[dict[str, str]], tuple[float, str]]:
    """Return a function that asks jq: the last add of that address up to that moment."""

    def ask(one: dict[str, str]) -> tuple[float, str]:
        program = (
            f'select(.event == "add" and .ts <= "{one["since"]}" and '
            f'(.addresses | index("{one["address"]}/20"))) | .association_id'
        )
        taken, out = timed(["jq", "-r", program, *sorted(plain.glob("ledger*.jsonl"))])
        return taken, out.split()[-1]

    return ask


def of_duckdb(plain: Path) -> Callable[[dict[str, str]], tuple[float, str]]:
    """Return a function that asks DuckDB: the same over the JSON lines, only the time of the query itself."""

    def ask(one: dict[str, str]) -> tuple[float, str]:
        _, out = timed([sys.executable, "-c", DUCKDB, str(plain), one["address"], one["since"]])
        found, taken = out.split()
        return float(taken), found

    return ask


def of_journal(journal: Path) -> Callable[[dict[str, str]], tuple[float, str]]:
    """Return a function that asks journalctl: the last add of that address up to that moment, by its fields."""

    def ask(one: dict[str, str]) -> tuple[float, str]:
        until = f"@{(parse_ts(one['since']) + 999_999) // 1_000_000}"
        match = [f"IP={one['address']}", "EVENT=add"]
        command = ["journalctl", f"--directory={journal}", f"--until={until}", "-r", "-n", "1", "-o", "json", *match]
        taken, out = timed([*command])
        return taken, str(json.loads(out)["ASSOCIATION_ID"])

    return ask


def entries(plain: Path) -> Iterator[bytes]:
    """Yield each event as an entry of the journal's export format (systemd.io/JOURNAL_EXPORT_FORMATS)."""
    here = CACHE / f"socket-{os.getpid()}"
    taker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    taker.bind(str(here))
    try:
        for event in History(str(plain)).events():
            if event["event"] == "checkpoint":  # too long for one datagram, and nothing is asked about it
                continue
            journald.send(event, sockets=[str(here)])
            us = parse_ts(event["ts"])
            head = f"__REALTIME_TIMESTAMP={us}\n__MONOTONIC_TIMESTAMP={us - BEGINS_US}\n_BOOT_ID={'0' * 31}1\n"
            yield head.encode() + taker.recv(1 << 20) + b"\n"
    finally:
        taker.close()
        here.unlink()


def make_journal(place: Path) -> Path | None:
    """Return a directory with a journal of the same events, None where it cannot be made."""
    journal = place / "journal"
    if not JOURNAL_REMOTE.exists():
        say("no systemd-journal-remote: journalctl is left out (apt-get install systemd-journal-remote)")
        return None
    if not journal.exists():
        say("writing a journal of them, once")
        unfinished = place / "journal.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        command = [str(JOURNAL_REMOTE), "--split-mode=none", f"--output={unfinished / 'all.journal'}", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            for entry in entries(place / "plain"):
                process.stdin.write(entry)
            process.stdin.close()
        unfinished.rename(journal)
    return journal


Asker = Callable[[dict[str, str]], tuple[float, str]]


def measure(events: int, options: argparse.Namespace, figures: Figures) -> None:
    """Ask everybody, into `figures`. Raises AssertionError for a wrong answer."""
    plain, packed, truth = histories(events)
    only, chance = options.only, random.Random(options.seed)
    askers: dict[str, tuple[Asker, int]] = {}
    journal = make_journal(plain.parent) if only is None or "journalctl" in only else None
    if journal is not None:
        askers["journalctl"] = (of_journal(journal), options.rounds)
    askers["DuckDB"] = (of_duckdb(plain), options.slow_rounds)
    askers["jq"] = (of_jq(plain), options.slow_rounds)
    askers = {name: asker for name, asker in askers.items() if only is None or name in only}
    ours = of_eni_ledger(packed)
    truth = [one for one in truth if parse_ts(one["since"]) < now_us()]  # of the future one cannot ask
    for number, one in enumerate(random.Random(7).sample(truth, options.rounds)):
        asked = asking(OURS, ours, one)
        pairs = [Pair(asking(name, ask, one), asked) for name, (ask, most) in askers.items() if number < most]
        # Two questions to eni-ledger side by side where it is asked alone.
        rounds = Rounds(figures, chance, asked.take)
        rounds.run("", pairs or [Pair(asked, Measured(f"{OURS}, again", asked.take))], 1)


def asking(name: str, ask: Asker, one: dict[str, str]) -> Measured:
    """Return a question to one of them."""

    def take() -> Taken:
        taken, found = ask(one)
        assert found == one["association_id"], (name, one, found)
        return taken, None

    return Measured(name, take)


def speed_of_fsck(directory: Path) -> tuple[float, float]:
    """Return megabytes a second of fsck, of what segments inflate to, and of reading the files alone."""
    names = sorted(directory.glob("ledger*"))
    size = sum(path.stat().st_size for path in names)
    began = perf_counter()
    for path in names:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    reading = size / 1e6 / (perf_counter() - began)
    began = time.perf_counter()
    report = fsck(str(directory))
    taken = perf_counter() - began
    assert report.sound, report.damage[:1]
    lines = sum(path.stat().st_size for path in (directory.parent / "plain").glob("ledger*.jsonl"))
    return lines / 1e6 / taken, reading


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --past")
    parser.add_argument("--events", type=int, action="append", help="default 1000000; several are measured in turn")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of jq and DuckDB, which read everything")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", action="append", help="eni-ledger, journalctl, DuckDB, jq; default all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for events in options.events or [1_000_000]:
        figures = Figures(options.seed)
        measure(events, options, figures)
        place = CACHE / f"past-{events}"
        told = figures.as_json()
        result = {
            "who_at_ms": told["median_ms"],
            "compared": told["compared"],
            "seed": options.seed,
            "packing": json.loads((place / "packing.json").read_text()),
        }
        for form in ("plain", "packed"):
            result[f"fsck_{form}_mb_s"], result[f"read_{form}_mb_s"] = speed_of_fsck(place / form)
        results[f"{events}"] = result
        if not options.json:
            print_result(events, result, figures)
    if options.json:
        print(json.dumps(results, indent=1))
    return 0


def print_result(events: int, result: dict[str, Any], figures: Figures) -> None:
    """Print what was measured on one history."""
    packing = result["packing"]
    print(f"{events:,} events: {packing['bytes'] / 1e6:,.0f} MB, packed {packing['packed'] / 1e6:,.0f} MB", end="")
    print(f" and {packing['index'] / 1e6:,.0f} MB of index, in {packing['seconds']:,.0f} s")
    print("who IP --at T")
    print("\n".join([*times_table(figures), "", *pairs_table(figures), explained(figures.seed)]))
    ours = max(figures.medians(OURS))
    word = "met" if ours <= WHO_MS else "NOT MET"
    print(f"{word:<13} who IP --at T: {ours:.1f} ms, target {WHO_MS:g} ms")
    for form in ("plain", "packed"):
        rate, reading = result[f"fsck_{form}_mb_s"], result[f"read_{form}_mb_s"]
        word = "met" if rate >= min(FSCK_MB_S, reading) else "NOT MET"
        print(f"{word:<13} fsck, {form}: {rate:.0f} MB/s of lines, target {FSCK_MB_S:g} (reading alone: {reading:.0f})")


if __name__ == "__main__":
    sys.exit(main())
