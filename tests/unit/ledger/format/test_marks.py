"""What `state.json` says of the active segment's events, and readers who believe it as far as it goes."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.format import state_file as state_format
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.line import MARKS, marks_of, now_us
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.snapshot import Snapshot
from eni_ledger.ledger.write import writer
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import ACTIVE, add_event, append_line, record, settings, state_file

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_BOOT = "11111111-2222-4333-8444-555555555555"


def every_mark(where: Path) -> None:
    """Write events with every mark but `damage` and `step` into the active segment."""
    record(where, add_event(1))
    append_line(where, spooled_ts="2026-11-01T00:00:00.000000Z")
    record(where, add_event(4, boot_id=OTHER_BOOT))
    about = {"boot_id": OTHER_BOOT}
    logged = {"event": "import", "imported_event": "del", "occurred_ts": "2020-11-01T00:00:00.000000Z"}
    record_found(settings(where), about, lambda _: [{**logged, "import_id": "0" * 32}])
    known = {"event": "identify", "eni_id": "eni-0123456789abcdef0"}
    record_found(
        settings(where),
        about,
        lambda live: [{**known, "association_id": live[0]["association_id"], "late": True}],
    )


def in_the_segment(where: Path) -> list[str]:
    """Return the marks of the events in the active segment."""
    lines = (where / ACTIVE).read_text().splitlines()
    return sorted({mark for line in lines for mark in marks_of(json.loads(line))})


def without_marks(where: Path) -> None:
    """Leave the `state.json` that a version without marks leaves."""
    with opened(where) as fd:
        known = state_format.read(fd)
        assert known is not None
        head = {key: value for key, value in known.head.items() if key not in ("size", "marks")}
        state_format.write(fd, state_format.StateFile(head, known.lines))


@contextmanager
def opened(where: Path) -> Iterator[int]:
    """The state directory, open."""
    fd = open_state_dir(str(where))
    try:
        yield fd
    finally:
        os.close(fd)


def held(where: Path) -> dict[str, bool]:
    """Return what a reader takes the active segment to hold."""
    with Snapshot(str(where)) as snapshot:
        return {mark: continuity.contains_mark(snapshot.segments[-1], mark) for mark in MARKS}


def test_it_says_what_is_in_the_segment(tmp_path: Path) -> None:
    where = tmp_path / "s"
    record(where, add_event(0))
    assert (state_file(where)["marks"], state_file(where)["size"]) == ([], (where / ACTIVE).stat().st_size)
    every_mark(where)
    assert state_file(where)["marks"] == in_the_segment(where) == ["boot", "identify", "import", "late", "spooled"]
    assert state_file(where)["size"] == (where / ACTIVE).stat().st_size


def test_the_next_segment_begins_with_none(tmp_path: Path) -> None:
    where = tmp_path / "s"
    every_mark(where)
    record(where, add_event(5, boot_id=OTHER_BOOT), rotate_bytes=1)
    assert state_file(where)["marks"] == in_the_segment(where) == []
    assert state_file(where)["size"] == (where / ACTIVE).stat().st_size


def test_one_behind_damage_begins_with_that(tmp_path: Path) -> None:
    where = tmp_path / "s"
    record(where, add_event(1))
    path = where / ACTIVE
    path.write_bytes(path.read_bytes().replace(b'"vlan_id":', b'"vlan_iD":'))
    record(where, add_event(2))
    assert state_file(where)["marks"] == in_the_segment(where) == ["damage"]


def test_a_clock_that_stepped_back_is_a_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "s"
    record(where, add_event(1))
    now = now_us()
    monkeypatch.setattr(writer, "now_us", lambda: now - 3_600_000_000)
    record(where, add_event(2))
    assert state_file(where)["marks"] == in_the_segment(where) == ["step"]


def test_it_is_rebuilt(tmp_path: Path) -> None:
    where = tmp_path / "s"
    every_mark(where)
    before = state_file(where)["marks"]
    (where / "state.json").unlink()
    record(where, add_event(6, boot_id=OTHER_BOOT))
    assert state_file(where)["marks"] == before == in_the_segment(where)


def test_of_what_a_version_without_marks_wrote_nothing_is_said_until_the_next_segment(tmp_path: Path) -> None:
    where = tmp_path / "s"
    every_mark(where)
    without_marks(where)
    record(where, add_event(6, boot_id=OTHER_BOOT))
    assert not {"marks", "size"} & state_file(where).keys()
    assert held(where) == {mark: mark in in_the_segment(where) for mark in MARKS}
    record(where, add_event(7, boot_id=OTHER_BOOT), rotate_bytes=1)
    assert state_file(where)["marks"] == []


def test_a_reader_looks_through_what_was_written_since(tmp_path: Path) -> None:
    """The plugin was killed before it replaced `state.json`, or will do so in a moment."""
    where, old = tmp_path / "s", tmp_path / "old"
    record(where, add_event(0))
    shutil.copy(where / "state.json", old)
    every_mark(where)
    shutil.copy(old, where / "state.json")
    assert held(where) == {mark: mark in in_the_segment(where) for mark in MARKS}
    assert [one.get("ended_by") for one in History(str(where)).who("10.0.0.1")] == ["rebooted"]


def test_a_reader_does_not_look_through_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "s"
    every_mark(where)
    looked: list[int] = []
    real = continuity._contains

    def contains(part: Any, text: bytes, offset: int) -> bool:
        looked.append(part.size - offset)
        return real(part, text, offset)

    monkeypatch.setattr(continuity, "_contains", contains)
    assert held(where)["boot"]
    assert looked == [0] * 2  # for `step` and `damage`, which are not there: nothing is left to look through


@pytest.mark.parametrize("size", [None, -1, 10**9, "1"])
@pytest.mark.parametrize("marks", [[], None, "boot", [1]])
def test_a_state_of_something_else_is_not_believed(tmp_path: Path, size: object, marks: object) -> None:
    where = tmp_path / "s"
    every_mark(where)
    with opened(where) as fd:
        known = state_format.read(fd)
        assert known is not None
        state_format.write(fd, state_format.StateFile({**known.head, "size": size, "marks": marks}, known.lines))
    assert held(where) == {mark: mark in in_the_segment(where) for mark in MARKS}
    record(where, add_event(8, boot_id=OTHER_BOOT))  # nor by a writer
    assert state_file(where).get("marks") is None


@pytest.mark.parametrize("marks", [None, "boot", [1], [[]], {}])
def test_a_writer_goes_on_whatever_stands_there(tmp_path: Path, marks: object) -> None:
    where = tmp_path / "s"
    every_mark(where)
    with opened(where) as fd:
        known = state_format.read(fd)
        assert known is not None
        state_format.write(fd, state_format.StateFile({**known.head, "marks": marks}, known.lines))
    assert record(where, add_event(8, boot_id=OTHER_BOOT))["seq"] == known.head["seq"] + 1
    assert "marks" not in state_file(where)


def test_one_of_an_earlier_segment_is_not_believed(tmp_path: Path) -> None:
    """A reader that read it before the segment was sealed meets the next one, which is longer by now."""
    where, old = tmp_path / "s", tmp_path / "old"
    record(where, add_event(0))
    shutil.copy(where / "state.json", old)
    record(where, add_event(1), rotate_bytes=1)
    record(where, add_event(2, boot_id=OTHER_BOOT))
    shutil.copy(old, where / "state.json")
    assert (where / ACTIVE).stat().st_size > json.loads(old.read_text())["size"]
    assert held(where)["boot"]
