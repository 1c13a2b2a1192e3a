"""CHECK, GC and STATUS where there is something real to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers.cni_client import Attachment, Client, Conf, PluginError
from helpers.trunk import Pause, Trunk, branch, mac, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eni_ledger.ledger.query.questions import History


def in_netns(task: Pause, *command: str) -> None:
    run("nsenter", f"--net={task.netns}", "ip", *command)


def ours_alone(conflist: Conf) -> Conf:
    """Return the list at CNI 1.1.0 with eni-ledger alone: Debian's plugins do not know GC and STATUS."""
    return conflist | {"cniVersion": "1.1.0", "plugins": conflist["plugins"][-1:]}


@pytest.fixture
def task(pause: Callable[[], Pause]) -> Pause:
    return pause()


@pytest.fixture
def attached(the_trunk: Trunk, client: Client, state_dir: Path, task: Pause) -> tuple[Conf, Attachment]:
    conflist, attachment = branch(the_trunk.name, 1, state_dir), Attachment("web", task.netns)
    client.add(conflist, attachment)
    return conflist, attachment


def test_check_succeeds_while_all_is_as_recorded(client: Client, attached: tuple[Conf, Attachment]) -> None:
    client.check(*attached)
    assert client.stderr[-1] == ""


def test_check_fails_when_the_link_is_gone(client: Client, attached: tuple[Conf, Attachment], task: Pause) -> None:
    in_netns(task, "link", "del", "eth0")
    with pytest.raises(PluginError) as caught:
        client.check(*attached, only="eni-ledger")
    assert "eth0" in caught.value.document["details"]


def test_check_fails_when_the_link_has_another_vlan_id(
    client: Client, attached: tuple[Conf, Attachment], task: Pause, the_trunk: Trunk
) -> None:
    in_netns(task, "link", "del", "eth0")
    run("ip", "link", "add", "link", the_trunk.name, "name", "again", "type", "vlan", "id", "104")
    run("ip", "link", "set", "again", "address", mac(1), "netns", str(task.pid))
    in_netns(task, "link", "set", "again", "name", "eth0")
    with pytest.raises(PluginError) as caught:
        client.check(*attached, only="eni-ledger")
    details = caught.value.document["details"]
    assert "101" in details
    assert "104" in details


def test_check_fails_when_the_mac_is_another(client: Client, attached: tuple[Conf, Attachment], task: Pause) -> None:
    in_netns(task, "link", "set", "eth0", "address", mac(9))
    with pytest.raises(PluginError) as caught:
        client.check(*attached, only="eni-ledger")
    assert mac(9) in caught.value.document["details"]


def test_check_fails_in_another_namespace_of_the_same_container(
    client: Client, attached: tuple[Conf, Attachment], pause: Callable[[], Pause]
) -> None:
    conflist, _ = attached
    other = Attachment("web", pause().netns)
    with pytest.raises(PluginError):
        client.check(conflist, other, only="eni-ledger")


def test_gc_ends_what_is_not_valid_any_more_and_nothing_else(
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    history: History,
) -> None:
    attachments = {number: Attachment(f"task-{number}", pause().netns) for number in (1, 2, 3)}
    for number, attachment in attachments.items():
        client.add(branch(the_trunk.name, number, state_dir), attachment)
    conflist = ours_alone(branch(the_trunk.name, 1, state_dir))

    client.gc(conflist, None)
    client.gc(conflist | {"name": "another-network"}, [])
    assert len(history.live()) == 3

    client.gc(conflist, [attachments[1], attachments[3]])
    assert [each["vlan_id"] for each in history.live()] == [101, 103]
    assert [each["ended_by"] for each in history.who("102")] == ["lost"]


def test_status_says_whether_an_add_could_be_recorded(the_trunk: Trunk, client: Client, state_dir: Path) -> None:
    client.status(ours_alone(branch(the_trunk.name, 1, state_dir)))
    in_the_way = state_dir.parent / "file"
    in_the_way.write_text("")
    with pytest.raises(PluginError) as caught:
        client.status(ours_alone(branch(the_trunk.name, 1, in_the_way)))
    assert caught.value.code == 50
