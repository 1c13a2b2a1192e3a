"""EC2's associations, made of the ledger's."""

from __future__ import annotations

from typing import Any

import pytest

from eni_ledger.desk.ec2.associations import PREFIX, choose, is_branch, item_of
from eni_ledger.desk.ec2.refusals import Refused

ONE = {
    "association_id": "assoc-0123456789abcdef0",
    "since": "2026-11-28T07:00:00.000000Z",
    "add_seq": 2,
    "container_id": "c1" * 32,
    "eni_id": "eni-0123456789abcdef0",
    "trunk_eni_id": "eni-0fedcba9876543210",
    "branch_mac": "0a:12:34:56:78:9a",
    "vlan_id": 101,
    "observed_vlan_id": 101,
    "addresses": ["10.0.32.4/20", "2001:db8::4/64"],
    "protocol": "vlan",
    "task_arn": "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071",
    "task_family": "api",
    "task_revision": "17",
}
BARE: dict[str, Any] = {"association_id": "assoc-1", "since": "x", "add_seq": 3, "container_id": "c", "vlan_id": 102}
WHOLE = {**ONE, "association_id": "assoc-2", "protocol": "default", "vlan_id": None}


def test_an_item_has_the_keys_of_the_model_in_its_order() -> None:
    item = item_of(ONE)
    assert list(item) == [
        "AssociationId", "BranchInterfaceId", "TrunkInterfaceId", "InterfaceProtocol", "VlanId", "Tags",
    ]  # fmt: skip
    assert {tag["Key"]: tag["Value"] for tag in item["Tags"]} == {
        "eni-ledger:task-arn": ONE["task_arn"],
        "eni-ledger:task-family": "api",
        "eni-ledger:task-revision": "17",
        "eni-ledger:container-id": ONE["container_id"],
        "eni-ledger:since": ONE["since"],
    }


def test_what_is_not_known_is_absent() -> None:
    assert list(item_of(BARE)) == ["AssociationId", "InterfaceProtocol", "VlanId", "Tags"]


def test_tags_cannot_be_taken_for_those_of_aws() -> None:
    assert not PREFIX.lower().startswith("aws")
    assert all(tag["Key"].startswith(PREFIX) for tag in item_of(ONE)["Tags"])


def test_an_id_cannot_be_taken_for_one_of_ec2() -> None:
    assert str(item_of(ONE)["AssociationId"]).startswith("assoc-")


def test_another_vlan_in_the_kernel_is_a_tag() -> None:
    tags = item_of({**ONE, "observed_vlan_id": 7})["Tags"]
    assert {"Key": "eni-ledger:observed-vlan-id", "Value": "7"} in tags


def test_hostile_values_are_escaped() -> None:
    item = item_of({**ONE, "task_family": "a\x1b[31m\u202e</td>", "service": "x" * 1000})
    values = {tag["Key"]: tag["Value"] for tag in item["Tags"]}
    assert values["eni-ledger:task-family"] == "a\\x1b[31m\\u202e</td>"
    assert len(values["eni-ledger:service"]) == 256


def test_a_whole_eni_is_in_no_trunk() -> None:
    assert not is_branch(WHOLE)
    assert choose([ONE, WHOLE, BARE]) == [ONE, BARE]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interface-protocol", "VLAN"),
        ("vlan-id", "101"),
        ("branch-interface-id", "eni-0123*"),
        ("trunk-interface-id", "eni-0fedcba9876543210"),
        ("mac-address", "0a:12:34:56:78:9?"),
        ("private-ip-address", "10.0.32.4"),
        ("private-ip-address", "2001:db8::4"),
        ("task-arn", "*/3f9a1c20de414f0a8a1b2c3d4e5f6071"),
        ("tag:eni-ledger:task-family", "api"),
    ],
)
def test_every_filter_finds_it_and_not_the_others(name: str, value: str) -> None:
    found = choose([ONE, {**BARE, "vlan_id": 999}], filters=[(name, [value])])
    assert ONE in found
    assert len(found) == (2 if name == "interface-protocol" else 1)
    assert choose([ONE], filters=[(name, ["nothing"])]) == []


def test_no_association_has_a_gre_key() -> None:
    assert choose([ONE], filters=[("gre-key", ["*"])]) == []


def test_an_id_that_is_not_there_is_refused() -> None:
    assert choose([ONE, BARE], ["assoc-1", "assoc-1"]) == [BARE]
    with pytest.raises(Refused, match="assoc-9") as refused:
        choose([ONE], ["assoc-0123456789abcdef0", "assoc-9"])
    assert refused.value.ec2_code == "InvalidAssociationID.NotFound"
    with pytest.raises(Refused):
        choose([ONE], ["x"] * 1001)
