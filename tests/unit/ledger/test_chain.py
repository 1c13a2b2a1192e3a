"""Marks of a segment without an index are looked for in its bytes, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.ledger import chain
from eni_ledger.ledger.reader import Snapshot
from helpers.ledgers import ACTIVE, add_event, append_line, record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("chunk", [*range(30, 90), 4096])
def test_a_mark_across_the_border_of_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(chain, "_CHUNK", chunk)
    where = tmp_path / "state"
    record(where, add_event(1))
    with Snapshot(str(where)) as snapshot:
        assert not chain.holds(snapshot.segments[0], "identify")
    append_line(where, event="identify", association_id="assoc-1")
    assert (where / ACTIVE).stat().st_size > chunk or chunk == 4096
    with Snapshot(str(where)) as snapshot:
        assert chain.holds(snapshot.segments[0], "identify")
        assert not chain.holds(snapshot.segments[0], "import")
