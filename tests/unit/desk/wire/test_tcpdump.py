"""The tcpdump command of an association."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.wire.tcpdump import command
from helpers.prereq import need

BRANCH: dict[str, Any] = {"protocol": "vlan", "vlan_id": 101, "branch_mac": "0a:1b:2c:3d:01:01"}
ENI: dict[str, Any] = {"protocol": "default", "branch_mac": "0a:1b:2c:3d:01:01"}
FILTER = "vlan 101 and ether host 0a:1b:2c:3d:01:01"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-e", "-n", FILTER]),
        (["-w", "out.pcap"], ["-w", "out.pcap", FILTER]),
        (["-c", "20", "port", "443"], ["-e", "-n", "-c", "20", f"{FILTER} and (port 443)"]),
        (["port 443 or arp"], ["-e", "-n", f"{FILTER} and (port 443 or arp)"]),
        (["-vvX", "--", "host", "10.0.0.1"], ["-e", "-n", "-vvX", f"{FILTER} and (host 10.0.0.1)"]),
        (["--snapshot-length=96", "-U"], ["-e", "-n", "--snapshot-length=96", "-U", FILTER]),
    ],
)
def test_the_filter_of_a_branch_stands_before_the_callers_expression(arguments: list[str], expected: list[str]) -> None:
    assert command(BRANCH, "enp40s0", arguments) == ["tcpdump", "-i", "enp40s0", *expected]


def test_the_mac_is_the_one_that_the_kernel_shows() -> None:
    assert command({**BRANCH, "observed_mac": "0a:00:00:00:00:01"}, "t0")[-1].endswith("ether host 0a:00:00:00:00:01")
    assert command({"vlan_id": 7}, "t0")[-1] == "vlan 7"


def test_a_whole_eni_needs_no_filter() -> None:
    assert command(ENI, "eth0") == ["tcpdump", "-i", "eth0", "-e", "-n"]
    assert command(ENI, "eth0", ["tcp"]) == ["tcpdump", "-i", "eth0", "-e", "-n", "tcp"]


@pytest.mark.parametrize("argument", ["-ieth1", "--interface=eth1", "-r", "-F", "-V", "--rewrite", "-9"])
def test_arguments_that_choose_other_packets_or_that_tcpdump_lacks(argument: str) -> None:
    with pytest.raises(UsageError):
        command(BRANCH, "t0", [argument, *(["file"] if len(argument) == 2 else [])])


@pytest.mark.parametrize("expression", ["", "port 443", "tcp or arp", "ip6 and not udp"])
def test_tcpdump_compiles_the_filter(expression: str) -> None:
    need(shutil.which("tcpdump"), "tcpdump")
    wanted = command(BRANCH, "t0", [expression] if expression else [])[-1]
    done = subprocess.run(["tcpdump", "-d", "-y", "EN10MB", wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
