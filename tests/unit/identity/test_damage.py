"""agent.db cut short, with flipped bits, with pointers to the past: never a wrong ENI, never an exception."""

from __future__ import annotations

import json
import os
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from eni_ledger.identity import agent_db
from helpers.agent_db import eni_id, generation, known, mac, task
from helpers.bolt import LEAF, BoltWriter, fnv1a, header, leaf_body

FIXTURES = Path(__file__).parents[2] / "fixtures" / "agent-db"
PAGE = 4096
LONG = 30.0


class Damaged:
    """A copy of a fixture that can be damaged and mended, and what it may say."""

    def __init__(self, name: str, path: Path) -> None:
        self.path = str(path)
        self.sound = (FIXTURES / f"{name}.db").read_bytes()
        path.write_bytes(self.sound)
        entries = json.loads((FIXTURES / f"{name}.expected.json").read_text())
        self.expected = {entry["mac"]: entry["eni_id"] for entry in entries}
        # bbolt has no checksum on these pages: another digit in an ENI ID is another ENI ID, for bbolt itself too.
        spans = (match.span(1) for match in re.finditer(rb"eni-([0-9a-f]{17})", self.sound))
        self.digits = {offset for start, end in spans for offset in range(start, end)}
        self.fd = os.open(self.path, os.O_RDWR)

    def flip(self, offset: int, bit: int) -> None:
        os.pwrite(self.fd, bytes([self.sound[offset] ^ (1 << bit)]), offset)

    def mend(self, offset: int) -> None:
        os.pwrite(self.fd, self.sound[offset : offset + 1], offset)

    def right(self, macs: list[str]) -> int:
        """Return how many of these are still known; none may be known wrongly."""
        count = 0
        for address in macs:
            identity = known(self.path, address, LONG)
            if identity is not None and "eni_id" in identity:
                assert identity["eni_id"] == self.expected[address]
                count += 1
        return count


@pytest.fixture(params=["small", "large"])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Damaged]:
    copy = Damaged(request.param, tmp_path / "agent.db")
    yield copy
    os.close(copy.fd)


def test_cut_short_at_every_page_and_within(damaged: Damaged) -> None:
    macs = list(damaged.expected)
    assert damaged.right(macs) == len(macs)
    for end in range(len(damaged.sound) - PAGE, -1, -PAGE):
        for length in (end + 100, end):
            os.ftruncate(damaged.fd, length)
            damaged.right(macs[:2] + macs[-2:])
            agent_db.tasks(damaged.path, LONG)
            agent_db.metadata(damaged.path, LONG)
    assert damaged.right(macs) == 0


def test_every_page_in_turn_zeroed_or_another(damaged: Damaged) -> None:
    chance = random.Random(7)
    macs = list(damaged.expected)
    for start in range(0, len(damaged.sound), PAGE):
        other = chance.randrange(0, len(damaged.sound), PAGE)
        for page in (bytes(PAGE), damaged.sound[other : other + PAGE]):
            os.pwrite(damaged.fd, page, start)
            damaged.right(chance.sample(macs, 3))
        os.pwrite(damaged.fd, damaged.sound[start : start + PAGE], start)
    assert damaged.right(macs) == len(macs)


def test_a_bit_flipped_in_every_page(damaged: Damaged) -> None:
    chance = random.Random(11)
    macs = list(damaged.expected)
    unknown: list[int] = []
    for start in range(0, len(damaged.sound), PAGE):
        # The header and the table of elements hold the structure, the rest is mostly values.
        for offset in (start + chance.randrange(80), start + chance.randrange(PAGE)):
            if offset in damaged.digits:
                continue
            damaged.flip(offset, chance.randrange(8))
            here = [m.decode() for m in re.findall(rb"0a:1b:2c:3d:00:[0-9a-f]{2}", damaged.sound[start : start + PAGE])]
            asked = [*{m for m in here if m in damaged.expected}, *chance.sample(macs, 2)]
            unknown.append(len(asked) - damaged.right(asked))
            damaged.mend(offset)
    assert min(unknown) == 0 < max(unknown)  # most flips hide none, some do
    assert damaged.right(macs) == len(macs)


def test_every_bit_of_what_is_small_and_holds_structure(tmp_path: Path) -> None:
    damaged = Damaged("small", tmp_path / "agent.db")
    macs = list(damaged.expected)
    known: list[int] = []
    for page in range(32):
        for offset in range(page * PAGE, page * PAGE + 80):
            if offset not in damaged.digits:
                damaged.flip(offset, offset % 8)
                known.append(damaged.right(macs[::4]))
                damaged.mend(offset)
    assert min(known) < max(known) == len(macs[::4])  # some flips hide some of them, most hide none
    assert damaged.right(macs) == len(macs)
    os.close(damaged.fd)


def test_every_bit_of_the_metas(tmp_path: Path) -> None:
    damaged = Damaged("small", tmp_path / "agent.db")
    macs = list(damaged.expected)[:2]
    for meta in (0, PAGE):
        for offset in range(meta, meta + 80):
            for bit in range(8):
                damaged.flip(offset, bit)
                known = damaged.right(macs)
                # count and overflow of a meta's page, which mean nothing, are all that may be flipped unnoticed
                assert known == (2 if 10 <= offset - meta < 16 else 0), offset
                damaged.mend(offset)
    os.close(damaged.fd)


def test_a_meta_of_two_halves_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    writer = BoltWriter(str(path))
    for number in range(1, 6):
        writer.commit(generation(number, 5))
    writer.close()
    sound = path.read_bytes()
    newer, older = (PAGE, 0) if writer.txid % 2 else (0, PAGE)
    for cut in range(1, 80):
        torn = bytearray(sound)
        torn[newer + 16 + cut % 64 : newer + 80] = sound[older + 16 + cut % 64 : older + 80]
        path.write_bytes(torn)
        found = known(str(path), mac(1), LONG)
        assert found is None or found["eni_id"] == eni_id(5, 1)


def test_a_pointer_to_a_freed_page_is_noticed(tmp_path: Path) -> None:
    """The freed root of the bucket is a sound page with the ENIs of before; only the freelist tells."""
    path = tmp_path / "agent.db"
    writer = BoltWriter(str(path))
    writer.commit(generation(1, 40))
    old = struct.unpack("<QQ", writer.buckets[b"tasks"][1])[0]
    writer.commit(generation(2, 40))
    new = struct.unpack("<QQ", writer.buckets[b"tasks"][1])[0]
    found = known(str(path), mac(3), LONG)
    assert found is not None
    assert found["eni_id"] == eni_id(2, 3)
    root = os.pread(writer.fd, PAGE, writer.root * PAGE)
    at = root.index(struct.pack("<QQ", new, 0))
    os.pwrite(writer.fd, struct.pack("<Q", old), writer.root * PAGE + at)
    writer.close()
    assert known(str(path), mac(3), LONG) is None
    assert agent_db.problem(str(path), LONG) == "a page in use is on the freelist"


def test_a_database_without_a_freelist_is_read(tmp_path: Path) -> None:
    """bbolt leaves it out with NoFreelistSync; the agent does not ask for that."""
    path = tmp_path / "agent.db"
    writer = BoltWriter(str(path))
    writer.commit(generation(1, 5))
    for page in (0, 1):
        head = os.pread(writer.fd, 80, page * PAGE)
        meta = head[16:48] + b"\xff" * 8 + head[56:72]
        os.pwrite(writer.fd, head[:16] + meta + struct.pack("<Q", fnv1a(meta)), page * PAGE)
    writer.close()
    found = known(str(path), mac(3), LONG)
    assert found is not None
    assert found["eni_id"] == eni_id(1, 3)


@pytest.mark.parametrize("page_size", [1024, 4096, 16384, 65536])
def test_pages_of_other_sizes(tmp_path: Path, page_size: int) -> None:
    path = tmp_path / "agent.db"
    writer = BoltWriter(str(path), page_size=page_size)
    for number in range(1, 4):
        writer.commit(generation(number, 130))
    writer.close()
    assert agent_db.problem(str(path), LONG) is None
    found = agent_db.tasks(str(path), LONG)
    assert found is not None
    assert [identity["eni_id"] for identity in found] == [eni_id(3, index) for index in range(130)]


class Built:
    """A database of two generations, whose pages can be taken out, changed and put back with a sound header."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.writer = BoltWriter(self.path)
        self.writer.commit(generation(1, 40))
        self.old = self.leaves()
        self.writer.commit(generation(2, 40))
        self.new = self.leaves()

    def leaves(self) -> list[int]:
        """Return the leaves of the tasks, in the order of their keys."""
        root = self.root(b"tasks")
        count = struct.unpack_from("<H", self.page(root), 10)[0]
        return [struct.unpack_from("<Q", self.page(root), 16 + 16 * index + 8)[0] for index in range(count)]

    def root(self, bucket: bytes) -> int:
        root: int = struct.unpack_from("<Q", self.writer.buckets[bucket][1])[0]
        return root

    def page(self, pgid: int) -> bytes:
        page = os.pread(self.writer.fd, PAGE, pgid * PAGE)
        return page + os.pread(self.writer.fd, PAGE * struct.unpack_from("<I", page, 12)[0], (pgid + 1) * PAGE)

    def put(self, pgid: int, page: bytes) -> None:
        os.pwrite(self.writer.fd, page, pgid * PAGE)

    def problem(self) -> str | None:
        """Return why it cannot be read; nothing may be known of what it held then."""
        found = agent_db.problem(self.path, LONG)
        if found:
            assert agent_db.tasks(self.path, LONG) is None
        return found


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Built]:
    database = Built(tmp_path / "agent.db")
    assert database.problem() is None
    yield database
    os.close(database.writer.fd)


def test_a_page_of_the_past_in_place_of_the_new_one_is_noticed(built: Built) -> None:
    built.put(built.new[0], built.page(built.old[0]))
    assert built.problem() == f"page {built.new[0]} is not what it should be"
    assert known(built.path, mac(0), LONG) is None


def test_leaves_in_each_others_place_are_noticed(built: Built) -> None:
    first, second = built.page(built.new[0]), built.page(built.new[1])
    size = min(len(first), len(second))
    built.put(built.new[0], first[:8] + second[8:size])
    assert built.problem()
    assert known(built.path, mac(0), LONG) is None


def test_a_page_of_two_buckets_is_noticed(built: Built) -> None:
    built.writer.commit({**generation(2, 40), b"zzz": {b"k%d" % n: b"v" * 100 for n in range(50)}})
    root = built.page(built.writer.root)
    at = root.index(struct.pack("<QQ", built.root(b"zzz"), 0))
    built.put(built.writer.root, root[:at] + struct.pack("<Q", built.root(b"tasks")) + root[at + 8 :])
    assert agent_db.problem(built.path, LONG) == f"page {built.root(b'tasks')} is used twice"


@pytest.mark.parametrize("swap", [(0, 1), (1, 0)])
def test_keys_out_of_order_are_noticed(tmp_path: Path, swap: tuple[int, int]) -> None:
    writer = BoltWriter(str(tmp_path / "agent.db"))
    elements = [(0, *task(key, eni_id(1, number), mac(number), pad="x" * 600)) for number, key in enumerate("ab")]
    writer.commit({b"tasks": {key: value for _, key, value in elements}})
    root = struct.unpack_from("<Q", writer.buckets[b"tasks"][1])[0]
    body = leaf_body([elements[index] for index in swap])
    os.pwrite(writer.fd, header(root, LEAF, 2) + body, root * PAGE)
    writer.close()
    expected = None if swap == (0, 1) else "keys are out of order"
    assert agent_db.problem(str(tmp_path / "agent.db"), LONG) == expected


def test_a_gap_between_elements_is_noticed(tmp_path: Path) -> None:
    """A value that is shorter than its place, and still JSON."""
    writer = BoltWriter(str(tmp_path / "agent.db"))
    key, value = task("a", eni_id(1, 1), mac(1), pad="x" * 1200)
    other, next_value = task("b", eni_id(1, 2), mac(2), pad="x" * 600)
    writer.commit({b"tasks": {key: value + b" ", other: next_value}})
    root = struct.unpack_from("<Q", writer.buckets[b"tasks"][1])[0]
    assert agent_db.problem(str(tmp_path / "agent.db"), LONG) is None
    os.pwrite(writer.fd, struct.pack("<I", len(value)), root * PAGE + 16 + 12)
    writer.close()
    assert agent_db.problem(str(tmp_path / "agent.db"), LONG) == "an element of a leaf is damaged"
    assert known(str(tmp_path / "agent.db"), mac(2), LONG) is None


def test_a_file_without_its_last_pages_is_not_believed(built: Built) -> None:
    """Even when nothing that is in use is missing: it is a part of a copy."""
    while built.writer.high - 1 not in built.writer.free | built.writer.pending:
        built.writer.commit(generation(built.writer.txid, 40 - built.writer.txid))
    assert built.problem() is None
    os.ftruncate(built.writer.fd, (built.writer.high - 1) * PAGE)
    assert built.problem() == "the file is shorter than it says"
