"""How fast packets are annotated: `build/bench --capture`.

A capture of a trunk with 120 branches and a thousand flows. What tcpdump prints of it goes into a file, by itself and
through annotate, in turns; then the capture itself is annotated into another one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.history import CACHE
from helpers.ledgers import BOOT, add_event, write_chain

FRONT = Path(__file__).parents[2] / "dist/eni-ledger/eni-ledger"
BRANCHES, FLOWS = 120, 6000
TIMES_TCPDUMP = 1.5
PACKETS_A_SECOND = 100_000
_BEGIN = 1_764_300_000  # 2025-11-28 03:20:00 UTC
_ROUTER = bytes.fromhex("0aaabbccdd01")


def branch(number: int) -> tuple[int, bytes, bytes]:
    """Return VLAN ID, MAC and IP address of a branch."""
    return 101 + number, bytes([10, 27, 44, 61, 1, number]), bytes([10, 0, 32, 1 + number])


def make_ledger(directory: Path) -> None:
    """Make a ledger in which all branches are live when the capture begins."""
    directory.mkdir(mode=0o750)
    events = [{"event": "checkpoint", "boot_id": BOOT, "prev_crc": "00000000", "live": []}]
    for number in range(BRANCHES):
        vlan_id, mac, address = branch(number)
        events.append(
            add_event(
                number,
                association_id=f"assoc-{number:017x}",
                vlan_id=vlan_id,
                branch_mac=mac.hex(":"),
                addresses=[".".join(map(str, address)) + "/20"],
                task_arn=f"arn:aws:ecs:eu-central-1:123456789012:task/prod/{number:032x}",
                task_family=f"service{number % 20}",
                task_revision=str(number),
            )
        )
    events.append({"event": "boot", "boot_id": BOOT})
    times = ["2025-11-28T03:00:00.000000Z"] * (BRANCHES + 1) + ["2025-11-28T23:00:00.000000Z"]
    timed = [
        {"ts": ts, "seq": seq, "v": 1, **event} for seq, (ts, event) in enumerate(zip(times, events, strict=True), 1)
    ]
    write_chain(directory / "ledger.jsonl", timed)


def flow(chance: random.Random) -> tuple[bytes, int]:
    """Return a packet of a flow, as far as it is captured, and its length."""
    vlan_id, mac, address = branch(chance.randrange(BRANCHES))
    peer = bytes([chance.choice([10, 34, 52]), *(chance.randrange(256) for _ in range(3))])
    ports = chance.randrange(32768, 61000), chance.choice([80, 443, 5432, 6379])
    inwards = chance.random() < 0.5
    macs = mac + _ROUTER if inwards else _ROUTER + mac
    ends = (peer + address, ports[::-1]) if inwards else (address + peer, ports)
    size = chance.choice([0, 0, 0, 120, 600, 1448])
    options = b"\1\1\x08\n" + struct.pack(">II", chance.randrange(1 << 32), chance.randrange(1 << 32))
    numbers = chance.randrange(1 << 32), chance.randrange(1 << 32), 0x80, 0x18 if size else 0x10, 501, 0, 0
    tcp = struct.pack(">HHIIBBHHH", *ends[1], *numbers) + options
    header = (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + size, chance.randrange(65536), 0x4000, 64, 6, 0) + ends[0]
    )
    captured = macs + b"\x81\0" + struct.pack(">H", vlan_id) + b"\x08\0" + header + tcp
    return captured, len(captured) + size


def make_capture(path: Path, packets: int, chance: random.Random) -> None:
    """Write a capture of so many packets, some hundreds of microseconds apart."""
    flows = [flow(chance) for _ in range(FLOWS)]
    at = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 1))
        for _ in range(packets):
            at += chance.randrange(1, 700)
            data, length = flows[chance.randrange(FLOWS)]
            file.write(struct.pack("<IIII", _BEGIN + at // 10**6, at % 10**6, len(data), length) + data)


class Taken(NamedTuple):
    """Seconds that something took, and seconds of the processors that it took."""

    wall: float
    cpu: float


def taken(command: str, *arguments: object) -> Taken:
    """Return what a shell command takes, with arguments $1, $2 ... Raises CalledProcessError."""
    before, began = os.times(), perf_counter()
    argv = ["bash", "-o", "pipefail", "-c", command, "bash", *map(str, arguments)]
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(perf_counter() - began, cpu)


def middle(rounds: list[Taken]) -> Taken:
    """Return the medians."""
    return Taken(median(each.wall for each in rounds), median(each.cpu for each in rounds))


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench --capture")
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("tcpdump"):
        print("bench: tcpdump is missing", file=sys.stderr)
        return 1
    scratch = CACHE / f"capture-{os.getpid()}"
    scratch.mkdir(parents=True, mode=0o750)
    try:
        make_ledger(scratch / "state")
        capture = scratch / "x.pcap"
        make_capture(capture, options.packets, random.Random(options.seed))
        alone, through, written = [], [], []
        annotate = '"$2" annotate --state-dir "$3"'
        for _ in range(options.rounds):
            alone.append(taken('tcpdump -e -n -r "$1" >"$2"', capture, scratch / "alone"))
            text = f'tcpdump -e -n -r "$1" | {annotate} --date 2025-11-28 >"$4"'
            through.append(taken(text, capture, FRONT, scratch / "state", scratch / "through"))
            file = f'{annotate} --read "$1" --write "$4"'
            written.append(taken(file, capture, FRONT, scratch / "state", scratch / "y.pcapng"))
        annotated = (scratch / "through").read_bytes().count(b"  [")
        if annotated != options.packets:
            print(f"bench: only {annotated} lines were annotated", file=sys.stderr)
            return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    alone_, through_, written_ = map(middle, (alone, through, written))
    figures = {
        "tcpdump_s": alone_.wall,
        "tcpdump_cpu_s": alone_.cpu,
        "through_annotate_s": through_.wall,
        "through_annotate_cpu_s": through_.cpu,
        "ratio": through_.wall / alone_.wall,
        "written_packets_a_second": options.packets / written_.wall,
        "written_packets_a_cpu_second": options.packets / written_.cpu,
        "seed": options.seed,
    }
    print(json.dumps(figures, indent=1) if options.json else told(options.packets, figures))
    return 0


def told(packets: int, figures: dict[str, float]) -> str:
    """Return the figures as lines, held against the targets."""
    ratio, speed = figures["ratio"], figures["written_packets_a_second"]
    met = ["met" if ratio <= TIMES_TCPDUMP else "NOT MET", "met" if speed >= PACKETS_A_SECOND else "NOT MET"]
    times = f"{figures['through_annotate_s']:.2f} s against {figures['tcpdump_s']:.2f} s"
    cpu = f"{figures['through_annotate_cpu_s']:.2f} s against {figures['tcpdump_cpu_s']:.2f} s"
    return "\n".join(
        [
            f"{packets:,} packets of {BRANCHES} branches, --seed {figures['seed']:.0f}",
            f"{met[0]:<13} tcpdump | annotate: {ratio:.2f} times tcpdump alone ({times}), target {TIMES_TCPDUMP:g}",
            f"{met[1]:<13} --read --write: {speed:,.0f} packets a second, target {PACKETS_A_SECOND:,}",
            f"{'':<13} of the processors, whatever else runs: {cpu}, and"
            f" {figures['written_packets_a_cpu_second']:,.0f} packets a second",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
