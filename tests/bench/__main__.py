"""Measures the built bundle; started by build/bench in namespaces of its own."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns

from bench.figures import BASE, DELEGATES_MS, NOT_ROTATING, ROTATING, Figures, table
from bench.history import CACHE, prepare, prepare_full
from bench.run import Failed, Plugin, bare, host_local, interposed, new_container, recorder, spooled
from bench.scene import Journald, make_namespaces, own_run

FRONT = Path(__file__).parents[2] / "dist/eni-ledger/eni-ledger"
HOST_LOCAL = Path("/usr/lib/cni/host-local")
AT_ONCE = 64
LIVE = (0, 120)
AGENT_DB = Path(__file__).parents[1] / "fixtures/agent-db/large.db"


def say(text: str) -> None:
    """Tell about progress, on stderr."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure(plugins: list[Plugin], rounds: int, figures: Figures) -> None:
    """Take `rounds` times of an ADD of each plugin, in turns, so that a busy moment of the machine is everybody's."""
    for plugin in plugins:
        plugin.add_and_del()
    for n in range(rounds):
        if n % 20 == 0:
            say(f"round {n} of {rounds}")
        # Each round begins with another one: who comes after whom should not matter.
        for plugin in plugins[n % len(plugins) :] + plugins[: n % len(plugins)]:
            wall, processor = plugin.add_and_del()
            figures.times.setdefault(plugin.name, []).append(wall)
            figures.processor.setdefault(plugin.name, []).append(processor)


def measure_at_once(plugins: list[Plugin], namespaces: list[str], rounds: int, figures: Figures) -> None:
    """Take the time of many ADDs at once, each in a namespace of its own."""
    say(f"{len(namespaces)} ADDs at once")
    for _ in range(rounds):
        for plugin in plugins:
            figures.at_once.setdefault(plugin.name, []).append(plugin.all_at_once(namespaces))


def measure_list(directories: dict[str, Path], rounds: int, figures: Figures) -> None:
    """Take the time of `eni-ledger list`, its table going nowhere."""
    for _ in range(rounds):
        for name, directory in directories.items():
            started = perf_counter_ns()
            subprocess.run([FRONT, "--state-dir", directory, "list"], check=True, stdout=subprocess.DEVNULL)
            figures.list_ms.setdefault(name, []).append((perf_counter_ns() - started) / 1e6)


def measure_rotation(directory: Path, netns: str, rounds: int, journald: bool, figures: Figures) -> None:
    """Take the time of an ADD that begins a new segment, and of the next. Raises Failed when it did not begin any."""
    say("rotation")
    full = directory.with_suffix(".full")
    prepare_full(full, 120)
    plugin = recorder(FRONT, directory, netns, ROTATING, journald=journald)
    for _ in range(rounds):
        shutil.copytree(full, directory)
        directory.chmod(0o750)
        os.sync()  # what the copy costs is nobody's
        for name in (ROTATING, NOT_ROTATING):
            figures.rotating_ms.setdefault(name, []).append(plugin.timed("ADD", new_container())[0])
            if len(list(directory.glob("ledger-*.jsonl"))) != 1:
                raise Failed(f"{name}: that is not what it did")
        shutil.rmtree(directory)


def run(options: argparse.Namespace, scratch: Path) -> Figures:
    """Prepare everything, measure everything. Raises Failed, OSError, CalledProcessError."""
    figures = Figures(width=AT_ONCE)
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > processors / 2:
        figures.remarks.append(f"The machine was busy before (load {load:.1f} on {processors}): run this again later.")
    own_run()
    say("namespaces and journald")
    namespaces = make_namespaces(AT_ONCE)
    journald = Journald()
    if journald.why_not:
        figures.remarks.append(f"WITHOUT journald, so less is measured than the target means: {journald.why_not}")
    histories = (0, 1_000) if options.quick else (0, 1_000, 1_000_000)
    base = host_local(HOST_LOCAL, scratch / "host-local", namespaces[0])
    base.name = BASE
    plugins = [base]
    for events in histories:
        for live in LIVE:
            directory = scratch / f"state-{events}-{live}"
            prepare(directory, events, live)
            name = f"ADD, {events:,} events, {live} live"
            plugins.append(recorder(FRONT, directory, namespaces[0], name, journald=not journald.why_not))
    plugins.append(bare(FRONT, plugins[1].conf, namespaces[0]))
    for delegate_ms in DELEGATES_MS:
        place = scratch / f"agent-{delegate_ms}"
        plugins += interposed(FRONT, place, namespaces[0], delegate_ms, agent_db=AGENT_DB)
    plugins += interposed(FRONT, scratch / "agent-none", namespaces[0], 20, agent_db=None)[1:]
    try:
        for plugin in plugins:
            plugin.check(quiet="ADD, " in plugin.name)
        measure(plugins, options.rounds, figures)
        rush = scratch / "rush"
        rush.mkdir(mode=0o750)
        crowd = [base, recorder(FRONT, rush, namespaces[0], "chained ADD", journald=not journald.why_not)]
        measure_at_once(crowd, namespaces, max(3, options.rounds // 20), figures)
        figures.spooled = spooled(rush)
        measure_rotation(
            scratch / "rotation", namespaces[0], max(5, options.rounds // 5), not journald.why_not, figures
        )
        say("memory and list")
        figures.peak_mib = {
            plugin.name: plugin.peak_mib() for plugin in (plugins[1], plugins[len(histories) * len(LIVE)])
        }
        lists = {f"{events:,} events, 120 live": scratch / f"state-{events}-120" for events in (0, histories[-1])}
        measure_list(lists, max(10, options.rounds // 5), figures)
        if not journald.why_not and not journald.entries():
            raise Failed("journald took no entry of ours")
    finally:
        journald.stop()
    return figures


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no million events")
    parser.add_argument("--rounds", type=int, help="default 100, with --quick 20")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    options.rounds = options.rounds or (20 if options.quick else 100)
    if not HOST_LOCAL.exists():
        say(f"{HOST_LOCAL} is missing: it is in Debian's containernetworking-plugins")
        return 1
    # On the disk that the repository is on: a /tmp in memory would know nothing of fdatasync.
    scratch = CACHE / f"run-{os.getpid()}"
    scratch.mkdir(parents=True, mode=0o750)
    try:
        figures = run(options, scratch)
    except Failed as exc:
        say(str(exc))
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(figures.as_json(), indent=1) if options.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
