"""The grammar of EC2's filters."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.desk.ec2.filters import LONGEST, MOST_FILTERS, MOST_VALUES, Pattern, predicate
from eni_ledger.desk.ec2.refusals import Refused

FIELDS = {"vlan-id": lambda record: [record["vlan"]]}


def tags(record: dict[str, str]) -> dict[str, str]:
    return {"eni-ledger:task-family": record["family"]} if "family" in record else {}


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("101", "101", True),
        ("101", "1010", False),
        ("10*", "101", True),
        ("*", "", True),
        ("?", "", False),
        ("10?", "101", True),
        ("10?", "10", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\?", "a?", True),
        (r"a\?", "ax", False),
        (r"a\\*", r"a\anything", True),
        ("a\\", "a\\", True),
        ("API", "api", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("a.c", "abc", False),
        ("*", "line\nline", True),
    ],
)
def test_a_value_has_wildcards_and_escapes(pattern: str, text: str, fits: bool) -> None:
    assert Pattern(pattern).matches(text) is fits


@given(st.text("ab*?\\", max_size=8), st.text("ab*?\\", max_size=8))
def test_a_pattern_is_the_regular_expression_that_it_stands_for(pattern: str, text: str) -> None:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    names = {"*": ".*", "?": "."}
    expression = "".join(names.get(part) or re.escape(part[-1]) for part in parts)
    assert Pattern(pattern).matches(text) is bool(re.fullmatch(expression, text, re.DOTALL))


def test_many_wildcards_end_soon() -> None:
    assert not Pattern("*a" * 200 + "b").matches("a" * 1000)


def test_filters_are_joined_by_and_their_values_by_or() -> None:
    holds = predicate([("vlan-id", ["101", "102"]), ("tag:eni-ledger:task-family", ["api*"])], FIELDS, tags)
    assert holds({"vlan": "101", "family": "api"})
    assert holds({"vlan": "102", "family": "api-v2"})
    assert not holds({"vlan": "103", "family": "api"})
    assert not holds({"vlan": "101", "family": "web"})
    assert not holds({"vlan": "101"})


@pytest.mark.parametrize(
    "given",
    [
        [("nonsense", ["1"])],
        [("tag:", ["1"])],
        [("Vlan-Id", ["1"])],
        [("vlan-id", [])],
        [("vlan-id", ["1"] * (MOST_VALUES + 1))],
        [("vlan-id", ["1" * (LONGEST + 1)])],
        [("vlan-id", ["1"])] * (MOST_FILTERS + 1),
    ],
    ids=str,
)
def test_what_ec2_refuses_is_refused(given: list[tuple[str, list[str]]]) -> None:
    with pytest.raises(Refused) as refused:
        predicate(given, FIELDS, tags)
    assert refused.value.ec2_code == "InvalidParameterValue"
