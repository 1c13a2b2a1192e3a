"""The data in the page: small, and nothing in it that ends its element."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from eni_ledger.desk.report.payload import HEX, as_script, base36, payload
from helpers.documents import document, past, ts
from helpers.pictures import HOSTILE, branch


def read(associations: list[dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(str(payload(document(associations))))
    return data


def column(data: dict[str, Any], name: str) -> list[str]:
    """Return a column's values, unpacked as the script does."""
    if name not in data["packed"]:
        found: list[str] = data["columns"][name].split("\n")
        return found
    digits = base64.b64decode(data["packed"][name]).hex()
    width = HEX[name]
    return [digits[at : at + width] for at in range(0, len(digits), width)]


@pytest.mark.parametrize("number", [0, 1, 35, 36, 1295, 1296, 1_800_000_000_000])
def test_base36_is_what_parse_int_reads(number: int) -> None:
    assert int(base36(number), 36) == number


def test_every_association_is_a_line_of_each_column() -> None:
    associations = past(30)
    data = read(associations)
    assert data["rows"] == 30
    for name in (*data["columns"], *data["packed"]):
        assert len(column(data, name)) == 30, name
    assert column(data, "vlan") == [str(one["vlan_id"]) for one in associations]
    assert column(data, "eni") == [one["eni_id"].removeprefix("eni-") + "0" for one in associations]
    assert column(data, "mac") == [one["branch_mac"].replace(":", "") for one in associations]
    assert column(data, "task") == [one["task_arn"].rpartition("/")[2] for one in associations]
    assert [data["words"]["family"][int(text, 36)] for text in column(data, "family")] == [
        one["task_family"] for one in associations
    ]


def test_times_are_milliseconds_as_differences() -> None:
    data = read(past(30))
    assert [int(text, 36) for text in column(data, "since")] == [0] + [10_000] * 29
    assert column(data, "lasted") == [base36(90_000)] * 20 + [""] * 10
    assert data["last"] - data["first"] == 360_000


def test_lanes_are_vlan_ids_in_order_then_what_has_none() -> None:
    whole = branch(90, vlan_id=None, protocol="default", eni_id="eni-0123456789abcdef0", since=ts(900))
    data = read([*past(30), whole])
    assert data["lanes"] == [*(str(vlan) for vlan in range(101, 111)), "9abcdef0"]
    assert column(data, "lane")[-1] == base36(10)


def test_two_trunks_have_lanes_of_their_own() -> None:
    data = read([branch(0), branch(1, vlan_id=101, trunk_mac="0a:00:00:00:00:99")])
    assert sorted(data["lanes"]) == ["00:99 101", "cc:bb 101"]


def test_a_column_with_anything_but_ids_is_not_packed() -> None:
    data = read([branch(0, container_id="a name"), branch(1)])
    assert "container" not in data["packed"]
    assert column(data, "container")[0] == "a name"
    assert column(data, "task")[0] == branch(0)["task_arn"].rpartition("/")[2]
    zeros = read([branch(0, branch_mac="00:00:00:00:00:00")])
    assert column(zeros, "mac") == ["000000000000"]
    assert "mac" not in zeros["packed"]


def test_what_is_not_known_is_empty() -> None:
    data = read([{"association_id": "assoc-1", "since": ts(0)}, branch(0, since=ts(1))])
    assert column(data, "vlan")[0] == ""
    assert column(data, "eni") == ["0" * 18, branch(0)["eni_id"].removeprefix("eni-") + "0"]


def test_nothing_at_all_is_no_row() -> None:
    assert read([])["rows"] == 0


def test_hostile_names_end_neither_the_element_nor_a_line() -> None:
    associations = [
        branch(n, task_family=f"{name}\n\u2028x", service=name, container_id=name, addresses=[name], trunk_ifname=name)
        for n, name in enumerate(HOSTILE)
    ]
    text = str(payload(document(associations)))
    assert not set("<>&\u2028\u2029\u202e\x1b\n") & set(text)
    data = json.loads(text)
    for name in data["columns"]:
        assert len(column(data, name)) == len(HOSTILE), name


def test_the_script_element_knows_no_end_in_any_string() -> None:
    assert json.loads(str(as_script("</script><!--&amp;"))) == "</script><!--&amp;"
    assert "<" not in str(as_script("</script><!--"))


def test_the_most_frequent_families_have_colours() -> None:
    associations = [branch(n, task_family=f"f{min(n, 20)}") for n in range(60)]
    data = read(associations)
    assert data["words"]["family"][data["legend"][0]] == "f20"
    assert data["colours"][data["legend"][0]] == 1
    assert sorted(data["colours"]).count(0) == 21 - 11
