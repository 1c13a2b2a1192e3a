"""What is printed is what the AWS CLI prints: compared with its own formatters and botocore's paginator.

`tests/linux/test_serve_aws.py` compares with the program itself.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
from typing import Any

import jmespath
import pytest
from botocore.paginate import PageIterator
from hypothesis import given, settings
from hypothesis import strategies as st

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.ec2 import cli_table, cli_text, cli_yaml
from eni_ledger.desk.ec2.associations import OPERATION, RESULT
from eni_ledger.desk.ec2.cli_output import printed, selection
from eni_ledger.desk.ec2.pages import Pages, page_of, position
from helpers.prereq import need

formatter = pytest.importorskip("awscli.formatter", reason="PyPI's awscli")
DEBIAN = "/usr/bin/python3"

WORDS = st.text("abAB 1-:,'\"é界\u200f", max_size=12) | st.sampled_from(
    ["", "null", "17", "1.5", "no", "0x1", "a: b", "#x"]
)
SCALARS = WORDS | st.integers(-5, 5000) | st.booleans() | st.none()
KEYS = st.sampled_from(["Tags", "VlanId", "Key", "Value", "AssociationId", "x"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def original(output: str, response: Any, query: str | None = None) -> str:
    stream = io.StringIO()
    args = argparse.Namespace(query=jmespath.compile(query) if query else None, color="off")
    formatter.get_formatter(output, args)(OPERATION, response, stream)
    return stream.getvalue()


@settings(deadline=None)
@given(VALUES)
def test_text_is_the_original(value: Any) -> None:
    stream = io.StringIO()
    try:
        formatter.text.format_text(value, stream)
    except AttributeError:
        return  # the AWS CLI has no answer for a list of objects and other values
    assert "".join(line + "\n" for line in cli_text.lines(value)) == stream.getvalue()


def mixed(value: Any) -> bool:
    """Tell whether a list in `value` begins with an object and has something else, too."""
    members = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    begins = isinstance(value, list) and value and isinstance(value[0], dict)
    return bool(begins and not all(isinstance(one, dict) for one in value)) or any(map(mixed, members))


@settings(deadline=None, max_examples=300)
@given(VALUES)
def test_a_table_is_the_original(value: Any) -> None:
    table = formatter.TableFormatter(argparse.Namespace(query=None, color="off"))
    stream = io.StringIO()
    try:
        table._format_response(OPERATION, value, stream)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return  # the AWS CLI has no answer for this
    if not mixed(value):  # of which the AWS CLI prints parts
        assert "".join(line + "\n" for line in cli_table.lines(OPERATION, value, 80)) == stream.getvalue()


def test_yaml_is_the_original_of_version_2() -> None:
    values: list[Any] = []

    @settings(deadline=None, max_examples=400, database=None)
    @given(VALUES)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    long = "arn:aws:ecs:eu-central-1:123456789012:task/" + "x" * 200
    values += [{"Value": long}, {"Value": "word " * 60}, {"Value": "it's " * 60}, [["word " * 60]], {"a": [{"b": []}]}]
    values += [
        "2026-11-28T07:00:00.000000Z",
        ["2026-11-28T07:00:00.000000Z", "2026-11-28", "1:30", "-", "- a", "?", "é"],
    ]
    script = (
        "import sys, json, io\nfrom awscli.formatter import YAMLDumper\n"
        "def dump(value):\n    stream = io.StringIO(); YAMLDumper().dump(value, stream); return stream.getvalue()\n"
        "json.dump([dump(value) for value in json.load(sys.stdin)], sys.stdout)\n"
    )
    done = subprocess.run([DEBIAN, "-c", script], input=json.dumps(values), capture_output=True, text=True, check=False)
    need(done.returncode == 0, "Debian's awscli 2, which has yaml")
    for value, text in zip(values, json.loads(done.stdout), strict=True):
        assert cli_yaml.text(value) == text, repr(value)


def associations(count: int) -> list[dict[str, Any]]:
    return [
        {"since": f"2026-11-28T07:00:00.{n:06}Z", "add_seq": n, "association_id": f"assoc-{n:017x}", "vlan_id": n}
        for n in range(count)
    ]


def item(one: Any) -> dict[str, Any]:
    return {"AssociationId": one["association_id"], "VlanId": one["vlan_id"], "Tags": [{"Key": "k", "Value": "v"}]}


class Service:
    """The operation as botocore's paginator calls it."""

    def __init__(self, count: int) -> None:
        self.all = associations(count)

    def __call__(self, **given: Any) -> dict[str, Any]:
        found, token = page_of(self.all, given.get("NextToken"), given.get("MaxResults"))
        page: dict[str, Any] = {RESULT: [item(one) for one in found]}
        return {**page, "NextToken": token} if token else page


@pytest.mark.parametrize("output", ["json", "text", "table"])
@pytest.mark.parametrize("query", [None, "InterfaceAssociations[].VlanId", "InterfaceAssociations[0]", "length(@)"])
@pytest.mark.parametrize("count", [0, 1, 5, 12])
@pytest.mark.parametrize(
    ("max_items", "page_size"), [(None, None), (None, 5), (3, None), (3, 5), (5, 5), (7, 5), (0, None), (99, 6)]
)
def test_pages_are_the_original(
    output: str, query: str | None, count: int, max_items: int | None, page_size: int | None
) -> None:
    service, token = Service(count), None
    for _ in range(4):
        original_pages = PageIterator(
            service, ["NextToken"], [jmespath.compile("NextToken")], None, [jmespath.compile(RESULT)], [],
            "MaxResults", max_items, token, page_size, {},
        )  # fmt: skip
        pages = Pages(
            lambda at, size: page_of(service.all, at, size),
            max_items=max_items,
            starting_token=token,
            page_size=page_size,
        )
        select = selection(query)
        texts = printed(pages, item, operation=OPERATION, result=RESULT, output=output, select=select, width=80)
        assert "".join(texts) == original(output, original_pages, query)
        token = pages.resume_token
        if token is None or max_items == 0:
            return


def test_a_token_goes_on_where_the_page_ended_though_others_have_begun_and_ended() -> None:
    every = associations(12)
    first, token = page_of(every, None, 5)
    later = [*every[:2], *every[7:], *associations(14)[12:]]
    assert [*first, *page_of(later, token, 5)[0]] == [*every[:5], *every[7:12]]
    assert sorted(every, key=position) == every


@pytest.mark.parametrize("text", ["InterfaceAssociations[", "a ||", "'"])
def test_a_query_that_does_not_parse_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="Bad value for --query"):
        selection(text)


def test_a_query_that_does_not_fit_is_a_usage_error() -> None:
    select = selection("length(`1`)")
    assert select
    with pytest.raises(UsageError, match="does not fit"):
        select({})
