"""How build/bench compares: nothing here takes the time of anything."""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING

import pytest

from bench import identity, readme
from bench.figures import (
    BARE,
    BASE,
    BUSY,
    CONDITIONS,
    IDLE,
    IDLE_MS,
    LAST_EVENTS,
    NOT_ROTATING,
    ROTATING,
    Figures,
    add_name,
    delegate_names,
    list_name,
    table,
    targets,
)
from bench.rounds import Measured, Pair, Rounds

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = add_name(0, 0), add_name(0, 120)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that every sleep and every measurement goes to, in their order."""
    log: list[str] = []
    monkeypatch.setattr("bench.rounds.time.sleep", lambda seconds: log.append(f"sleep {round(seconds * 1000)}"))
    return log


def run(log: list[str], seed: int, number: int = 8) -> Figures:
    """Take two pairs. The machine becomes slower all the time, and both of a pair twice and three times as slow."""
    figures = Figures(seed)
    now = 0.0

    def measured(name: str, factor: float) -> Measured:
        def take() -> tuple[float, float | None]:
            nonlocal now
            now += 1
            log.append(name)
            return now * factor, 1.0

        return Measured(name, take)

    base = measured(BASE, 1)
    pairs = [Pair(measured(ONE, 2), base), Pair(measured(TWO, 3), base)]
    Rounds(figures, random.Random(seed), lambda: log.append("warm")).run("ADDs", pairs, number)
    return figures


def test_each_is_taken_in_both_conditions(said: list[str]) -> None:
    figures = run(said, 1)
    for condition in CONDITIONS:
        assert {name: len(values) for name, values in figures.times[condition].items()} == {BASE: 16, ONE: 8, TWO: 8}
    # Idleness before each in one condition, before none in the other.
    assert said.count(f"sleep {IDLE_MS}") == 32
    assert said.count("warm") == 8
    parts = " ".join(said).split("warm ")
    assert all("sleep" not in "".join(part.split("ADD", 4)[:4]) for part in parts[1:])


def test_the_order_is_drawn_anew_and_comes_again_with_the_seed(said: list[str]) -> None:
    run(said, 7)
    first = said.copy()
    said.clear()
    run(said, 7)
    assert said == first
    said.clear()
    run(said, 8)
    assert said != first
    measured = [name for name in said if name.startswith(("ADD", BASE))]
    orders = {tuple(measured[at : at + 4]) for at in range(0, len(measured), 4)}
    assert len(orders) > 3
    # Whichever comes first: the two of a pair stand side by side.
    assert all(
        {BASE, one} == {order[at], order[at + 1]}
        for order in orders
        for at in (0, 2)
        for one in order[at : at + 2]
        if one != BASE
    )


def test_a_ratio_is_of_pairs(said: list[str]) -> None:
    figures = Figures(1)
    for condition in CONDITIONS:
        figures.expect(ONE, BASE)
        for of, to in ((3.0, 1.0), (40.0, 10.0), (5.0, 1.0)):
            figures.note(condition, ONE, of, None)
            figures.note(condition, BASE, to, None)
            figures.compare(condition, ONE, BASE, {ONE: of, BASE: to})
    (busy, idle) = figures.compared(ONE, BASE)
    assert (busy.condition, idle.condition) == (BUSY, IDLE)
    assert busy.ratio == 4.0
    assert busy.more_ms == 4.0
    assert median(figures.times[BUSY][ONE]) / median(figures.times[BUSY][BASE]) == 5.0
    assert said == []


def test_the_table_has_both_and_says_how_to_repeat_them(said: list[str]) -> None:
    figures = run(said, 4711)
    text = table(figures)
    assert text.count("back to back") == 3
    assert f"{ONE} / {BASE}" in text
    assert "--seed 4711" in text
    # In the order that was asked for, not the one that was drawn.
    assert text.index(f"\n{BASE} ") < text.index(f"\n{ONE} ") < text.index(f"\n{TWO} ")
    # A target is held against the worse condition.
    worst = max(one.ratio for one in figures.compared(TWO, BASE))
    assert targets(figures)[0].reached == worst


def test_the_table_of_the_readme(said: list[str], tmp_path: Path) -> None:
    figures = run(said, 1)
    names = [(BARE, BASE), (add_name(LAST_EVENTS, 120), BASE), (ROTATING, NOT_ROTATING)]
    names += [(list_name(LAST_EVENTS), list_name(0)), *(delegate_names(ms, agent_db=True) for ms in (20, 60))]
    for of, to in names:
        figures.expect(of, to)
        for condition in CONDITIONS:
            figures.note(condition, of, 30.0, None)
            figures.note(condition, to, 10.0, None)
            figures.compare(condition, of, to, {of: 30.0, to: 10.0})
    figures.peak_mib = {ONE: 8.7}
    path = tmp_path / "README.md"
    path.write_text(readme.README.read_text())
    readme.write(figures, path)
    readme.write(figures, path)
    text = path.read_text()
    head = readme.README.read_text().partition(readme.BEGIN)[0]
    assert text.startswith(head + readme.BEGIN + "`build/bench` takes each figure in two conditions")
    assert "| after 1,000,000 events, 120 live | 30.0 | 30.0 | 3.0x | 3.0x |\n" in text
    assert "(ECS): it works while the program starts | 20.0 | 20.0 |  |  |\n" in text
    assert text.count("`build/bench --past`") == 1


# --- whose ENI it is, under load ---


def identified(at_add: int, at_last: int, later_ms: float) -> dict[tuple[str, str], identity.Round]:
    """Return rounds of 1000 ADDs, the answers with the look-up `later_ms` later than without."""
    with_it = identity.Round(walls=[60.0 + later_ms, 61.0 + later_ms, 900.0], at_add=at_add, at_last=at_last, adds=1000)
    without = identity.Round(walls=[61.0, 60.0, 800.0], adds=1000)
    return {
        (load, name): one for load in identity.LOADS for name, one in ((identity.ON, with_it), (identity.OFF, without))
    }


@pytest.mark.parametrize(
    ("at_add", "at_last", "later_ms", "met"),
    [
        (990, 1000, 1.0, [True, True, True, True]),
        (1000, 1000, -2.0, [True, True, True, True]),
        (989, 1000, 0.5, [False, True, True, True]),
        (990, 999, 0.5, [True, False, True, True]),
        (990, 1000, 1.5, [True, True, False, False]),
    ],
)
def test_the_targets_of_identity(at_add: int, at_last: int, later_ms: float, met: list[bool]) -> None:
    """99 % at ADD, all of them later, and the answer at most a millisecond later: of medians, not of the slowest."""
    found = identity.targets(identified(at_add, at_last, later_ms))
    assert [target.met for target in found] == met
    assert [target.line().startswith("NOT MET") for target in found] == [not one for one in met]


def test_a_load_of_its_own_for_each_target_of_identity() -> None:
    found = identified(1000, 1000, 0.0)
    found[identity.ALONE, identity.ON] = identity.Round(walls=[65.0])
    *_, crowd, alone = identity.targets(found)
    assert (crowd.met, alone.met) == (True, False)
    assert (identity.CROWD in crowd.what, identity.ALONE in alone.what) == (True, True)
