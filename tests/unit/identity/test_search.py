"""Looking for a text in a bucket: what a walk through all of it would find, in fewer reads."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base import addresses
from eni_ledger.identity import agent_db, bolt
from helpers.agent_db import CLUSTER, eni_id, mac, task
from helpers.bolt import BoltWriter
from helpers.bolt_tree import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = 60.0


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[TreeWriter]:
    made = TreeWriter(str(tmp_path / "agent.db"))
    made.commit({b"metadata": {b"cluster-name": b'"prod"'}})
    yield made
    made.close()


class Agent:
    """A writer that puts and drops tasks page by page, and what its database has to hold."""

    def __init__(self, writer: TreeWriter, seed: int) -> None:
        self.writer, self.chance = writer, Random(seed)
        self.held: dict[bytes, bytes] = {}
        self.number = 0

    def commit(self) -> bytes:
        """Put a task, drop the oldest beyond 60; return the new one's key."""
        self.number += 1
        pad = "x" * self.chance.choice([0, 50, 700, 3000, 9000])
        key, value = task(f"{self.chance.getrandbits(128):032x}", eni_id(1, self.number), mac(self.number), pad=pad)
        gone = [next(iter(self.held))] if len(self.held) >= 60 else []
        for old in gone:
            del self.held[old]
        self.held[key] = value
        self.writer.change({key: value}, gone)
        return key


def test_finds_what_a_walk_finds(writer: TreeWriter, tmp_path: Path) -> None:
    path, agent = str(tmp_path / "agent.db"), Agent(writer, 1)
    for number in range(1, 240):
        agent.commit()
        if number % 8:
            continue
        for asked in (number, number - 30, number - 61, number - 100, number + 1):
            needle = f'"{mac(asked)}"'.encode()

            def both(snapshot: bolt.ReadTransaction, needle: bytes = needle) -> tuple[list[tuple[bytes, bytes]], ...]:
                metas = bolt._raw_metas(snapshot._fd)
                bucket = snapshot.buckets()[b"tasks"]
                again = bolt.ReadTransaction(snapshot._fd, metas[snapshot.txid % 2], snapshot._over)
                return list(snapshot.containing(bucket, needle)), list(again.items(again.buckets()[b"tasks"]))

            found, everything = bolt.view(path, bolt.within(LONG), both)
            assert dict(everything) == agent.held
            assert found == [(key, value) for key, value in everything if needle in value]


def test_a_commit_at_every_read_but_the_last(
    writer: TreeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try is spoilt at another place, until one is not: the right answer, and never that of a stale page."""
    path, agent = str(tmp_path / "agent.db"), Agent(writer, 2)
    for _ in range(80):
        wanted = agent.commit()
    reads: list[int] = []
    pread = os.pread
    spoilt = list(range(60))

    def spoiling(fd: int, size: int, offset: int) -> bytes:
        reads.append(offset)
        if spoilt and len(reads) >= spoilt[0]:
            spoilt.pop(0)
            reads.clear()
            moved = agent.held.pop(wanted)  # a page of its own, at another place each time
            agent.held[wanted] = moved
            writer.change({wanted: moved})
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", spoiling)
    found = agent_db.Question(path, mac(80)).ask(bolt.within(LONG))
    assert found is not None
    assert (found["eni_id"], found["task_arn"]) == (eni_id(1, 80), f"{CLUSTER}/{wanted.decode()}")
    assert spoilt[0] > 12  # so many reads a whole try takes, and each had its turn


def test_reads_a_fraction_of_the_pages(writer: TreeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shorter it takes, the less often a commit comes in between."""
    path, agent = str(tmp_path / "agent.db"), Agent(writer, 3)
    for _ in range(100):
        agent.commit()
    reads: list[int] = []
    pread = os.pread

    def counting(fd: int, size: int, offset: int) -> bytes:
        reads.append(size)
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    assert agent_db.tasks(path, LONG)
    walked = len(reads)
    reads.clear()
    assert agent_db.Question(path, mac(90)).ask(bolt.within(LONG)) is not None
    assert len(reads) < walked / 2


def test_asked_again_where_nothing_was_written(
    writer: TreeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, reads, pread = Agent(writer, 5), list[int](), os.pread
    for _ in range(100):
        agent.commit()

    def counting(fd: int, size: int, offset: int) -> bytes:
        reads.append(size)
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    question = agent_db.Question(str(tmp_path / "agent.db"), mac(101))
    counts = []
    for _ in range(3):
        reads.clear()
        assert question.ask(bolt.within(LONG)) is None
        counts.append(len(reads))
    assert counts[0] > 2 * counts[1]
    assert counts[1:] == [3, 3]  # the metas, the freelist, the metas
    agent.commit()
    found = question.ask(bolt.within(LONG))
    assert found is not None
    assert found["eni_id"] == eni_id(1, 101)


def test_gives_up_after_so_many_tries(writer: TreeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, agent = str(tmp_path / "agent.db"), Agent(writer, 4)
    for _ in range(20):
        agent.commit()
    tries: list[int] = []
    finish = bolt.ReadTransaction.finish

    def then(snapshot: bolt.ReadTransaction) -> None:
        finish(snapshot)
        tries.append(snapshot.txid)
        agent.commit()

    monkeypatch.setattr(bolt.ReadTransaction, "finish", then)
    with pytest.raises(bolt.Unreadable, match="written to all the time"):
        agent_db.Question(path, mac(10)).ask(bolt.within(LONG), 3)
    assert len(tries) == 3


def test_an_inline_bucket_and_a_text_at_the_seam_of_two_pieces(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    writer.commit({b"tasks": dict([task("a", eni_id(1, 1), mac(1))])})
    found = agent_db.Question(path, mac(1)).ask(bolt.within(LONG))
    assert found is not None
    assert found["eni_id"] == eni_id(1, 1)
    for pad in range(65536 - 4096 - 400, 65536 - 4096 - 100, 7):
        writer.commit({b"tasks": dict([task("a", eni_id(1, 1), mac(1), status="x" * pad), task("b", "", mac(2))])})
        found = agent_db.Question(path, mac(1)).ask(bolt.within(LONG))
        assert found is not None, pad
    writer.close()


@pytest.mark.parametrize("good", ["eni-0a1b2c3d", "eni-0123456789abcdef0"])
def test_eni_ids(good: str) -> None:
    assert addresses.eni_id(good) == good
    for at in range(len(good)):
        for other in ("g", "A", " ", "\n", "/", ":", "`", "é"):
            assert addresses.eni_id(good[:at] + other + good[at + 1 :]) is None, (at, other)
        assert addresses.eni_id(good[:at] + good[at + 1 :]) is None
        assert addresses.eni_id(good[:at] + "0" + good[at:]) is None
    assert addresses.eni_id(good + "\n") is None


@pytest.mark.parametrize("bad", [None, 7, b"eni-0a1b2c3d", ["eni-0a1b2c3d"], "", "eni-", "eni-0a1b2c3d0", "x" * 12])
def test_what_is_no_eni_id(bad: object) -> None:
    assert addresses.eni_id(bad) is None


@pytest.mark.parametrize(
    ("text", "vlan"),
    [
        ("1", 1),
        ("101", 101),
        ("4094", 4094),
        ("0", 0),
        ("4095", None),
        ("9999", None),
        ("", None),
        ("-1", None),
        (" 5", None),
        ("1_0", None),
        ("00101", 101),
        ("+101", 101),
        ("٣", None),
        (101, None),
        (None, None),
    ],
)
def test_vlan_ids(text: object, vlan: int | None) -> None:
    assert addresses.vlan_number(text) == vlan


@pytest.mark.parametrize(
    ("value", "text"),
    [("web", "web"), ("x" * 512, "x" * 512), ("x" * 513, None), ("", None), ("é", None), ("a\n", None), (7, None)],
)
def test_texts(value: object, text: str | None) -> None:
    assert agent_db._text(value) == text
