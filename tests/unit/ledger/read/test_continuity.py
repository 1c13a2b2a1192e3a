"""Marks of a segment without an index are looked for in its bytes, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.snapshot import Snapshot
from helpers.ledgers import ACTIVE, add_event, append_line, record, sealed, settings, three_segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("chunk", [*range(30, 90), 4096])
def test_a_mark_across_the_border_of_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(continuity, "_CHUNK", chunk)
    where = tmp_path / "state"
    record(where, add_event(1))
    with Snapshot(str(where)) as snapshot:
        assert not continuity.contains_mark(snapshot.segments[0], "identify")
    append_line(where, event="identify", association_id="assoc-1")
    assert (where / ACTIVE).stat().st_size > chunk or chunk == 4096
    with Snapshot(str(where)) as snapshot:
        assert continuity.contains_mark(snapshot.segments[0], "identify")
        assert not continuity.contains_mark(snapshot.segments[0], "import")


def questions(history: History, what: str) -> list[Callable[[], object]]:
    return [lambda: list(history.events()), lambda: history.who(what), history.all]


@pytest.mark.parametrize("packed", [False, True])
def test_a_segment_that_is_missing_is_told_where_the_next_one_begins(tmp_path: Path, packed: bool) -> None:
    where = tmp_path / "state"
    three_segments(where)
    if packed:
        record(where, add_event(8), rotate_bytes=1)
        prune(settings(where))
    _, gone, *rest = sealed(where)
    gone.unlink()
    behind = rest[0].name if rest else ACTIVE
    history = History(str(where))
    for question in questions(history, "10.0.0.1"):
        with pytest.raises(LedgerDamaged, match="events are missing") as told:
            question()
        assert (told.value.path, told.value.line, told.value.offset) == (behind, 1, 0)


def test_an_active_segment_that_was_cut_is_told_behind_its_last_line(tmp_path: Path) -> None:
    where = tmp_path / "state"
    events = three_segments(where)
    lines = (where / ACTIVE).read_bytes().splitlines(keepends=True)
    (where / ACTIVE).write_bytes(b"".join(lines[:-1]))
    history = History(str(where))
    first = f"10.0.0.{int(events[1]['container_id'], 16)}"
    for question in questions(history, first):
        with pytest.raises(LedgerDamaged, match="events are missing") as told:
            question()
        assert (told.value.path, told.value.line) == (ACTIVE, len(lines))
        assert told.value.offset == len(b"".join(lines[:-1]))
