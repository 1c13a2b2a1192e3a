"""A snapshot: what it lists while writers rotate and pack, what it holds open, and that it lets go of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import directory, segment
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import snapshot as snapshot_module
from eni_ledger.ledger.read.current import cut_short
from eni_ledger.ledger.read.snapshot import Snapshot
from helpers.ledgers import ACTIVE, add_event, prove, record, settings, three_segments

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def descriptors() -> list[str]:
    """Return what the descriptors of this process are open on."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(fd.readlink()))
        except FileNotFoundError:
            continue  # the one that this list is read by
    return sorted(found)


def test_an_active_segment_without_a_whole_line_has_no_bytes(where: Path) -> None:
    three_segments(where)
    torn = (where / ACTIVE).read_bytes()[:40]
    (where / ACTIVE).write_bytes(torn)
    (where / "state.json").unlink()
    with Snapshot(str(where)) as snapshot:
        assert [part.size for part in snapshot.segments][-1] == 0
        assert snapshot.segments[-1].end() == 0
    events = list(History(str(where)).events())
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_a_segment_that_was_packed_after_it_was_listed_has_the_size_of_what_it_is_now(where: Path) -> None:
    three_segments(where)
    with Snapshot(str(where)) as snapshot:
        prune(settings(where))
        sizes = [path.stat().st_size for path in sorted(where.glob("*.gz"))]
        assert [part.size for part in snapshot.segments[:-1]] == sizes
    with Snapshot(str(where)) as snapshot:
        for path in where.glob("*.gz"):
            path.unlink()
        assert [part.size for part in snapshot.segments[:-1]] == [0, 0]


def test_what_is_held_open_is_closed_by_the_last_who_leaves(where: Path) -> None:
    three_segments(where)
    prune(settings(where))
    before = descriptors()
    with Snapshot(str(where)) as snapshot:
        with snapshot:
            assert len(descriptors()) == len(before) + 2
        assert snapshot.source.names()
    assert descriptors() == before
    snapshot.close()
    assert descriptors() == before


def test_a_rotation_between_the_two_looks_is_seen(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_segments(where)
    real = directory.open_file
    rotations = [6, 7]

    def open_file(dir_fd: int, name: str, flags: int) -> int:
        if name == ACTIVE and rotations:
            record(where, add_event(rotations.pop()), rotate_bytes=1)
        return real(dir_fd, name, flags)

    monkeypatch.setattr("eni_ledger.ledger.format.source.open_file", open_file)
    with Snapshot(str(where)) as snapshot:
        names = [part.name for part in snapshot.segments]
    assert rotations == []
    ranges = [found for name in names[:-1] if (found := segment.sealed_range(name))]
    assert [first for first, _ in ranges] == [1, *(last + 1 for _, last in ranges[:-1])]
    assert ranges[-1][1] + 1 == prove(where)[-2]["seq"]


class TestBetweenTheTwoRenames:
    """The active segment has been sealed, and the next one has not its name yet."""

    @pytest.fixture(autouse=True)
    def _sealed(self, where: Path) -> None:
        events = three_segments(where)
        last = sorted(where.glob("ledger-*.jsonl"))[-1]
        (where / ".next").write_bytes((where / ACTIVE).read_bytes())
        self.last = last.name
        self.seq = events[-1]["seq"]

    def waits(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[int], Any]) -> list[float]:
        times: list[float] = []

        def sleep(seconds: float) -> None:
            times.append(seconds)
            meanwhile(len(times))

        monkeypatch.setattr("eni_ledger.ledger.read.snapshot.time.sleep", sleep)
        return times

    def test_the_next_one_is_waited_for(self, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (where / ACTIVE).unlink()

        def rename(times: int) -> None:
            if times == 3:
                (where / ".next").rename(where / ACTIVE)

        times = self.waits(monkeypatch, rename)
        with Snapshot(str(where)) as snapshot:
            assert snapshot.segments[-1].name == ACTIVE
        assert len(times) == 3

    def test_but_not_for_ever_its_writer_may_have_died(self, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (where / ACTIVE).unlink()
        times = self.waits(monkeypatch, lambda _: None)
        with Snapshot(str(where)) as snapshot:
            assert snapshot.segments[-1].name == self.last
        assert len(times) == snapshot_module._PATIENCE

    def test_while_there_is_an_active_one_nothing_is_waited_for(
        self, where: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = self.waits(monkeypatch, lambda _: None)
        with Snapshot(str(where)) as snapshot:
            assert snapshot.segments[-1].name == ACTIVE
        assert times == []


def test_marks_of_a_former_active_segment_are_not_believed(where: Path) -> None:
    record(where, add_event(1))
    older = (where / "state.json").read_bytes()
    with Snapshot(str(where)) as snapshot:
        assert snapshot.segments[-1].state_marks
    for n in range(2, 9):
        record(where, add_event(n), rotate_bytes=1 if n == 3 else 1 << 20)
    (where / "state.json").write_bytes(older)
    with Snapshot(str(where)) as snapshot:
        assert snapshot.segments[-1].state_marks is None


@pytest.mark.parametrize("lines", [1, 2])
def test_where_a_ledger_that_was_cut_ends(where: Path, lines: int) -> None:
    for n in range(1, 4):
        record(where, add_event(n))
    left = b"".join((where / ACTIVE).read_bytes().splitlines(keepends=True)[:lines])
    (where / ACTIVE).write_bytes(left)
    source = Directory(os.open(where, os.O_RDONLY))
    try:
        damage = cut_short(source)
    finally:
        source.close()
    assert isinstance(damage, LedgerDamaged)
    assert (damage.path, damage.line, damage.offset) == (ACTIVE, lines + 1, len(left))
