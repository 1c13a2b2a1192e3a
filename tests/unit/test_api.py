"""The Python API: models come out, times go in, one kind of error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import eni_ledger
from eni_ledger.base.errors import (
    ConfigError,
    EniLedgerError,
    FutureFormat,
    LedgerDamaged,
    NotFound,
    StateDirError,
    UsageError,
)
from helpers.ledgers import ACTIVE, TRUNK, add_event, append_line, bare_python, del_event, record, three_segments


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_models_come_out(where: Path) -> None:
    events = three_segments(where)
    ledger = eni_ledger.open_ledger(where)
    got = list(ledger.events())
    assert all(type(event) is eni_ledger.Event for event in got)
    assert [event.model_dump(exclude_none=True) for event in got] == events
    live = ledger.live()
    assert all(type(association) is eni_ledger.Association for association in live)
    assert [association.live for association in live] == [True, True]
    spans = ledger.who(TRUNK)
    assert [span.ended_by for span in spans] == ["del", "del", "superseded", None, None]
    assert all(type(span) is eni_ledger.Association for span in spans)
    assert ledger.who(4)[0].vlan_id == 4
    assert ledger.at(events[3]["ts"])[0].association_id == events[1]["association_id"]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_text_or_a_path(where: Path, kind: Any) -> None:
    record(where, add_event(1))
    assert eni_ledger.open_ledger(kind(where)).state_dir == str(where)
    assert len(eni_ledger.open_ledger(kind(where)).live()) == 1


def test_without_a_path_it_is_what_the_commands_read(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENI_LEDGER_CONFIG", str(where.parent / "none.json"))
    (where.parent / "none.json").write_text("{}")
    monkeypatch.setenv("ENI_LEDGER_STATE_DIR", str(where))
    assert eni_ledger.open_ledger().state_dir == str(where)
    monkeypatch.setenv("ENI_LEDGER_STATE_DIR", "relative")
    with pytest.raises(ConfigError):
        eni_ledger.open_ledger()


def test_times_are_datetimes_or_text_and_without_a_zone_utc(where: Path) -> None:
    first = record(where, add_event(1))
    record(where, del_event(1))
    second = record(where, add_event(2))
    ledger = eni_ledger.open_ledger(where)
    moment = datetime.fromisoformat(first["ts"])
    assert moment.tzinfo is not None
    east = timezone(timedelta(hours=5, minutes=30))
    for time in (
        moment,
        moment.replace(tzinfo=None),
        moment.astimezone(east),
        first["ts"],
        moment.astimezone(east).isoformat(),
    ):
        assert [a.association_id for a in ledger.at(time)] == [first["association_id"]]
        assert [a.association_id for a in ledger.who(2, at=time)] == [first["association_id"]]
        assert [e.seq for e in ledger.events(since=time)] == [2, 3, 4]
        assert [e.seq for e in ledger.events(until=time)] == [1, 2]
    assert [a.association_id for a in ledger.at(datetime.now(UTC) + timedelta(days=1))] == [second["association_id"]]


@pytest.mark.parametrize(
    "time", [datetime(1, 1, 1), datetime(500, 6, 1), datetime(999, 12, 31, tzinfo=UTC), "0500-01-01T00:00:00Z"]
)
def test_a_time_before_all_others_is_that(where: Path, time: Any) -> None:
    record(where, add_event(1))
    ledger = eni_ledger.open_ledger(where)
    with pytest.raises(NotFound, match="the ledger begins at "):
        ledger.at(time)
    with pytest.raises(NotFound, match="the ledger begins at "):
        ledger.who(2, at=time)
    assert len(list(ledger.events(since=time))) == 2
    assert list(ledger.events(until=time)) == []


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "",
        "2026-13-01",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_what_is_no_time(where: Path, time: Any) -> None:
    record(where, add_event(1))
    with pytest.raises(UsageError):
        eni_ledger.open_ledger(where).at(time)


def questions(where: Path) -> list[Any]:
    ledger = eni_ledger.open_ledger(where)
    return [
        ledger.live,
        lambda: ledger.at(datetime.now(UTC)),
        lambda: list(ledger.events()),
        lambda: ledger.who("2"),
        lambda: ledger.who("2", at=datetime.now(UTC)),
    ]


def test_what_goes_wrong_is_an_error_of_ours(where: Path) -> None:
    for call in questions(where):
        with pytest.raises(StateDirError):
            call()
    record(where, add_event(1))
    with pytest.raises(UsageError):
        eni_ledger.open_ledger(where).who("*")
    append_line(where, v=7)
    for call in questions(where):
        with pytest.raises(FutureFormat):
            call()
    (where / ACTIVE).write_bytes(b"\xff\xfe\n" * 100)
    for call in questions(where):
        with pytest.raises(LedgerDamaged):
            call()
    assert issubclass(LedgerDamaged, EniLedgerError)


def test_the_package_has_what_it_says_and_nothing_else() -> None:
    assert dir(eni_ledger) == sorted(eni_ledger.__all__)
    for name in eni_ledger.__all__:
        assert getattr(eni_ledger, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = eni_ledger.nonsense


def test_importing_it_loads_nothing_but_itself() -> None:
    done = bare_python("before = set(sys.modules); import eni_ledger; print(sorted(set(sys.modules) - before))")
    assert done.stdout == "['__future__', 'eni_ledger']\n", done.stderr
    # No site packages there, so nothing of a third party could have been loaded: the plain standard library does.
    done = bare_python("from eni_ledger import EniLedgerError, LedgerDamaged, __version__; print('ok')")
    assert done.stdout == "ok\n", done.stderr
