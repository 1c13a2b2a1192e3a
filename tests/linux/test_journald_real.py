from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger import journald
from helpers.journal import Journal
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOG = Path(__file__).parents[2] / "conf/journald/eni-ledger.catalog"
CONTAINER = "0123456789ab" + "c" * 52
ADD: dict[str, Any] = {
    "ts": "2026-11-23T14:00:00.123456Z",
    "seq": 2,
    "v": 1,
    "event": "add",
    "association_id": "assoc-0123456789abcdef0",
    "instance_id": "i-0123456789abcdef0",
    "boot_id": "8a4d4c1c-6c3e-4a55-b9f6-0d2d24d4a7a1",
    "container_id": CONTAINER,
    "ifname": "eth0",
    "network": "ecs-trunk",
    "eni_id": "eni-0aaaaaaaaaaaaaaa1",
    "branch_mac": "0a:1b:2c:3d:00:01",
    "vlan_id": 101,
    "addresses": ["10.0.32.4/20", "fd00:32::4/64"],
    "gateways": ["10.0.32.1"],
    "protocol": "vlan",
    "trunk_eni_id": "eni-0bbbbbbbbbbbbbbb2",
    "trunk_mac": "0a:ff:ee:dd:cc:bb",
    "trunk_ifname": "enp40s0",
    "trunk_ifindex": 3,
    "netns": "/proc/1234/ns/net",
    "netns_inode": 4026532281,
    "netns_dev": 4,
    "pid": 1234,
    "pid_start": 81234,
    "observed_vlan_id": 101,
    "observed_mac": "0a:1b:2c:3d:00:01",
    "task_arn": "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef",
    "via": "chained",
    "plugin": "vlan",
    "cni_version": "1.0.0",
    "took_ms": 0.8,
    "crc": "0a1b2c3d",
}
# As a program on the machine would do it: the default sockets, its own process.
SENDER = "import sys; from eni_ledger import journald; sys.exit(not journald.send({'event': 'add'}))"


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal() as running:
        yield running


def test_every_field_of_an_add_is_read_back(journal: Journal) -> None:
    assert journald.send(ADD, sockets=journal.sockets)

    (entry,) = journal.entries("VLAN_ID=101", "NETNS_INODE=4026532281")

    assert entry["MESSAGE"] == (
        "branch eni-0aaaaaaaaaaaaaaa1 vlan 101 10.0.32.4,fd00:32::4 on trunk enp40s0 joined netns 4026532281"
        " (container 0123456789ab, task 0123456789abcdef0123456789abcdef)"
    )
    assert entry["MESSAGE_ID"] == journald.MESSAGE_IDS["add"]
    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "eni-ledger"
    assert entry["LEDGER_SEQ"] == "2"
    assert entry["IP"] == ["10.0.32.4", "fd00:32::4"]
    assert entry["_PID"] == str(os.getpid())
    for key, value in ADD.items():
        name = journald.field_name(key)
        assert name is not None
        sent = [str(item) for item in value] if isinstance(value, list) else [str(value)]
        assert entry[name] == (sent if len(sent) > 1 else sent[0])


@pytest.mark.parametrize(
    "match",
    ["IP=10.0.32.4", "ADDRESSES=fd00:32::4/64", f"CONTAINER_ID={CONTAINER}", "TRUNK_MAC=0a:ff:ee:dd:cc:bb"],
)
def test_one_entry_is_found_by_what_people_know(journal: Journal, match: str) -> None:
    journald.send(ADD, sockets=journal.sockets)
    journald.send({"event": "add", "vlan_id": 102, "addresses": ["10.0.32.5/20"]}, sockets=journal.sockets)

    assert [entry["VLAN_ID"] for entry in journal.entries(match)] == ["101"]


@pytest.mark.parametrize("kind", journald.MESSAGE_IDS)
def test_each_kind_of_event_has_its_message_id(journal: Journal, kind: str) -> None:
    assert journald.send({"event": kind, "seq": 7}, sockets=journal.sockets)

    (entry,) = journal.entries(f"MESSAGE_ID={journald.MESSAGE_IDS[kind]}")
    assert entry["EVENT"] == kind


def test_a_failure_is_an_error_with_its_own_id(journal: Journal) -> None:
    told = journald.send_failure(
        "ADD of eth0 was not recorded: no space left",
        {"container_id": CONTAINER, "error_code": 102},
        sockets=journal.sockets,
    )

    assert told
    (entry,) = journal.entries(f"MESSAGE_ID={journald.FAILURE_ID}")
    assert (entry["PRIORITY"], entry["CONTAINER_ID"], entry["ERROR_CODE"]) == ("3", CONTAINER, "102")


@pytest.mark.parametrize(
    "value",
    [
        "x\nPRIORITY=0",
        "x\nPRIORITY\n\x01\0\0\0\0\0\0\x000\n",
        "x\n\nMESSAGE=forged\nPRIORITY=0",
        "=\nPRIORITY=0\n",
        "a=b",
        "\nPRIORITY=0",
        "tab\tand\x1b[31mescape\x7f",
        "nul\0PRIORITY=0",
        "",
    ],
)
@pytest.mark.parametrize("key", ["container_id", "error_msg", "ifname"])
def test_no_value_adds_or_changes_a_field(journal: Journal, key: str, value: str) -> None:
    assert journald.send({"event": "add_failed", "seq": 41, key: value}, sockets=journal.sockets)

    entries = journal.entries("SYSLOG_IDENTIFIER=eni-ledger")
    assert len(entries) == 1, "one datagram made more than one entry"
    (entry,) = entries
    got = entry[key.upper()]
    assert (got if isinstance(got, bytes) else str(got).encode()) == value.encode()
    assert entry["PRIORITY"] == "4"
    message = entry["MESSAGE"]
    assert isinstance(message, str)
    assert message.isprintable()
    ours = {name for name in entry if not name.startswith("_")}
    assert ours == {
        *("MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "EVENT", "LEDGER_SEQ"),
        key.upper(),
    }


@pytest.mark.parametrize("size", [300_000, 1_000_000])
@pytest.mark.parametrize("filler", ["x", "x\n"])
def test_what_is_too_large_for_a_datagram_goes_by_memfd(journal: Journal, size: int, filler: str) -> None:
    value = filler * (size // len(filler))

    assert journald.send({"event": "add_failed", "seq": 9, "error_msg": value}, sockets=journal.sockets)

    (entry,) = journal.entries("LEDGER_SEQ=9")
    assert entry["ERROR_MSG"] == value


def test_more_fields_than_journald_takes_are_cut_and_counted(journal: Journal) -> None:
    addresses = [f"10.0.{n >> 8}.{n & 255}/20" for n in range(3000)]

    assert journald.send({"event": "add", "seq": 5, "addresses": addresses}, sockets=journal.sockets)

    (entry,) = journal.entries("LEDGER_SEQ=5")
    kept = entry["ADDRESSES"]
    assert isinstance(kept, list)
    left_out = entry["LEDGER_FIELDS_LEFT_OUT"]
    assert isinstance(left_out, str)
    assert len(kept) + int(left_out) == 6000  # addresses and their bare form


def test_a_journald_that_does_not_read_costs_nothing(journal: Journal) -> None:
    journal.freeze()
    took = []
    sent = []
    for seq in range(2000):
        started = time.thread_time()
        sent.append(journald.send({"event": "add", "seq": seq}, sockets=journal.sockets))
        took.append(time.thread_time() - started)
        if not sent[-1]:
            break
    assert sent[-1] is False, "the queue never filled"
    assert journald.send({"event": "add", "error_msg": "x" * 1_000_000}, sockets=journal.sockets) is False

    journal.thaw()
    assert len(journal.entries("EVENT=add")) == len(sent) - 1


def test_the_standard_paths_are_used(journal: Journal) -> None:
    journal.run([sys.executable, "-c", SENDER])

    assert len(journal.entries("EVENT=add")) == 1


def test_only_var_run_leads_to_the_socket_as_in_the_agents_container(journal: Journal, tmp_path: Path) -> None:
    seen = journal.run_with_only_var_run(
        ["sh", "-c", 'ls /run; ls /var/run/systemd/journal; exec "$@"', "sh", sys.executable, "-c", SENDER],
        tmp_path,
    )

    assert "socket" in seen.split()
    assert "systemd" not in seen.split()
    assert len(journal.entries("EVENT=add")) == 1


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with our catalog alone, compiled by journalctl."""
    need(shutil.which("journalctl"), "journalctl")
    root = tmp_path_factory.mktemp("catalog")
    sources = root / "usr/lib/systemd/catalog"
    sources.mkdir(parents=True)
    (root / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, sources)
    done = subprocess.run(
        ["journalctl", "--update-catalog", f"--root={root}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stderr == ""
    return root


def test_the_catalog_compiles_with_every_id(compiled: Path) -> None:
    done = subprocess.run(
        ["journalctl", f"--root={compiled}", "--list-catalog"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    listed = {line.split(" ", 1)[0] for line in done.stdout.splitlines()}
    assert listed == {*journald.MESSAGE_IDS.values(), journald.FAILURE_ID}


def test_journalctl_x_explains_an_entry_with_its_values(journal: Journal, compiled: Path) -> None:
    journald.send(ADD, sockets=journal.sockets)
    journal.run(["journalctl", "--sync"])
    database = compiled / "var/lib/systemd/catalog"

    shown = journal.run(
        [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
            f'mount --bind "{database}" /var/lib/systemd/catalog && exec journalctl -x --no-pager EVENT=add',
        ]
    )

    assert "Defined-By: eni-ledger" in shown
    assert "eni-0aaaaaaaaaaaaaaa1" in shown
    assert "4026532281" in shown
    assert "@" not in shown
