"""What was measured, as a table, and against the targets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median, quantiles

# The targets of the project.
TIMES_HOST_LOCAL = 5.0
TIMES_ITSELF = 1.1
ADDED_MS = 12.0
BEYOND_BARE_MS = 2.0
PEAK_MIB = 24.0
LIST_MS = 200.0
ROTATING_MS = 50.0

IDLE_MS = 60
BUSY, IDLE = "back to back", f"after {IDLE_MS} ms"
CONDITIONS = (BUSY, IDLE)
"""What comes before each: another process right before, or nothing for `IDLE_MS` milliseconds."""

DELEGATES_MS = (5, 20, 60)
BASE = "host-local ADD"
BARE = "front door, VERSION"
ROTATING, NOT_ROTATING = "ADD that seals 16 MiB, 120 live", "the ADD after it"
LAST_EVENTS = 1_000_000


def add_name(events: int, live: int) -> str:
    """Return what an ADD after so many events is called, with so many associations live."""
    return f"ADD, {events:,} events, {live} live"


def list_name(events: int) -> str:
    """Return what `list` after so many events is called."""
    return f"list, {events:,} events, 120 live"


def delegate_names(delegate_ms: int, *, agent_db: bool) -> tuple[str, str]:
    """Return what a delegate is called: with eni-ledger in front of it, and alone."""
    name = f"delegate of {delegate_ms} ms"
    with_db = ", agent.db of 160 tasks" if agent_db else ""
    return f"{name}, interposed{with_db}", f"{name}, alone"


@dataclass
class Comparison:
    """`pairs` of milliseconds, of `of` and of `to` that stood side by side, in one condition."""

    of: str
    to: str
    condition: str
    pairs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair."""
        return [of / to for of, to in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the ratios of pairs."""
        return median(self.ratios)

    @property
    def more_ms(self) -> float:
        """The median of the differences of pairs, in milliseconds."""
        return median(of - to for of, to in self.pairs)


@dataclass
class Figures:
    """Milliseconds by condition and by what was measured, in each round.

    `times` by the clock, `processor` user and system time; `comparisons` of pairs. `spooled` of `at_once` ADDs at once
    went through the spool. `seed` draws the orders again as they were.
    """

    seed: int
    times: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {each: {} for each in CONDITIONS})
    processor: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {each: {} for each in CONDITIONS})
    comparisons: list[Comparison] = field(default_factory=list)
    at_once: int = 0
    spooled: int = 0
    peak_mib: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def expect(self, of: str, to: str) -> None:
        """Announce a pair: tables have what they show in this order, whatever is drawn."""
        for condition in CONDITIONS:
            for name in (to, of):
                self.times[condition].setdefault(name, [])
            if not any((one.of, one.to, one.condition) == (of, to, condition) for one in self.comparisons):
                self.comparisons.append(Comparison(of, to, condition))

    def note(self, condition: str, name: str, wall: float, processor: float | None) -> None:
        """Take in one measurement."""
        self.times[condition].setdefault(name, []).append(wall)
        if processor is not None:
            self.processor[condition].setdefault(name, []).append(processor)

    def compare(self, condition: str, of: str, to: str, taken: dict[str, float]) -> None:
        """Take in one pair that was announced."""
        (one,) = (one for one in self.compared(of, to) if one.condition == condition)
        one.pairs.append((taken[of], taken[to]))

    def compared(self, of: str, to: str) -> list[Comparison]:
        """Return the comparisons of two, one for each condition; none when they were not measured."""
        return [one for one in self.comparisons if (one.of, one.to) == (of, to)]

    def medians(self, name: str) -> list[float]:
        """Return the medians of what was measured, one for each condition; none when it was not."""
        return [median(values) for values in (self.times[each].get(name) for each in CONDITIONS) if values]

    def added(self, delegate_ms: int) -> list[float]:
        """Return the milliseconds that standing in front of a delegate adds to it, with agent.db and without."""
        names = [delegate_names(delegate_ms, agent_db=agent_db) for agent_db in (True, False)]
        return [one.more_ms for of, to in names for one in self.compared(of, to)]

    def as_json(self) -> dict[str, object]:
        """Everything, for programs."""
        medians = {
            condition: {name: median(values) for name, values in self.times[condition].items()}
            for condition in CONDITIONS
        }
        compared = [
            {"of": one.of, "to": one.to, "condition": one.condition, "ratio": one.ratio, "more_ms": one.more_ms}
            for one in self.comparisons
        ]
        told = {"median_ms": medians, "compared": compared, "targets": [asdict(target) for target in targets(self)]}
        return {**asdict(self), **told}


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


def targets(figures: Figures) -> list[Target]:
    """Return every target with what this run says to it, in the condition that is worse for it."""
    adds = [one.ratio for one in figures.comparisons if one.of.startswith("ADD, ") and one.to == BASE]
    grown = [one.ratio for live in (0, 120) for one in figures.compared(add_name(LAST_EVENTS, live), add_name(0, live))]
    added = [ms for delegate_ms in DELEGATES_MS for ms in figures.added(delegate_ms)]
    slow = [ms for delegate_ms in DELEGATES_MS if delegate_ms >= 20 for ms in figures.added(delegate_ms)]
    # The start that a delegate's time hides comes after idleness, as an agent's call does.
    beyond = max(slow) - max(figures.medians(BARE)) if slow else None
    rotation = [one.more_ms for one in figures.compared(ROTATING, NOT_ROTATING)]
    lists = [ms for events in (0, 1_000, LAST_EVENTS) for ms in figures.medians(list_name(events))]
    return [
        Target("chained ADD, slowest of the histories, against host-local", TIMES_HOST_LOCAL, _most(adds), "x"),
        Target("chained ADD after a million events against none", TIMES_ITSELF, _most(grown), "x"),
        Target("added to a delegate, the most", ADDED_MS, _most(added), " ms"),
        Target("of that beyond the front's bare start, delegates of 20 and 60 ms", BEYOND_BARE_MS, beyond, " ms"),
        Target("one ADD that has to rotate, more than another one", ROTATING_MS, _most(rotation), " ms"),
        Target("peak memory of an ADD", PEAK_MIB, _most(list(figures.peak_mib.values())), " MiB"),
        Target("list, the slower one", LIST_MS, _most(lists), " ms"),
    ]


def _most(values: list[float]) -> float | None:
    return max(values, default=None)


def table(figures: Figures) -> str:
    """Return the tables that people read."""
    lines = [*times_table(figures), "", *pairs_table(figures), ""]
    if figures.at_once:
        lines.append(f"of {figures.at_once} ADDs at once {figures.spooled} went through the spool")
    lines += [f"peak memory, {name}: {mib:.1f} MiB" for name, mib in figures.peak_mib.items()]
    lines += [explained(figures.seed), *figures.remarks, ""]
    return "\n".join([*lines, *(target.line() for target in targets(figures))])


def times_table(figures: Figures) -> list[str]:
    """Return the lines with what each took, in each condition."""
    lines = [
        f"{'milliseconds, from spawn to exit':58}" + "".join(f" | {condition:^32}" for condition in CONDITIONS),
        f"{'':58}" + f" | {'median':>8} {'p10':>7} {'p90':>7} {'cpu':>7}" * len(CONDITIONS),
    ]
    for name in dict.fromkeys(name for condition in CONDITIONS for name in figures.times[condition]):
        lines.append(f"{name:58}" + "".join(f" | {_row(figures, condition, name)}" for condition in CONDITIONS))
    return lines


def pairs_table(figures: Figures) -> list[str]:
    """Return the lines with what was compared, in each condition."""
    lines = [
        f"{'medians over pairs that stood side by side':84}" + "".join(f" | {each:^21}" for each in CONDITIONS),
        f"{'':84}" + f" | {'ratio':>8} {'more ms':>12}" * len(CONDITIONS),
    ]
    for of, to in dict.fromkeys((one.of, one.to) for one in figures.comparisons):
        both = [f"{one.ratio:7.2f}x {one.more_ms:12,.2f}" for one in figures.compared(of, to)]
        lines.append(f"{f'{of} / {to}':84}" + "".join(f" | {text}" for text in both))
    return lines


def explained(seed: int) -> str:
    """Return what the columns mean, and how the orders come about again."""
    return (
        f"{BUSY}: another process ended right before; {IDLE}: nothing ran for {IDLE_MS} ms before each. cpu is user and"
        f" system time.\nOrders were drawn with --seed {seed}."
    )


def _row(figures: Figures, condition: str, name: str) -> str:
    """Return the columns of one condition."""
    values = figures.times[condition].get(name)
    if not values:
        return " " * 32
    deciles = quantiles(values, n=10) if len(values) > 1 else [values[0]]
    processor = figures.processor[condition].get(name)
    cpu = f"{median(processor):7.2f}" if processor else " " * 7
    return f"{median(values):8.2f} {deciles[0]:7.2f} {deciles[-1]:7.2f} {cpu}"
