"""What is fine, gone, changed, unknown, unrecorded; and what may be written of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.host import process_start
from eni_ledger.kernel.scan import Namespace, Scan, ScannedLink, attachments
from eni_ledger.ledger.query.questions import History
from eni_ledger.reconcile.verify import adopt, compare, container_of, mark_lost
from helpers.ledgers import BOOT, TRUNK, add_event, del_event, record, settings

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association

ABOUT = {"boot_id": BOOT}
TRUNK_LINK = ScannedLink(3, "enp40s0", TRUNK, "")
OWN_INODE = 4026531840
ON_LINK = {"trunk_ifindex": 3, "trunk_netns_inode": OWN_INODE, "vlan_protocol": "802.1Q"}
LO = ScannedLink(1, "lo", "00:00:00:00:00:00", "")


def vlan(n: int, **over: Any) -> ScannedLink:
    """Return the link of the branch that `add_event(n)` records."""
    link = ScannedLink(2, "eth0", add_event(n)["branch_mac"], "vlan", n + 1, 3, True, [f"10.0.0.{n}/20"], "802.1Q")
    for key, value in over.items():
        setattr(link, key, value)
    return link


def namespace(n: int, *links: ScannedLink, pids: tuple[int, ...] = ()) -> Namespace:
    return Namespace(4, 4026532000 + n, f"/proc/{1000 + n}/ns/net", list(pids), [LO, *links])


def scanned(*namespaces: Namespace, unreadable: tuple[str, ...] = ()) -> Scan:
    return Scan(list(namespaces), [LO, TRUNK_LINK], list(unreadable), OWN_INODE)


def live(state_dir: Path) -> list[Association]:
    return History(str(state_dir)).live()


def test_as_recorded(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned(namespace(1, vlan(1))))
    assert [(one.status, one.why) for one in report.verdicts] == [("fine", "")]
    assert report.unrecorded == []
    assert report.agrees


def test_its_namespace_is_gone(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned())
    assert [one.status for one in report.verdicts] == ["gone"]
    assert not report.agrees


def test_each_status_is_counted_by_itself(tmp_path: Path) -> None:
    for n in (1, 2, 3, 4):
        record(tmp_path, add_event(n))
    found = scanned(namespace(1, vlan(1)), namespace(2, vlan(2, vlan_id=9)), namespace(3))
    report = compare(live(tmp_path), found)
    counted = {status: report.count(status) for status in ("changed", "fine", "gone", "unknown")}
    assert counted == {"changed": 1, "fine": 1, "gone": 2, "unknown": 0}


def test_while_not_all_can_be_looked_into_nothing_is_gone(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned(unreadable=("/proc/1/ns/net: Permission denied",)))
    assert report.verdicts[0].status == "unknown"
    assert not report.agrees
    assert mark_lost(settings(tmp_path), ABOUT, report.verdicts) == []


def test_its_interface_is_gone(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    (verdict,) = compare(live(tmp_path), scanned(namespace(1))).verdicts
    assert verdict.status == "gone"
    assert "no interface eth0" in verdict.why


def test_another_namespace_has_its_inode(tmp_path: Path) -> None:
    start = process_start(f"/proc/{os.getpid()}")
    assert start is not None
    record(tmp_path, add_event(1, pid=os.getpid(), pid_start=start + 1))
    (verdict,) = compare(live(tmp_path), scanned(namespace(1))).verdicts
    assert verdict.status == "gone"
    assert verdict.why == "its namespace is not there any more; another has its inode"


def test_its_process_goes_on_without_the_interface(tmp_path: Path) -> None:
    record(tmp_path, add_event(1, pid=os.getpid(), pid_start=process_start(f"/proc/{os.getpid()}")))
    (verdict,) = compare(live(tmp_path), scanned(namespace(1))).verdicts
    assert (verdict.status, verdict.why) == ("gone", "its namespace has no interface eth0")


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ({"vlan_id": None}, {"kind": "veth", "vlan_id": None, "parent": 77}),  # of a veth its index tells no trunk
        ({}, {"parent": 77, "parent_is_ours": False}),  # the number is one of another namespace
        ({"trunk_mac": None}, {"parent": 77}),
    ],
)
def test_a_trunk_is_compared_where_one_was_recorded_and_is_ours(
    tmp_path: Path, recorded: dict[str, Any], shown: dict[str, Any]
) -> None:
    record(tmp_path, add_event(1, **recorded))
    report = compare(live(tmp_path), scanned(namespace(1, vlan(1, **shown))))
    assert [(one.status, one.why) for one in report.verdicts] == [("fine", "")]


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"mac": "0a:00:00:00:09:09"}, "MAC 0a:ff:00:00:00:01 recorded, 0a:00:00:00:09:09 in the kernel"),
        ({"vlan_id": 9}, "VLAN ID 2 recorded, 9 in the kernel"),
        ({"parent": 1}, f"trunk {TRUNK} recorded, 00:00:00:00:00:00 in the kernel"),
        ({"parent": 77}, f"trunk {TRUNK} recorded, none in the kernel"),
        ({"vlan_protocol": "802.1ad"}, "VLAN protocol 802.1Q recorded, 802.1ad in the kernel"),
    ],
)
def test_changed(tmp_path: Path, over: dict[str, Any], words: str) -> None:
    record(tmp_path, add_event(1, **ON_LINK))
    (verdict,) = compare(live(tmp_path), scanned(namespace(1, vlan(1, **over)))).verdicts
    assert (verdict.status, verdict.why) == ("changed", words)


def test_a_known_mismatch_is_no_change(tmp_path: Path) -> None:
    record(tmp_path, add_event(1, observed_mac="0a:00:00:00:09:09", mismatch=["branch_mac"]))
    report = compare(live(tmp_path), scanned(namespace(1, vlan(1, mac="0a:00:00:00:09:09"))))
    assert report.verdicts[0].status == "fine"
    words = "MAC 0a:ff:00:00:00:01 declared at the ADD, 0a:00:00:00:09:09 in the kernel since"
    assert report.verdicts[0].why == words


def without_namespace(n: int) -> dict[str, Any]:
    return {key: value for key, value in add_event(n).items() if not key.startswith("netns")}


def test_an_add_without_its_namespace_is_found_by_vlan_and_mac(tmp_path: Path) -> None:
    record(tmp_path, without_namespace(1))
    report = compare(live(tmp_path), scanned(namespace(7, vlan(1))))
    assert (report.verdicts[0].status, report.unrecorded, report.agrees) == ("fine", [], True)


@pytest.mark.parametrize("link", [vlan(2), vlan(1, vlan_id=1), vlan(1, vlan_id=3), vlan(2, vlan_id=2)])
def test_and_is_gone_when_none_has_them(tmp_path: Path, link: ScannedLink) -> None:
    record(tmp_path, without_namespace(1))
    report = compare(live(tmp_path), scanned(namespace(7, link)))
    assert report.verdicts[0].status == "gone"
    assert len(mark_lost(settings(tmp_path), ABOUT, report.verdicts)) == 1


def test_and_unknown_when_that_cannot_be_told(tmp_path: Path) -> None:
    record(tmp_path, without_namespace(1))
    twice = compare(live(tmp_path), scanned(namespace(7, vlan(1)), namespace(8, vlan(1))))
    hidden = compare(live(tmp_path), scanned(unreadable=("/proc/1/ns/net: Permission denied",)))
    for report in (twice, hidden):
        assert report.verdicts[0].status == "unknown"
        assert "without its namespace" in report.verdicts[0].why


def test_an_interface_that_is_gone_is_lost_too(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned(namespace(1)))
    assert [one["reason"] for one in mark_lost(settings(tmp_path), ABOUT, report.verdicts)] == ["verify"]


def test_what_could_not_be_looked_into_is_no_agreement(tmp_path: Path) -> None:
    assert not compare([], scanned(unreadable=("/proc/1/ns/net: Permission denied",))).agrees
    assert compare([], scanned()).agrees


def test_a_tap_s_vlan_link_has_another_name(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    tap = ScannedLink(5, "eth0", "0a:00:00:00:09:09", "tun")
    report = compare(live(tmp_path), scanned(namespace(1, tap, vlan(1, name="enp40s0.2"))))
    assert report.verdicts[0].status == "fine"
    assert report.unrecorded == []


def test_what_is_an_attachment_and_what_is_not() -> None:
    inside = ScannedLink(
        7, "eth0.5", None, "vlan", 5, 2
    )  # on a link of the same namespace: the container's own business
    elsewhere = ScannedLink(8, "eth1", None, "vlan", 6, 99)  # its trunk is in a third namespace
    found = attachments(scanned(namespace(1, vlan(1), inside, elsewhere, pids=(4711,)), namespace(2)))
    assert [(one["ifname"], one["vlan_id"], one.get("trunk_ifname"), one["pid"]) for one in found] == [
        ("eth0", 2, "enp40s0", 4711),
        ("eth1", 6, None, 4711),
    ]
    assert found[0]["addresses"] == ["10.0.0.1/20"]
    assert "trunk_mac" not in found[1]


def test_what_nobody_recorded_is_adopted_once(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    found = scanned(namespace(1, vlan(1)), namespace(2, vlan(2), pids=(os.getpid(),)))
    report = compare(live(tmp_path), found)
    assert [one["vlan_id"] for one in report.unrecorded] == [3]
    assert not report.agrees
    (written,) = adopt(settings(tmp_path), ABOUT, report)
    assert (written["event"], written["via"], written["vlan_id"]) == ("adopt", "scan", 3)
    assert written["pid_start"] == process_start(f"/proc/{os.getpid()}")
    assert "supersedes" not in written
    assert compare(live(tmp_path), found).agrees
    assert adopt(settings(tmp_path), ABOUT, report) == []


def test_an_add_that_came_between_is_not_superseded(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned(namespace(1, vlan(1)), namespace(2, vlan(2))))
    added = record(tmp_path, add_event(2))
    assert adopt(settings(tmp_path), ABOUT, report) == []
    assert added["association_id"] in {one["association_id"] for one in live(tmp_path)}


def test_what_verify_tells_to_adopt_is_adopted_whatever_the_ledger_has(tmp_path: Path) -> None:
    """The kernel has the VLAN in another namespace than the ledger: the ledger's is over."""
    gone = record(tmp_path, add_event(1, **ON_LINK))
    report = compare(live(tmp_path), scanned(namespace(7, vlan(1))))
    assert (report.count("gone"), len(report.unrecorded)) == (1, 1)
    (written,) = adopt(settings(tmp_path), ABOUT, report)
    assert written["supersedes"] == [gone["association_id"]]
    assert ON_LINK.items() <= written.items()
    assert compare(live(tmp_path), scanned(namespace(7, vlan(1)))).agrees


def test_four_vlans_of_one_mac_and_id_are_four(tmp_path: Path) -> None:
    """Two stacked on outer VLANs of the trunk, one on the trunk itself, one of 802.1ad: all have the trunk's MAC."""
    links: list[dict[str, Any]] = [{}, {"trunk_ifindex": 8}, {"trunk_ifindex": 9}, {"vlan_protocol": "802.1ad"}]
    for n, link in enumerate(links, 1):
        assert "supersedes" not in record(tmp_path, add_event(n, vlan_id=100, **{**ON_LINK, **link}))
    own = [ScannedLink(8, "enp40s0.2", TRUNK, "vlan"), ScannedLink(9, "enp40s0.3", TRUNK, "vlan")]
    found = scanned(
        *(
            namespace(
                n,
                vlan(
                    n,
                    vlan_id=100,
                    parent=link.get("trunk_ifindex", 3),
                    vlan_protocol=link.get("vlan_protocol", "802.1Q"),
                ),
            )
            for n, link in enumerate(links, 1)
        )
    )
    found.own += own
    report = compare(live(tmp_path), found)
    assert [one.status for one in report.verdicts] == ["fine"] * 4
    assert report.agrees
    assert len(adopt(settings(tmp_path / "new"), ABOUT, compare([], found))) == 4
    assert compare(live(tmp_path / "new"), found).agrees


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({**ON_LINK, "vlan_id": 9}, {"vlan_id": 9}, f"both have VLAN 9 of trunk {TRUNK}"),
        ({"vlan_id": 9, "trunk_ifindex": 3}, {**ON_LINK, "vlan_id": 9}, f"both have VLAN 9 of trunk {TRUNK}"),
        ({"eni_id": "eni-00000000000000009"}, {"eni_id": "eni-00000000000000009"}, "eni-00000000000000009 is in two"),
    ],
)
def test_what_cannot_both_be_true_and_cannot_be_decided(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    ids = [record(tmp_path, add_event(n, **fields))["association_id"] for n, fields in ((1, one), (2, other))]
    hidden = scanned(unreadable=("/proc/1/ns/net: Permission denied",))
    report = compare(live(tmp_path), hidden)
    (conflict,) = report.conflicts
    assert [conflict.earlier["association_id"], conflict.later["association_id"]] == ids
    assert conflict.why.startswith(words)
    assert not report.agrees
    assert len(live(tmp_path)) == 2
    assert compare(live(tmp_path), scanned()).conflicts == []  # both are gone, which decides it


def test_two_that_the_kernel_has_are_two(tmp_path: Path) -> None:
    """One of 0.1.0, of which the trunk's link is not known, beside another."""
    record(tmp_path, add_event(1, vlan_id=9))
    record(tmp_path, add_event(2, vlan_id=9, **{**ON_LINK, "vlan_protocol": "802.1ad"}))
    found = scanned(namespace(1, vlan(1, vlan_id=9)), namespace(2, vlan(2, vlan_id=9, vlan_protocol="802.1ad")))
    assert compare(live(tmp_path), found).agrees


def test_what_is_gone_is_lost_once_and_says_why(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1))
    record(tmp_path, add_event(2))
    report = compare(live(tmp_path), scanned(namespace(2, vlan(2))))
    (lost,) = mark_lost(settings(tmp_path), ABOUT, report.verdicts)
    assert (lost["event"], lost["reason"], lost["association_id"]) == ("lost", "verify", added["association_id"])
    assert (lost["vlan_id"], lost["via"]) == (2, "scan")
    assert mark_lost(settings(tmp_path), ABOUT, report.verdicts) == []
    assert len(live(tmp_path)) == 1


def test_what_was_ended_meanwhile_is_not_lost(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    report = compare(live(tmp_path), scanned())
    record(tmp_path, del_event(1))
    assert mark_lost(settings(tmp_path), ABOUT, report.verdicts) == []


@pytest.mark.parametrize(
    ("line", "container"),
    [
        (f"0::/ecs/0123/{'a' * 64}", "a" * 64),
        (f"0::/system.slice/docker-{'b' * 64}.scope", "b" * 64),
        (f"0::/kubepods.slice/pod1/cri-containerd-{'c' * 64}.scope", "c" * 64),
        ("0::/user.slice", None),
        (f"0::/x{'d' * 64}", None),
        ("", None),
    ],
)
def test_the_container_of_a_process(tmp_path: Path, line: str, container: str | None) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12/cgroup").write_text(f"{line}\n")
    assert container_of(12, str(tmp_path)) == container
    assert container_of(13, str(tmp_path)) is None
