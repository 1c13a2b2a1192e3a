"""The picture as data: hosts, trunks, what hangs on them, and how much of the limit is left."""

from __future__ import annotations

from eni_ledger.desk.topology.picture import branches as attachments
from eni_ledger.desk.topology.picture import draw
from helpers.pictures import BOOT, INSTANCE, branch, branches


def test_a_trunk_has_its_branches_by_vlan_and_what_is_left() -> None:
    (host,) = draw([branch(2), branch(0), branch(1)], instance_type="c5.large")["hosts"]
    assert (host["instance_id"], host["instance_type"], host["orchestrator"]) == (INSTANCE, "c5.large", "ecs")
    assert host["limits"] == {"ecs": 10, "eks": 9}
    (trunk,) = host["trunks"]
    assert (trunk["eni_id"], trunk["mac"], trunk["ifname"]) == ("eni-0fedcba9876543210", "0a:ff:ee:dd:cc:bb", "enp40s0")
    assert trunk["vlans_used"] == [101, 102, 103]
    assert trunk["vlans_left"] == {"ecs": 7, "eks": 6}
    assert [node["vlan_id"] for node in trunk["branches"]] == [101, 102, 103]


def test_of_an_unknown_type_nothing_is_left_or_not() -> None:
    for kind in (None, "z99.large"):
        (host,) = draw([branch(0)], instance_type=kind)["hosts"]
        assert host["limits"] == {"ecs": None, "eks": None}
        assert host["trunks"][0]["vlans_left"] == {"ecs": None, "eks": None}


def test_two_trunks_share_the_limit_of_their_instance() -> None:
    other = branch(1, trunk_mac="0a:ff:ee:dd:cc:cc", trunk_ifname="enp41s0", trunk_eni_id=None)
    (host,) = draw([branch(0), other], instance_type="c5.large")["hosts"]
    assert [trunk["vlans_used"] for trunk in host["trunks"]] == [[101], [102]]
    assert [trunk["vlans_left"]["ecs"] for trunk in host["trunks"]] == [8, 8]


def test_what_is_left_is_of_all_when_a_part_is_drawn() -> None:
    every = branches(8)
    (host,) = draw(every, instance_type="c5.large", shown={every[3]["association_id"]})["hosts"]
    (trunk,) = host["trunks"]
    assert [node["vlan_id"] for node in trunk["branches"]] == [104]
    assert (len(trunk["vlans_used"]), trunk["vlans_left"]["ecs"]) == (8, 2)
    assert draw(every, shown=set()) == {"hosts": []}


def test_a_vlan_id_that_changed_hands_in_the_second_is_used_once() -> None:
    (host,) = draw([branch(0), branch(1, vlan_id=101)], instance_type="c5.large")["hosts"]
    assert host["trunks"][0]["vlans_used"] == [101]
    assert host["trunks"][0]["vlans_left"]["ecs"] == 9


def test_a_trunk_takes_what_any_of_its_branches_knows_of_it() -> None:
    (host,) = draw([branch(0, trunk_eni_id=None), branch(1, trunk_ifname=None)])["hosts"]
    assert [trunk["eni_id"] for trunk in host["trunks"]] == ["eni-0fedcba9876543210"]


def test_whole_enis_and_other_attachments_hang_on_no_trunk() -> None:
    whole = branch(1, vlan_id=None, protocol="default")
    bridge = {"association_id": "assoc-1", "ifname": "eth0", "container_id": "ab", "since": "", "instance_id": INSTANCE}
    picture = draw([branch(0), whole, bridge])
    (host,) = picture["hosts"]
    assert [len(host["enis"]), len(host["others"]), host["branches"]] == [1, 1, 1]
    assert len(attachments(picture)) == 3


def test_each_host_is_drawn_and_only_this_one_has_its_type() -> None:
    picture = draw([branch(0), branch(1, instance_id="i-0000000000000000a")], instance_type="c5.large", here=INSTANCE)
    assert [(host["name"], host["instance_type"]) for host in picture["hosts"]] == [
        ("i-0000000000000000a", None),
        (INSTANCE, "c5.large"),
    ]


def test_a_host_without_an_instance_id_is_known_by_its_boot() -> None:
    (host,) = draw([branch(0, instance_id=None)], instance_type="c5.large", here=BOOT)["hosts"]
    assert (host["name"], host["instance_id"], host["instance_type"]) == (BOOT, None, "c5.large")


def test_containers_are_those_recorded_unless_docker_answers() -> None:
    recorded, none, unknown = branch(0), branch(1, containers=[]), branch(2, containers=None)
    found = attachments(draw([recorded, none, unknown]))
    assert [node["containers_from"] for node in found] == ["ledger", "ledger", None]
    assert [node["containers"] and len(node["containers"]) for node in found] == [2, [], None]
    live = {
        "containers": [{"id": "f" * 64, "name": "new"}],
        "from": "docker",
        "task_family": "other",
        "eni_id": "eni-1",
    }
    (node,) = attachments(draw([branch(0, eni_id=None)], facts=lambda _: live))
    assert (node["containers"], node["containers_from"]) == ([{"id": "f" * 64, "name": "new"}], "docker")
    assert (node["eni_id"], node["task"]["family"]) == ("eni-1", "api"), "the ledger's values come first"


def test_the_limit_of_eks_applies_where_the_network_is_its_own() -> None:
    pod = branch(0, task_arn=None, plugin="aws-cni", network="aws-cni")
    assert draw([pod])["hosts"][0]["orchestrator"] == "eks"
    assert draw([branch(0, task_arn=None, plugin="vlan")])["hosts"][0]["orchestrator"] is None


def test_nothing_live_is_an_empty_picture() -> None:
    assert draw([]) == {"hosts": []}


def test_values_of_an_odd_line_are_drawn_as_well_as_they_can_be() -> None:
    odd = branch(0, addresses="10.0.0.1", containers=["x", {"id": 7}], mismatch="vlan_id")
    (node,) = attachments(
        draw(
            [
                odd,
            ]
        )
    )
    assert (node["addresses"], node["containers"], node["mismatch"]) == (["10.0.0.1"], [{"id": 7}], ["vlan_id"])
    assert len(attachments(draw(branches(5)))) == 5


def test_trunks_of_the_past_are_drawn_until_the_next_reboot() -> None:
    idle = {"trunk_mac": "0a:00:00:00:0f:0f", "trunk_ifname": "ens7", "trunk_eni_id": None}
    ended = [
        branch(8, until="2026-11-27T04:00:00.000000Z", ended_by="del", **idle),
        branch(9, until="2026-11-27T05:00:00.000000Z", ended_by="lost", **idle),
        branch(7, until="2026-11-27T05:00:00.000000Z", ended_by="del"),  # of the trunk that has a live one
    ]
    (host,) = draw([branch(1)], ended=ended)["hosts"]
    assert [len(trunk["branches"]) for trunk in host["trunks"]] == [1, 0]
    assert host["trunks"][1]["last_until"] == "2026-11-27T05:00:00.000000Z"
    assert host["branches"] == 1
    (alone,) = draw([], ended=ended)["hosts"]
    assert alone["instance_id"] == host["instance_id"]
    assert len(alone["trunks"]) == 2
    assert draw([], ended=[{**one, "ended_by": "rebooted"} for one in ended])["hosts"] == []
    after = branch(1, boot_id="00000000-0000-4000-8000-00000000000f", since="2026-11-27T06:00:00.000000Z")
    (booted,) = draw([after], ended=ended)["hosts"]
    assert len(booted["trunks"]) == 1
