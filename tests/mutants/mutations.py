"""The mutants of a source tree: where each stands, the statement it changes, and a sample drawn by seed."""

from __future__ import annotations

import ast
import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from mutants.statements import Change, change_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PACKAGES = ("identity", "kernel", "ledger", "plugin")


@dataclass(frozen=True)
class Site:
    """A mutation that cosmic-ray can make: the `occurrence`-th of `operator` in `module`, at `position`."""

    module: str
    """Path below `cni/eni_ledger`."""
    position: tuple[int, int]
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Mutant:
    """A changed module: its path below `cni/eni_ledger`, its whole source, and the statement that differs."""

    module: str
    source: str
    change: Change


@cache
def operators() -> dict[str, object]:
    """Return the operators of cosmic-ray that need no arguments."""
    provider = OperatorProvider()
    return {name: provider[name]() for name in provider if not provider[name].arguments()}


def modules(root: Path, packages: Sequence[str] = PACKAGES) -> list[str]:
    """Return the modules of `packages`, as paths below `root`, in the order of their names."""
    return sorted(str(path.relative_to(root)) for package in packages for path in (root / package).rglob("*.py"))


def sites(module: str, source: str) -> list[Site]:
    """Return all mutations of `source`; some of them cannot be compiled or change nothing that runs."""
    nodes = list(ast_nodes(get_ast(source)))
    return [
        Site(module, start, name, occurrence)
        for name, operator in operators().items()
        for occurrence, (start, _) in enumerate(
            position
            for node in nodes
            for position in operator.mutation_positions(node)  # type: ignore[attr-defined]  # cosmic-ray has no types
        )
    ]


def mutant(site: Site, source: str) -> Mutant | None:
    """Return the mutant at `site`, None if it is no Python or differs in an annotation only."""
    mutated = mutate_code(source, operators()[site.operator], site.occurrence)
    if mutated is None:
        return None
    try:
        change = change_between(ast.parse(source), ast.parse(mutated))
        compile(mutated, site.module, "exec")
    except SyntaxError:
        return None
    return Mutant(site.module, mutated, change) if change else None


def sample(root: Path, names: Sequence[str], seed: int) -> Iterator[Mutant]:
    """Yield the mutants of the modules `names` below `root` in an order that `seed` decides, one of each place.

    A place is a position in a file. An addition has eleven mutants and a comparison as many, a number has two: drawn
    among all mutants, the arithmetic would crowd out the rest.
    """
    sources = {name: (root / name).read_text() for name in names}
    places: dict[tuple[str, tuple[int, int]], list[Site]] = {}
    for name, source in sources.items():
        for site in sites(name, source):
            places.setdefault((name, site.position), []).append(site)
    chance = random.Random(seed)
    for place in chance.sample(sorted(places), len(places)):
        site = chance.choice(places[place])
        if (made := mutant(site, sources[site.module])) is not None:
            yield made
