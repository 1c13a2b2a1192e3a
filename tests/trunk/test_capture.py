"""`capture` on a real trunk: the packets of one branch, and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from helpers import trunk
from helpers.cni_client import Attachment
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from helpers.cni_client import Client


def test_the_packets_of_one_branch_and_no_others(
    client: Client, the_trunk: trunk.Trunk, pause: Callable[[], trunk.Pause], state_dir: Path, tmp_path: Path
) -> None:
    need(shutil.which("tcpdump"), "tcpdump")
    processes = {number: pause() for number in (1, 2)}
    for number, process in processes.items():
        client.add(trunk.branch(the_trunk.name, number, state_dir), Attachment(f"{number}" * 64, process.netns))
    out = tmp_path / "out.pcap"
    own = [sys.executable, "-m", "eni_ledger.entry", "capture", "10.0.32.1"]
    capture = subprocess.Popen(
        [*own, "--", "-c", "3", "-U", "-w", str(out), "udp"],
        env={**os.environ, "ENI_LEDGER_STATE_DIR": str(state_dir)},
        stderr=subprocess.PIPE,
        text=True,
    )
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); s.sendto(b'x', ('10.0.47.255', 9))"
    )
    while capture.poll() is None:
        for process in processes.values():
            trunk.run("nsenter", f"--net={process.netns}", sys.executable, "-c", send)
    said = capture.communicate(timeout=PATIENCE_S)[1]
    assert capture.returncode == 0, said
    read = ["tcpdump", "-e", "-n", "-r", str(out)]
    lines = subprocess.run(read, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 3
    assert all("vlan 101" in line and line.split()[1] == trunk.mac(1) for line in lines), lines
