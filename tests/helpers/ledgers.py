"""Make ledgers with the real writer, and check them with code that shares nothing with it."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eni_ledger
from eni_ledger.base.config import Settings
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.write import writer
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eni_ledger.base.events import Association, Draft, Event, Fields
    from eni_ledger.ledger.query.questions import History


SOURCE = Path(eni_ledger.__file__).parents[1]
"""What has to be on `sys.path` for `import eni_ledger` in a bare interpreter."""

BOOT = "00000000-0000-4000-8000-00000000000a"
OTHER_BOOT = "00000000-0000-4000-8000-00000000000b"
TRUNK = "0a:00:00:00:00:01"
ACTIVE = "ledger.jsonl"

_SEALED = re.compile(r"ledger-(\d{16})-(\d{16})\.jsonl(?:\.gz)?")
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"}\n')


def settings(state_dir: Path, **over: Any) -> Settings:
    """Return settings for `state_dir`: not synced unless asked for, for a tmpfs and a disk alike are quick enough."""
    made = Settings(str(state_dir))
    made.sync = False
    for key, value in over.items():
        assert hasattr(made, key), key
        setattr(made, key, value)
    return made


def add_event(n: int, **over: Any) -> Draft:
    """Return an add event, nothing of which clashes with that of another `n`. A value of None takes the key out."""
    event: Draft = {
        "event": "add",
        "boot_id": BOOT,
        "container_id": f"{n:064x}",
        "ifname": "eth0",
        "network": "ecs-trunk",
        "eni_id": f"eni-{n:017x}",
        "branch_mac": f"0a:ff:00:00:{n >> 8 & 255:02x}:{n & 255:02x}",
        "vlan_id": n % 4094 + 1,
        "addresses": [f"10.0.{n >> 8 & 255}.{n & 255}/20"],
        "trunk_mac": TRUNK,
        "trunk_ifname": "enp40s0",
        "netns": f"/proc/{1000 + n}/ns/net",
        "netns_inode": 4026532000 + n,
        "netns_dev": 4,
        "via": "chained",
        "cni_version": "1.0.0",
        "took_ms": 0.5,
    }
    return {key: value for key, value in {**event, **over}.items() if value is not None}


def del_event(n: int, **over: Any) -> Draft:
    """Return the del event of the attachment that `add_event(n)` made, with no more than a runtime tells."""
    event: Draft = {"event": "del", "boot_id": BOOT, "container_id": f"{n:064x}", "ifname": "eth0", "via": "chained"}
    return {**event, **over}


def record(state_dir: Path, event: Fields, **over: Any) -> Event:
    """Record an event and return it as written; fail when nothing was."""
    written = writer.record(settings(state_dir, **over), event)
    assert written is not None
    return written


def sealed(state_dir: Path) -> list[Path]:
    """Return the sealed segments, oldest first; of one that a crash left packed and not packed, the packed one."""
    found = {path.name: path for path in state_dir.iterdir() if _SEALED.fullmatch(path.name)}
    return [path for name, path in sorted(found.items()) if f"{name}.gz" not in found]


def segments(state_dir: Path) -> list[Path]:
    """Return all segments, oldest first, the active one last."""
    return [*sealed(state_dir), *([state_dir / ACTIVE] if (state_dir / ACTIVE).exists() else [])]


def raw_events(state_dir: Path) -> list[Draft]:
    """Return all events of all segments as `json` reads them, unproven."""
    return [json.loads(line) for path in segments(state_dir) for line in plain(path).splitlines()]


def plain(segment: Path) -> bytes:
    """Return the lines of a segment, packed or not, with Python's own gzip."""
    data = segment.read_bytes()
    return gzip.decompress(data) if segment.suffix == ".gz" else data


def prove(state_dir: Path) -> list[Draft]:
    """Return all events; fail unless names, seq, time, checkpoints and chain are what the specification says.

    Written from the docstring of `eni_ledger.ledger` with zlib and json, without the code that it checks.
    """
    events: list[Draft] = []
    crc: int | None = None
    for path in segments(state_dir):
        data = plain(path)
        assert data.endswith(b"\n"), path
        lines = data.splitlines(keepends=True)
        inside = [json.loads(line) for line in lines]
        assert inside[0]["event"] == "checkpoint", path
        assert all(event["event"] != "checkpoint" for event in inside[1:]), path
        if crc is None:
            crc = int(inside[0]["prev_crc"], 16)
        assert inside[0]["prev_crc"] == f"{crc:08x}", path
        for line, event in zip(lines, inside, strict=True):
            trailer = _CRC.search(line, len(line) - 19)
            assert trailer is not None, line
            crc = zlib.crc32(line[: trailer.start()], crc)
            assert trailer[1] == b"%08x" % crc, line
            assert next(iter(event)) == "ts"
            assert [*event][-1] == "crc"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["ts"])
            assert event["v"] == 1
            if events:
                assert event["seq"] == events[-1]["seq"] + 1, line
                assert event["ts"] >= events[-1]["ts"], line
            events.append(event)
        if named := _SEALED.fullmatch(path.name):
            assert (int(named[1]), int(named[2])) == (inside[0]["seq"], inside[-1]["seq"]), path
    return events


def state_file(state_dir: Path) -> dict[str, Any]:
    """Return `state.json` as `json` reads it."""
    found = json.loads((state_dir / "state.json").read_bytes())
    assert isinstance(found, dict)
    return found


def write_chain(path: Path, events: list[Draft], previous_crc: int = 0) -> int:
    """Write a segment with a sound chain that holds `events` as they are; return the last CRC."""
    lines = []
    for event in events:
        line, previous_crc = line_format.encode(event, previous_crc)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    return previous_crc


def append_line(state_dir: Path, **keys: Any) -> Draft:
    """Append one sound line to the active segment behind the writer's back, with a ts or version it would not make."""
    path = state_dir / ACTIVE
    last = json.loads(path.read_bytes().splitlines()[-1])
    event = {"ts": last["ts"], "seq": last["seq"] + 1, "v": 1, "event": "add_failed", **keys}
    line, _ = line_format.encode(event, int(last["crc"], 16))
    with path.open("ab") as file:
        file.write(line)
    return event


def contents(state_dir: Path) -> dict[str, bytes]:
    """Return every regular file below `state_dir` by its relative name."""
    return {str(p.relative_to(state_dir)): p.read_bytes() for p in sorted(state_dir.rglob("*")) if p.is_file()}


def copy(state_dir: Path, to: Path) -> Path:
    """Copy a state directory, times and modes included."""
    shutil.copytree(state_dir, to)
    to.chmod(0o750)
    return to


def three_segments(state_dir: Path) -> list[Draft]:
    """Make a small ledger of three segments, with live, ended and superseded associations; return its events."""
    for n in (1, 2, 3):
        record(state_dir, add_event(n))
    record(state_dir, del_event(2), rotate_bytes=1)
    record(state_dir, add_event(4, vlan_id=4))  # the VLAN of 3, which it supersedes
    record(state_dir, add_event(5), rotate_bytes=1)
    record(state_dir, del_event(1))
    assert len(segments(state_dir)) == 3, [path.name for path in segments(state_dir)]
    return prove(state_dir)


def with_events(history: History, association_id: str) -> tuple[Association, list[Event]]:
    """Return the one association with this ID, and its events."""
    (association,) = history.who(association_id)
    return association, list(history.events_of(association))


def bare_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter without site packages, as near to the frozen plugin as one gets."""
    start = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", start + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextlib.contextmanager
def stuck_holder(state_dir: Path) -> Iterator[None]:
    """Have another process hold the writers' lock, stopped by SIGSTOP; in the end it is killed."""
    code = "import fcntl, os, signal, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o640)\n"
    code += "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, str(state_dir / "lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Hold the writers' lock."""
    fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
