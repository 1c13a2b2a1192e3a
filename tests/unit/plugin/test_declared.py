"""What a result says about an attachment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.plugin import declared
from helpers.plugin import VERSIONS, result

MAC = "0a:1b:2c:3d:00:01"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_form(version: str) -> None:
    prev = result(version, mac=MAC, addresses=("10.0.32.4/20", "2001:DB8:0::4/64"), gateway="10.0.32.1")
    said = declared.attachment(prev, "eth0")
    assert said["addresses"] == ["10.0.32.4/20", "2001:db8::4/64"]
    assert said["gateways"] == ["10.0.32.1"]
    assert said["branch_mac"] == (None if version < "0.3" else MAC)


def test_after_bridge_only_our_interface_counts() -> None:
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
    assert declared.attachment(prev, "eth0") == {
        "branch_mac": "02:00:00:00:00:0a",
        "addresses": ["10.0.0.2/24", "10.0.0.3/24"],
        "gateways": ["10.0.0.1", "10.0.0.254"],
    }


def test_with_two_interfaces_nothing_is_guessed() -> None:
    prev = {
        "interfaces": [{"name": "eth0", "sandbox": "s"}, {"name": "eth1", "sandbox": "s"}],
        "ips": [{"address": "10.0.0.3/24"}, {"address": "10.0.0.4/24", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}],
    }
    assert declared.attachment(prev, "eth0") == {"branch_mac": None, "addresses": [], "gateways": []}
    assert declared.attachment(prev, "eth1")["addresses"] == ["10.0.0.4/24"]


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
    assert declared.cidr(value) == expected


@pytest.mark.parametrize(
    "mac", ["", "0a:1b", "0a:1b:2c:3d:00:0g", "0a:1b:2c:3d:00:011", 7, None, "0a1b2c3d0001", "٠a:1b:2c:3d:00:01"]
)
def test_malformed_mac(mac: object) -> None:
    assert declared.mac({"interfaces": [{"name": "eth0", "sandbox": "s", "mac": mac}]}, "eth0") is None


def test_differences() -> None:
    said = {"branch_mac": MAC, "addresses": ["10.0.0.2/24"]}
    seen = {"observed_mac": MAC, "addresses": ["10.0.0.2/24", "2001:db8::1/64"]}
    assert declared.differences(said, seen) == []
    assert declared.differences(said, {"observed_mac": "02:00:00:00:00:01"}) == ["branch_mac", "addresses"]
    assert declared.differences({"branch_mac": None, "addresses": []}, {}) == []


def test_a_strange_result_does_not_fill_the_ledger() -> None:
    prev = {"ips": [{"address": f"10.0.{a}.{b}/32"} for a in range(8) for b in range(250)]}
    assert len(declared.attachment(prev, "eth0")["addresses"]) == 256


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
    said = declared.attachment(prev, "eth0")
    assert all(isinstance(address, str) for address in said["addresses"] + said["gateways"])
