"""The real vlan plugin and eni-ledger in one chain, on a real trunk: what is recorded is what the kernel has."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from helpers.cni_client import Attachment, Client
from helpers.journal import Journal
from helpers.trunk import Pause, Trunk, branch, link, mac, named_netns, run, wait_for_no_vlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.ledger.query.questions import History


def the_add(events: list[dict[str, Any]], container: str) -> dict[str, Any]:
    found = [each for each in events if each["event"] == "add" and each["container_id"] == container]
    assert len(found) == 1
    return found[0]


def check_against_kernel(recorded: dict[str, Any], netns: str, the_trunk: Trunk) -> None:
    """Compare what was written with what `ip` and `stat` say, field by field."""
    shown = link(netns)
    assert shown["linkinfo"]["info_kind"] == "vlan"
    vlan_id = shown["linkinfo"]["info_data"]["id"]
    assert (recorded["vlan_id"], recorded["observed_vlan_id"]) == (vlan_id, vlan_id)
    assert (recorded["branch_mac"], recorded["observed_mac"]) == (shown["address"], shown["address"])
    assert recorded["trunk_ifindex"] == shown["link_index"] == the_trunk.index
    assert recorded["vlan_protocol"] == shown["linkinfo"]["info_data"]["protocol"] == "802.1Q"
    assert recorded["trunk_netns_inode"] == Path("/proc/self/ns/net").stat().st_ino
    assert (recorded["trunk_ifname"], recorded["trunk_mac"]) == (the_trunk.name, the_trunk.mac)
    inet = [f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["family"] == "inet"]
    assert recorded["addresses"] == inet
    status = os.stat(netns)  # noqa: PTH116 - of the namespace, not of the link in /proc
    assert (recorded["netns_inode"], recorded["netns_dev"]) == (status.st_ino, status.st_dev)
    assert "mismatch" not in recorded


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_one_task_from_add_to_del(
    version: str,
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    task = pause()
    conflist = branch(the_trunk.name, 1, state_dir, version)
    attachment = Attachment("web", task.netns)
    before = Client(client.path).add(conflist | {"plugins": conflist["plugins"][:2]}, attachment)
    after = client.call("ADD", conflist, conflist["plugins"][2], attachment, before)
    assert after == before

    recorded = the_add(events(), "web")
    check_against_kernel(recorded, task.netns, the_trunk)
    assert recorded["netns"] == task.netns
    assert recorded["pid"] == task.pid
    assert recorded["pid_start"] == int(Path(f"/proc/{task.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert (recorded["ifname"], recorded["network"], recorded["via"]) == ("eth0", "ecs-trunk", "chained")
    assert (recorded["protocol"], recorded["gateways"]) == ("vlan", ["10.0.32.1"])
    assert recorded["cni_version"] == version

    client.delete(conflist, attachment)
    last = events()[-1]
    assert (last["event"], last["association_id"]) == ("del", recorded["association_id"])


def test_three_tasks_are_told_apart(
    the_trunk: Trunk,
    client: Client,
    front_door: Path,
    state_dir: Path,
    pause: Callable[[], Pause],
    history: History,
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    tasks = {number: pause() for number in (1, 2, 3)}
    for number, task in tasks.items():
        client.add(branch(the_trunk.name, number, state_dir), Attachment(f"task-{number}", task.netns))
    for number, task in tasks.items():
        check_against_kernel(the_add(events(), f"task-{number}"), task.netns, the_trunk)

    listed = json.loads(run(front_door, "list", "--state-dir", state_dir, "--json"))["associations"]
    assert [each["container_id"] for each in listed] == ["task-1", "task-2", "task-3"]
    # JSON has a key for whatever an association may have, null where it is not known.
    assert [{key: value for key, value in each.items() if value is not None} for each in listed] == history.live()
    inode = str(Path(tasks[2].netns).stat().st_ino)
    for what, number in (("101", 1), ("10.0.32.3", 3), (mac(2), 2), ("task-3", 3), (inode, 2)):
        assert [each["container_id"] for each in history.who(what)] == [f"task-{number}"], what


def test_a_vlan_id_that_is_used_again_ends_the_one_before(
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    history: History,
) -> None:
    conflist = branch(the_trunk.name, 1, state_dir)
    first = pause()
    client.add(conflist, Attachment("first", first.netns))
    first.stop()  # no DEL: the runtime was killed, say
    wait_for_no_vlan(101)
    client.add(conflist, Attachment("second", pause().netns))

    assert [each["container_id"] for each in history.live()] == ["second"]
    answers = history.who("101")
    assert [(each["container_id"], each.get("ended_by")) for each in answers] == [
        ("first", "superseded"),
        ("second", None),
    ]
    assert answers[0]["until"] == answers[1]["since"]


@pytest.mark.parametrize("netns", ["", "none", "/proc/999999999/ns/net"])
def test_del_without_the_namespace_finds_its_association(
    netns: str,
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    history: History,
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    conflist = branch(the_trunk.name, 1, state_dir)
    task = pause()
    client.add(conflist, Attachment("web", task.netns))
    task.stop()
    kept = client.results["ecs-trunk", "web", "eth0"]
    client.call("DEL", conflist, conflist["plugins"][-1], Attachment("web", netns), kept)

    assert history.live() == []
    added, ended = the_add(events(), "web"), events()[-1]
    assert ended["event"] == "del"
    for key in ("association_id", "vlan_id", "branch_mac", "trunk_ifname", "netns_inode", "addresses"):
        assert ended[key] == added[key], key


def test_a_named_namespace_is_entered(
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    with named_netns("eni-ledger-test") as netns:
        conflist = branch(the_trunk.name, 2, state_dir)
        attachment = Attachment("named", netns)
        client.add(conflist, attachment)
        recorded = the_add(events(), "named")
        check_against_kernel(recorded, netns, the_trunk)
        assert recorded["netns"] == netns
        assert "pid" not in recorded
        client.delete(conflist, attachment)
    wait_for_no_vlan(102)


def test_a_link_that_is_no_vlan_has_no_vlan_id_though_it_is_on_the_trunk(
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    task = pause()
    conflist = branch(the_trunk.name, 3, state_dir)
    ipam = conflist["plugins"][0]["ipam"]
    conflist["plugins"][:2] = [{"type": "macvlan", "master": the_trunk.name, "ipam": ipam}]
    client.add(conflist, Attachment("macvlan", task.netns))
    recorded = the_add(events(), "macvlan")
    assert "vlan_id" not in recorded
    assert "observed_vlan_id" not in recorded
    assert recorded["declared_mac"] == recorded["observed_mac"] == link(task.netns)["address"]
    assert "branch_mac" not in recorded  # a macvlan's MAC is no ENI's
    assert recorded["addresses"] == ["10.0.32.3/20"]
    client.delete(conflist, Attachment("macvlan", task.netns))


def test_a_mac_that_is_not_the_declared_one_is_a_finding(
    the_trunk: Trunk,
    client: Client,
    state_dir: Path,
    pause: Callable[[], Pause],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    task = pause()
    conflist = branch(the_trunk.name, 1, state_dir)
    attachment = Attachment("web", task.netns)
    before = Client(client.path).add(conflist | {"plugins": conflist["plugins"][:2]}, attachment)
    run("nsenter", f"--net={task.netns}", "ip", "link", "set", "eth0", "address", mac(9))
    assert client.call("ADD", conflist, conflist["plugins"][2], attachment, before) == before
    recorded = the_add(events(), "web")
    assert (recorded["branch_mac"], recorded["observed_mac"]) == (mac(1), mac(9))
    assert recorded["mismatch"] == ["branch_mac"]


def test_adds_at_once_make_one_gapless_ledger(
    the_trunk: Trunk,
    client: Client,
    front_door: Path,
    state_dir: Path,
    pause: Callable[[], Pause],
    history: History,
) -> None:
    tasks = {number: pause() for number in range(11, 19)}

    def attach(number: int) -> None:
        conflist = branch(the_trunk.name, number, state_dir)
        client.add(conflist, Attachment(f"task-{number}", tasks[number].netns))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attach, tasks))
    # Under this load some may have gone to the spool; the next writer folds them in.
    client.delete(branch(the_trunk.name, 11, state_dir), Attachment("task-11", ""))
    assert {each["vlan_id"] for each in history.live()} == set(range(112, 119))
    checked = subprocess.run(
        [front_door, "fsck", "--state-dir", state_dir], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_entry_in_the_journal_is_found_by_vlan_id(
    the_trunk: Trunk, front_door: Path, client: Client, tmp_path: Path, pause: Callable[[], Pause]
) -> None:
    task = pause()
    # The journal has a /run of its own, so the state has to be somewhere else for the plugin that sees it.
    with Journal() as journal, TemporaryDirectory(dir="/var/tmp") as elsewhere:
        plugin = tmp_path / "eni-ledger-with-journal"
        plugin.write_text(f"#!/bin/sh\nexec {shlex.join(journal.command([front_door]))}\n")
        plugin.chmod(0o755)
        client.overrides["eni-ledger"] = plugin
        conflist = branch(the_trunk.name, 1, Path(elsewhere, "state"))
        client.add(conflist, Attachment("web", task.netns))
        client.delete(conflist, Attachment("web", ""))
        entries = journal.entries("VLAN_ID=101", "SYSLOG_IDENTIFIER=eni-ledger")
    assert [entry["BRANCH_MAC"] for entry in entries] == [mac(1), mac(1)]
    assert {entry["NETNS_INODE"] for entry in entries} == {str(Path(task.netns).stat().st_ino)}
