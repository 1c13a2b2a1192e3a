"""Which lines of a segment matter to an interval: the others change nothing of the answer."""

from __future__ import annotations

import random
from typing import Any

import pytest

from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.line import decode, encode, format_ts
from eni_ledger.ledger.query.as_of import _Walk
from eni_ledger.ledger.read.replay import kept
from helpers.ledgers import BOOT, OTHER_BOOT, add_event

BEGIN = 1_800_000_000_000_000


def history(chance: random.Random) -> list[bytes]:
    """Return the lines of random events: adds, some of which supersede, dels, identities, boots, the spool."""
    lines, live, crc = [], [f"assoc-{n:017x}" for n in range(3)], 0
    head = {"event": "checkpoint", "boot_id": BOOT, "live": [{**add_event(n), "association_id": each, "since": "2000",
            "add_seq": 0} for n, each in enumerate(live)]}  # fmt: skip
    for n in range(80):
        event: dict[str, Any] = head
        kind = chance.random()
        if n and (kind < 0.5 or not live):
            event = {**add_event(n + 10), "association_id": f"assoc-{n + 100:017x}"}
            if live and chance.random() < 0.2:
                event["supersedes"] = [live.pop(chance.randrange(len(live)))]
            live.append(event["association_id"])
        elif n and kind < 0.85:
            event = {"event": chance.choice(["del", "lost"]), "association_id": live.pop(chance.randrange(len(live)))}
        elif n and kind < 0.95:
            event = {"event": "identify", "association_id": chance.choice(live), "eni_id": f"eni-{n}"}
        elif n:
            event = {"event": "add_failed"} if kind < 0.99 else {"event": "boot", "boot_id": OTHER_BOOT}
        ts = BEGIN + n * 1_000_000
        spooled = {"spooled_ts": format_ts(ts - chance.randrange(9_000_000))} if n and chance.random() < 0.1 else {}
        line, crc = encode({"ts": format_ts(ts), "seq": n + 1, "v": 1, **event, **spooled}, crc)
        lines.append(line)
    return lines


@pytest.mark.parametrize("seed", range(60))
def test_what_is_dropped_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    lines = history(chance)
    first, last = sorted(format_ts(BEGIN + chance.randrange(-2_000_000, 90_000_000)) for _ in range(2))
    keep = kept(lines, (first, last))
    answers = []
    for chosen in (lines, [line for line, needed in zip(lines, keep, strict=True) if needed]):
        walk = _Walk(first, last)
        for line in chosen:
            walk.take(decode(line))
        answers.append(sorted(walk.found(), key=lambda one: str(one["association_id"])))
    assert answers[0] == answers[1]
    assert sum(keep) < len(lines) or seed % 10


def test_what_was_over_before_is_not_parsed() -> None:
    lines, crc = [], 0
    for n, (kind, about) in enumerate(
        [("add", 1), ("add", 2), ("del", 1), ("del", 9), ("add", 3), ("add", 4), ("del", 4)]
    ):
        event = {"ts": format_ts(BEGIN + n), "seq": n + 1, "v": 1, "event": kind, "association_id": f"assoc-{about}"}
        line, crc = encode(event, crc)
        lines.append(line)
    assert kept(lines, (format_ts(BEGIN + 3), format_ts(BEGIN + 4))) == [False, True, False, True, True, False, False]
    assert live_state.happened_at(decode(lines[4])) == format_ts(BEGIN + 4)
