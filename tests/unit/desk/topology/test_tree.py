"""The tree: every level while there are few branches, a line for each when there are many."""

from __future__ import annotations

from eni_ledger.desk.topology.picture import draw
from eni_ledger.desk.topology.tree import TreeLines
from helpers.pictures import HOSTILE, branch, branches


def test_the_levels_of_a_branch() -> None:
    one = branch(0, containers=[{"id": "ab" * 32, "name": "app"}], eni_id="eni-0123456789abcdef0")
    lines = list(TreeLines(None).lines(draw([one], instance_type="c5.large")))
    assert lines == [
        "i-0123456789abcdef0  c5.large, at most 10 branches (ECS)",
        "└─ trunk enp40s0  eni-0fedcba9876543210  0a:ff:ee:dd:cc:bb",
        "   1 VLAN ID used, 9 left (ECS)",
        "   └─ VLAN 101  eni-0123456789abcdef0  0a:1b:2c:3d:00:00  10.0.32.4",
        "      └─ netns 4026532281  api:17/5feceb66  pid 2000",
        "         ├─ pause  5feceb66ffc8  ecs-api-17-internalecspause-5feceb66ffc86f38d9",
        "         ├─ hostname  ip-10-0-32-4.eu-central-1.compute.internal",
        "         └─ app  abababababab",
    ]


def test_what_is_not_known_is_said_to_be_and_none_is_none() -> None:
    text = "\n".join(
        TreeLines(None).lines(draw([branch(0, containers=None, instance_id=None), branch(1, containers=[])]))
    )
    assert "instance not known (boot 00000000-" in text
    assert "instance type not known" in text
    assert "left: not known" in text
    assert "containers not known" in text
    assert "no other container" in text


def test_without_a_sign_of_ecs_or_eks_both_limits_are_shown_apart() -> None:
    lines = list(TreeLines(None).lines(draw([branch(0, task_arn=None, plugin="vlan")], instance_type="m5.16xlarge")))
    assert lines[0].endswith("m5.16xlarge, at most 120 branches (ECS), at most 107 branches (EKS)")
    assert lines[2].strip() == "1 VLAN ID used, 119 left (ECS), 106 left (EKS)"


def test_a_hundred_and_twenty_branches_are_a_line_each_in_eighty_columns() -> None:
    names = [{"id": "ab" * 32, "name": "notifications-worker"}, {"id": "cd" * 32, "name": "envoy"}]
    many = branches(120, task_family="notifications-worker", containers=names)
    lines = list(TreeLines(80).lines(draw(many, instance_type="m5.16xlarge")))
    assert max(map(len, lines)) <= 80
    assert len(lines) == 3 + 1 + 120 + 1
    assert lines[2].strip() == "120 VLAN IDs used, 0 left (ECS)"
    assert lines[3].split() == ["VLAN", "IP", "TASK", "NETNS", "CONTAINERS"]
    for number, line in enumerate(lines[4:-1]):
        assert line.split()[1:3] == [str(101 + number), f"10.0.32.{number + 4}"]
        assert str(4026532281 + number) in line
        assert " notificati" in line
    assert len({line.index("40265322") for line in lines[4:-1] if "40265322" in line}) == 1, "columns stand in line"


def test_nothing_is_wider_than_the_terminal() -> None:
    for count in (1, 3, 30):
        for width in (40, 80):
            assert max(map(len, TreeLines(width).lines(draw(branches(count))))) <= max(width, 60 if count > 24 else 0)


def test_ascii_where_the_terminal_has_no_more() -> None:
    for count in (2, 30):
        text = "\n".join(TreeLines(60, unicode=False).lines(draw(branches(count))))
        assert text.isascii()
        assert "|- " in text


def test_a_mismatch_is_marked() -> None:
    assert "! vlan_id" in "\n".join(TreeLines(None).lines(draw([branch(0, mismatch=["vlan_id"])])))
    assert " 101!" in "\n".join(
        TreeLines(None).lines(draw([branch(0, mismatch=["vlan_id"]), *map(branch, range(1, 30))]))
    )


def test_hostile_names_control_no_terminal() -> None:
    hostile = [
        branch(n, task_family=name, pause_name=name, containers=[{"id": name, "name": name}])
        for n, name in enumerate(HOSTILE)
    ]
    for picture in (draw(hostile), draw([*hostile, *map(branch, range(20, 60))])):
        for line in TreeLines(80).lines(picture):
            assert line.isprintable(), line


def test_whole_enis_have_a_limb_of_their_own() -> None:
    lines = list(TreeLines(None).lines(draw([branch(0), branch(1, vlan_id=None, protocol="default", ifname="eth1")])))
    assert "└─ whole ENIs" in lines
    assert lines[lines.index("└─ whole ENIs") + 1].startswith("   └─ eth1  eni-")
