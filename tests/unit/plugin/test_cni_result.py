"""What a result says about an attachment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base import addresses
from eni_ledger.plugin import cni_result
from helpers.plugin import VERSIONS, result

MAC = "0a:1b:2c:3d:00:01"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_form(version: str) -> None:
    prev = result(version, mac=MAC, addresses=("10.0.32.4/20", "2001:DB8:0::4/64"), gateway="10.0.32.1")
    said = cni_result.attachment(prev, "eth0")
    assert said.all_addresses() == said.addresses == ["10.0.32.4/20", "2001:db8::4/64"]
    assert said.gateways == ["10.0.32.1"]
    assert said.mac == (None if version < "0.3" else MAC)
    assert said.ifname is None


def test_after_bridge() -> None:
    """All that the result has is the attachment's, whatever it hangs on."""
    prev = {
        "interfaces": [
            {"name": "cni0", "mac": "02:00:00:00:00:01"},
            {"name": "eth0", "mac": "02:00:00:00:00:02"},
            {"name": "eth0", "mac": "02-00-00-00-00-0A", "sandbox": "/var/run/netns/x"},
        ],
        "ips": [
            {"address": "10.0.0.1/24", "interface": 0},
            {"address": "10.0.0.2/24", "interface": 2, "gateway": "10.0.0.1"},
            {"address": "10.0.0.3/24"},
            {"address": "10.0.0.4/24", "interface": True},
            {"address": "10.0.0.5/24", "interface": 9},
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.254"}, {"dst": "10.1.0.0/16", "gw": "10.0.0.7"}, {"dst": "::/0"}],
    }
    said = cni_result.attachment(prev, "eth0")
    assert said.mac == "02:00:00:00:00:0a"
    assert said.addresses == [f"10.0.0.{n}/24" for n in (1, 2, 3, 4, 5)]
    assert said.gateways == ["10.0.0.1", "10.0.0.254"]
    assert said.default == ["10.0.0.254"]


def test_the_default_route_goes_to_the_gateway_of_its_family() -> None:
    ips = [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64", "gateway": "fd00::1"}]
    assert cni_result.attachment({"ips": ips}, "eth0").default == []  # a gateway makes no route
    assert cni_result.attachment({"ips": ips, "routes": [{"dst": "::/0"}]}, "eth0").default == ["fd00::1"]
    old = {"ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0"}]}}
    assert cni_result.attachment(old, "eth0").default == ["10.0.0.1"]


def test_an_interface_of_another_name() -> None:
    prev = {
        "interfaces": [{"name": "veth1", "mac": MAC}, {"name": "net1", "mac": "02:00:00:00:00:01", "sandbox": "s"}],
        "ips": [{"address": "10.0.0.3/24", "interface": 1}, {"address": "10.0.0.4/24", "interface": 0}],
    }
    said = cni_result.attachment(prev, "eth0")
    assert (said.ifname, said.mac, said.addresses) == ("net1", "02:00:00:00:00:01", ["10.0.0.3/24", "10.0.0.4/24"])
    assert cni_result.result_mismatches(said, {}, "declared_mac") == ["ifname"]


def test_a_result_that_says_of_no_interface_where_it_is() -> None:
    prev = {"interfaces": [{"name": "veth1", "mac": "02:00:00:00:00:01"}, {"name": "eth0", "mac": MAC}]}
    assert (cni_result.attachment(prev, "eth0").mac, cni_result.attachment(prev, "eth0").ifname) == (MAC, None)
    assert (cni_result.attachment(prev, "eth7").mac, cni_result.attachment(prev, "eth7").ifname) == (None, None)


def test_what_aws_cni_declares_for_a_pod() -> None:
    """Its `mac` is the number of a routing table, or a VLAN ID: neither is a MAC."""
    prev = {
        "interfaces": [
            {"name": "vlan0123456789a"},
            {"name": "eth0", "mac": "0", "sandbox": "/var/run/netns/cni-1"},
            {"name": "dummy0123456789a", "mac": "3"},
        ],
        "ips": [{"version": "4", "address": "10.0.40.17/32", "gateway": "10.0.40.1", "interface": 1}],
    }
    said = cni_result.attachment(prev, "eth0")
    assert (said.mac, said.ifname, said.addresses, said.default) == (None, None, ["10.0.40.17/32"], [])


def test_with_two_interfaces_each_has_its_own() -> None:
    prev = {
        "interfaces": [{"name": "eth0", "sandbox": "s"}, {"name": "eth1", "sandbox": "s"}],
        "ips": [{"address": "10.0.0.3/24"}, {"address": "10.0.0.4/24", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}],
    }
    said = cni_result.attachment(prev, "eth0")
    assert (said.addresses, said.elsewhere, said.gateways) == (["10.0.0.3/24"], {"eth1": ["10.0.0.4/24"]}, [])
    assert said.all_addresses() == ["10.0.0.3/24", "10.0.0.4/24"]
    seen = {"addresses": ["10.0.0.3/24"], "elsewhere": {"eth1": ["10.0.0.4/24"]}}
    assert cni_result.result_mismatches(said, seen, "declared_mac") == []
    lists: list[dict[str, list[str]]] = [{}, {"eth1": []}, {"eth2": ["10.0.0.4/24"]}]
    for lacking in lists:
        assert cni_result.result_mismatches(said, {**seen, "elsewhere": lacking}, "declared_mac") == ["addresses"]
    assert cni_result.attachment(prev, "eth1").addresses == ["10.0.0.3/24", "10.0.0.4/24"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.0.0.1/24", "10.0.0.1/24"),
        ("10.0.0.1/0", "10.0.0.1/0"),
        ("FE80::1/064", "fe80::1/64"),
        ("10.0.0.1", None),
        ("10.0.0.1/33", None),
        ("::1/129", None),
        ("10.0.0.1/", None),
        ("10.0.0.1/+4", None),
        ("10.0.0.1/²", None),
        ("10.0.0.1/24\n", None),
        ("10.0.0.1\0/24", None),
        ("10.0.0/8", None),
        ("", None),
        (None, None),
        (7, None),
        (["10.0.0.1/24"], None),
    ],
)
def test_cidr(value: object, expected: str | None) -> None:
    assert addresses.cidr(value) == expected


@pytest.mark.parametrize(
    "mac", ["", "0a:1b", "0a:1b:2c:3d:00:0g", "0a:1b:2c:3d:00:011", 7, None, "0a1b2c3d0001", "٠a:1b:2c:3d:00:01"]
)
def test_malformed_mac(mac: object) -> None:
    assert cni_result.mac({"interfaces": [{"name": "eth0", "sandbox": "s", "mac": mac}]}, "eth0") is None


@pytest.mark.parametrize(
    ("over", "different"),
    [
        ({}, []),
        ({"observed_mac": "02:00:00:00:00:01"}, ["branch_mac"]),
        ({"addresses": []}, ["addresses"]),
        ({"gateways": []}, ["gateways"]),
        ({"gateways": ["10.0.0.254"]}, ["gateways"]),
    ],
)
def test_differences(over: dict[str, Any], different: list[str]) -> None:
    said = cni_result.Declared()
    said.mac, said.addresses, said.gateways, said.default = MAC, ["10.0.0.2/24"], ["10.0.0.1"], ["10.0.0.1"]
    seen = {"observed_mac": MAC, "addresses": ["10.0.0.2/24", "2001:db8::1/64"], "gateways": ["10.0.0.1", "fe80::1"]}
    assert cni_result.result_mismatches(said, seen | over, "branch_mac") == different
    assert cni_result.result_mismatches(cni_result.Declared(), seen | over, "branch_mac") == []


def test_what_was_not_looked_at_does_not_differ() -> None:
    said = cni_result.Declared()
    said.mac, said.addresses, said.default = MAC, ["10.0.0.2/24"], ["10.0.0.1"]
    assert cni_result.result_mismatches(said, {}, "branch_mac") == []
    # Where the namespace cannot be entered, /proc/<pid>/net/vlan is all there is.
    assert (
        cni_result.result_mismatches(said, {"vlan_id": 7, "observed_vlan_id": 7, "trunk_ifname": "x"}, "branch_mac")
        == []
    )
    seen = {"observed_mac": MAC, "addresses": ["10.0.0.2/24"]}
    assert cni_result.result_mismatches(said, seen, "branch_mac") == []


def test_a_strange_result_does_not_fill_the_ledger() -> None:
    prev = {"ips": [{"address": f"10.0.{a}.{b}/32"} for a in range(8) for b in range(250)]}
    assert len(cni_result.attachment(prev, "eth0").addresses) == 256


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["eth0", "10.0.0.1/8"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "mac", "sandbox", "address", "ip", "gateway", "interface", "dst", "gw", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["interfaces", "ips", "routes", "ip4", "ip6", "dns"]), JSON))
def test_no_result_makes_it_raise(prev: dict[str, Any]) -> None:
    said = cni_result.attachment(prev, "eth0")
    assert all(isinstance(address, str) for address in said.all_addresses() + said.gateways + said.default)
    assert cni_result.result_mismatches(said, {"addresses": [], "gateways": []}, "declared_mac") is not None
