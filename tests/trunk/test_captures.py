"""Captures made on a trunk while a VLAN ID changes hands, annotated live and afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.cni_client import Attachment, Client
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.trunk import Pause, Trunk, branch, mac, run, wait_for_no_vlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEER, PEER_MAC = "10.0.32.200", "0a:1b:2c:3d:02:c8"
SEND = """import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), (sys.argv[2], 9))"""
FIRST, OTHER, SECOND = "first", "other", "second"
"""Container IDs: the first and the second one have VLAN 101, one after the other."""


@pytest.fixture(autouse=True)
def _tools() -> None:
    for tool in ("tcpdump", "tshark"):
        need(shutil.which(tool), tool)


def wait_for(path: Path, data: bytes) -> None:
    """Wait until a file holds `data`."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists() or data not in path.read_bytes():
        assert time.monotonic() < deadline, f"{path} does not get {data!r}: {path.read_bytes()[-500:]!r}"
        time.sleep(0.05)


@contextmanager
def started(command: str, directory: Path) -> Iterator[None]:
    """Run a shell command whose tcpdump is interrupted at the end; go on when that listens."""
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(["sh", "-c", f"echo $$ >{directory}/pid; {command}"], stderr=stderr)
    try:
        wait_for(directory / "stderr", b"listening on")
        yield
    finally:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        dumping = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "tcpdump\n"]
        run("kill", "-INT", *dumping)
        process.wait(PATIENCE_S)


def send(task: Pause, text: str) -> None:
    """Send a packet from a task to a neighbour that needs no ARP."""
    enter = ("nsenter", f"--net={task.netns}")
    run(*enter, "ip", "neighbour", "replace", PEER, "lladdr", PEER_MAC, "dev", "eth0")
    run(*enter, sys.executable, "-I", "-S", "-c", SEND, text, PEER)


def test_two_tasks_through_one_trunk_while_a_vlan_id_changes_hands(
    the_trunk: Trunk,
    client: Client,
    front_door: Path,
    state_dir: Path,
    tmp_path: Path,
    pause: Callable[[], Pause],
) -> None:
    conflists = {FIRST: branch(the_trunk.name, 1, state_dir), OTHER: branch(the_trunk.name, 2, state_dir)}
    conflists[SECOND] = branch(the_trunk.name, 3, state_dir)
    conflists[SECOND]["plugins"][0]["vlanId"] = 101
    tasks = {name: pause() for name in conflists}
    attachments = {name: Attachment(name, task.netns) for name, task in tasks.items()}
    capture, live = tmp_path / "x.pcap", tmp_path / "live"
    for path in (directories := [tmp_path / "file", tmp_path / "pipe"]):
        path.mkdir()
    dump = f"tcpdump -i {the_trunk.name} -n --immediate-mode"
    annotate = f"{front_door} annotate --state-dir {state_dir}"
    with (
        started(f"{dump} -U -w {capture}; :", directories[0]),
        started(f"{dump} -el -tt | {annotate} >{live}; :", directories[1]),
    ):
        client.add(conflists[FIRST], attachments[FIRST])
        client.add(conflists[OTHER], attachments[OTHER])
        send(tasks[FIRST], "of-the-first")
        send(tasks[OTHER], "of-the-other")
        wait_for(live, f"{mac(2)} > {PEER_MAC}".encode())
        client.delete(conflists[FIRST], attachments[FIRST])
        tasks[FIRST].stop()
        wait_for_no_vlan(101)
        client.add(conflists[SECOND], attachments[SECOND])
        send(tasks[SECOND], "of-the-second")
        wait_for(capture, b"of-the-second")
        wait_for(live, f"{mac(3)} > {PEER_MAC}".encode())
    expected = {mac(1): (101, FIRST), mac(2): (102, OTHER), mac(3): (101, SECOND)}

    sent = [line for line in live.read_text().splitlines() if f" > {PEER_MAC}" in line]
    assert len(sent) == 3
    for line, (source, (vlan, name)) in zip(sent, expected.items(), strict=True):
        assert f"{source} > " in line
        assert f"vlan {vlan}, " in line
        assert f"[from container {name} eni-?" in line

    written = tmp_path / "y.pcapng"
    run(front_door, "annotate", "--state-dir", state_dir, "--read", capture, "--write", written)
    fields = ("eth.src", "vlan.id", "frame.comment", "ip.src_host")
    options = [part for field in fields for part in ("-e", field)]
    shown = run("tshark", "-r", written, "-N", "n", "-Y", f"eth.dst == {PEER_MAC}", "-T", "fields", *options)
    rows = [line.split("\t") for line in shown.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [(source, str(vlan)) for source, (vlan, _) in expected.items()]
    for row, (_, name) in zip(rows, expected.values(), strict=True):
        assert row[2].startswith(f"from container {name} ")
        assert row[3] == f"container-{name}"

    profile = tmp_path / "names"
    run(front_door, "names", profile, "--since", "-1h", "--state-dir", state_dir)
    assert f"101\t2 users: container {FIRST}, container {SECOND}\n" in (profile / "vlans").read_text()
