"""Growth: a busy host's history, packed and retired again and again; every answer equals the recorded history."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format.line import format_ts, parse_ts
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import rotation
from helpers.generator import Generator, Truth
from helpers.ledgers import prove, segments, settings
from ledger.torture.trial import Run, Trial

BEGINS_US = 1_735_689_600_000_000
ROTATE_BYTES = 128 * 1024


def run(what: Run) -> None:
    """Let a ledger grow over 100 segments in each round, and ask about it before and after pruning."""
    for _, chance, where in what.each():
        made = Generator(where, chance.randrange(1 << 32), BEGINS_US, ROTATE_BYTES)
        made.run(chance.randrange(8_000, 16_000), truth_every=50)
        made.close()
        events = prove(where)
        what.counts["events"] += len(events)
        what.counts["segments"] += len(segments(where))
        _ask(what, where, chance.sample(made.truth, 8), chance, "as they were sealed")
        report = prune(settings(where, retain_days=100_000, retain_bytes=1 << 40))
        what.counts["segments packed"] += len(report.packed)
        what.check(report.left == [], f"left unpacked: {report.left[:1]}")
        what.check(prove(where) == events, "a packed event is another one")
        _ask(what, where, made.truth, chance, "packed")
        _retire(what, where, made.truth, chance)


def _ask(what: Run, where: Path, truth: list[Truth], chance: random.Random, how: str) -> None:
    history = History(str(where))
    what.check(fsck(str(where)).sound, f"fsck of segments {how}")
    for one in chance.sample(truth, min(40, len(truth))):
        middle = one.since
        if one.until:
            middle = format_ts(chance.randrange(parse_ts(one.since), parse_ts(one.until)))
        found = [
            (each["association_id"], each["container_id"], each["since"], each.get("until", ""))
            for each in history.who(one.address, middle)
        ]
        want = [(one.association_id, one.container_id, one.since, one.until)]
        what.check(found == want, f"who {one.address} at {middle}, {how}: {found} for {want}")
        if one.until:
            gone = [each["association_id"] for each in history.who(one.address, one.until)]
            what.check(one.association_id not in gone, f"{one.association_id} after its end, {how}")
        ids = [each["association_id"] for each in history.who(one.container_id[:12])]
        what.check(ids == [one.association_id], f"who {one.container_id[:12]}, {how}: {ids}")
        what.counts["questions"] += 3


def _retire(what: Run, where: Path, truth: list[Truth], chance: random.Random) -> None:
    """Set the clock to the end of the history, keep a part of it, and ask about every moment that is to be kept."""
    last = prove(where)[-1]["ts"]
    days = max(1, (parse_ts(last) - BEGINS_US) // 86_400_000_000 // chance.choice((2, 3, 5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rotation, "now_us", lambda: parse_ts(last))
        report = prune(settings(where, retain_days=days, retain_bytes=1 << 40))
    what.counts["segments retired"] += len(report.removed)
    what.check(bool(report.removed), "nothing was beyond retention")
    oldest = format_ts(parse_ts(last) - days * 86_400_000_000)
    kept = [one for one in truth if not one.until or one.until > oldest]
    history = History(str(where))
    for one in chance.sample(kept, min(40, len(kept))):
        when = max(one.since, oldest)
        found = [(each["association_id"], each["since"]) for each in history.who(one.address, when)]
        what.check(found == [(one.association_id, one.since)], f"after retention: who {one.address} at {when}: {found}")
        what.counts["questions"] += 1
    what.check(fsck(str(where)).sound, "fsck after retention")


TRIAL = Trial("growth", "years of history, packed and retired: every answer is as it was", run, rounds=25, short=1)
