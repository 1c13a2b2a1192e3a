"""Conditions of `list`, `who` and `log`: what holds, and that what is looked for misses nothing that fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.ledger.archive import index, index_keys
from eni_ledger.ledger.format.line import encode
from eni_ledger.ledger.read.filters import Filters, _like
from helpers.ledgers import add_event

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
ONE: dict[str, Any] = {
    **add_event(7, vlan_id=101, observed_vlan_id=102, trunk_mac="0A:00:00:00:00:01", via="interposed"),
    "association_id": "assoc-00000000000000007",
    "trunk_eni_id": "eni-0123456789abcdef0",
    "task_arn": ARN,
    "task_family": "api-v2",
    "service": "web",
    "cluster": "prod",
    "mismatch": ["vlan_id"],
}


@pytest.mark.parametrize(
    ("option", "pattern"),
    [
        ("family", "api-v2"), ("family", "api*"), ("family", "*-v2"), ("family", "*i-*"), ("family", "*"),
        ("service", "web"), ("service", "w*b"), ("cluster", "prod"), ("cluster", "p*"), ("task", ARN),
        ("task", "3f9a1c20de414f0a8a1b2c3d4e5f6071"), ("task", "3f9a"), ("task", "3f9a*"), ("task", "*6071"),
        ("task", "arn:aws:ecs:*3f9a*"), ("vlan", "101"), ("vlan", "102"), ("vlan", "10*"),
        ("trunk", "0a:00:00:00:00:01"), ("trunk", "0A-00-00-00-00-01"), ("trunk", "eni-0123456789abcdef0"),
        ("trunk", "enp40s0"), ("trunk", "enp*"), ("via", "interposed"), ("via", "inter*"), ("event", "add"),
    ],
)  # fmt: skip
def test_what_holds_is_found_by_what_is_looked_for(option: str, pattern: str) -> None:
    filters = Filters({option: [pattern, "another"]})
    assert filters
    assert filters.matches(ONE)
    assert not Filters({option: ["another"]}).matches(ONE)
    looked_for = filters.narrowest()
    if looked_for is None:
        assert option == "event"
        return
    assert looked_for.may_match(ONE)
    line = encode({"ts": "2026-11-23T14:00:00.000000Z", "seq": 7, "v": 1, **ONE}, 0)[0]
    literals = looked_for.literals()
    assert literals is None or any(literal in line for literal in literals)
    keys = {*index_keys.of_fields(ONE), *index_keys.of_owners(ONE)}
    for version in range(index.OLDEST, index.VERSION + 1):
        ranges = looked_for.ranges(version)
        assert ranges is None or any(low <= key <= high for key in keys for low, high in ranges)
        assert ranges is None or version == index.VERSION or option in ("task", "vlan")


def test_all_conditions_have_to_hold() -> None:
    assert Filters({"family": ["api*"], "vlan": ["102"]}, mismatch=True).matches(ONE)
    assert not Filters({"family": ["api*"], "vlan": ["103"]}).matches(ONE)
    assert not Filters(mismatch=True).matches({**ONE, "mismatch": None})
    assert not Filters({"family": ["*"]}).matches({"association_id": "assoc-1"})
    assert not Filters()
    assert Filters().matches({})


def test_an_association_has_the_events_that_began_and_ended_it() -> None:
    def kinds(**over: Any) -> list[str]:
        one = {key: value for key, value in {**ONE, **over}.items() if key != "event"}
        return [kind for kind in ("add", "adopt", "del", "lost", "boot") if Filters({"event": [kind]}).matches(one)]

    assert kinds() == ["add"]
    assert kinds(ended_by="del") == ["add", "del"]
    assert kinds(via="scan", ended_by="lost") == ["adopt", "lost"]
    assert kinds(ended_by="rebooted") == ["add", "boot"]
    assert not Filters({"event": ["del"]}).matches({**ONE, "event": "add", "ended_by": "del"})


def test_conditions_on_events_and_on_associations() -> None:
    filters = Filters({"family": ["api"], "event": ["del"], "via": ["scan"]}, mismatch=True)
    assert list(filters.of_associations().patterns) == ["family"]
    assert (list(filters.of_events().patterns), filters.of_events().mismatch) == (["event", "via"], True)


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_pattern_is_like_what_fnmatch_says(pattern: str, text: str) -> None:
    from fnmatch import fnmatchcase

    assert ("*" not in pattern) or _like(text, pattern) == fnmatchcase(text, pattern)
