"""What is new in a ledger, whatever happens to its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.desk.serve.view import View
from eni_ledger.desk.serve.watch import Mark, has_grown, mark_at_end, stamp_of
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.filters import Filters
from helpers.ledgers import add_event, del_event, record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    for n in range(1, 4):
        record(path, add_event(n))
    return path


def test_an_append_is_growth_and_a_rotation_is_not(state_dir: Path) -> None:
    places = [str(state_dir)]
    first = stamp_of(places)
    assert stamp_of(places) == first
    record(state_dir, add_event(4))
    second = stamp_of(places)
    assert has_grown(first, second)
    assert not has_grown(second, first)
    record(state_dir, add_event(5), rotate_bytes=1)
    assert not has_grown(second, stamp_of(places))


def test_a_place_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert stamp_of([str(tmp_path / "nothing")]) == stamp_of([str(tmp_path / "nothing")])


def test_a_mark_yields_each_event_once_also_of_one_time(state_dir: Path) -> None:
    history = History(str(state_dir))
    every = list(history.events())
    mark, found = Mark("0001-01-01T00:00:00.000000Z"), []
    for _ in range(len(every)):
        event = next(mark.events_after(history))
        mark.take(event)
        found.append(event)
    assert found == every
    assert list(mark.events_after(history)) == []
    end = mark_at_end(history, [str(state_dir)])
    assert str(end) == str(mark)
    record(state_dir, del_event(1))
    assert [event["event"] for event in end.events_after(history)] == ["del"]


def test_two_events_of_one_time_are_told_apart() -> None:
    class Twice:
        def events(self, since: str | None, until: str | None, *, imported: bool) -> Any:
            assert (until, imported) == (None, False)
            return iter([{"ts": "b", "seq": n} for n in range(3) if (since or "") <= "b"])

    mark = Mark("a")
    mark.take({"ts": "b", "seq": 0})
    history: Any = Twice()
    assert [event["seq"] for event in mark.events_after(history)] == [1, 2]


def test_a_kept_answer_is_right_after_every_kind_of_change(state_dir: Path) -> None:
    """The answers of a view are those of a history that keeps nothing."""
    view = View(History(str(state_dir)), [str(state_dir)])

    def asked(what: str) -> bytes:
        def make() -> Any:
            found, queries, _ = view.who(what, None, Filters())
            return repr(found.associations).encode(), queries, found.associations, found.damage is None

        return view.body(what, make)

    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (add_event(4), {}),
        (del_event(1), {}),
        (add_event(5, addresses=["10.0.0.1/20"]), {}),
        (add_event(6, vlan_id=3), {}),
        (add_event(7), {"rotate_bytes": 1}),
        (del_event(5), {}),
        ({"event": "boot", "boot_id": "00000000-0000-4000-8000-00000000000b"}, {}),
    ]
    for event, over in [*changes, (add_event(8), {})]:
        for what in ("10.0.0.1", "3", "10.0.0.2", "eni-00000000000000008"):
            for _ in range(2):
                assert asked(what) == repr(History(str(state_dir)).who(what)).encode(), (event, what)
        record(state_dir, event, **over)
