"""Intervals, several things at once, filters, neighbours and chosen events, against all there ever was.

Random ledgers, plain, packed and packed by an older version, with events from the spool, boots and identities that were
found out later. What `History.all` returns, which looks nothing up, is taken for the truth (`test_histories`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.archive import index_builder, index_keys
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.ledger.read.terms import Query
from eni_ledger.ledger.write import writer
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import BOOT, OTHER_BOOT, add_event, copy, del_event, record, settings

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association, Fields

FAMILIES = ("api", "web", "worker-long-name", None)
BEGIN = line_format.parse_ts("2026-11-01T00:00:00.000000Z")


class Past:
    """A random ledger, written by the real writer under a clock of its own."""

    def __init__(self, where: Path, seed: int) -> None:
        self.where, self.chance = where, random.Random(seed)
        self.clock, self.boot, self.live = BEGIN, BOOT, dict[int, str]()
        self.times: list[str] = []
        self.every: list[Association] = []

    def write(self, events: int, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(writer, "now_us", lambda: self.clock)
        for n in range(1, events):
            self.clock += self.chance.choice([0, 1, 1_000_000, 60_000_000])
            rotate = self.chance.choice([1, *[6000] * 12])
            self.one(n, rotate)
            self.times.append(line_format.format_ts(self.clock))

    def one(self, n: int, rotate: int) -> None:
        kind = self.chance.random()
        if kind < 0.5 or not self.live:
            written = record(self.where, self.add(n), rotate_bytes=rotate)
            self.live[n] = str(written["association_id"])
        elif kind < 0.75:
            gone = self.chance.choice(list(self.live))
            del self.live[gone]
            writer.record(settings(self.where, rotate_bytes=rotate), del_event(gone, boot_id=self.boot))
        elif kind < 0.78:
            self.boot = {BOOT: OTHER_BOOT, OTHER_BOOT: BOOT}[self.boot]
            self.live.clear()
        elif kind < 0.82:
            record(self.where, {"event": "add_failed", "boot_id": self.boot, "vlan_id": self.chance.randrange(1, 9),
                                "task_family": "api", "container_id": f"{n:064x}", "via": "chained"})  # fmt: skip
        else:
            about = self.chance.choice(History(str(self.where)).all())
            known = {"association_id": about["association_id"], **self.task(n)}
            late = {"late": True} if "until" in about else {}
            record_found(settings(self.where), {}, lambda _: [{"event": "identify", **known, **late}])

    def task(self, n: int) -> dict[str, Any]:
        family = self.chance.choice(FAMILIES)
        arn = f"arn:aws:ecs:eu-central-1:123456789012:task/prod/{n * 2654435761 % 2**32:08x}{n:024x}"
        known = {"task_family": family, "task_revision": "3", "service": f"{family}-svc", "cluster": "prod"}
        return {**known, "task_arn": arn} if family else {}

    def add(self, n: int) -> dict[str, Any]:
        chance = self.chance
        address = f"10.0.{chance.randrange(4)}.{chance.randrange(6)}/20"
        over: dict[str, Any] = {"vlan_id": chance.randrange(1, 9), "addresses": [address], "boot_id": self.boot}
        if chance.random() < 0.2:
            over |= {"mismatch": ["vlan_id"], "observed_vlan_id": chance.randrange(1, 9)}
        return add_event(n, **over, **(self.task(n) if chance.random() < 0.5 else {}))


@pytest.fixture(scope="module", params=range(3))
def pasts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Past, list[str]]:
    """Give a random past and the state directories in which it is: plain, packed, packed with an index of version 3."""
    root = tmp_path_factory.mktemp("find")
    past = Past(root / "plain", request.param)
    with pytest.MonkeyPatch.context() as patch:
        past.write(220, patch)
        places = [root / "plain", copy(root / "plain", root / "packed"), copy(root / "plain", root / "old")]
        past.every = History(str(root / "plain")).all()
        patch.setattr(gzip_members, "MEMBER", 1500)
        prune(settings(places[1], retain_days=100_000))
        patch.setattr(index_builder, "VERSION", 3)
        patch.setattr(index_keys, "of_owners", lambda _: ())
        prune(settings(places[2], retain_days=100_000))
    return past, [str(place) for place in places]


def some_queries(chance: random.Random, every: list[Association]) -> list[Query]:
    """Return queries of every kind, most of which something fits."""
    one, other = chance.choice(every), chance.choice(every)
    task = str(one.get("task_arn", "x/0123456789")).rpartition("/")[2]
    texts = [f"10.0.{chance.randrange(4)}.{chance.randrange(7)}", "10.0.2.0/24", "10.0.0.0/14", "10.0.1.2/31", "3",
             "vlan:5", one["branch_mac"], other["eni_id"], task[:8], f"task:{task[:3]}", "api", "family:web",
             "worker-long-name:3", "api-svc", "cluster:prod", "web/" + task[:4], one["container_id"][:63],
             other["association_id"], str(one["netns_inode"]), one["netns"], "trunk:enp40s0", "nobody", "family:none",
             f"pid:{chance.randrange(9)}"]  # fmt: skip
    return [Query(text) for text in chance.sample(texts, chance.choice([1, 1, 2, 5, len(texts) - 8]))]


def some_filters(chance: random.Random) -> Filters:
    patterns = {
        "family": ["api", "web", "w*", "*-long-*", "none"], "service": ["api-svc", "*svc"], "cluster": ["prod", "p*"],
        "task": ["0*", "*00", "arn:*"], "vlan": ["3", "5", "*"], "trunk": ["enp40s0", "0A:00:00:00:00:01", "e*"],
        "via": ["chained", "scan"], "event": ["add", "del", "lost", "boot"],
    }  # fmt: skip
    chosen = chance.sample(list(patterns), chance.choice([0, 1, 1, 2]))
    given = {name: chance.sample(patterns[name], chance.choice([1, 1, 2])) for name in chosen}
    return Filters(given, mismatch=chance.random() < 0.15)


def ids(found: list[Association]) -> list[str]:
    return [one["association_id"] for one in found]


@pytest.mark.parametrize("seed", range(8))
def test_what_fits_in_an_interval(pasts: tuple[Past, list[str]], seed: int) -> None:
    past, places = pasts
    chance = random.Random(seed)
    for _ in range(8):
        every = past.every
        queries = some_queries(chance, every) if chance.random() < 0.7 else []
        filters = some_filters(chance)
        one, two = sorted(chance.sample(past.times, 2))
        first, last = chance.choice([(one, two), (one, two), (one, one), (None, two), (one, None)])
        expected = [
            one
            for one in every
            if (last is None or one["since"] <= last)
            and (first is None or first < one.get("until", "~"))
            and (not queries or any(query.matches(one) for query in queries))
            and filters.matches(one)
        ]
        for place in places:
            found = History(place).find(queries, first=first, last=last, filters=filters)
            assert found == expected, ([query.text for query in queries], filters.patterns, first, last, place)


@pytest.mark.parametrize("seed", range(4))
def test_who_had_it_before_and_after(pasts: tuple[Past, list[str]], seed: int) -> None:
    past, places = pasts
    chance = random.Random(seed)
    for _ in range(5):
        (query,) = some_queries(chance, past.every)[:1]
        when = chance.choice(past.times)
        every = [one for one in past.every if query.matches(one)]
        before = max((one["until"] for one in every if one.get("until", "~") <= when), default=None)
        after = min((one["since"] for one in every if one["since"] > when), default=None)
        for place in places:
            last, following = History(place).neighbours(query, when)
            assert (last and last["until"], following and following["since"]) == (before, after), (query.text, when)
            assert all(one is None or query.matches(one) for one in (last, following))


@pytest.mark.parametrize("seed", range(4))
def test_events_of_what_fits(pasts: tuple[Past, list[str]], seed: int) -> None:
    past, places = pasts
    chance = random.Random(seed)
    for _ in range(8):
        every = past.every
        queries = some_queries(chance, every) if chance.random() < 0.6 else []
        filters = some_filters(chance)
        one, two = sorted(chance.sample(past.times, 2))
        since, until = chance.choice([(one, two), (None, None), (one, None)])
        of_event, of_one = filters.of_events(), filters.of_associations()

        def fits(record: Fields, queries: list[Query] = queries, of_one: Filters = of_one) -> bool:
            return (not queries or any(query.matches(record) for query in queries)) and of_one.matches(record)

        mine = {one["association_id"] for one in every if fits(one)}
        expected = [
            event["seq"]
            for event in History(places[0]).events(since, until)
            if of_event.matches(event)
            and (
                not (queries or of_one)
                or event.get("association_id") in mine
                or not mine.isdisjoint(event.get("supersedes", ()))
                or ("association_id" not in event and event["event"] != "checkpoint" and fits(event))
            )
        ]
        for place in places:
            found = History(place).events(since, until, queries=queries, filters=filters)
            assert [event["seq"] for event in found] == expected, ([query.text for query in queries], filters.patterns)


def test_a_thousand_things_are_one_pass(pasts: tuple[Past, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    from eni_ledger.ledger.read import selection

    past, places = pasts
    queries = [Query(f"10.0.{n >> 8}.{n & 255}") for n in range(1000)]
    passes: list[int] = []
    inner = selection.Lookup.events

    def counted(self: selection.Lookup, number: int, *more: Any) -> Any:
        passes.append(number)
        return inner(self, number, *more)

    monkeypatch.setattr(selection.Lookup, "events", counted)
    for place in places:
        passes.clear()
        assert ids(History(place).find(queries)) == ids(past.every)
        assert len(passes) == len(set(passes))
