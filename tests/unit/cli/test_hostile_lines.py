"""A ledger whose lines are soundly chained and hold anything: what a container's name, a plugin or root put there.

Every command that reads a ledger is found by itself and run on terminals of several widths, on one of them with each
of its options: no character reaches the terminal that could move its cursor, nothing is without end, nothing is a
traceback.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import time
import unicodedata
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import pytest

from eni_ledger.cli.main import COMMANDS, load
from eni_ledger.ledger.format.line import KEYS
from eni_ledger.render import screen
from eni_ledger.render.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger, Run

_MOVING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # the categories of characters that can move a cursor or hide a text
_UNSAFE = (c for c in map(chr, range(sys.maxunicode + 1)) if c not in "\n\r" and unicodedata.category(c) in _MOVING)
UNSAFE = re.compile(f"[{''.join(map(re.escape, _UNSAFE))}]")
LARGE = 1 << 14  # bytes in each of some fifty keys; an event of 1 MiB takes every command seconds

TEXTS = {
    "cursor": "\x1b[2J\x1b[1;1Hgone",
    "link": "\x1b]8;;http://example.org\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;aGVsbG8=\x07",
    "C1": "\x9b31mred\x9d0;title\x9c",
    "bidi": "\u202eevil\u2066\u2069\u200f\u061c",
    "lines": "one\ntwo\r\x0b\x0c\x85\u2028\u2029three",
    "NUL": "a\0b\x7f\x08\x08",
    "surrogate": "\ud800\udfff\udc80",
    "markup": "[bold red]x[/bold red] <script>alert(1)</script> &amp; {} %s \\",
    "invisible": "\u200b\ufeff\u00ad\U000e0041",
    "wide": "全角\U0001f600\u0301",
    "large": "A" * LARGE,
}
DEEP: Any = "x"
for _ in range(300):
    DEEP = [DEEP]
WRONG: dict[str, Any] = {
    "a list": [],
    "lists": [[], [None], {"a": []}],
    "an object": {"\x1b[31m": "\x1b[0m"},
    "a great number": 1e308,
    "a long number": 10**300,
    "a negative number": -1,
    "true": True,
    "a text": "x",
    "deep": DEEP,
    "a large list": ["10.0.0.1/20"] * 2_000,
}
_FIXED = ("ts", "seq", "v", "event", "crc")
_MORE = ("supersedes", "reason", "identity_source", "late", "imported_event", "occurred_ts", "import_id",
         "clock_step_us", "spool", "spooled_ts", "damage", "sync", "\x1b[31mkey")  # fmt: skip
EVENTS = ("add", "adopt", "add_failed", "del", "lost", "identify", "boot", "import", "\x1b[31m")


def append(path: Path, **keys: Any) -> None:
    """Append a line as `json` writes it, lone surrogates and all, with the CRC that it has to have."""
    last = json.loads(path.read_bytes().splitlines()[-1])
    event = {"ts": last["ts"], "seq": last["seq"] + 1, "v": 1, "event": "add_failed", **keys}
    body = json.dumps(event, separators=(",", ":"))[:-1].encode()
    crc = zlib.crc32(body, int(last["crc"], 16))
    with path.open("ab") as file:
        file.write(body + b',"crc":"%08x"}\n' % crc)


def hostile(ledger: Ledger, value: Any) -> None:
    """Append one event of each kind in which everything is `value`, and adds in which all but what they need is."""
    everything = {key: value for key in (*KEYS, *_MORE) if key not in _FIXED}
    for kind in EVENTS:
        append(ledger.file, event=kind, **everything)
    for number, keep in enumerate((("association_id",), ("association_id", "addresses", "vlan_id"))):
        right = {"association_id": f"assoc-0000000000000000{number}", "vlan_id": 101, "addresses": ["10.0.32.4/20"]}
        append(ledger.file, **{**everything, **{key: right[key] for key in keep}, "event": "add"})


def command_lines(log: Path, *, with_options: bool) -> Iterator[list[str]]:
    """Yield every command that reads a ledger, plain and, `with_options`, with each option alone."""
    arguments = {
        "what": ["101"],
        "association_id": ["0"],
        "files": [str(log)],
        "directory": [str(log.parent / "names")],
        "file": ["-"],
    }
    values = {
        "--at": "now",
        "--since": "-1h",
        "--until": "now",
        "--conf-dir": "/nonexistent",
        "--agent-db": "/nonexistent",
        "--read": str(log.parent / "packets.pcap"),
        "--write": str(log.parent / "packets.pcapng"),
        "--date": "today",
        "--output": "json",
    }
    for name in COMMANDS:
        command = load(name)
        assert command is not None
        options = [param for param in command.params if isinstance(param, click.Option)]
        others = ("install", "uninstall", "serve", "capture", "enter")
        if not any("--state-dir" in option.opts for option in options) or name in others:
            continue  # it does not show anything of a ledger, runs another program, or does not end
        line = [name]
        for param in command.params:
            if isinstance(param, click.Argument):
                line += arguments[str(param.name)]
        base = [*line, *{"identify": ["--source", "agent-db"], "annotate": ["--read", values["--read"]]}.get(name, [])]
        yield base
        for option in options if with_options else ():
            long = option.opts[-1]
            if long in ("--state-dir", "--no-color", "--follow", "--watch", "--source", "--read"):
                continue
            yield [*base, long] if option.is_flag else [*base, long, values.get(long, "50")]
    for form in ("svg", "html", "mermaid", "dot") if with_options else ():
        yield ["topology", "-o", form]
    yield ["who", "10.0.32.4", "--at", "now", "--json"]
    yield ["show", "assoc-00000000000000000", "--json"]
    yield ["show", "assoc-00000000000000001"]


def check(
    run: Run,
    ledger: Ledger,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int | None,
    *,
    with_options: bool,
) -> int:
    """Run all of them and return how many."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setattr(Progress, "__call__", lambda *_: None)  # on a slow machine its bar moves the cursor, and may
    monkeypatch.setattr(screen, "_is_terminal", lambda stream: stream is not None and width is not None)
    size = sum(path.stat().st_size for path in ledger.path.glob("ledger*"))
    count = 0
    for line in command_lines(log, with_options=with_options):
        done = run(*line)
        for text in (done.out, done.err):
            bad = set(UNSAFE.findall(text))
            assert not bad, (line, width, bad)
            assert "\r" not in text.replace("\r   ", ""), (line, width)
            assert "Traceback" not in text, (line, width)
            assert len(text) < 100 * size + 100_000, (line, width, len(text))
        own = (252, 253, 254, 255) if line[0] == "describe-trunk-interface-associations" else ()
        assert done.code in (0, 1, 2, 3, *own), (line, width, done.err)
        if "--json" in line and done.out:
            for part in [done.out] if line[0] not in ("log", "annotate") else done.out.splitlines():
                json.loads(part)
        count += 1
    return count


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log to import, with lines of the same kind."""
    path = tmp_path / "vpc-branch-eni.log"
    start = "2026-11-23T14:00:00Z [INFO] Executing ADD with netconfig: &{NetConf:{CNIVersion: Name:"
    lines = [start + text for text in (*TEXTS.values(), "x")]
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    packet = bytes.fromhex("ffffffffffff 0a1b2c3d0101 8100 0065 0800")
    packet += bytes.fromhex("4500001c 00000000 40110000 0a002004 0a002005 00010002 00080000")
    head = struct.pack("<IHHiIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1, int(time.time()), 0, len(packet), len(packet))
    (tmp_path / "packets.pcap").write_bytes(head + packet)
    return path


@pytest.mark.parametrize("width", [None, 20, 80, 200])
@pytest.mark.parametrize("what", TEXTS)
def test_a_text(
    run: Run, filled: Ledger, log: Path, monkeypatch: pytest.MonkeyPatch, what: str, width: int | None
) -> None:
    hostile(filled, TEXTS[what])
    if what == "large":
        append(filled.file, container_id="c" * (1 << 20), error_msg="m" * (1 << 20), plugin="vlan")
    options = width == 80 and what != "large"  # with it every command takes half a second, and its options add nothing
    assert check(run, filled, log, monkeypatch, width, with_options=options) > (80 if options else 10)


@pytest.mark.parametrize("what", WRONG)
def test_what_is_of_the_wrong_type(
    run: Run, filled: Ledger, log: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    hostile(filled, WRONG[what])
    for width in (None, 80):
        options = width is None and what not in ("deep", "a large list")  # seconds for each command, and nothing new
        check(run, filled, log, monkeypatch, width, with_options=options)
