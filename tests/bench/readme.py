"""The table of `README.md` beside this file: what an ADD costs, written from a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import (
    BARE,
    BASE,
    CONDITIONS,
    IDLE_MS,
    LAST_EVENTS,
    ROTATING,
    add_name,
    delegate_names,
    list_name,
)

if TYPE_CHECKING:
    from bench.figures import Figures

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- written by build/bench --readme -->\n", "<!-- end of what build/bench --readme writes -->\n"

_ABOUT = f"""\
`build/bench` takes each figure in two conditions: *back to back*, where another process ended right before, and *after
{IDLE_MS} ms* in which nothing ran, as when a task starts on a quiet host. The order of each round is drawn anew. Times
are medians in milliseconds, from start to end of the process; against `host-local`, Go's plugin that hands out an
address, is the median of the ratios of pairs that ran side by side. Ratios travel, milliseconds do not; on a 2-core
virtual machine:

| what | back to back, ms | after {IDLE_MS} ms, ms | against `host-local`, back to back | after {IDLE_MS} ms |
|---|---|---|---|---|
"""
_ROWS = (
    ("`host-local` ADD", BASE),
    ("chained ADD, synced and sent to journald, empty ledger", add_name(0, 0)),
    ("the same with 120 live associations", add_name(0, 120)),
    ("after 1,000,000 events, 120 live", add_name(LAST_EVENTS, 120)),
    ("of all this, bare start of the program", BARE),
)
_MORE = (
    ("an ADD that has to seal a segment of 16 MiB", ROTATING),
    ("`eni-ledger list` with 1,000,000 events, into a pipe", list_name(LAST_EVENTS)),
)


def block(figures: Figures) -> str:
    """Return the text between the two marks, from a run that is not `--quick`."""
    rows = []
    for what, name in _ROWS:
        ratios = [f"{one.ratio:.1f}x" for one in figures.compared(name, BASE)] or ["1.0x"] * len(CONDITIONS)
        rows.append([what, *_ms(figures.medians(name)), *ratios])
    slow = [figures.compared(*delegate_names(delegate_ms, agent_db=True)) for delegate_ms in (20, 60)]
    added = [max(one.more_ms for one in both) for both in zip(*slow, strict=True)]
    rows.append(["added to a delegate of 20 or 60 ms (ECS): it works while the program starts", *_ms(added), "", ""])
    rows += [[what, *_ms(figures.medians(name)), "", ""] for what, name in _MORE]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return (
        f"{_ABOUT}{table}\nPeak memory of an ADD is {max(figures.peak_mib.values()):.0f} MiB. Of 64 ADDs at once on two"
        f" cores some go through the spool ({figures.spooled} of {figures.at_once} in that run).\n"
    )


def write(figures: Figures, path: Path = README) -> None:
    """Write the text of `block` between the marks of the page at `path`."""
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{path} has no place for it"
    path.write_text(before + BEGIN + block(figures) + END + after)


def _ms(values: list[float]) -> list[str]:
    return [f"{value:.1f}" for value in values]
