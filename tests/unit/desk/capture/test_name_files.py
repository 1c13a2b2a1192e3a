from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.desk.capture.name_files import HEADER, Users, host_name, vlan_name
from unit.desk.capture.conftest import API, DB, WEB, association

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


def test_files() -> None:
    files = Users([API, DB]).files()
    assert files["ethers"].splitlines() == [
        HEADER,
        "0a:00:00:00:00:01\tapi-17-00000001",
        "0a:00:00:00:00:03\tdb-17-00000003",
    ]
    assert "10.0.32.1\tapi-17-00000001\n" in files["hosts"]
    assert "2600:1f14::3\tdb-17-00000003\n" in files["hosts"]
    assert files["vlans"].splitlines() == [HEADER, "101\tapi:17/00000001", "103\tdb:17/00000003"]


def test_several_users_are_told() -> None:
    files = Users([API, WEB, DB]).files()
    assert "101\t2 users: api:17/00000001, web:17/00000002\n" in files["vlans"]
    assert host_name([API, WEB]) == "2-users-api-17-00000001-and-web-17-00000002"
    many = [association(n, "a-family-with-a-long-name", "2026-11-27T03:00:00.000000Z") for n in range(1, 9)]
    assert vlan_name(many) == "8 users: a-family-with-a-long-name:17/00000001, 7 more"
    assert host_name(many) == "8-users-a-family-with-a-long-name-17-00000001-and-7-more"


def test_the_trunk_has_a_name() -> None:
    one: Association = {**API, "trunk_mac": "0A:ff:00:00:00:01", "trunk_ifname": "enp40s0"}
    assert "0a:ff:00:00:00:01\ttrunk-enp40s0\n" in Users([one]).files()["ethers"]
    assert "\ttrunk-eni-0f\n" in Users([{**one, "trunk_eni_id": "eni-0f"}]).files()["ethers"]


def test_a_long_name_keeps_the_task() -> None:
    name = host_name([association(1, "f" * 255, "2026-11-27T03:00:00.000000Z")])
    assert len(name) == 63
    assert name.endswith("-17-00000001")


def test_adding_tells_whose_name_changes() -> None:
    users = Users([API])
    assert users.add(API) == []
    assert users.add({**WEB, "addresses": ["10.0.32.1/20", "10.0.32.9/20"]}) == ["10.0.32.1", "10.0.32.9"]
    assert users.host("10.0.32.9") == "web-17-00000002"


@pytest.mark.parametrize("family", ["a b", "# no comment", "\x1b[2J", "a\tb\nc", "日本", "", "\u202e", "-", "'\"`$()"])
def test_names_are_safe_in_these_files(family: str) -> None:
    check(family)


@given(st.text(max_size=300))
def test_any_name(family: str) -> None:
    check(family)


def check(family: str) -> None:
    one = association(1, family, "2026-11-27T03:00:00.000000Z", trunk_mac="0a:ff:00:00:00:01", trunk_ifname=family)
    files = Users([one, WEB, {**one, "association_id": "assoc-other"}]).files()
    for name, text in files.items():
        header, *lines = text.rstrip("\n").split("\n")
        assert header == HEADER
        for line in lines:
            assert "#" not in line
            assert line.isascii()
            key, tab, value = line.partition("\t")
            assert (tab, bool(value), value.isprintable()) == ("\t", True, True)
            assert len(value) <= 63
            if name != "vlans":
                assert len(line.split()) == 2
            assert key
