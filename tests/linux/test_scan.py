"""`scan` on real network namespaces."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from helpers.patience import PATIENCE_S
from helpers.trunk import Pause, run

pytestmark = pytest.mark.usefixtures("namespaces")


def test_states_and_counters_of_links_in_other_namespaces() -> None:
    from eni_ledger.kernel.scan import COUNTERS, scan

    with Pause() as pause:
        inside = ("nsenter", f"--net={pause.netns}", "ip")
        run(*inside, "link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
        run(*inside, "address", "add", "10.9.0.2/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")

        def link() -> dict[str, object]:
            (found,) = (space for space in scan().namespaces if pause.pid in space.pids)
            (eth0,) = (each for each in found.links if each.name == "eth0")
            return {"state": eth0.state, "kind": eth0.kind, "addresses": eth0.addresses, **eth0.counters}

        before = link()
        assert (before["state"], before["kind"], before["addresses"]) == ("lowerlayerdown", "veth", ["10.9.0.2/24"])
        run(*inside, "link", "set", "peer0", "up")
        send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.9.0.9', 9))"
        run("nsenter", f"--net={pause.netns}", sys.executable, "-c", send)
        shown = json.loads(run(*inside, "-s", "-j", "link", "show", "eth0"))[0]
        after = link()
        assert after["state"] == "up"
        assert set(COUNTERS) <= set(after)
        assert isinstance(after["tx_packets"], int)
        assert after["tx_packets"] >= shown["stats64"]["tx"]["packets"] >= 1


def scanned(*options: str) -> str:
    command = [sys.executable, "-m", "eni_ledger.entry", "scan", "--no-identity", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_the_command() -> None:
    assert set(json.loads(scanned("--json"))) == {"interfaces", "unreadable"}


def test_a_sorted_table_is_the_usual_one() -> None:
    with Pause() as pause:
        run("nsenter", f"--net={pause.netns}", "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
        assert scanned("--sort", "ifname").splitlines()[0].split() == scanned().splitlines()[0].split()
        assert len(scanned("--limit", "1", "--no-headers").splitlines()) == 1
