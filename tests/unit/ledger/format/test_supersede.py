"""What an add supersedes, and which association a del ends: by the writer, in a real ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.errors import AmbiguousAttachment
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import supersede
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.probe import FAILURES
from helpers.ledgers import TRUNK, add_event, del_event, locked, raw_events, record

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Draft


LINK = {"trunk_ifindex": 3, "trunk_netns_inode": 4026531840, "vlan_protocol": "802.1Q"}
VLAN = {"vlan_id": 100, "trunk_mac": TRUNK}
ATTACHMENT = {"container_id": "container-id", "ifname": "eth1"}
NETNS = {"netns_dev": 4, "netns_inode": 4026532001, "ifname": "eth0"}
UNKNOWN = dict.fromkeys(("netns_dev", "netns_inode", "branch_mac", "vlan_id", "trunk_mac"))


def ended(where: Path, first: Draft, second: Draft) -> bool:
    """Record two adds; return whether the second one ended the first, for the line and for every reader."""
    one = record(where, first)
    other = record(where, second)
    stated = other.get("supersedes", [])
    assert stated in ([], [one["association_id"]])
    live = [each["association_id"] for each in History(str(where)).live()]
    assert live == [each["association_id"] for each in (one, other) if each["association_id"] not in stated]
    (where / "state.json").unlink()
    assert [each["association_id"] for each in History(str(where)).live()] == live
    assert fsck(str(where)).live == len(live)
    return bool(stated)


@pytest.mark.parametrize("kind", ["add", "adopt"])
@pytest.mark.parametrize(
    "same",
    [VLAN, {**VLAN, **LINK}, NETNS, {**ATTACHMENT, **UNKNOWN}],
    ids=["VLAN of the trunk's MAC", "VLAN of the trunk's link", "interface of the namespace", "attachment"],
)
def test_what_certainly_cannot_both_be_true(tmp_path: Path, kind: str, same: Draft) -> None:
    assert ended(tmp_path / "s", add_event(1, **same), add_event(2, **same, event=kind))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({**VLAN, **LINK}, {**VLAN, **LINK, "vlan_protocol": "802.1ad"}),
        ({**VLAN, **LINK}, {**VLAN, **LINK, "trunk_ifindex": 4}),
        ({**VLAN, **LINK}, {**VLAN, **LINK, "trunk_netns_inode": 4026532999}),
        ({**VLAN, **LINK}, {**VLAN, **LINK, "vlan_id": 101}),
        ({**VLAN, **LINK}, {**VLAN, **LINK, "observed_vlan_id": 101}),
        ({**VLAN, **LINK}, VLAN),
        ({**VLAN, "trunk_ifindex": 3}, {**VLAN, "trunk_ifindex": 3}),
        ({**VLAN, "trunk_ifindex": 3}, {**VLAN, **LINK}),
        (VLAN, {**VLAN, "trunk_mac": "0a:00:00:00:00:02"}),
        ({**VLAN, "trunk_mac": None}, {**VLAN, "trunk_mac": None}),
        (VLAN, {**VLAN, "vlan_id": 101}),
        (NETNS, {**NETNS, "ifname": "eth1"}),
        (NETNS, {**NETNS, "netns_dev": 5}),
        (ATTACHMENT, {**ATTACHMENT, "ifname": "eth2", "netns_inode": 7}),
        ({**ATTACHMENT, **UNKNOWN, "netns_inode": 7}, {**ATTACHMENT, **UNKNOWN, "netns_inode": 8}),
        ({**ATTACHMENT, **UNKNOWN, "vlan_id": 7}, {**ATTACHMENT, **UNKNOWN, "vlan_id": 8}),
        ({**ATTACHMENT, **UNKNOWN, "branch_mac": "a"}, {**ATTACHMENT, **UNKNOWN, "branch_mac": "b"}),
        ({**ATTACHMENT, **UNKNOWN, "branch_mac": "a"}, {**ATTACHMENT, **UNKNOWN, "observed_mac": "b"}),
        ({"container_id": None}, {"container_id": None}),
        ({}, {"eni_id": add_event(1)["eni_id"], "branch_mac": add_event(1)["branch_mac"]}),
    ],
)
def test_what_may_both_be_true(tmp_path: Path, one: Draft, other: Draft) -> None:
    assert not ended(tmp_path / "s", add_event(1, **one), add_event(2, **other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"observed_mac": "b"}, {"declared_mac": "b"}),
        ({"branch_mac": "a", "observed_mac": "b"}, {"branch_mac": "b"}),
        ({"branch_mac": "a"}, {}),
        ({"netns_inode": 7}, {"vlan_id": 9}),
    ],
)
def test_one_attachment_of_which_not_the_same_is_known(tmp_path: Path, one: Draft, other: Draft) -> None:
    same = {**ATTACHMENT, **UNKNOWN}
    assert ended(tmp_path / "s", add_event(1, **{**same, **one}), add_event(2, **{**same, **other}))


def test_a_vlan_that_is_not_the_declared_one(tmp_path: Path) -> None:
    """The kernel shows that the trunk's VLAN 100 is the second one's, whatever was declared."""
    other = {**VLAN, **LINK, "vlan_id": 101, "observed_vlan_id": 100}
    assert ended(tmp_path / "s", add_event(1, **VLAN, **LINK), add_event(2, **other))


def test_one_add_may_end_three(tmp_path: Path) -> None:
    first = [record(tmp_path, add_event(n))["association_id"] for n in (1, 2, 3, 4)]
    bare = add_event(
        9, container_id=f"{1:064x}", vlan_id=3, netns_inode=4026532003, branch_mac=add_event(1)["branch_mac"]
    )
    assert record(tmp_path, bare)["supersedes"] == first[1:3]  # the first one is on another VLAN
    bare = add_event(9, container_id=f"{1:064x}", vlan_id=2, netns_inode=4026532001)
    assert record(tmp_path, bare)["supersedes"] == first[:1]


def test_what_an_identify_added_counts_as_if_it_had_been_there(tmp_path: Path) -> None:
    from eni_ledger.ledger.write.batch import record_found
    from helpers.ledgers import settings

    one = record(tmp_path, add_event(1, vlan_id=55, trunk_mac=None))
    told = {"event": "identify", "association_id": one["association_id"], "trunk_mac": TRUNK}
    record_found(settings(tmp_path), {"boot_id": one["boot_id"]}, lambda _: [told])
    assert record(tmp_path, add_event(2, vlan_id=55))["supersedes"] == [one["association_id"]]


def test_the_clash_of_a_file_in_the_spool_is_decided_when_it_is_folded_in(tmp_path: Path) -> None:
    one = record(tmp_path, add_event(1, **VLAN, **LINK))
    with locked(tmp_path):
        waits = record(tmp_path, add_event(2, **VLAN, **LINK, supersedes=["assoc-0000000000000000f"]), lock_wait_ms=0)
    assert waits["spooled"]
    record(tmp_path, add_event(3))
    (folded,) = [event for event in raw_events(tmp_path) if event.get("spool")]
    assert folded["supersedes"] == [one["association_id"]]


# --- DEL


def managed(n: int, **over: Any) -> Draft:
    """Return the add of a task where all have one container ID and ifname."""
    return add_event(n, **{**ATTACHMENT, "netns": f"/var/run/netns/task-{n}", **over})


def del_of(**said: Any) -> Draft:
    return del_event(1, **{**ATTACHMENT, **said})


def live_vlans(where: Path) -> list[int]:
    return [one["vlan_id"] for one in History(str(where)).live()]


@pytest.mark.parametrize(
    "said",
    [
        {"vlan_id": 3, "branch_mac": add_event(2)["branch_mac"]},
        {"vlan_id": 3},
        {"branch_mac": add_event(2)["branch_mac"]},
        {"netns": "/var/run/netns/task-2"},
        {"netns": "none", "declared_mac": add_event(2)["branch_mac"]},
    ],
)
def test_a_del_ends_the_one_it_says(tmp_path: Path, said: Draft) -> None:
    adds = [record(tmp_path, managed(n)) for n in (1, 2, 3)]
    assert live_vlans(tmp_path) == [2, 3, 4]
    written = record(tmp_path, del_of(**said))
    assert written["association_id"] == adds[1]["association_id"]
    assert {key: written[key] for key in ("vlan_id", "branch_mac", "netns")} == {
        key: adds[1][key] for key in ("vlan_id", "branch_mac", "netns")
    }
    assert "declared_mac" not in written
    assert live_vlans(tmp_path) == [2, 4]


@pytest.mark.parametrize("said", [{"vlan_id": 99}, {"branch_mac": "0a:00:00:00:00:99"}])
def test_a_del_of_another_vlan_or_mac_ends_none(tmp_path: Path, said: Draft) -> None:
    from eni_ledger.ledger.write import writer
    from helpers.ledgers import settings

    record(tmp_path, managed(1))
    assert writer.record(settings(tmp_path), del_of(**said)) is None
    assert live_vlans(tmp_path) == [2]


@pytest.mark.parametrize(
    "said", [{"netns": "none"}, {"netns": "/proc/7/ns/net"}, {"declared_mac": "0a:00:00:00:00:99"}]
)
def test_of_one_alone_path_and_declared_mac_do_not_matter(tmp_path: Path, said: Draft) -> None:
    """Many a DEL comes with no namespace any more, and a later plugin may have set another MAC."""
    record(tmp_path, managed(1))
    record(tmp_path, del_of(**said))
    assert live_vlans(tmp_path) == []


def test_a_del_that_may_be_of_several_ends_none_and_says_so(tmp_path: Path) -> None:
    for n in (1, 2):
        record(tmp_path, managed(n))
    with pytest.raises(AmbiguousAttachment, match="several live attachments"):
        record(tmp_path, del_of(netns="none"))
    assert live_vlans(tmp_path) == [2, 3]


def test_and_one_from_the_spool_is_noted(tmp_path: Path) -> None:
    for n in (1, 2):
        record(tmp_path, managed(n))
    with locked(tmp_path):
        record(tmp_path, del_of(netns="none"), lock_wait_ms=0)
        record(tmp_path, del_of(vlan_id=3), lock_wait_ms=0)
    record(tmp_path, add_event(9))
    assert live_vlans(tmp_path) == [2, 10]
    (noted,) = [json.loads(line) for line in (tmp_path / FAILURES).read_text().splitlines()]
    assert (noted["event"], noted["code"]) == ("del", AmbiguousAttachment.code)
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_no_writer_writes_is_met_by_no_rule() -> None:
    one: Any = {
        "association_id": "a",
        "since": "",
        "add_seq": 1,
        "container_id": "c",
        "ifname": "e",
        "observed_mac": [1],
    }
    line = json.dumps(one, separators=(",", ":")).encode()
    assert supersede.ended_by([line, b"[]", b"{", b"null"], {"event": "add", "container_id": "c", "ifname": "e"}) == []
    assert supersede.meant_by([one], {"container_id": "c", "ifname": "e"}) is None
