"""The files of `fixtures/agent-log` are what the real plugins wrote, built from amazon-vpc-cni-plugins.

`vpc-branch-eni.log.*` and `debug.log.*` are of August 2023 (be52143), `2020.log.*` (a21d3a4) and `2019.log.*` (cdd89b9)
are of older releases, all run on a real 802.1Q trunk on Linux 6.1: ADD, ADD again, DEL with `none`, DEL with the
namespace; a missing namespace; tap and macvtap; CNI_ARGS; a whole ENI by vpc-eni; four ADDs at once.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.reconcile import agent_log
from eni_ledger.reconcile.agent_log import LogEvent, ParseReport

LOGS = Path(__file__).parents[2] / "fixtures" / "agent-log"
HOUR_13, HOUR_14 = agent_log.rolled(LOGS / "vpc-branch-eni.log")
TRUNK = "0a:ff:ee:dd:cc:bb"


def parse(*lines: str | bytes) -> tuple[list[LogEvent], ParseReport]:
    report = ParseReport()
    encoded = [line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines]
    return list(agent_log.parse(encoded, report)), report


def netconf(vlan: int, mac: str, plugin: str = "vpc-branch-eni") -> str:
    return (
        f"&{{NetConf:{{CNIVersion:0.3.0 Name:network-name Type:{plugin} Capabilities:map[] IPAM:{{Type:}} "
        "DNS:{Nameservers:[] Domain: Search:[] Options:[]} RawPrevResult:map[] PrevResult:<nil>} "
        f"TrunkName: TrunkMACAddress:{TRUNK} BranchVlanID:{vlan} BranchMACAddress:{mac} "
        "IPAddresses:[{IP:10.0.32.4 Mask:fffff000}] GatewayIPAddresses:[10.0.32.1] BlockIMDS:true "
        "InterfaceType:vlan Tap:<nil>}."
    )


def at(second: int, message: str, level: str = "INFO") -> str:
    return f"2026-11-23T14:{second // 60:02}:{second % 60:02}Z [{level}] {message}"


def add(second: int, vlan: int, mac: str) -> str:
    return at(second, f"Executing ADD with netconfig: {netconf(vlan, mac)}")


def start(second: int) -> str:
    return at(second, "Plugin vpc-branch-eni version 2023.08.0 executing CNI command.")


def result(second: int, mac: str, pid: int) -> str:
    sandbox = f"/host/proc/{pid}/ns/net"
    interface = f"[{{Name:eth0 Mac:{mac} Sandbox:{sandbox}}}]"
    return at(second, f"Writing CNI result to stdout: &{{CNIVersion:1.0.0 Interfaces:{interface} IPs:[] Routes:[]}}")


def kinds(events: Iterable[LogEvent]) -> list[tuple[str, int | None]]:
    return [(event.fields["event"], event.fields.get("vlan_id")) for event in events]


def test_an_add_in_all_its_fields() -> None:
    event = next(agent_log.read([HOUR_13]))
    assert event.source == str(HOUR_13)
    assert event.line == 2
    assert event.settled
    assert event.fields == {
        "event": "add",
        "ts": "2026-11-23T13:59:51.000000Z",
        "branch_mac": "0a:1b:2c:3d:00:01",
        "vlan_id": 101,
        "addresses": ["10.0.32.4/20"],
        "gateways": ["10.0.32.1"],
        "protocol": "vlan",
        "trunk_mac": TRUNK,
        "trunk_ifname": "enp40s0",
        "interface_type": "vlan",
        "block_instance_metadata": True,
        "network": "network-name",
        "netns": "/proc/136/ns/net",
        "pid": 136,
        "ifname": "eth0",
        "plugin": "vpc-branch-eni",
        "cni_version": "0.3.0",
        "via": "import",
        "import_id": event.import_id,
    }


def test_everything_that_the_real_plugins_did() -> None:
    report = ParseReport()
    events = list(agent_log.read([HOUR_13, HOUR_14], report))
    assert kinds(events) == [
        ("add", 101),
        ("add_failed", 101),
        ("del", 101),
        ("del", 101),
        ("add", 102),
        ("add_failed", 103),
        ("add_failed", 104),
        ("add_failed", 105),
        ("del", 104),
        ("del", 105),
        ("add_failed", 106),  # DELs had just been running
        ("add_failed", 107),
        ("add", None),
        ("del", None),
        ("del", None),
        ("add", 112),
        ("add", 111),
        ("add", 114),
        ("add", 113),
    ]
    assert report == ParseReport(lines=174, events=19)
    assert not [event for event in events if "unconfirmed" in event.fields]
    failed = {event.fields["vlan_id"]: event.fields["error_msg"] for event in events if "error_msg" in event.fields}
    assert failed[101].endswith("branch interface enp40s0.101: route ip+net: no such network interface.")
    assert failed[103] == "open /proc/999999/ns/net: no such file or directory"
    assert failed[106] == "file exists"
    assert failed[107].endswith("via branch {linkName:eth7 macAddress:0a:1b:2c:3d:00:07}: file exists.")


def test_ipv6_beside_ipv4() -> None:
    fields = next(agent_log.read([HOUR_14])).fields
    assert fields["addresses"] == ["10.0.32.5/20", "2a05:d018:abc:1::4/64"]
    assert fields["gateways"] == ["10.0.32.1", "fe80::1"]


def test_a_whole_eni_has_its_container_id() -> None:
    events = [event.fields for event in agent_log.read([HOUR_14]) if event.fields["plugin"] == "vpc-eni"]
    made, none, gone = events
    assert made["container_id"] == none["container_id"] == f"{1:064}"
    assert (made["protocol"], made["branch_mac"]) == ("default", "0a:1b:2c:3d:00:0a")
    assert (made["ifname"], made["netns"], made["pid"]) == ("eth0", "/proc/250/ns/net", 250)
    assert "unconfirmed" not in made
    assert "netns" not in none  # CNI_NETNS=none
    assert gone["netns"] == "/proc/250/ns/net"
    assert not {"vlan_id", "trunk_mac"} & made.keys()


def test_calls_at_the_same_time_keep_what_is_theirs() -> None:
    together = {e.fields["vlan_id"]: e.fields for e in agent_log.read([HOUR_14]) if e.fields.get("vlan_id", 0) > 110}
    assert {vlan: fields["pid"] for vlan, fields in together.items()} == {111: 276, 112: 278, 113: 280, 114: 282}
    for vlan, fields in together.items():
        assert fields["branch_mac"] == f"0a:1b:2c:3d:00:{vlan - 100}"
        assert fields["addresses"] == [f"10.0.32.{vlan - 100}/20"]
        assert "unconfirmed" not in fields


def test_what_looks_like_the_end_of_the_configuration_within_it() -> None:
    fields = next(event.fields for event in agent_log.read([HOUR_14]) if event.fields.get("vlan_id") == 106)
    assert fields["trunk_ifname"] == "enp40s0"
    assert fields["branch_mac"] == "0a:1b:2c:3d:00:06"


@pytest.mark.parametrize(("name", "outcome"), [("2020.log", "add"), ("2019.log", "add_failed")])
def test_older_releases(name: str, outcome: str) -> None:
    report = ParseReport()
    made, gone = agent_log.read(agent_log.rolled(LOGS / name), report)
    assert (made.fields["event"], gone.fields["event"]) == (outcome, "del")
    for event in (made, gone):
        assert event.fields["addresses"] == ["10.0.32.21/20"]
        assert event.fields["gateways"] == ["10.0.32.1"]
        assert (event.fields["vlan_id"], event.fields["block_instance_metadata"]) == (121, True)
    assert report.unread == 0


def test_debug_lines_are_no_events() -> None:
    report = ParseReport()
    events = list(agent_log.read(agent_log.rolled(LOGS / "debug.log"), report))
    assert kinds(events) == [("add", 131)]
    assert report == ParseReport(lines=15, events=1)


def test_the_id_is_the_lines_alone(tmp_path: Path) -> None:
    lines = HOUR_14.read_bytes().splitlines(keepends=True)
    whole = {event.import_id: event.fields["ts"] for event in agent_log.parse(lines)}
    assert len(whole) == 15
    later = {event.import_id for event in agent_log.parse([b"garbage\r\n", *lines[40:]], source="elsewhere")}
    assert later < whole.keys()
    unended = list(agent_log.parse([lines[1].rstrip(b"\n")]))
    assert unended[0].import_id in whole
    (tmp_path / "copy.gz").write_bytes(gzip.compress(b"".join(lines)))
    assert {event.import_id for event in agent_log.read([tmp_path / "copy.gz"])} == whole.keys()


def test_a_call_that_begins_in_one_file_and_ends_in_the_next(tmp_path: Path) -> None:
    lines = HOUR_13.read_bytes().splitlines(keepends=True)
    parts = [tmp_path / "x.log.2026-11-23-13", tmp_path / "x.log.2026-11-23-14"]
    parts[0].write_bytes(b"".join(lines[:6]))
    parts[1].write_bytes(b"".join(lines[6:12]))
    (tmp_path / "x.log.2026-11-23-14.bak").write_bytes(b"")
    assert agent_log.rolled(tmp_path / "x.log") == parts
    seen: list[int] = []
    (event,) = agent_log.read(parts, progress=seen.append)
    assert (event.source, event.line) == (str(parts[0]), 2)
    assert event.fields["ifname"] == "eth0"
    assert "unconfirmed" not in event.fields
    assert sum(seen) == sum(part.stat().st_size for part in parts)


def test_an_add_at_the_end_of_the_log_is_not_settled() -> None:
    events, _ = parse(start(0), add(0, 101, "0a:1b:2c:3d:00:01"))
    assert not events[0].settled
    assert events[0].fields["unconfirmed"]
    events, _ = parse(start(0), add(0, 101, "0a:1b:2c:3d:00:01"), start(300))
    assert events[0].settled
    assert events[0].fields["unconfirmed"]


def test_an_add_again_ends_the_one_before() -> None:
    mac = "0a:1b:2c:3d:00:01"
    events, _ = parse(start(0), add(0, 101, mac), start(70), add(70, 101, mac), result(70, mac, 42))
    assert kinds(events) == [("add", 101), ("add", 101)]
    assert [event.settled for event in events] == [True, True]
    assert [event.fields.get("unconfirmed") for event in events] == [True, None]
    assert [event.fields.get("pid") for event in events] == [None, 42]


FAILED = "CNI command failed: file exists"
ONE, TWO = "0a:1b:2c:3d:00:01", "0a:1b:2c:3d:00:02"


def outcomes(events: Iterable[LogEvent]) -> list[tuple[int | None, str, str | None, bool]]:
    """Return VLAN ID, kind, error and whether it is unconfirmed, of each event."""
    return [
        (
            event.fields.get("vlan_id"),
            event.fields["event"],
            event.fields.get("error_msg"),
            event.fields.get("unconfirmed", False),
        )
        for event in events
    ]


def test_an_error_is_that_of_the_one_that_ran_alone() -> None:
    failed = at(1, FAILED, "ERROR")
    events, _ = parse(start(0), add(0, 101, ONE), failed)
    assert outcomes(events) == [(101, "add_failed", "file exists", False)]
    events, _ = parse(start(0), add(0, 101, ONE), result(0, ONE, 7), start(0), add(0, 102, TWO), failed)
    assert outcomes(events)[1] == (102, "add_failed", "file exists", False)


@pytest.mark.parametrize("other", ["aws-appmesh", "ecs-serviceconnect", "vpc-branch-eni", "vpc-eni"])
def test_an_error_after_another_plugin_had_just_started_is_that_of_the_add_without_a_result(other: str) -> None:
    begun = at(0, f"Plugin {other} version 2023.08.0 executing CNI command.")
    events, _ = parse(begun, start(3), add(3, 101, ONE), at(4, FAILED, "ERROR"), start(300))
    assert outcomes(events) == [(101, "add_failed", "file exists", False)]


def test_an_error_beside_an_add_that_succeeds_is_that_of_the_other() -> None:
    failed = at(1, FAILED, "ERROR")
    both = (start(0), add(0, 101, ONE), start(0), add(0, 102, TWO))
    for lines in ((failed, result(1, TWO, 7)), (result(1, TWO, 7), failed)):
        events, _ = parse(*both, *lines, start(300))
        assert outcomes(events) == [(101, "add_failed", "file exists", False), (102, "add", None, False)]
    events, _ = parse(*both, failed, result(1, TWO, 7), result(1, ONE, 8), start(300))
    assert outcomes(events) == [(101, "add", None, False), (102, "add", None, False)]


@pytest.mark.parametrize(
    "line",
    [
        "Failed to attach branch interface enp40s0.102: file exists.",
        "Failed to add vlan link for branch [enp40s0.102]: file exists",
        "Failed to add IP route {Ifindex: 8} via branch {linkName:eth7 macAddress:0a:1b:2c:3d:00:02}: file exists.",
    ],
)
def test_an_error_that_names_its_link_is_that_of_its_add(line: str) -> None:
    both = (start(0), add(0, 101, ONE), start(0), add(0, 102, TWO))
    events, _ = parse(*both, at(1, line, "ERROR"), at(1, FAILED, "ERROR"), start(300))
    assert [(vlan, kind) for vlan, kind, _, _ in outcomes(events)] == [(101, "add"), (102, "add_failed")]
    assert outcomes(events)[0] == (101, "add", None, True)  # nothing tells what became of it


def test_an_error_of_one_of_two_that_both_wrote_no_result() -> None:
    failed = at(1, FAILED, "ERROR")
    events, _ = parse(start(0), add(0, 101, ONE), start(0), add(0, 102, TWO), failed, start(300))
    assert outcomes(events) == [(101, "add_failed", None, True), (102, "add_failed", None, True)]
    events, _ = parse(start(0), start(0), add(0, 101, ONE), failed, start(300))
    assert outcomes(events) == [(101, "add_failed", "file exists", False)]


def test_a_result_stands_against_an_error() -> None:
    mac = "0a:1b:2c:3d:00:01"
    error = at(0, f"Failed to reset {{linkName:x macAddress:{mac}}}: no", "ERROR")
    events, _ = parse(start(0), add(0, 101, mac), error, result(1, mac, 42))
    assert events[0].fields["event"] == "add"
    assert "error_msg" not in events[0].fields


def test_other_plugins_in_the_same_file() -> None:
    """aws-appmesh and ecs-serviceconnect log there too, with the same words."""
    mesh = (
        "&{NetConf:{CNIVersion:0.3.0 Name:network-name Type:aws-appmesh Capabilities:map[] IPAM:{Type:} "
        "DNS:{Nameservers:[] Domain: Search:[] Options:[]} RawPrevResult:map[] PrevResult:<nil>} "
        "IgnoredUID:1337 IgnoredGID: ProxyIngressPort:8000 ProxyEgressPort:8001 AppPorts:[5000] EgressIgnoredIPs:}."
    )
    events, report = parse(at(0, f"Executing ADD with netconfig: {mesh}"), at(1, "Writing CNI result to stdout: <nil>"))
    assert events == []
    assert report == ParseReport(lines=2)


def test_lines_that_cannot_be_read_are_counted_with_their_numbers() -> None:
    good = add(0, 101, "0a:1b:2c:3d:00:01")
    bad: list[str | bytes] = [
        "garbage",
        good[:-1],
        good[:120],
        good.replace("BranchVlanID:101", "BranchVlanID:x"),
        good.replace("BranchVlanID:101", "BranchVlanID:4095"),
        good.replace("BranchVlanID:101", "BranchVlanID:" + "9" * 5000),
        good.replace("0a:1b:2c:3d:00:01", "0a:1b"),
        good.replace("TrunkName:", "TrunkName:a} TrunkName:"),
        good.replace("InterfaceType:vlan", "InterfaceType:vlan BranchVlanID:102"),
        good[:80] + good,  # one process wrote over the other's line
        good.replace("2026-11-23T14:00:00Z", "2026-13-23T14:00:00Z"),
        good.replace("[INFO]", "INFO"),
        b"\0" * 100 + good.encode(),
        b"\xff\xfe" + good.encode("utf-16"),
        good[:50] + "\0" + good[50:],
        "x" * (3 << 20),
    ]
    events, report = parse(*bad, "", good)
    assert kinds(events) == [("add", 101)]
    assert report.unread == len(bad)
    assert report.unread_lines == {"": list(range(1, len(bad) + 1))}
    assert report.lines == len(bad) + 2


def test_the_numbers_of_unread_lines_do_not_grow_without_bound() -> None:
    _, report = parse(*["?"] * 5000)
    assert report.unread == 5000
    assert len(report.unread_lines[""]) == agent_log.NUMBERS_MAX


def test_the_lines_of_a_panic_belong_together() -> None:
    panic = at(0, "Recovered panic: boom goroutine 1 [running]:", "ERROR")
    _, report = parse(panic, "main.main()", "\t/src/main.go:7", start(1), "garbage")
    assert report.unread_lines == {"": [5]}


@pytest.mark.parametrize("cut", range(0, 4740, 97))
def test_a_log_cut_anywhere_and_damaged_anywhere(tmp_path: Path, cut: int) -> None:
    whole = HOUR_13.read_bytes()
    path = tmp_path / "x.log"
    for data in (whole[:cut], whole[cut:], whole[:cut] + b"\xff\0\n" + whole[cut:], whole[:cut] + whole[cut + 150 :]):
        path.write_bytes(data)
        for event in agent_log.read([path]):
            assert event.fields["branch_mac"] == "0a:1b:2c:3d:00:01"
            assert event.fields["vlan_id"] == 101


def test_a_very_long_line_and_packed_files(tmp_path: Path) -> None:
    good = f"{add(0, 101, '0a:1b:2c:3d:00:01')}\n".encode()
    long = tmp_path / "long.log"
    long.write_bytes(b"z" * (5 << 20) + b"\n" + good)
    report = ParseReport()
    assert [event.line for event in agent_log.read([long], report)] == [2]
    assert report.unread_lines == {str(long): [1]}
    packed = tmp_path / "cut.log.gz"
    packed.write_bytes(gzip.compress(good * 2)[:-9])
    report = ParseReport()
    assert len(list(agent_log.read([packed], report))) <= 2
    assert report.unread == 1
    with pytest.raises(OSError, match="No such file"):
        list(agent_log.read([tmp_path / "missing.log"]))


def test_masks_and_addresses_that_are_none_are_left_out() -> None:
    line = add(0, 101, "0a:1b:2c:3d:00:01")
    odd = "{IP:10.0.32.4 Mask:ff00ff00} {IP:<nil> Mask:ff} {IP:?0a Mask:00} {IP:10.0.32.9 Mask:ffffffff}"
    events, _ = parse(line.replace("{IP:10.0.32.4 Mask:fffff000}", odd).replace("[10.0.32.1]", "[<nil> 10.0.32.2]"))
    fields: dict[str, Any] = events[0].fields
    assert fields["addresses"] == ["10.0.32.9/32"]
    assert fields["gateways"] == ["10.0.32.2"]


def test_events_come_while_the_log_is_read() -> None:
    """However long the log: what is over is handed out, nothing is kept."""
    mac = "0a:1b:2c:3d:00:01"

    def forever() -> Iterable[bytes]:
        while True:
            for line in (start(0), add(0, 101, mac), result(0, mac, 7)):
                yield f"{line}\n".encode()

    events = agent_log.parse(forever())
    for _ in range(1000):
        assert next(events).fields["pid"] == 7
