"""A real ledger, made by the writer, and a way to run a command line on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.base.config import Settings
from eni_ledger.cli.main import main
from eni_ledger.ledger.format.line import parse_ts
from eni_ledger.ledger.write import rotation, writer
from eni_ledger.ledger.write.writer import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event, Fields

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"


class Ledger:
    """A state directory that a test fills by events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = Settings(str(path))
        self.settings.sync = False

    @property
    def file(self) -> Path:
        """The active segment."""
        return self.path / "ledger.jsonl"

    def add(self, n: int, vlan: int | None, *addresses: str, **more: Any) -> Event:
        """Record an ADD for container number `n` (1 to 255) and return the event."""
        event = {
            "event": "add",
            "container_id": f"{n:02x}" * 32,
            "ifname": "eth0",
            "network": "ecs-trunk",
            "branch_mac": f"0a:12:34:56:78:{n:02x}",
            "vlan_id": vlan,
            "addresses": list(addresses),
            "trunk_mac": "0a:ff:00:00:00:01",
            "trunk_ifname": "enp40s0",
            "netns": f"/proc/{1000 + n}/ns/net",
            "netns_inode": 4026532000 + n,
            "netns_dev": 4,
            "pid": 1000 + n,
            "observed_vlan_id": vlan,
            "observed_mac": f"0a:12:34:56:78:{n:02x}",
            "via": "chained",
            "plugin": "vlan",
        }
        return self.write({**event, **more})

    def delete(self, n: int) -> Event:
        """Record the DEL of container number `n` and return the event."""
        return self.write({"event": "del", "container_id": f"{n:02x}" * 32, "ifname": "eth0"})

    def write(self, event: Fields) -> Event:
        """Record any event and return it."""
        written = record(self.settings, event)
        assert written is not None
        return written


class Ran:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def json(self) -> Any:
        """Return what was printed as one JSON document."""
        return json.loads(self.out)

    def json_lines(self) -> list[dict[str, Any]]:
        """Return what was printed as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]
Clock = Callable[[str], None]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return an empty place for a ledger; the first event makes it."""
    return Ledger(tmp_path / "state")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger in which VLAN 101 and 10.0.32.4 have had two owners, and 102 belongs to a known task."""
    ledger.add(0xA1, 101, "10.0.32.4/20")
    ledger.add(0xA2, 102, "10.0.32.5/20", eni_id="eni-0123456789abcdef0", task_arn=TASK, task_family="web")
    ledger.delete(0xA1)
    ledger.add(0xA3, 101, "10.0.32.4/20", "2001:db8::4/64")
    return ledger


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command line on `ledger` in this process."""

    def runner(*args: str, env: Mapping[str, str] | None = None) -> Ran:
        monkeypatch.setenv("ENI_LEDGER_STATE_DIR", str(ledger.path))
        config = ledger.path.parent / "config.json"
        if "ENI_LEDGER_CONFIG" not in (env or {}):
            config.write_text("{}")
        monkeypatch.setenv("ENI_LEDGER_CONFIG", str(config))
        for key, value in (env or {}).items():
            monkeypatch.setenv(key, value)
        capsys.readouterr()
        code = main(args)
        return Ran(code, *capsys.readouterr())

    return runner


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that sets the time at which the writer records what follows."""

    def set_to(ts: str) -> None:
        for module in (writer, rotation):
            monkeypatch.setattr(module, "now_us", lambda: parse_ts(ts))

    return set_to
