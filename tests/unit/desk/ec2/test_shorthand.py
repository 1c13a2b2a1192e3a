"""`--filters` is read as the AWS CLI reads it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.ec2.shorthand import filters

PIECES = st.sampled_from(
    ["Name=vlan-id", ",", "Values=", "101", "a b", "'x,y'", '"q"', "\\,", "*", "[", "]", "Other=1"]
)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("Name=vlan-id,Values=101", "vlan-id", ["101"]),
        ("Name=vlan-id,Values=101,102", "vlan-id", ["101", "102"]),
        ("Values=101,102,Name=vlan-id", "vlan-id", ["101", "102"]),
        ("Name=vlan-id,Values=[101, 102]", "vlan-id", ["101", "102"]),
        ("Name=tag:eni-ledger:task-family,Values='a,b',\"c d\"", "tag:eni-ledger:task-family", ["a,b", "c d"]),
        (r"Name=x,Values=a\,b,c", "x", ["a,b", "c"]),
        (r"Name=x,Values=\*", "x", [r"\*"]),
        ('{"Name":"vlan-id","Values":["101"]}', "vlan-id", ["101"]),
        ("Name = vlan-id , Values = 101", "vlan-id", ["101"]),
        ("Name=x,Values=", "x", [""]),
    ],
)
def test_both_forms(text: str, name: str, values: list[str]) -> None:
    assert filters([text]) == [(name, values)]


def test_several_behind_one_option_and_json_lists() -> None:
    found = filters(["Name=a,Values=1", '[{"Name":"b","Values":["2"]},{"Name":"c","Values":["3"]}]'])
    assert found == [("a", ["1"]), ("b", ["2"]), ("c", ["3"])]


@pytest.mark.parametrize(
    "text",
    [
        *("", "vlan-id", "Name", "Nme=x,Values=1", "Name=a,Name=b", "[{", "[1]", '{"Name":1}', '{"Values":[1]}'),
        *("Name=a,,", "Name=a,", "Name=x,Values=[1", "Name=x,Values=1]", "Name=" + "x" * 70000),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--filters"):
        filters([text])


@settings(deadline=None, max_examples=500)
@given(st.lists(PIECES, max_size=7).map("".join))
def test_the_shorthand_is_the_original(text: str) -> None:
    original = pytest.importorskip("awscli.shorthand", reason="PyPI's awscli")
    if text[:1] == "[":
        return  # JSON
    try:
        expected = original.ShorthandParser().parse(text)
    except original.ShorthandParseError:
        expected = None
    try:
        found = filters([text])
    except UsageError:
        return  # more is refused: keys other than Name and Values, nested lists
    assert expected is not None, text
    values = expected.get("Values", [])
    assert found == [(expected.get("Name", ""), [values] if isinstance(values, str) else values)]
