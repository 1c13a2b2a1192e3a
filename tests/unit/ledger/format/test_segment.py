"""Segments: names, lines across chunks, the end of a file of any length, and the proof of a chain."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import FutureFormat, LedgerDamaged
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.format import segment

if TYPE_CHECKING:
    from collections.abc import Iterator

TS = "2026-11-23T14:00:00.000000Z"
CHUNK = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def chain(sizes: list[int], first_seq: int = 1, previous: int = 0) -> list[bytes]:
    """Return a checkpoint and an event for each of `sizes`, padded by so many bytes."""
    head = {"ts": TS, "seq": first_seq, "v": 1, "event": "checkpoint", "prev_crc": f"{previous:08x}", "live": []}
    line, crc = line_format.encode(head, previous)
    lines = [line]
    for index, size in enumerate(sizes, 1):
        event = {"ts": TS, "seq": first_seq + index, "v": 1, "event": "import", "pad": "x" * size}
        line, crc = line_format.encode(event, crc)
        lines.append(line)
    return lines


def test_names() -> None:
    name = segment.sealed_name(1, 57)
    assert name == "ledger-0000000000000001-0000000000000057.jsonl"
    assert segment.sealed_range(name) == (1, 57)
    assert segment.sealed_range(segment.sealed_name(10**15, 10**16 - 1)) == (10**15, 10**16 - 1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ledger.jsonl",
        "ledger-1-2.jsonl",
        "ledger-0000000000000001-0000000000000057.json",
        "ledger-0000000000000001-0000000000000057.jsonl.gz.tmp",
        "ledger-0000000000000001-0000000000000057.index",
        "ledger-0000000000000001-0000000000000057.jsonl~",
        ".ledger-0000000000000001-0000000000000057.jsonl",
        "ledger-000000000000000a-0000000000000057.jsonl",
        "ledger-+000000000000001-0000000000000057.jsonl",
        "ledger-000000000000000\u0661-0000000000000057.jsonl",
        "ledger-0000000000000001_0000000000000057.jsonl",
        "Ledger-0000000000000001-0000000000000057.jsonl",
        "ledger-0000000000000001-000000000000005 .jsonl",
    ],
)
def test_what_is_no_name_of_a_sealed_segment(name: str) -> None:
    assert segment.sealed_range(name) is None


def test_sealed_segments_are_listed_in_order_and_alone(tmp_path: Path) -> None:
    names = [segment.sealed_name(first, first + 8) for first in (100, 1, 10)]
    for name in [*names, "ledger.jsonl", "state.json", "lock", ".next", "ledger-1-2.jsonl"]:
        (tmp_path / name).touch()
    with opened_dir(tmp_path) as fd:
        assert segment.list_sealed(fd) == [names[1], names[2], names[0]]


@contextmanager
def opened_dir(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("first", [0, 1, CHUNK - 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 3 * CHUNK + 7])
def test_lines_across_the_borders_of_chunks(tmp_path: Path, first: int) -> None:
    lines = [b"a" * first + b"\n", b"\n", b"bb\n", b"c" * (CHUNK - 1) + b"\n", b"d\n"]
    path = tmp_path / "f"
    path.write_bytes(b"".join(lines) + b"torn")
    offsets = [sum(map(len, lines[:index])) for index in range(len(lines))]
    want = [(number, *rest, None) for number, *rest in zip(range(1, 6), offsets, lines, strict=True)]
    end = (6, sum(map(len, lines)), b"", None)  # something without an end
    with opened(path) as fd:
        assert list(segment.lines_of(fd, "f", path.stat().st_size)) == [*want, end]
        assert list(segment.lines_of(fd, "f", offsets[-1])) == want[:-1]
        assert list(segment.lines_of(fd, "f", 1 << 30)) == want  # the file is shorter than it was
        assert list(segment.lines_of(fd, "f", 0)) == []


def test_a_line_without_end_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(segment.MAX_LINE + 2 * CHUNK)  # a hole: no disk is used
    with opened(path) as fd:
        assert list(segment.lines_of(fd, "f", path.stat().st_size)) == [(1, 0, b"", None)]
    with opened(path) as fd, pytest.raises(LedgerDamaged) as caught:
        list(segment.walk(fd, "f", path.stat().st_size))
    assert (caught.value.line, caught.value.offset) == (1, 0)


SIZES = [
    [],
    [10],
    [10, 10],
    [8000],
    [8192],
    [9000, 10],
    [10, 9000],
    [9000, 9000],
    [70_000],
    [70_000, 70_000],
    [10, 600_000, 10],
    [4000, 4000, 4000],
    [600_000, 600_000, 600_000],
]


@pytest.mark.parametrize("torn", [b"", b"{", b'{"ts":"2026', b"x" * 10_000, b"\0" * 100_000])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_end_of_a_segment(tmp_path: Path, sizes: list[int], torn: bytes) -> None:
    lines = chain(sizes, first_seq=41, previous=0xABC)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines) + torn)
    with opened(path) as fd:
        tail, left = segment.read_tail(fd, "ledger.jsonl")
    assert tail is not None
    assert left == len(torn)
    assert tail.seq == 41 + len(sizes)
    assert tail.size == sum(map(len, lines))
    assert tail.crc == int(lines[-1][-11:-3], 16)
    assert line_format.format_ts(tail.ts_us) == TS


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 9000, b"\0" * 70_000], ids=len)
def test_a_segment_without_a_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    with opened(path) as fd:
        assert segment.read_tail(fd, "f") == (None, len(data))


@pytest.mark.parametrize("sizes", [[], [10], [10, 10], [9000, 9000], [10, 70_000, 10]], ids=str)
def test_a_damaged_end_is_named_by_line_and_offset(tmp_path: Path, sizes: list[int]) -> None:
    lines = chain(sizes)
    path = tmp_path / "f"
    last = len(lines[-1])
    for at in [0, 1, last // 2, last - 12, last - 11, last - 3, last - 2]:
        broken = bytearray(b"".join(lines))
        broken[len(broken) - last + at] ^= 1
        path.write_bytes(broken)
        with opened(path) as fd, pytest.raises(LedgerDamaged) as caught:
            segment.read_tail(fd, "f")
        assert (caught.value.path, caught.value.line) == ("f", len(lines))
        assert caught.value.offset == sum(map(len, lines[:-1]))


@pytest.mark.parametrize("data", [b"\n", b"\n\n", b"{}\n", b"[]\n{}\n", b"\n\n\n\n", b"x\ny\nz\n", b"1\n2\n"])
def test_lines_that_are_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    with opened(path) as fd, pytest.raises(LedgerDamaged):
        segment.read_tail(fd, "f")
    with opened(path) as fd, pytest.raises(LedgerDamaged) as caught:
        list(segment.walk(fd, "f", len(data)))
    assert (caught.value.line, caught.value.offset) == (1, 0)


def walked(path: Path, **how: Any) -> list[tuple[int, int, int]]:
    with opened(path) as fd:
        return [(n, at, e["seq"]) for n, at, e, _ in segment.walk(fd, "f", path.stat().st_size, **how)]


def test_walking_a_sound_segment(tmp_path: Path) -> None:
    lines = chain([5, 9000, 0], first_seq=7, previous=0x1234)
    path = tmp_path / "f"
    path.write_bytes(b"".join(lines))
    want = [(n + 1, sum(map(len, lines[:n])), 7 + n) for n in range(4)]
    assert walked(path) == want  # by the word of its checkpoint
    assert walked(path, previous_crc=0x1234) == want
    damage: list[LedgerDamaged] = []
    assert walked(path, previous_crc=0x1235, damage=damage) == want[1:]
    assert [(found.path, found.line, found.offset) for found in damage] == [("f", 1, 0)]


@given(st.data())
def test_walking_past_damage_gives_what_is_proven_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = chain(data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=5)))
    at = data.draw(st.integers(0, sum(map(len, lines)) - 1))
    broken = bytearray(b"".join(lines))
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("walk") / "f"
    path.write_bytes(broken)
    hit = next(n for n in range(len(lines)) if at < sum(map(len, lines[: n + 1])))
    damage: list[LedgerDamaged] = []
    seqs = [seq for _, _, seq in walked(path, damage=damage)]
    assert (damage[0].line, damage[0].offset) == (hit + 1, sum(map(len, lines[:hit])))
    assert hit + 1 not in seqs
    assert set(seqs) <= set(range(1, len(lines) + 1))
    assert seqs == sorted(seqs)
    assert set(seqs) >= set(range(1, hit + 1)) | set(range(hit + 3, len(lines) + 1))
    with pytest.raises(LedgerDamaged) as caught:
        walked(path)
    assert (caught.value.line, caught.value.offset) == (damage[0].line, damage[0].offset)


def test_a_last_line_without_its_end_is_damage(tmp_path: Path) -> None:
    lines = chain([5, 6])
    path = tmp_path / "f"
    path.write_bytes(b"".join(lines)[:-1])
    damage: list[LedgerDamaged] = []
    assert [seq for _, _, seq in walked(path, damage=damage)] == [1, 2]
    assert [(found.line, found.offset) for found in damage] == [(3, len(lines[0] + lines[1]))]


def test_a_line_twice_or_missing_is_damage(tmp_path: Path) -> None:
    lines = chain([5, 6, 7])
    path = tmp_path / "f"
    for wrong in ([0, 1, 1, 2, 3], [0, 2, 3], [0, 2, 1, 3]):
        path.write_bytes(b"".join(lines[n] for n in wrong))
        with pytest.raises(LedgerDamaged):
            walked(path)


@pytest.mark.parametrize("version", [2, 99])
def test_a_later_format_is_refused_where_the_chain_proves_it(tmp_path: Path, version: int) -> None:
    lines = chain([5])
    event = {"ts": TS, "seq": 3, "v": version, "event": "novel", "what": {"deep": [1]}}
    line, _ = line_format.encode(event, int(lines[-1][-11:-3], 16))
    path = tmp_path / "f"
    path.write_bytes(b"".join(lines) + line)
    with opened(path) as fd, pytest.raises(FutureFormat, match=f"version {version}") as caught:
        segment.read_tail(fd, "f")
    assert caught.value.details == "f"
    with pytest.raises(FutureFormat):
        walked(path)
    with pytest.raises(FutureFormat):
        walked(path, damage=[])


def test_a_flipped_bit_does_not_make_a_later_format(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"".join(chain([5])).replace(b'"v":1', b'"v":9'))
    with pytest.raises(LedgerDamaged):
        walked(path)
    with opened(path) as fd, pytest.raises(LedgerDamaged):
        segment.read_tail(fd, "f")
