"""Associations of two tasks that have a VLAN ID one after the other, and lines and frames of their packets."""

from __future__ import annotations

from typing import Any

import pytest

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.desk.capture.stamps import micros
from eni_ledger.desk.capture.timeline import NEVER, Known, Timeline
from eni_ledger.render.text import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/prod/"


def at(ts: str) -> int:
    """Return a time in microseconds."""
    found = moment(ts)
    assert found is not None
    return micros(found)


def association(
    number: int, family: str | None, since: str, until: str | None = None, vlan: int = 101, **more: Any
) -> Association:
    """Return an association of a task: MAC and address end in its number."""
    made: Association = {
        "association_id": f"assoc-{number:017x}",
        "container_id": f"{number:02x}" * 32,
        "eni_id": f"eni-{number:017x}",
        "branch_mac": f"0a:00:00:00:00:{number:02x}",
        "vlan_id": vlan,
        "addresses": [f"10.0.32.{number}/20", f"2600:1f14::{number:x}/64"],
        "since": since,
        "add_seq": number,
    }
    if family:
        made |= {"task_arn": f"{ARN}{number:08x}414f0a8a1b2c3d4e5f607182", "task_family": family, "task_revision": "17"}
    kept: Any = {key: value for key, value in {**made, "until": until, **more}.items() if value is not None}
    association: Association = kept
    return association


API = association(1, "api", "2026-11-27T03:00:00.000000Z", "2026-11-27T03:10:00.000000Z")
WEB = association(2, "web", "2026-11-27T03:12:00.000000Z")
DB = association(3, "db", "2026-11-27T03:00:00.000000Z", vlan=103)
BARE = association(4, None, "2026-11-27T03:00:00.000000Z", vlan=104, eni_id=None)
ALL = [API, WEB, DB, BARE]


class FakeSource:
    """A ledger in memory; `grow` adds to it."""

    def __init__(self, associations: list[Association], begin: str | None = "2026-11-27T03:00:00.000000Z") -> None:
        self.known = Known(associations, at(begin) if begin else None, NEVER)
        self.loads: list[tuple[str, str]] = []
        self._grown = False

    def load(self, first: str, last: str) -> Known:
        """Return all that was live in between."""
        self.loads.append((first, last))
        self._grown = False
        found = [one for one in self.known.associations if one["since"] <= last and first < one.get("until", "~")]
        return self.known._replace(associations=found)

    def grow(self, *associations: Association) -> None:
        """Add associations; `changed` tells of it."""
        self.known = self.known._replace(associations=[*self.known.associations, *associations])
        self._grown = True

    def changed(self) -> bool:
        """Tell whether it has grown."""
        return self._grown

    def complete(self) -> int:
        """Return when it ends."""
        return self.known.complete


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(list(ALL))


@pytest.fixture
def timeline(source: FakeSource) -> Timeline:
    return Timeline(source)


def damage() -> LedgerDamaged:
    """Return what a damaged ledger raises."""
    return LedgerDamaged("not what was written", path="ledger.jsonl", line=3, offset=700)


def line(
    stamp: str,
    source: str,
    target: str,
    vlan: int | None = 101,
    source_ip: str = "10.0.32.1",
    target_ip: str = "10.0.0.2",
) -> bytes:
    """Return a line of `tcpdump -e -n`."""
    ports = f"{source_ip}.5000 > {target_ip}.80: Flags [S], seq 1, win 500, length 0"
    tag = f"ethertype 802.1Q (0x8100), length 58: vlan {vlan}, p 0, ethertype IPv4 (0x0800), "
    link = tag if vlan else "ethertype IPv4 (0x0800), length 54: "
    return f"{stamp} {source} > {target}, {link}{ports}".encode()
