"""What was measured, as a table, and against the targets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median, quantiles

from bench.run import BARE

# The targets of the project.
TIMES_HOST_LOCAL = 5.0
TIMES_ITSELF = 1.1
ADDED_MS = 12.0
BEYOND_BARE_MS = 2.0
PEAK_MIB = 24.0
LIST_MS = 200.0
ROTATING_MS = 50.0


@dataclass
class Figures:
    """Milliseconds of each round by what was measured.

    `times` by the clock, `processor` user and system time; `at_once` the walls of `width` ADDs, `spooled` how many of
    them went through the spool; `rotating_ms` an ADD that begins a new segment, and the one after it.
    """

    times: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)
    at_once: dict[str, list[float]] = field(default_factory=dict)
    width: int = 64
    spooled: int = 0
    peak_mib: dict[str, float] = field(default_factory=dict)
    list_ms: dict[str, list[float]] = field(default_factory=dict)
    rotating_ms: dict[str, list[float]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def ratio(self, name: str, to: str) -> float:
        """The ratio of two medians."""
        return median(self.times[name]) / median(self.times[to])

    def added(self, delegate_ms: int) -> list[float]:
        """The milliseconds that standing in front of a delegate adds to it: one figure, none if not measured."""
        alone = self.times.get(f"delegate of {delegate_ms} ms, alone")
        both = [
            times for name, times in self.times.items() if name.startswith(f"delegate of {delegate_ms} ms, interposed")
        ]
        return [median(times) - median(alone) for times in both if alone]

    def rotation(self) -> float | None:
        """The milliseconds that an ADD takes longer when it has to rotate, None if not measured."""
        return median(self.rotating_ms[ROTATING]) - median(self.rotating_ms[NOT_ROTATING]) if self.rotating_ms else None

    def as_json(self) -> dict[str, object]:
        """Everything, for programs."""
        medians = {name: median(values) for name, values in self.times.items()}
        return {**asdict(self), "median_ms": medians, "targets": [asdict(target) for target in targets(self)]}


@dataclass
class Target:
    """One target: what was reached, `met` is None when it was not measured."""

    what: str
    limit: float
    reached: float | None
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether it was reached."""
        return None if self.reached is None else self.reached <= self.limit

    def line(self) -> str:
        """One line about it."""
        word = {True: "met", False: "NOT MET", None: "not measured"}[self.met]
        reached = "" if self.reached is None else f"{self.reached:.2f}{self.unit}, "
        return f"{word:<13} {self.what}: {reached}target {self.limit:g}{self.unit}"


ROTATING, NOT_ROTATING = "ADD that seals 16 MiB, 120 live", "the ADD after it"
DELEGATES_MS = (5, 20, 60)
BASE = "host-local ADD"
FIRST = "ADD, 0 events, 0 live"
LAST = "ADD, 1,000,000 events, 0 live"
LAST_LIVE = "ADD, 1,000,000 events, 120 live"
FIRST_LIVE = "ADD, 0 events, 120 live"


def targets(figures: Figures) -> list[Target]:
    """Every target with what this run says to it."""
    adds = [name for name in figures.times if name.startswith("ADD, ")]
    worst = max((figures.ratio(name, BASE) for name in adds), default=None)
    grown = [
        figures.ratio(last, first) for last, first in ((LAST, FIRST), (LAST_LIVE, FIRST_LIVE)) if last in figures.times
    ]
    added = [ms for delegate_ms in DELEGATES_MS for ms in figures.added(delegate_ms)]
    slow = [ms for delegate_ms in DELEGATES_MS if delegate_ms >= 20 for ms in figures.added(delegate_ms)]
    beyond = max(slow) - median(figures.times[BARE]) if slow else None
    return [
        Target("chained ADD, slowest of the histories, against host-local", TIMES_HOST_LOCAL, worst, "x"),
        Target("chained ADD after a million events against none", TIMES_ITSELF, max(grown, default=None), "x"),
        Target("added to a delegate, the most", ADDED_MS, max(added, default=None), " ms"),
        Target("of that beyond the front's bare start, delegates of 20 and 60 ms", BEYOND_BARE_MS, beyond, " ms"),
        Target("one ADD that has to rotate, more than another one", ROTATING_MS, figures.rotation(), " ms"),
        Target("peak memory of an ADD", PEAK_MIB, max(figures.peak_mib.values(), default=None), " MiB"),
        Target("list, the slower one", LIST_MS, max(map(median, figures.list_ms.values()), default=None), " ms"),
    ]


def table(figures: Figures) -> str:
    """The table that people read."""
    lines = [f"{'':52} {'median':>9} {'p10':>8} {'p90':>8} {'ratio':>7} {'cpu':>8} {'ratio':>7}"]
    for name, values in figures.times.items():
        deciles = quantiles(values, n=10)
        row = f"{median(values):9.2f} {deciles[0]:8.2f} {deciles[-1]:8.2f} {figures.ratio(name, BASE):6.2f}x"
        processor = median(figures.processor[name])
        row += f" {processor:8.2f} {processor / median(figures.processor[BASE]):6.2f}x"
        lines.append(f"{name:52} {row}")
    for name, values in figures.at_once.items():
        wall = median(values)
        lines.append(f"{f'{figures.width} {name}s at once, wall':52} {wall:9.2f}   {wall / figures.width:.2f} ms each")
    if figures.at_once:
        total = figures.width * min(map(len, figures.at_once.values()))
        lines.append(f"{'  of these through the spool':52} {figures.spooled:9}   of {total}")
    lines += [f"{f'peak memory, {name}':52} {mib:9.1f} MiB" for name, mib in figures.peak_mib.items()]
    lines += [f"{f'list, {name}':52} {median(values):9.2f}" for name, values in figures.list_ms.items()]
    lines += [f"{name:52} {median(values):9.2f}" for name, values in figures.rotating_ms.items()]
    lines.append("Milliseconds from spawn to exit; cpu is user and system time. Ratios are of medians, to host-local.")
    return "\n".join([*lines, *figures.remarks, "", *(target.line() for target in targets(figures))])
