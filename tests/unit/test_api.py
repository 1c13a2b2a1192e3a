"""The Python API: models come out, times go in, one kind of error."""

from __future__ import annotations

import sys
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
    LedgerError,
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
    assert [event.model_dump(mode="json", exclude_none=True) for event in got] == events
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
        "someday",
        "",
        float("nan"),
        10**30,
        "2026-13-01",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_what_is_no_time(where: Path, time: Any) -> None:
    record(where, add_event(1))
    with pytest.raises(UsageError):
        eni_ledger.open_ledger(where).at(time)


@pytest.mark.parametrize("time", [None, True, b"2026-11-23", timedelta(hours=1), ["2026-11-23"]])
def test_what_is_of_no_type_of_a_time(where: Path, time: Any) -> None:
    record(where, add_event(1))
    with pytest.raises(TypeError, match="a time is a datetime, a date, a number or text"):
        eni_ledger.open_ledger(where).at(time)


def test_times_are_numbers_dates_and_words(where: Path) -> None:
    first = record(where, add_event(1))
    moment = datetime.fromisoformat(first["ts"])
    ledger = eni_ledger.open_ledger(where)
    later = moment + timedelta(days=2)
    for time in (later.timestamp(), int(later.timestamp()), int(later.timestamp() * 1000), later.date(), "now"):
        assert [association.association_id for association in ledger.at(time)] == [first["association_id"]], time
    for time in (moment.timestamp() - 60, moment.date() - timedelta(days=1), "2d ago"):
        with pytest.raises(NotFound):
            ledger.at(time)


def test_models_have_times_and_what_follows_from_them(where: Path) -> None:
    arn = "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef"
    began = record(where, add_event(1, task_arn=arn))
    ended = record(where, del_event(1))
    record(where, add_event(2))
    ledger = eni_ledger.open_ledger(where)
    first, second = ledger
    assert (first.since, first.until) == tuple(datetime.fromisoformat(event["ts"]) for event in (began, ended))
    assert first.since.tzinfo is not None
    assert first.until is not None
    assert first.duration == first.until - first.since
    assert (first.live, first.task_id) == (False, "0123456789abcdef0123456789abcdef")
    assert (second.live, second.duration, second.task_id) == (True, None, None)
    (event, *_) = ledger.events()
    assert isinstance(event.ts, datetime)
    assert event.ts.tzinfo is not None
    assert f"{ledger!r}" == f"<Ledger {str(where)!r}: 1 live>"
    assert f"{eni_ledger.open_ledger(where / 'none')!r}".startswith(f"<Ledger {str(where / 'none')!r}: ")


def test_an_interval(where: Path) -> None:
    first, _, second = (record(where, event) for event in (add_event(1), del_event(1), add_event(2)))
    ledger = eni_ledger.open_ledger(where)

    def ids(associations: list[eni_ledger.Association]) -> list[str]:
        return [association.association_id for association in associations]

    both, before = [first["association_id"], second["association_id"]], "2026-01-01"
    assert ids(ledger.between(before, "now")) == ids(ledger.associations()) == both
    assert ids(ledger.associations(until=first["ts"])) == both[:1]
    assert ids(ledger.associations(since=second["ts"])) == both[1:]
    assert ids(ledger.who(TRUNK, since=first["ts"], until=first["ts"])) == both[:1]
    assert ids(ledger.who(TRUNK, since=before)) == both
    assert ids(ledger.associations(vlan="3")) == both[1:]
    assert ids(ledger.associations(vlan=["2", "3"], via="chained")) == both
    assert ledger.associations(mismatch=True) == []
    assert [event.seq for event in ledger.events(first["ts"], first["ts"])] == [2]
    with pytest.raises(UsageError, match="the interval ends before it begins"):
        ledger.between("now", before)
    with pytest.raises(UsageError, match="exclude each other"):
        ledger.who(TRUNK, at="now", since=before)
    with pytest.raises(TypeError, match="'colour' is no filter"):
        ledger.associations(colour="red")


def test_show(where: Path) -> None:
    first, second = record(where, add_event(1)), record(where, add_event(2))
    record(where, del_event(1))
    ledger = eni_ledger.open_ledger(where)
    for prefix in (first["association_id"], first["association_id"].removeprefix("assoc-")[:12]):
        association, events = ledger.show(prefix)
        assert association.association_id == first["association_id"]
        assert [event.event for event in events] == ["add", "del"]
    with pytest.raises(NotFound, match="no such association"):
        ledger.show("assoc-00000000000000000")
    if first["association_id"][:7] == second["association_id"][:7]:
        with pytest.raises(UsageError, match="2 associations begin like this"):
            ledger.show(first["association_id"][:7])


def test_an_answer_from_a_damaged_ledger_has_models(where: Path) -> None:
    events = three_segments(where)
    (where / ACTIVE).write_bytes((where / ACTIVE).read_bytes()[:-30] + b"x" * 29 + b"\n")
    with pytest.raises(LedgerDamaged) as raised:
        eni_ledger.open_ledger(where).who(TRUNK)
    assert raised.value.associations
    assert all(isinstance(each, eni_ledger.Association) for each in raised.value.associations)
    assert len(events) > len(raised.value.associations)


def test_data_frames_and_arrow(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(where, add_event(1, task_revision=7))
    record(where, del_event(1))
    record(where, add_event(2, mismatch=["vlan_id"]))
    ledger = eni_ledger.open_ledger(where)
    first, second = ledger.associations()
    pandas: Any = ledger.to_dataframe()
    table = ledger.to_arrow()
    assert list(pandas.vlan_id) == table["vlan_id"].to_pylist() == [2, 3]
    assert list(pandas.since) == table["since"].to_pylist() == [first.since, second.since]
    assert pandas.until.isna().tolist() == [False, True]
    assert table["mismatch"].to_pylist() == [None, ["vlan_id"]]
    assert str(pandas.dtypes["since"]).startswith("datetime64[")
    assert table.column_names == list(pandas.columns) == list(eni_ledger.Association.model_fields)
    assert len(ledger.to_dataframe(since=second.since)) == 1
    monkeypatch.setitem(sys.modules, "pandas", None)
    polars: Any = ledger.to_dataframe()
    assert type(polars).__module__.startswith("polars")
    assert polars["since"].to_list() == [first.since, second.since]
    assert polars["task_revision"].to_list() == ["7", None]
    for name in ("polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="needs pandas or polars"):
        ledger.to_dataframe()
    with pytest.raises(ImportError, match="needs pyarrow"):
        ledger.to_arrow()


def test_containers_are_models_and_rows(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = record(where, add_event(1))
    record(where, add_event(2))
    row = {"id": "a1" * 32, "name": "app", "docker_name": None}
    found = {
        "event": "identify",
        "association_id": added["association_id"],
        "containers": [{**row, "docker_name": None}],
    }
    record(where, found)
    ledger = eni_ledger.open_ledger(where)
    first, second = ledger.live()
    assert first.containers is not None
    assert [(one.id, one.name, one.docker_name) for one in first.containers] == [("a1" * 32, "app", None)]
    assert second.containers is None
    assert first.model_dump(exclude_none=True)["containers"] == [{"id": "a1" * 32, "name": "app"}]
    assert ledger.to_arrow()["containers"].to_pylist() == [[row], None]
    pandas: Any = ledger.to_dataframe()
    assert pandas["containers"][0] == [row]
    monkeypatch.setitem(sys.modules, "pandas", None)
    polars: Any = ledger.to_dataframe()
    assert polars["containers"].to_list() == [[row], None]
    append_line(where, containers=["app"])
    with pytest.raises(LedgerError, match="the ledger holds what no eni-ledger writes: containers"):
        list(ledger.events())


def test_a_value_of_the_wrong_type(where: Path) -> None:
    record(where, add_event(1))
    append_line(where, spooled_ts=["yesterday"])
    with pytest.raises(LedgerError, match="the ledger holds what no eni-ledger writes: spooled_ts"):
        list(eni_ledger.open_ledger(where).events())


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
