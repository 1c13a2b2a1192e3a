"""Questions about the past, against a model that knows nothing of segments, chains or files."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eni_ledger.base.errors import FutureFormat, LedgerDamaged, LedgerError, NotFound, StateDirError, UsageError
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format.line import format_ts, parse_ts
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.snapshot import Snapshot
from eni_ledger.ledger.read.terms import Query
from eni_ledger.ledger.write import batch, writer
from helpers import ledgers
from helpers.ledgers import (
    ACTIVE,
    BOOT,
    OTHER_BOOT,
    TRUNK,
    add_event,
    append_line,
    copy,
    del_event,
    prove,
    record,
    sealed,
    segments,
    stuck_holder,
    three_segments,
    with_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eni_ledger.base.events import Draft, Event, Fields

LONG_AGO, FAR_OFF = "1970-01-01T00:00:00.000000Z", "2199-01-01T00:00:00.000000Z"


class Model:
    """Associations as a list of spans, found by looking through all of them, every time."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []

    def end(self, event: Draft, why: str, which: Callable[[Draft], bool]) -> None:
        for span in self.spans:
            if span["until"] is None and which(span["add"]):
                span.update(until=event["ts"], ended_by=why, end_seq=event["seq"])

    def take(self, event: Draft) -> None:
        kind = event["event"]
        if kind == "boot":
            self.end(event, "rebooted", lambda _: True)
        elif kind in ("del", "lost"):
            self.end(event, kind, lambda add: add["association_id"] == event["association_id"])
        elif kind == "add":

            def clash(add: Draft) -> bool:
                return (
                    (add["container_id"], add["ifname"]) == (event["container_id"], event["ifname"])
                    or (add["trunk_mac"], add["vlan_id"]) == (event["trunk_mac"], event["vlan_id"])
                    or (add["netns_inode"], add["ifname"]) == (event["netns_inode"], event["ifname"])
                )

            self.end(event, "superseded", clash)
            self.spans.append({"add": event, "since": event["ts"], "until": None, "ended_by": None, "end_seq": None})

    def at(self, when: str) -> set[tuple[Any, ...]]:
        return {
            self.tell(span)
            for span in self.spans
            if span["since"] <= when and (span["until"] is None or span["until"] > when)
        }

    def all(self) -> set[tuple[Any, ...]]:
        return {self.tell(span) for span in self.spans}

    @staticmethod
    def tell(span: dict[str, Any]) -> tuple[Any, ...]:
        return (span["add"]["association_id"], *(span[key] for key in ("since", "until", "ended_by", "end_seq")))


def told(associations: Sequence[Fields]) -> set[tuple[Any, ...]]:
    keys = ("association_id", "since", "until", "ended_by", "end_seq")
    got = {tuple(association.get(key) for key in keys) for association in associations}
    assert len(got) == len(associations)
    assert associations == sorted(associations, key=lambda each: (each["since"], each["add_seq"]))
    return got


STEP = st.tuples(
    st.sampled_from(["add", "add", "add", "del", "gc", "boot"]), st.integers(0, 5), st.integers(0, 3), st.booleans()
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=1, max_size=25))
def test_every_moment_is_as_the_model_has_it(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[str, int, int, bool]]
) -> None:
    where = tmp_path_factory.mktemp("h") / "s"
    boot = 0
    writer.record(ledgers.settings(where), del_event(99, boot_id="boot-0"))
    for kind, n, vlan, rotate in plan:
        size = 1 if rotate else 1 << 20
        about = {"boot_id": f"boot-{boot}"}
        if kind == "add":
            record(where, add_event(n, vlan_id=vlan + 1, netns_inode=100 + n, **about), rotate_bytes=size)
        elif kind == "del":
            writer.record(ledgers.settings(where, rotate_bytes=size), del_event(n, **about))
        elif kind == "gc":
            valid = {(add_event(each)["container_id"], "eth0") for each in range(6) if each != n}
            batch.record_gc(ledgers.settings(where, rotate_bytes=size), "ecs-trunk", valid, about)
        else:
            boot += 1
    events = prove(where)
    model = Model()
    for event in events:
        model.take(event)
    history = History(str(where))
    moments = {event["ts"] for event in events}
    moments |= {format_ts(parse_ts(ts) + step) for ts in moments for step in (-1, 1)} | {LONG_AGO, FAR_OFF}
    for when in moments:
        assert told(history.at(when)) == model.at(when), when
    assert {a["association_id"] for a in history.live()} == {each[0] for each in model.at(FAR_OFF)}
    assert list(history.events()) == events
    assert told(history.who(TRUNK)) == model.all()
    assert fsck(str(where)).sound


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_events_since_and_until_are_both_included(where: Path) -> None:
    events = three_segments(where)
    history = History(str(where))
    times = [event["ts"] for event in events]
    for since in [None, LONG_AGO, *times, FAR_OFF]:
        for until in [None, LONG_AGO, *times, FAR_OFF]:
            want = [e for e in events if (not since or e["ts"] >= since) and (not until or e["ts"] <= until)]
            assert list(history.events(since, until)) == want


def test_who_for_every_kind_of_question(where: Path) -> None:
    task = "arn:aws:ecs:eu-central-1:123456789012:task/blue/0123456789abcdef0123456789abcdef"
    one = record(
        where,
        add_event(
            1,
            container_id="abcdef012345" + "0" * 52,
            vlan_id=101,
            addresses=["10.0.32.4/20", "2001:db8::4/64"],
            branch_mac="0a:1b:2c:3d:4e:5f",
            observed_mac="0a:1b:2c:3d:4e:60",
            eni_id="eni-0123456789abcdef0",
            netns_inode=4026532281,
            task_arn=task,
        ),
    )["association_id"]
    two = record(where, add_event(2, container_id="ab" + "1" * 62, vlan_id=1010, addresses=["10.0.32.40/20"]))
    two_id = two["association_id"]
    history = History(str(where))
    questions: dict[str, list[str]] = {
        "10.0.32.4": [one],
        "ip:10.0.32.4/24": [one],
        "10.0.32.40": [two_id],
        "10.0.32.5": [],
        "2001:db8::4": [one],
        "2001:0DB8:0:0::0004": [one],
        "0a:1b:2c:3d:4e:5f": [one],
        "0A-1B-2C-3D-4E-5F": [one],
        "0a:1b:2c:3d:4e:60": [one],
        TRUNK: [one, two_id],
        "101": [one],
        "1010": [two_id],
        "10": [],
        "4026532281": [one],
        "eni-0123456789abcdef0": [one],
        "eni-00000000000000002": [two_id],
        "abcdef": [one],
        "ab": [one, two_id],
        "abcdef012345" + "0" * 52: [one],
        "111111": [],
        task: [one],
        "0123456789abcdef0123456789abcdef": [one],
        "0123456789abcdef0123456789abcde": [one],
        "123456789abcdef0123456789abcdef0": [],
        one: [one],
        two_id[:12]: [two_id] if not one.startswith(two_id[:12]) else [one, two_id],
        "  101  ": [one],
    }
    for what, want in questions.items():
        assert [found["association_id"] for found in history.who(what)] == want, what
        assert [found["association_id"] for found in history.who(what, FAR_OFF)] == want, what
        assert history.who(what, LONG_AGO) == [], what
    record(where, del_event(2, container_id=two["container_id"]))
    (ended,) = history.who("1010")
    assert ended["ended_by"] == "del"
    assert history.who("1010", FAR_OFF) == []
    (then,) = history.who("1010", two["ts"])
    assert then == ended


@pytest.mark.parametrize("what", ["", " ", "eni-", "eni-xyz", "10.0.0.0/99", "a b", "-5", "*", "\0", "a.b/c", "\u0661"])
def test_what_can_be_nothing_of_that_kind(where: Path, what: str) -> None:
    record(where, add_event(1))
    with pytest.raises(UsageError):
        History(str(where)).who(what)


@given(st.text(max_size=24) | st.from_regex(r"[0-9a-fA-F:./-]{1,24}", fullmatch=True) | st.ip_addresses().map(str))
def test_any_text_is_a_question_or_a_usage_error(text: str) -> None:
    association = {"association_id": "assoc-0123456789abcdef0", "container_id": "c", "addresses": ["10.0.0.1/8", "bad"]}
    try:
        query = Query(text)
    except UsageError:
        with pytest.raises(ValueError, match=r".+"):
            ipaddress.ip_address(text.strip())
    else:
        assert query.matches(association) in (True, False)


def test_the_events_of_an_association(where: Path) -> None:
    events = three_segments(where)
    history = History(str(where))
    adds = {event["container_id"][-1]: event["association_id"] for event in events if event["event"] == "add"}
    association, its = with_events(history, adds["2"])
    assert association["ended_by"] == "del"
    assert [event["event"] for event in its] == ["add", "del"]
    association, its = with_events(history, adds["3"])
    assert association["ended_by"] == "superseded"
    assert [event["event"] for event in its] == ["add", "add"]
    assert its[1]["association_id"] == adds["4"]
    association, its = with_events(history, adds["5"])
    assert "until" not in association
    assert [event["event"] for event in its] == ["add"]


# -- the spool: what waited there had happened


def test_what_waited_in_the_spool_counts_from_when_it_happened(where: Path) -> None:
    first = record(where, add_event(1))
    with stuck_holder(where):
        added = record(where, add_event(2), lock_wait_ms=0)
        ended = record(where, del_event(1), lock_wait_ms=0)
    hours = [format_ts(parse_ts(ended["ts"]) + n * 3_600_000_000) for n in range(4)]
    append_line(where, ts=hours[2])
    for rotate_bytes in (1 << 20, 1):
        state_dir = copy(where, where.with_name(f"copy{rotate_bytes}"))
        record(state_dir, add_event(3), rotate_bytes=rotate_bytes)
        assert len(segments(state_dir)) == (2 if rotate_bytes == 1 else 1)
        history = History(str(state_dir))
        ids = (first["association_id"], added["association_id"])
        assert [a["association_id"] for a in history.at(added["ts"])] == list(ids)
        for when in hours[:2]:
            (found,) = history.at(when)
            assert (found["association_id"], found["since"]) == (ids[1], added["ts"])
        (of_first,) = history.who(ids[0])
        assert of_first["until"] == ended["ts"]
        assert told(history.at(first["ts"])) == told([of_first])
        association, events = with_events(history, ids[0])
        assert association == of_first
        assert [event["event"] for event in events] == ["add", "del"]
        assert [event["event"] for event in with_events(history, ids[1])[1]] == ["add"]


# -- a ledger that is not there, empty, or of a later version


def questions(where: Path) -> dict[str, Callable[[], Any]]:
    history = History(str(where))
    return {
        "live": history.live,
        "events": lambda: list(history.events()),
        "events since": lambda: list(history.events(LONG_AGO, FAR_OFF)),
        "at": lambda: history.at(FAR_OFF),
        "who": lambda: history.who("101"),
        "who at": lambda: history.who("101", FAR_OFF),
        "fsck": lambda: fsck(str(where)),
    }


NAMES = list(questions(Path("/")))


@pytest.mark.parametrize("name", NAMES)
def test_no_ledger_at_all(where: Path, name: str) -> None:
    with pytest.raises(StateDirError, match="there is no ledger here"):
        questions(where)[name]()
    assert not where.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_with_nothing_in_it(where: Path, name: str) -> None:
    where.mkdir(0o750)
    if name == "show":
        with pytest.raises(NotFound):
            questions(where)[name]()
    elif name == "fsck":
        report = fsck(str(where))
        assert (report.sound, report.events, report.segments) == (True, 0, [])
    else:
        assert questions(where)[name]() == []
    assert list(where.iterdir()) == []


@pytest.mark.parametrize("part", ["active", "sealed", "whole"])
@pytest.mark.parametrize("name", NAMES)
def test_a_later_format(where: Path, name: str, part: str) -> None:
    if part == "whole":
        where.mkdir(0o750)
        head = {"ts": format_ts(1), "seq": 1, "v": 2, "event": "checkpoint", "prev_crc": "00000000", "novel": {}}
        ledgers.write_chain(where / ACTIVE, [head])
    else:
        record(where, add_event(1))
        append_line(where, v=2, event="novel")
        if part == "sealed":
            (where / ACTIVE).rename(where / f"ledger-{1:016}-{3:016}.jsonl")
            if name == "live":
                (where / "state.json").unlink()
    with pytest.raises(FutureFormat, match="format version 2"):
        questions(where)[name]()


# -- damage


def until_damage(where: Path) -> tuple[list[Event], LedgerDamaged]:
    """Return the events that are given before the damage is told of, and the damage."""
    got: list[Event] = []
    try:
        for event in History(str(where)).events():
            got.append(event)
    except LedgerDamaged as exc:
        return got, exc
    raise AssertionError("no damage")


@pytest.mark.parametrize("line", [1, 2, 3])
def test_what_is_sound_is_given_first(where: Path, line: int) -> None:
    events = three_segments(where)
    middle = sealed(where)[1]
    lines = middle.read_bytes().splitlines(keepends=True)
    inside = [event for event in events if event["seq"] in range(5, 8)]
    offset = sum(map(len, lines[: line - 1]))
    data = bytearray(middle.read_bytes())
    data[offset + 50] ^= 4
    middle.write_bytes(data)
    lost = inside[line - 1]["seq"]
    got, damage = until_damage(where)
    assert (damage.path, damage.line, damage.offset) == (middle.name, line, offset)
    assert got == [event for event in events if event["seq"] != lost]
    with pytest.raises(LedgerDamaged) as caught:
        History(str(where)).who(TRUNK)
    assert {found["association_id"] for found in caught.value.associations} <= {
        event["association_id"] for event in events if event["event"] == "add"
    }
    assert caught.value.associations
    # The segment after it begins with what was live, so that later times do not depend on it.
    assert [a["add_seq"] for a in History(str(where)).at(events[-1]["ts"])] == [7, 9]


def test_a_missing_segment_in_the_middle(where: Path) -> None:
    events = three_segments(where)
    sealed(where)[1].unlink()
    got, damage = until_damage(where)
    assert "missing" in str(damage)
    assert got == [event for event in events if event["seq"] not in (5, 6, 7)]
    with pytest.raises(LedgerDamaged):
        History(str(where)).who(TRUNK)
    report = fsck(str(where))
    assert not report.sound
    assert "are missing" in str(report.damage[0])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_segment_cut_at_a_line(where: Path, which: int) -> None:
    three_segments(where)
    path = segments(where)[which]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    where_to = (len(lines), sum(map(len, lines[:-1])))
    with pytest.raises(LedgerDamaged) as caught:
        list(History(str(where)).events())
    assert (caught.value.path, caught.value.line, caught.value.offset) == (path.name, *where_to)
    with pytest.raises(LedgerDamaged):
        History(str(where)).who(TRUNK)
    report = fsck(str(where))
    assert (report.damage[0].path, report.damage[0].line, report.damage[0].offset) == (str(path), *where_to)


def test_two_segments_that_are_not_of_one_chain(where: Path, tmp_path: Path) -> None:
    three_segments(where)
    other = tmp_path / "other"
    three_segments(other)
    path = sealed(where)[1]
    path.write_bytes(sealed(other)[1].read_bytes())
    with pytest.raises(LedgerDamaged):
        list(History(str(where)).events())
    report = fsck(str(where))
    assert report.damage[0].path == str(path)
    assert "not chained" in str(report.damage[0])


def test_a_torn_tail_is_no_damage_to_a_reader(where: Path) -> None:
    events = three_segments(where)
    with (where / ACTIVE).open("ab") as file:
        file.write(b'{"ts":"2026')
    history = History(str(where))
    assert list(history.events()) == events
    assert len(history.live()) == 2
    assert fsck(str(where)).sound


# -- beside writers


def test_a_snapshot_stays_as_it_is_while_segments_end(where: Path) -> None:
    record(where, add_event(1))
    record(where, add_event(2))
    iterator = History(str(where)).events()
    got = [next(iterator)]
    for n in range(3, 8):
        record(where, add_event(n), rotate_bytes=1)
    got += iterator
    assert [event["seq"] for event in got] == [1, 2, 3]
    assert len(list(History(str(where)).events())) == 13


def test_retention_beside_a_reader(where: Path) -> None:
    for n in range(5):
        record(where, add_event(n), rotate_bytes=1)
    with Snapshot(str(where)) as snapshot:
        sealed(where)[0].unlink()
        with pytest.raises(FileNotFoundError):
            snapshot.segments[0].open()
    iterator = History(str(where)).events()
    kept = prove(where)
    assert [next(iterator)] == kept[:1]
    for path in sealed(where)[:3]:
        path.unlink()
    with pytest.raises(LedgerError, match="retention removed"):
        list(iterator)
    assert [event["seq"] for event in History(str(where)).events()] == [event["seq"] for event in prove(where)]
    assert History(str(where)).at(LONG_AGO) == []


def test_progress_is_told_in_bytes(where: Path) -> None:
    three_segments(where)
    calls: list[tuple[int, int]] = []
    list(History(str(where), lambda done, total: calls.append((done, total))).events())
    size = sum(path.stat().st_size for path in segments(where))
    assert calls[-1] == (size, size)
    assert calls == sorted(calls)
    seen: list[tuple[int, int]] = []
    fsck(str(where), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (size, size)


# -- fsck


def test_fsck_of_a_sound_ledger(where: Path) -> None:
    events = three_segments(where)
    report = fsck(str(where))
    assert (report.sound, report.events, report.live, report.notes) == (True, len(events), 2, [])
    assert [(row["path"], row["first_seq"], row["last_seq"], row["status"]) for row in report.segments] == [
        (path.name, first, last, "sound")
        for path, first, last in zip(segments(where), (1, 5, 8), (4, 7, 10), strict=True)
    ]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seq": 99}, "seq 99 follows"),
        ({"ts": "2020-01-01T00:00:00.000000Z"}, "follows"),
    ],
)
def test_a_chain_that_fits_around_what_cannot_be(where: Path, wrong: Draft, says: str) -> None:
    record(where, add_event(1))
    append_line(where, **wrong)
    report = fsck(str(where))
    assert says in str(report.damage[0])
    assert report.damage[0].line == 3


def test_a_checkpoint_that_forgets_what_was_live(where: Path) -> None:
    record(where, add_event(1))
    last = prove(where)[-1]
    (where / ACTIVE).rename(where / f"ledger-{1:016}-{2:016}.jsonl")
    head = {
        "ts": last["ts"],
        "seq": 3,
        "v": 1,
        "event": "checkpoint",
        "boot_id": BOOT,
        "prev_crc": last["crc"],
        "live": [],
    }
    ledgers.write_chain(where / ACTIVE, [head], int(last["crc"], 16))
    assert "does not carry what was live" in str(fsck(str(where)).damage[0])


def test_fsck_compares_state_json(where: Path) -> None:
    record(where, add_event(1))
    older = (where / "state.json").read_bytes()
    record(where, add_event(2))
    (where / "state.json").write_bytes(older)
    report = fsck(str(where))
    assert report.sound
    assert any("state.json is at event 2 of 3" in note for note in report.notes)
    (where / "state.json").write_bytes(b"")
    assert any("state.json is missing or unusable" in note for note in fsck(str(where)).notes)


def test_readers_change_nothing(where: Path) -> None:
    three_segments(where)
    record(where, add_event(8, boot_id=OTHER_BOOT))
    (where / "state.json").unlink()
    before = ledgers.contents(where)
    stats = {path: path.stat().st_mtime_ns for path in where.rglob("*")}
    for call in questions(where).values():
        try:
            call()
        except NotFound:
            continue
    assert ledgers.contents(where) == before
    assert {path: path.stat().st_mtime_ns for path in where.rglob("*")} == stats
