"""Interposed on a real trunk: the agent's own calls, and the ledger held against the kernel after each.

With ENI_LEDGER_TEST_DELEGATE_DIR the delegate is the real vpc-branch-eni, else a stand-in that does the same.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.query.questions import History
from helpers import agent_db
from helpers import delegate as stand_in
from helpers.agent import Agent, Branch, Pauses, real_delegates
from helpers.bolt import BoltWriter
from helpers.delegate import Resident, inside
from helpers.ledgers import prove
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eni_ledger.base.events import Fields
    from helpers.plugin import Answer
    from helpers.trunk import Trunk

TASKS, AT_ONCE = 50, 5
# Different numbers, so that VLAN IDs, addresses and MACs come back in ever new combinations.
VLANS, ADDRESSES, MACS = 9, 11, 13
HOST_PROC = Path("/host/proc")


@pytest.fixture(scope="module")
def host_proc(the_trunk: Trunk) -> Iterator[Path]:
    """Have /proc at /host/proc, as the agent's container has it."""
    HOST_PROC.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", "/proc", HOST_PROC], check=True)
    yield HOST_PROC
    subprocess.run(["umount", HOST_PROC], check=True)
    HOST_PROC.rmdir()
    HOST_PROC.parent.rmdir()


@pytest.fixture(scope="module")
def delegates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if real := real_delegates():
        yield real
        return
    with Resident(tmp_path_factory.mktemp("delegates")) as resident:
        yield resident.directory


@pytest.fixture(scope="module")
def pauses() -> Iterator[Pauses]:
    with Pauses() as made:
        yield made


@pytest.fixture
def agent(host_proc: Path, front_door: Path, delegates: Path, tmp_path: Path) -> Agent:
    return Agent(tmp_path / "eni-ledger", front_door, delegates)


def branch(number: int, trunk: Trunk, **more: Any) -> Branch:
    return Branch(
        f"{number:064x}",
        101 + number % VLANS,
        f"0a:1b:2c:3d:02:{number % MACS:02x}",
        [f"10.0.32.{10 + number % ADDRESSES}/20"],
        trunk_mac=trunk.mac,
        **more,
    )


def in_kernel(pid: int) -> dict[str, Any]:
    """Return what the kernel has in a pause process's namespace, in the ledger's words; not read by our own code."""
    netns = f"/proc/{pid}/ns/net"
    with inside(netns) as route:
        link = next(each for each in route.get_links() if each.get("ifname") == "eth0")
        assert link.get(("linkinfo", "kind")) == "vlan"
        addresses = [a for a in route.get_addr(index=link["index"]) if a["family"] == 2]
        routes = [r for r in route.get_default_routes(family=2) if r.get("oif") == link["index"]]
        return {
            "observed_vlan_id": link.get(("linkinfo", "data", "vlan_id")),
            "observed_mac": link.get("address"),
            "trunk_ifindex": link.get("link"),
            "netns_inode": Path(netns).stat().st_ino,
            "addresses": [f"{a.get('address')}/{a['prefixlen']}" for a in addresses],
            "gateways": [r.get("gateway") for r in routes],
        }


def agrees(event: Fields, pid: int) -> bool:
    """Whether an event says of a pause process what the kernel says."""
    shown = in_kernel(pid)
    return {key: event.get(key) for key in shown} == shown


def wait_until_free(trunk: Trunk, vlan: int) -> None:
    """Wait until the kernel has taken down the VLAN's link in a namespace that ended: it takes its time."""
    from pyroute2 import IPRoute, NetlinkError

    deadline = time.monotonic() + PATIENCE_S
    with IPRoute() as route:
        while True:
            try:
                route.link("add", ifname="probe", kind="vlan", link=trunk.index, vlan_id=vlan)
            except NetlinkError as exc:
                if exc.code != errno.EEXIST or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                route.link("del", ifname="probe")
                return


def fine(answer: Answer) -> None:
    assert (answer.status, answer.stderr) == (0, ""), answer


def test_fifty_tasks_start_and_stop(agent: Agent, front_door: Path, pauses: Pauses, the_trunk: Trunk) -> None:
    history = History(os.fspath(agent.state_dir))
    database = BoltWriter(os.fspath(agent.agent_db))
    tasks: dict[bytes, bytes] = {}
    alive: dict[tuple[int, int], Branch] = {}  # (number, pid), the oldest first
    shown: dict[int, dict[str, Any]] = {}

    def compare() -> None:
        live = {each["container_id"]: (each["observed_vlan_id"], each["netns_inode"]) for each in history.live()}
        kernel = {
            each.container_id: (shown[number]["observed_vlan_id"], Path(f"/proc/{pid}/ns/net").stat().st_ino)
            for (number, pid), each in alive.items()
        }
        assert live == kernel

    def start(number: int) -> None:
        new = branch(number, the_trunk)
        address = new.addresses[0].split("/")[0]
        eni = agent_db.eni_id(1, number)
        key, value = agent_db.task(f"{number:032x}", eni, new.mac, vlan=new.vlan, ip=address)
        tasks[key] = value  # those that stopped stay in it, as on a host
        database.commit({b"tasks": tasks})
        pid = pauses.start()
        wait_until_free(the_trunk, new.vlan)
        answer = agent.add(new, f"{HOST_PROC}/{pid}/ns/net")
        fine(answer)
        netns = f"{HOST_PROC}/{pid}/ns/net"
        assert answer.json()["interfaces"] == [{"name": "eth0", "mac": new.mac, "sandbox": netns}]
        (event,) = [each for each in agent.events("add") if each["container_id"] == new.container_id]
        shown[number] = in_kernel(pid)
        expected = {
            **shown[number],
            "vlan_id": new.vlan,
            "branch_mac": new.mac,
            "trunk_mac": the_trunk.mac,
            "trunk_ifname": the_trunk.name,
            "netns": netns,
            "pid": pid,
            "protocol": "vlan",
            "block_instance_metadata": True,
            "via": "interposed",
            "plugin": "vpc-branch-eni",
        }
        assert {key: event.get(key) for key in expected} == expected
        # The delegate may answer before agent.db is read; but never is it another's.
        known = (event.get("eni_id"), event.get("task_arn"))
        assert known in ((agent_db.eni_id(1, number), f"{agent_db.CLUSTER}/{number:032x}"), (None, None))
        assert shown[number]["trunk_ifindex"] == the_trunk.index
        assert not {"mismatch", "error_code", "supersedes"} & set(event)
        assert event["took_ms"] > 0
        alive[number, pid] = new

    def stop(number: int, pid: int) -> None:
        # The agent's DEL may come before the pause container's end or after it.
        ended = alive.pop((number, pid))
        if number % 2:
            pauses.stop(pid)
        answer = agent.delete(ended)
        fine(answer)
        assert answer.stdout == b""
        if not number % 2:
            pauses.stop(pid)
        tasks[f"{number:032x}".encode()] = agent_db.task(
            f"{number:032x}", agent_db.eni_id(1, number), ended.mac, vlan=ended.vlan, status="STOPPED"
        )[1]

    for number in range(TASKS):
        start(number)
        compare()
        if len(alive) > AT_ONCE:
            stop(*next(iter(alive)))
            compare()
    for number, pid in list(alive):
        stop(number, pid)
    compare()

    database.commit({b"tasks": tasks})
    database.close()
    prove(agent.state_dir)
    adds = agent.events("add")
    assert [each["container_id"] for each in agent.events("del")] == [each["container_id"] for each in adds]
    # A slow machine has no time to look at ADD or DEL; then `identify` finds what they missed.
    env = {**os.environ, "ENI_LEDGER_CONFIG": str(agent.home / "config.json")}
    subprocess.run([front_door, "identify", "--source", "agent-db"], env=env, check=True, stdout=subprocess.DEVNULL)
    known = {each["container_id"]: (each.get("eni_id"), each.get("task_arn")) for each in history.all()}
    numbers = range(TASKS)
    arns = [(agent_db.eni_id(1, number), f"{agent_db.CLUSTER}/{number:032x}") for number in numbers]
    assert [known[branch(number, the_trunk).container_id] for number in numbers] == arns
    for each in adds[::7]:  # each of them had its VLAN ID and its address at its time, and nobody else
        for what in (str(each["vlan_id"]), each["addresses"][0].split("/")[0], each["branch_mac"]):
            found = [association["container_id"] for association in history.who(what, at=each["ts"])]
            assert found == [each["container_id"]]


def test_an_add_again_for_the_same_attachment(agent: Agent, pauses: Pauses, the_trunk: Trunk) -> None:
    again, pid = branch(1, the_trunk, block_imds=False), pauses.start()
    wait_until_free(the_trunk, again.vlan)
    fine(agent.add(again, f"{HOST_PROC}/{pid}/ns/net"))
    answer = agent.add(again, f"{HOST_PROC}/{pid}/ns/net")
    (live,) = History(os.fspath(agent.state_dir)).live()
    assert agrees(live, pid)
    first, second = agent.events("add", "add_failed")
    if real_delegates():  # it looks for the link by the name that it had before it was renamed
        assert (answer.status, second["event"], second["error_msg"]) == (1, "add_failed", answer.json()["msg"])
        assert live["association_id"] == first["association_id"]
    else:
        fine(answer)
        assert second["supersedes"] == [first["association_id"]]
        assert live["association_id"] == second["association_id"]
    fine(agent.delete(again))
    # Again, and of what never was: without a word.
    fine(agent.delete(again))
    fine(agent.delete(branch(2, the_trunk)))
    assert len(agent.events("del")) == 1
    pauses.stop(pid)


def test_a_vlan_that_is_taken(agent: Agent, pauses: Pauses, the_trunk: Trunk) -> None:
    holder, other = branch(3, the_trunk), branch(3 + VLANS, the_trunk)
    assert (holder.vlan, holder.mac == other.mac) == (other.vlan, False)
    wait_until_free(the_trunk, holder.vlan)
    pids = pauses.start(), pauses.start()
    fine(agent.add(holder, f"{HOST_PROC}/{pids[0]}/ns/net"))
    answer = agent.add(other, f"{HOST_PROC}/{pids[1]}/ns/net")
    assert (answer.status, answer.stderr) == (1, "")
    (event,) = agent.events("add_failed")
    said = answer.json()
    assert (event["error_code"], event["error_msg"]) == (said["code"], said["msg"])
    assert (event["vlan_id"], event["branch_mac"], event["netns"]) == (
        other.vlan, other.mac, f"{HOST_PROC}/{pids[1]}/ns/net",
    )  # fmt: skip
    (live,) = History(os.fspath(agent.state_dir)).live()
    assert live["container_id"] == holder.container_id
    fine(agent.delete(holder))
    for pid in pids:
        pauses.stop(pid)


def test_cni_args_override(agent: Agent, pauses: Pauses, the_trunk: Trunk) -> None:
    pid = pauses.start()
    wait_until_free(the_trunk, 140)
    given = "BranchVlanID=140;BranchMACAddress=0a:1b:2c:3d:02:fe;IPAddresses=10.0.40.4/20,10.0.40.5/20"
    answer = agent.add(branch(4, the_trunk), f"{HOST_PROC}/{pid}/ns/net", CNI_ARGS=given + ";K8S_POD_NAME=x")
    if answer.status and real_delegates():
        pytest.fail(f"the real plugin refuses CNI_ARGS: {answer}")
    fine(answer)
    (event,) = agent.events("add")
    assert agrees(event, pid)
    assert (event["vlan_id"], event["branch_mac"]) == (140, "0a:1b:2c:3d:02:fe")
    assert event["addresses"] == ["10.0.40.4/20", "10.0.40.5/20"]
    assert "mismatch" not in event
    pauses.stop(pid)


def test_ipv6(agent: Agent, pauses: Pauses, the_trunk: Trunk) -> None:
    dual, pid = branch(5, the_trunk), pauses.start()
    dual.addresses.append("2001:db8:32::4/64")
    dual.gateways.append("2001:db8:32::1")
    wait_until_free(the_trunk, dual.vlan)
    fine(agent.add(dual, f"{HOST_PROC}/{pid}/ns/net"))
    (event,) = agent.events("add")
    assert (event["addresses"], event["gateways"]) == (dual.addresses, dual.gateways)
    assert in_kernel(pid)["observed_mac"] == event["observed_mac"]
    assert "mismatch" not in event
    pauses.stop(pid)


def test_the_stand_in_as_a_program_of_its_own(agent: Agent, pauses: Pauses, the_trunk: Trunk, tmp_path: Path) -> None:
    program = stand_in.script(tmp_path / "program/vpc-branch-eni", f'exec {sys.executable} -S {stand_in.__file__} "$@"')
    # Without site it starts quicker; so it has to be told where pyroute2 is.
    import pyroute2

    agent.configure(delegateDir=str(program.parent))
    one, pid = branch(6, the_trunk), pauses.start()
    wait_until_free(the_trunk, one.vlan)
    fine(agent.add(one, f"{HOST_PROC}/{pid}/ns/net", PYTHONPATH=str(Path(pyroute2.__file__).parents[1])))
    (event,) = agent.events("add")
    assert agrees(event, pid)
    assert event["vlan_id"] == one.vlan
    pauses.stop(pid)


def test_what_the_agent_asks_at_its_start(agent: Agent) -> None:
    asked = agent.environment("", "", "")
    env = {key: value for key, value in asked.items() if not key.startswith("CNI_")}
    capabilities, version = (agent.call(env, b"", argument) for argument in ("--capabilities", "--version"))
    for answer in (capabilities, version):
        fine(answer)
    assert json.loads(capabilities.stdout) == {"capabilities": ["awsvpc-network-mode"]}
    assert version.json()["gitShortHash"]
    assert not agent.state_dir.exists()
