from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.plugin.agent_netconf import declared, netconf_mismatches
from helpers.agent import TRUNK_MAC, Branch

MAC = "0a:1b:2c:3d:00:01"
BRANCH = json.loads(Branch("c", 101, MAC, ["10.0.32.4/20"]).stdin())
SAID = {
    "branch_mac": MAC,
    "vlan_id": 101,
    "addresses": ["10.0.32.4/20"],
    "gateways": ["10.0.32.1"],
    "protocol": "vlan",
    "trunk_mac": TRUNK_MAC,
    "interface_type": "vlan",
    "block_instance_metadata": True,
}


def test_what_the_agent_declares() -> None:
    assert declared("vpc-branch-eni", BRANCH, "") == SAID


def test_what_it_does_not_say_is_left_out() -> None:
    assert declared("vpc-branch-eni", {}, "") == {"protocol": "vlan", "interface_type": "tap"}
    assert declared("vpc-eni", {}, "") == {"protocol": "default"}


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"trunkName": "enp40s0"}, "trunk_ifname", "enp40s0"),
        ({"interfaceType": "macvtap"}, "interface_type", "macvtap"),
        ({"interfaceType": ""}, "interface_type", "tap"),
        ({"branchMACAddress": "0A-1B-2C-3D-00-0F"}, "branch_mac", "0a:1b:2c:3d:00:0f"),
        ({"branchVlanID": "4094"}, "vlan_id", 4094),
        ({"blockInstanceMetadata": False}, "block_instance_metadata", False),
        ({"ipAddresses": ["2001:DB8:0::4/64", "x", 7, "10.0.32.4"]}, "addresses", ["2001:db8::4/64"]),
        ({"gatewayIPAddresses": ["fe80::1", "10.0.32.1"]}, "gateways", ["fe80::1", "10.0.32.1"]),
        ({"branchVlanID": "+101"}, "vlan_id", 101),
        ({"branchVlanID": "00101"}, "vlan_id", 101),
        ({"branchVlanID": "0" * 50 + "7"}, "vlan_id", 7),
        ({"branchMACAddress": "0A1B.2C3D.000F"}, "branch_mac", "0a:1b:2c:3d:00:0f"),
        ({"branchvlanid": "102"}, "vlan_id", 102),  # it comes later than branchVlanID
    ],
)
def test_forms(given: dict[str, object], key: str, value: object) -> None:
    assert declared("vpc-branch-eni", BRANCH | given, "")[key] == value


@pytest.mark.parametrize(
    "value", [101, None, "", "4095", "-1", "+", "++1", "1 ", "１", "0x65", "1_0", "9" * 300, True, ["101"]]
)
def test_what_is_no_vlan_id(value: object) -> None:
    assert "vlan_id" not in declared("vpc-branch-eni", BRANCH | {"branchVlanID": value}, "")


OLD = {key: value for key, value in BRANCH.items() if key not in ("name", "ipAddresses", "gatewayIPAddresses")}
OLD |= {"branchIPAddress": "10.0.32.4/20", "branchGatewayIPAddress": "10.0.32.1"}


def test_an_agent_of_before_2020() -> None:
    assert declared("vpc-branch-eni", OLD, "") == SAID
    args = "BranchIPAddress=10.0.0.1/8;BranchGatewayIPAddress=10.0.0.254"
    assert declared("vpc-branch-eni", OLD, args) == SAID | {"addresses": ["10.0.0.1/8"], "gateways": ["10.0.0.254"]}
    lower = {key.lower(): value for key, value in OLD.items()}  # Go takes a key in any case
    assert declared("vpc-branch-eni", lower, "") == SAID


def test_cni_args_override() -> None:
    args = "IgnoreUnknown=1;BranchVlanID=102;BranchMACAddress=0a:00:00:00:00:02;IPAddresses=10.0.0.1/8,fd00::1/64;x"
    found = declared("vpc-branch-eni", BRANCH, args + ";GatewayIPAddresses=10.0.0.254;Other=1;=;")
    assert found == SAID | {
        "vlan_id": 102,
        "branch_mac": "0a:00:00:00:00:02",
        "addresses": ["10.0.0.1/8", "fd00::1/64"],
        "gateways": ["10.0.0.254"],
    }


def test_empty_cni_args_override_nothing() -> None:
    assert declared("vpc-branch-eni", BRANCH, "BranchVlanID=;IPAddresses=") == SAID


def test_cni_args_are_not_for_vpc_eni() -> None:
    conf = {"eniMACAddress": MAC, "eniIPAddresses": ["10.0.32.4/20"], "gatewayIPAddresses": ["10.0.32.1"]}
    assert declared("vpc-eni", conf, "BranchVlanID=7;IPAddresses=1.2.3.4/5") == {
        "branch_mac": MAC,
        "addresses": ["10.0.32.4/20"],
        "gateways": ["10.0.32.1"],
        "protocol": "default",
    }


ECS_ENI = {
    "type": "ecs-eni",
    "eni": "eni-0123456789abcdef0",
    "mac": "0A:1B:2C:3D:00:01",
    "ip-addresses": ["10.0.32.4/20", "2001:db8::4/64"],
    "gateway-ip-addresses": ["10.0.32.1"],
    "block-instance-metadata": True,
}


def test_ecs_eni() -> None:
    """The plugin for whole ENIs of agents before September 2023."""
    assert declared("ecs-eni", ECS_ENI, "BranchVlanID=7") == {
        "eni_id": "eni-0123456789abcdef0",
        "branch_mac": MAC,
        "addresses": ["10.0.32.4/20", "2001:db8::4/64"],
        "gateways": ["10.0.32.1"],
        "protocol": "default",
        "block_instance_metadata": True,
    }


def test_ecs_eni_before_it_took_lists() -> None:
    conf = {
        "eni": "eni-0123456789abcdef0",
        "mac": MAC,
        "ipv4-address": "10.0.32.4/20",
        "ipv6-address": "2001:db8::4/64",
    }
    assert declared("ecs-eni", conf | {"subnetgateway-ipv4-address": "10.0.32.1/20"}, "") == {
        "eni_id": "eni-0123456789abcdef0",
        "branch_mac": MAC,
        "addresses": ["10.0.32.4/20", "2001:db8::4/64"],
        "gateways": ["10.0.32.1"],
        "protocol": "default",
    }
    assert declared("ecs-eni", conf | {"ipv6-address": ""}, "")["addresses"] == ["10.0.32.4/20"]


@pytest.mark.parametrize("value", ["", "eni-", "eni-eni01en1", "eni-0123456789ABCDEF0", 7, None, ["eni-01234567"]])
def test_what_is_no_eni_id(value: object) -> None:
    assert "eni_id" not in declared("ecs-eni", ECS_ENI | {"eni": value}, "")


FIELDS = ("eni_id", "branch_mac", "vlan_id", "addresses", "gateways", "protocol", "trunk_mac", "trunk_ifname",
          "interface_type", "block_instance_metadata")  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(INTERPOSED),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            [
                *BRANCH,
                *ECS_ENI,
                "ipv4-address",
                "subnetgateway-ipv4-address",
                "trunkName",
                "eniMACAddress",
                "eniIPAddresses",
            ],
            ANYTHING,
        ),
    ),
    st.text(),
)
def test_nothing_is_raised_for_any_configuration(plugin: str, conf: dict[str, Any], args: str) -> None:
    found = declared(plugin, conf, args)
    assert set(found) <= set(FIELDS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert None not in found.values()


SEEN = {
    "observed_vlan_id": 101,
    "observed_mac": MAC,
    "addresses": ["10.0.32.4/20", "fe80::81b:2cff:fe3d:1/64"],
    "trunk_mac": TRUNK_MAC,
    "trunk_ifname": "enp40s0",
    "trunk_ifindex": 3,
}


def without(*keys: str) -> dict[str, object]:
    return {key: value for key, value in SEEN.items() if key not in keys}


@pytest.mark.parametrize(
    ("seen", "different"),
    [
        (SEEN, []),
        (SEEN | {"observed_vlan_id": 102}, ["vlan_id"]),
        (SEEN | {"observed_mac": "0a:00:00:00:00:09"}, ["branch_mac"]),
        (SEEN | {"addresses": ["10.0.32.5/20"]}, ["addresses"]),
        (SEEN | {"addresses": []}, ["addresses"]),
        (without("addresses"), []),  # not looked for
        (SEEN | {"gateways": []}, ["gateways"]),
        (SEEN | {"gateways": ["10.0.32.2"]}, ["gateways"]),
        (SEEN | {"gateways": ["10.0.32.1", "fe80::1"]}, []),
        (SEEN | {"trunk_mac": "0a:00:00:00:00:09"}, ["trunk_mac"]),
        # A link that is no VLAN at all.
        ({"observed_mac": MAC, "addresses": ["10.0.32.4/20"]}, ["vlan_id"]),
        # The trunk's own namespace could not be proved.
        (without("trunk_mac", "trunk_ifname"), []),
        # The namespace could not be entered: /proc/<pid>/net/vlan is all there is.
        ({"observed_vlan_id": 101, "trunk_ifname": "enp40s0"}, []),
        ({"observed_vlan_id": 102, "trunk_ifname": "enp40s0"}, ["vlan_id"]),
    ],
)
def test_differences(seen: dict[str, object], different: list[str]) -> None:
    assert netconf_mismatches(SAID, seen) == different


def test_a_trunk_by_its_name() -> None:
    said = declared("vpc-branch-eni", BRANCH | {"trunkName": "ens6"}, "")
    assert netconf_mismatches(said, SEEN) == ["trunk_ifname"]


def test_a_taps_mac_and_addresses_are_the_virtual_machines() -> None:
    said = declared("vpc-branch-eni", BRANCH | {"interfaceType": "tap"}, "")
    assert netconf_mismatches(said, SEEN | {"observed_mac": "0a:00:00:00:00:09", "addresses": [], "gateways": []}) == []


def test_a_whole_eni_has_no_vlan() -> None:
    conf = {"eniMACAddress": MAC, "eniIPAddresses": ["10.0.32.4/20"]}
    assert netconf_mismatches(declared("vpc-eni", conf, ""), {"observed_mac": MAC, "addresses": ["10.0.32.4/20"]}) == []
