from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.plugin import chained, protocol
from helpers.plugin import own_netns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Served:
    """What `protocol.serve` made of a call."""

    def __init__(self, status: int, stdout: bytes, stderr: bytes) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr.decode()

    @property
    def error(self) -> dict[str, Any]:
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


class Here:
    """The plugin in this process, attached to `lo` of our own namespace: so that it needs no privilege."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def env(self, command: str, **more: str | None) -> dict[str, str]:
        env: dict[str, str | None] = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": "c0ffee",
            "CNI_NETNS": own_netns(),
            "CNI_IFNAME": "lo",
            "CNI_NETNS_OVERRIDE": "1",
            **more,
        }
        return {key: value for key, value in env.items() if value is not None}

    def conf(self, version: str | None = "1.1.0", prev: object = None, **keys: object) -> dict[str, Any]:
        conf = {"name": "ecs-trunk", "type": "eni-ledger", "stateDir": str(self.state_dir), "journald": False, **keys}
        if version is not None:
            conf["cniVersion"] = version
        if prev is not None:
            conf["prevResult"] = prev
        return conf

    def serve(
        self,
        command: str,
        conf: dict[str, Any] | bytes,
        env: Mapping[str, str] | None = None,
        act: Callable[[protocol.Call], None] = chained.run,
        **more: str | None,
    ) -> Served:
        data = conf if isinstance(conf, bytes) else json.dumps(conf).encode()
        stdout, stderr = io.BytesIO(), io.BytesIO()
        status = protocol.serve(
            self.env(command, **more) if env is None else env, io.BytesIO(data), stdout, stderr, act
        )
        return Served(status, stdout.getvalue(), stderr.getvalue())

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        path = self.state_dir / "ledger.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [event for event in found if not kinds or event["event"] in kinds]


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path / "state")
