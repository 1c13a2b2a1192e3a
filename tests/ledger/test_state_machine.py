"""Anything in any order against a plain model, by hypothesis: what fails is made as short as it can be.

The same as the trial `fuzz`, which goes on for longer and makes nothing shorter.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.torture.world import HOUR, World

CALL = st.integers(1, 14)
HOW = st.fixed_dictionaries(
    {"rotate": st.booleans()},
    optional={
        "locked": st.just(True),  # not together with one of the others: a spool file is written by two calls
    },
) | st.one_of(
    st.fixed_dictionaries({"rotate": st.booleans(), "crash": st.tuples(CALL, st.sampled_from((0.0, 0.5, 0.9, 1.0)))}),
    st.fixed_dictionaries({"rotate": st.booleans(), "fault": CALL}),
)
CONTAINER, VLAN, INODE, TRUNK = st.integers(0, 4), st.integers(1, 3), st.integers(0, 3), st.integers(0, 5)


class Host(RuleBasedStateMachine):
    """A host; its rules are what can happen, its invariant is everything that has to be true."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="eni-ledger-"))
        self.world = World(self.directory / "state")
        self.asked = 0

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @rule(n=CONTAINER, vlan=VLAN, inode=INODE, trunk=TRUNK, kind=st.sampled_from(("add", "adopt")), how=HOW)
    def add(self, n: int, vlan: int, inode: int, trunk: int, kind: str, how: dict[str, Any]) -> None:
        self.world.add(n, vlan, inode, trunk=trunk, kind=kind, **how)

    @rule(n=CONTAINER, vlan=st.just(0) | VLAN, inode=st.just(-1) | INODE, how=HOW)
    def delete(self, n: int, vlan: int, inode: int, how: dict[str, Any]) -> None:
        self.world.delete(n, vlan=vlan, inode=inode, **how)

    @rule(keep=st.sets(CONTAINER), how=HOW)
    def gc(self, keep: set[int], how: dict[str, Any]) -> None:
        self.world.gc(keep, **how)

    @rule(which=CONTAINER, how=HOW)
    def identify(self, which: int, how: dict[str, Any]) -> None:
        self.world.identify(which, **how)

    @rule(which=CONTAINER, how=HOW)
    def lose(self, which: int, how: dict[str, Any]) -> None:
        self.world.lose(which, **how)

    @rule(us=st.sampled_from((0, 1, 1_000_000, 60_000_000)))
    def tick(self, us: int) -> None:
        self.world.tick(us)

    @rule(us=st.sampled_from((-5 * HOUR, -HOUR, -1_000_000, HOUR)))
    def clock(self, us: int) -> None:
        self.world.step(us)

    @rule()
    def reboot(self) -> None:
        self.world.reboot()

    @rule(data=st.binary(max_size=40) | st.just(b'{"ts":"2026-11-25T0'))
    def tear(self, data: bytes) -> None:
        self.world.tear(data)

    @rule(how=st.integers(0, 2))
    def spoil_state(self, how: int) -> None:
        self.world.spoil_state(how)

    @invariant()
    def agrees_with_the_model(self) -> None:
        self.asked += 1
        self.world.check(Random(self.asked))


TestAnythingInAnyOrder = Host.TestCase
# Derandomised everywhere: what is found by chance is for the trial, which says its seed.
TestAnythingInAnyOrder.settings = settings(max_examples=60, stateful_step_count=25, derandomize=True, deadline=None)
