"""annotate and names beside the real tcpdump and tshark."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.ledgers import BOOT, add_event, del_event, write_chain
from helpers.packets import ROUTER, frame, mac, pcap
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotate = Callable[..., subprocess.CompletedProcess[str]]

DAY = "2025-11-27"
ARN = "arn:aws:ecs:eu-central-1:123456789012:task/prod/"
API, WEB = "from api:17/00000001 eni-00000000000000001", "from web:18/00000002 eni-00000000000000002"


@pytest.fixture(autouse=True)
def _tools() -> None:
    for tool in ("tcpdump", "tshark", "capinfos"):
        need(shutil.which(tool), tool)


def at(clock: str) -> int:
    """Return a time of DAY in microseconds since 1970."""
    moment = datetime.fromisoformat(f"{DAY}T{clock}").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def task(number: int, family: str, vlan: int = 101) -> dict[str, Any]:
    """Return the add of a task."""
    return add_event(
        number,
        association_id=f"assoc-{number:017x}",
        vlan_id=vlan,
        branch_mac=mac(number),
        addresses=[f"10.0.32.{number}/20", f"2600:1f14::{number:x}/64"],
        task_arn=f"{ARN}{number:08x}414f0a8a1b2c3d4e5f607182",
        task_family=family,
        task_revision=str(16 + number),
    )


def ledger(path: Path, *events: tuple[str, dict[str, Any]]) -> Path:
    """Make a ledger of events, each with its time of day."""
    path.mkdir(mode=0o750)
    first = {"event": "checkpoint", "boot_id": BOOT, "prev_crc": "00000000", "live": []}
    timed = [
        {"ts": f"{DAY}T{clock}.000000Z", "seq": seq, "v": 1, **event}
        for seq, (clock, event) in enumerate([("03:00:00", first), *events], 1)
    ]
    write_chain(path / "ledger.jsonl", timed)
    return path


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Return a ledger in which VLAN 101 changes hands at 03:10, and ends at 05:00."""
    return ledger(
        tmp_path / "state",
        ("03:00:00", task(1, "api")),
        ("03:10:00", del_event(1, association_id=f"assoc-{1:017x}")),
        ("03:12:00", task(2, "web")),
        ("05:00:00", task(3, "db", 103)),
    )


@pytest.fixture
def annotate(front_door: Path, state_dir: Path) -> Annotate:
    """Return a function that runs annotate, or another command, on text or bytes."""

    def run(*args: object, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
        command = args if args and args[0] == "names" else ("annotate", *args)
        argv: list[str | Path] = [
            front_door,
            *map(str, command),
            *([] if "--state-dir" in command else ["--state-dir", str(state_dir)]),
        ]
        environment = {**os.environ, "TZ": "UTC", **env}
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=PATIENCE_S, check=False, env=environment)
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        assert "Traceback" not in err
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    return run


def out(number: int) -> bytes:
    return frame(mac(number), ROUTER, source_ip=f"10.0.32.{number}")


PACKETS = [(at("03:05:00"), out(1)), (at("03:11:00"), out(1)), (at("03:13:00"), out(2))]
PORTLESS = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 1, 0) + socket.inet_aton("10.0.32.1")
ICMP = PORTLESS + socket.inet_aton("10.0.0.2") + struct.pack(">BBHHH", 8, 0, 0, 1, 1)
IPV6 = struct.pack(">IHBB", 6 << 28, 0, 59, 64) + socket.inet_pton(10, "2600:1f14::1") + socket.inet_pton(10, "ff02::1")
ARP = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + bytes.fromhex(mac(1).replace(":", "")) + socket.inet_aton("10.0.32.1")
TAGGED = out(1)[:16]
ODD = [
    out(1),
    TAGGED + b"\x08\0" + ICMP,
    TAGGED + b"\x86\xdd" + IPV6,
    TAGGED + b"\x08\x06" + ARP + bytes(6) + socket.inet_aton("10.0.32.9"),
    out(1)[:12] + b"\x88\xa8\0\x07" + out(1)[12:],
    frame(mac(1), ROUTER, None),
]
"""A packet of the first task each, of every kind."""


def tcpdump(file: Path, *args: str, tz: str = "UTC") -> bytes:
    """Return what tcpdump prints of a capture."""
    argv = ["tcpdump", "-n", *args, "-r", str(file)]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=PATIENCE_S, env={**os.environ, "TZ": tz})
    return done.stdout


def tshark(file: Path, *args: str, config: Path | None = None) -> list[list[str]]:
    """Return the fields that tshark prints of a capture."""
    fields = [part for field in args if not field.startswith("-N") for part in ("-e", field)]
    names = [field for field in args if field.startswith("-N")]
    env = {**os.environ, **({"WIRESHARK_CONFIG_DIR": str(config)} if config else {})}
    argv = ["tshark", "-r", str(file), *names, "-T", "fields", *fields]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=PATIENCE_S, env=env, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(PACKETS))
    return path


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("form", [[], ["-tt"], ["-tttt"], ["--time-stamp-precision=nano"], ["--number", "-tttt"]])
def test_yesterdays_capture_shows_yesterdays_tasks(capture: Path, annotate: Annotate, form: list[str], tz: str) -> None:
    text = tcpdump(capture, "-e", *form, tz=tz)
    done = annotate("--date", DAY, stdin=text, TZ=tz)
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.partition("  [")[0] for line in lines] == text.decode().splitlines()
    assert lines[0].endswith(f"  [{API}]")
    assert "VLAN 101: nobody then; api:17/00000001 until" in lines[1]
    assert lines[2].endswith(f"  [{WEB}]")


@pytest.mark.parametrize("form", [["-e"], ["-e", "-q"], ["-e", "-v"], ["-e", "-vvv"], ["-e", "-X"], [], ["-v"]])
def test_every_kind_of_line(tmp_path: Path, annotate: Annotate, form: list[str]) -> None:
    path = tmp_path / "odd.pcap"
    path.write_bytes(pcap((at("03:05:00") + n, data) for n, data in enumerate(ODD)))
    text = tcpdump(path, "-tt", *form).decode()
    done = annotate(stdin=text.encode())
    assert [line.partition("  [from")[0] for line in done.stdout.splitlines()] == text.splitlines()
    assert done.stdout.count(f"[{API}") == len(ODD)
    assert done.stderr.count("\n") == 1  # that it is a copy


@pytest.mark.parametrize("form", ["-t", "-ttt", "-ttttt"])
def test_lines_without_a_time(capture: Path, annotate: Annotate, form: str) -> None:
    text = tcpdump(capture, "-e", form)
    done = annotate(stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "these lines have no time" in done.stderr
    done = annotate("--at", f"{DAY} 03:05", stdin=text)
    assert f"[{API}]" in done.stdout


def test_what_it_writes_is_read_by_tshark_tcpdump_and_capinfos(
    capture: Path, tmp_path: Path, annotate: Annotate
) -> None:
    written = tmp_path / "y.pcapng"
    done = annotate("--read", capture, "--write", written)
    assert done.returncode == 0, done.stderr
    assert "3 packets, 2 with a task or container" in done.stderr
    rows = tshark(written, "frame.comment", "ip.src_host", "-Nn")
    assert [row[0].partition(";")[0] for row in rows] == [API, "VLAN 101: nobody then", WEB]
    assert [row[1] for row in rows] == ["api-17-00000001", "api-17-00000001", "web-18-00000002"]
    assert tcpdump(written, "-e", "-tt") == tcpdump(capture, "-e", "-tt")
    found = subprocess.run(["capinfos", "-M", "-c", written], capture_output=True, text=True, check=True)
    assert "3" in found.stdout
    # What tshark wrote is annotated as well, and once more changes nothing.
    again, third = tmp_path / "z.pcapng", tmp_path / "zz.pcapng"
    assert annotate("--read", written, "--write", again).returncode == 0
    assert annotate("--read", "-", "--write", third, stdin=again.read_bytes()).returncode == 0
    assert tshark(third, "frame.comment") == tshark(written, "frame.comment")


def test_a_capture_as_lines_and_as_json(capture: Path, annotate: Annotate) -> None:
    lines = annotate("--read", capture).stdout.splitlines()
    assert lines[0] == (
        f"{DAY}T03:05:00.000000Z {mac(1)} > {ROUTER}, vlan 101, TCP 10.0.32.1.5000 > 10.0.0.2.80, length 58  [{API}]"
    )
    done = annotate("-o", "json", stdin=capture.read_bytes())
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["from"] and one["from"]["task_family"] for one in objects] == ["api", None, "web"]
    text = annotate("--json", stdin=tcpdump(capture, "-e", "-v", "-tt"))
    both = [json.loads(line) for line in text.stdout.splitlines()]
    assert [one["from"] for one in both] == [one["from"] for one in objects]


def test_a_live_capture_is_passed_on_by_line(front_door: Path, state_dir: Path, capture: Path) -> None:
    lines = tcpdump(capture, "-e", "-tt").splitlines(keepends=True)
    argv: list[str | Path] = [front_door, "annotate", "--state-dir", state_dir]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in lines:
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().startswith(line[:-1])
        process.stdin.close()


@pytest.mark.parametrize(
    ("args", "stdin", "code", "message"),
    [
        (["--read", "-"], b"", 3, "byte 0"),
        (["--read", "-"], b"hello\n", 3, "not a packet capture: byte 0 begins"),
        (["--read", "-"], pcap(PACKETS)[:-1], 3, "within a packet that begins at byte 172"),
        ([], pcap(PACKETS)[:30], 3, "it ends at byte 30"),
        (["--read", "/nonexistent"], b"", 3, "/nonexistent"),
        (["--write", "/dev/null"], b"hello\n", 2, "--write needs a capture"),
        (["--write", "/dev/null", "--json"], b"", 2, "exclude"),
        (["--date", "whenever"], b"", 2, "--date"),
        (["--at", "whenever"], b"", 2, "--at"),
        (["--tz", "nowhere"], b"", 2, "--tz"),
        (["--state-dir", "/nonexistent"], b"", 3, "/nonexistent"),
    ],
)
def test_bad_input(annotate: Annotate, args: list[str], stdin: bytes, code: int, message: str) -> None:
    done = annotate(*args, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert message in done.stderr


def test_the_capture_is_not_overwritten_by_itself(capture: Path, annotate: Annotate) -> None:
    before = capture.read_bytes()
    done = annotate("--read", capture, "--write", capture)
    assert (done.returncode, capture.read_bytes()) == (2, before)


def test_a_damaged_ledger_is_answered_as_far_as_proven(state_dir: Path, capture: Path, annotate: Annotate) -> None:
    file = state_dir / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], lines[3].replace(b"web", b"wEb"), *lines[4:]]))
    done = annotate(stdin=tcpdump(capture, "-e", "-tt"))
    assert done.returncode == 3
    assert "answered as far as proven" in done.stderr
    assert f"{file} line 4" in done.stderr
    first, _, third = done.stdout.splitlines()
    assert f"[{API}]" in first
    assert "VLAN 101: nobody in what is sound of the ledger" in third


def test_flow_logs(annotate: Annotate) -> None:
    start = at("03:05:00") // 1_000_000
    rest = f"10.0.32.1 10.0.0.2 5000 80 6 20 4249 {start} {start + 59} ACCEPT OK"
    header = f"interface-id start end\neni-00000000000000001 {start} {start + 59}\neni-00000000000000001 5 6\n"
    done = annotate(stdin=f"2 123456789010 eni-00000000000000001 {rest}\n{header}".encode())
    behind = f"00000001414f0a8a1b2c3d4e5f607182 api:17 {1:064x}"
    lines = done.stdout.splitlines()
    assert lines[0] == f"2 123456789010 eni-00000000000000001 {rest} {behind}"
    assert lines[1] == "interface-id start end eni-ledger-task eni-ledger-family eni-ledger-container"
    assert lines[2].endswith(behind)
    assert lines[3].endswith(" - - -")
    assert "1 record from before the ledger begins" in done.stderr


def test_several_ledgers(state_dir: Path, capture: Path, tmp_path: Path, annotate: Annotate) -> None:
    other = ledger(tmp_path / "other", ("03:00:00", task(9, "job")), ("05:00:00", task(8, "x", 108)))
    text = tcpdump(capture, "-e", "-tt", "-c", "1") + tcpdump(capture, "-e", "-tt", "-c", "1").replace(
        mac(1).encode(), mac(7).encode()
    )
    done = annotate("--state-dir", state_dir, "--state-dir", other, stdin=text)
    first, second = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert first.endswith(f"[{API}]")
    assert "api:17/00000001" in second


def test_names_are_shown_by_tshark(capture: Path, tmp_path: Path, annotate: Annotate) -> None:
    profile = tmp_path / "wireshark"
    done = annotate("names", profile, "--at", f"{DAY} 03:05")
    assert done.returncode == 0, done.stderr
    assert "1 name in vlans" in done.stdout
    fields = ("vlan.id_name", "eth.src_resolved", "ip.src_host", "-NmnNv")
    assert tshark(capture, *fields, config=profile)[0] == ["api:17/00000001", "api-17-00000001", "api-17-00000001"]


def test_a_vlan_of_several_tasks_says_so(capture: Path, tmp_path: Path, annotate: Annotate) -> None:
    profile = tmp_path / "wireshark"
    done = annotate("names", profile, "--since", f"{DAY} 03:00", "--until", f"{DAY} 04:00", "--json")
    assert json.loads(done.stdout)["names"]["vlans"] == 1
    (name, *_), *_ = tshark(capture, "vlan.id_name", "-NmnNv", config=profile)
    assert name == "2 users: api:17/00000001, web:18/00000002"


def test_files_of_others_are_not_replaced(tmp_path: Path, annotate: Annotate) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.1 mine\n")
    done = annotate("names", tmp_path, "--at", f"{DAY} 03:05")
    assert done.returncode == 2
    assert "hosts in" in done.stderr
    assert sorted(path.name for path in tmp_path.glob("[ehv]*")) == ["hosts"]
    target = tmp_path / "target"
    (tmp_path / "ethers").symlink_to(target)
    assert annotate("names", tmp_path, "--at", f"{DAY} 03:05").returncode == 2
    assert annotate("names", tmp_path, "--at", f"{DAY} 03:05", "--force").returncode == 0
    assert annotate("names", tmp_path, "--at", f"{DAY} 03:15").returncode == 0
    assert "web" in hosts.read_text()
    assert not target.exists()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--at", "2001-01-01"], 1, "nothing is known of"),
        (["--at", "whenever"], 2, "--at is not a time"),
        (["--at", "now", "--since", "-1h"], 2, "exclude each other"),
        (["--since", "-1h", "--until", "-2h"], 2, "--since is later than --until"),
    ],
)
def test_names_of_bad_times(tmp_path: Path, annotate: Annotate, args: list[str], code: int, message: str) -> None:
    done = annotate("names", tmp_path / "new", *args)
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "new").exists()
