"""Measures the built bundle; started by build/bench in namespaces of its own."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns

from bench import readme
from bench.figures import BASE, CONDITIONS, DELEGATES_MS, NOT_ROTATING, ROTATING, Figures, add_name, list_name, table
from bench.history import CACHE, prepare, prepare_full
from bench.rounds import Measured, Pair, Rounds, Taken
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


def add(plugin: Plugin) -> Measured:
    """Return an ADD of a plugin; the DEL after it is not measured."""
    return Measured(plugin.name, plugin.add_and_del)


def at_once(plugin: Plugin, namespaces: list[str]) -> Measured:
    """Return many ADDs at once, each in a namespace of its own: from the start of the first to the end of the last."""
    name = f"{len(namespaces)} {plugin.name}s at once, wall"
    return Measured(name, lambda: (plugin.all_at_once(namespaces), None))


def listed(events: int, directory: Path) -> Measured:
    """Return `eni-ledger list`, its table going nowhere."""

    def take() -> Taken:
        started = perf_counter_ns()
        subprocess.run([FRONT, "--state-dir", directory, "list"], check=True, stdout=subprocess.DEVNULL)
        return (perf_counter_ns() - started) / 1e6, None

    return Measured(list_name(events), take)


def measure_rotation(directory: Path, plugin: Plugin, number: int, rounds: Rounds) -> None:
    """Take the time of an ADD that begins a new segment, and of the next. Raises Failed when it did not begin any."""
    say("rotation")
    full = directory.with_suffix(".full")
    prepare_full(full, 120)

    def take() -> Taken:
        taken = plugin.timed("ADD", new_container())
        if len(list(directory.glob("ledger-*.jsonl"))) != 1:
            raise Failed("rotation: that is not what it did")
        return taken

    for _ in range(number):
        for condition in CONDITIONS:
            shutil.copytree(full, directory)
            directory.chmod(0o750)
            os.sync()  # the cost of the copy is not measured
            rounds.in_order(condition, Measured(ROTATING, take), Measured(NOT_ROTATING, take))
            shutil.rmtree(directory)


class Scene:
    """What is measured. `pairs` and `delegates` are compared, `crowd` is many times at once."""

    def __init__(
        self, scratch: Path, namespaces: list[str], histories: tuple[int, ...], *, with_journald: bool
    ) -> None:
        netns = namespaces[0]
        self.base = host_local(HOST_LOCAL, scratch / "host-local", netns)
        self.base.name = BASE
        self.adds: dict[tuple[int, int], Plugin] = {}
        for events in histories:
            for live in LIVE:
                directory = scratch / f"state-{events}-{live}"
                prepare(directory, events, live)
                name = add_name(events, live)
                self.adds[events, live] = recorder(FRONT, directory, netns, name, journald=with_journald)
        version = bare(FRONT, self.adds[0, 0].conf, netns)
        self.pairs = [Pair(add(plugin), add(self.base)) for plugin in (*self.adds.values(), version)]
        self.pairs += [Pair(add(self.adds[histories[-1], live]), add(self.adds[0, live])) for live in LIVE]
        self.plugins = [self.base, *self.adds.values(), version]
        self.delegates: list[Pair] = []
        for delegate_ms, agent_db in (*((each, AGENT_DB) for each in DELEGATES_MS), (20, None)):
            place = scratch / f"agent-{delegate_ms}{'' if agent_db else '-none'}"
            of, to = interposed(FRONT, place, netns, delegate_ms, agent_db=agent_db)
            self.delegates.append(Pair(add(of), add(to)))
            self.plugins += [of, to]
        rush = scratch / "rush"
        rush.mkdir(mode=0o750)
        self.crowd = recorder(FRONT, rush, netns, "chained ADD", journald=with_journald)


def run(options: argparse.Namespace, scratch: Path) -> Figures:
    """Prepare everything, measure everything. Raises Failed, OSError, CalledProcessError."""
    figures = Figures(options.seed)
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
    scene = Scene(scratch, namespaces, histories, with_journald=not journald.why_not)
    try:
        for plugin in scene.plugins:
            plugin.check(quiet="ADD, " in plugin.name)
            plugin.add_and_del()
        chance = random.Random(figures.seed)
        rounds = Rounds(figures, chance, scene.base.add_and_del)
        rounds.run("ADDs", scene.pairs, options.rounds)
        # Apart from the others, which none of them then comes after: the processor goes idle while a delegate sleeps.
        rounds.run("delegates", scene.delegates, options.rounds)
        crowd = Pair(at_once(scene.crowd, namespaces), at_once(scene.base, namespaces))
        number = max(3, options.rounds // 20)
        rounds.run(f"{AT_ONCE} ADDs at once", [crowd], number)
        figures.at_once, figures.spooled = AT_ONCE * number * len(CONDITIONS), spooled(scratch / "rush")
        number = max(5, options.rounds // 5)
        rotating = recorder(FRONT, scratch / "rotation", namespaces[0], ROTATING, journald=not journald.why_not)
        measure_rotation(scratch / "rotation", rotating, number, rounds)
        say("memory and list")
        figures.peak_mib = {
            plugin.name: plugin.peak_mib() for plugin in (scene.adds[0, 0], scene.adds[histories[-1], 120])
        }
        lists = [listed(events, scratch / f"state-{events}-120") for events in (histories[-1], 0)]
        rounds.run("list", [Pair(*lists)], max(10, options.rounds // 5))
        if not journald.why_not and not journald.entries():
            raise Failed("journald took no entry of eni-ledger")
    finally:
        journald.stop()
    return figures


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="build/bench")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no million events")
    parser.add_argument("--rounds", type=int, help="default 100, with --quick 20")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--readme", action="store_true", help="also write the table of tests/bench/README.md")
    options = parser.parse_args()
    if options.readme and options.quick:
        parser.error("--readme needs figures that --quick leaves out")
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
    if options.readme:
        readme.write(figures)
    print(json.dumps(figures.as_json(), indent=1) if options.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
