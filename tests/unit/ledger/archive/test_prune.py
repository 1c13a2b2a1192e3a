"""Pruning: nothing that was asked before is answered otherwise after it; and whatever stops it, nothing is lost."""

from __future__ import annotations

import gc
import gzip
import json
import os
import shutil
import subprocess
from binascii import crc32
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.ledger.archive import index_keys, prune
from eni_ledger.ledger.archive.index import HEADS, VERSION, open_index
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import directory as state_directory
from eni_ledger.ledger.format import gzip_members, segment
from eni_ledger.ledger.format.line import MARKS, format_ts, marks_of
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import rotation, writer
from eni_ledger.ledger.write.batch import record_found
from helpers import ledgers
from helpers.ledgers import ACTIVE, TRUNK, add_event, contents, del_event, plain, prove, record, sealed, segments

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def small_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make members of two or three lines, so that a small ledger has many."""
    monkeypatch.setattr(gzip_members, "MEMBER", 1200)


def pruned(where: Path, **over: Any) -> prune.PruneReport:
    return prune.prune(ledgers.settings(where, **over))


def a_past(where: Path, adds: int = 12) -> None:
    """Make a ledger of several segments, with live and ended associations."""
    for n in range(adds):
        record(where, add_event(n), rotate_bytes=4000)
        if n % 3 == 2:
            record(where, del_event(n - 1), rotate_bytes=4000)


@contextmanager
def directory(where: Path) -> Iterator[int]:
    fd = os.open(where, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


# -- the same answers

STEP = st.tuples(
    st.sampled_from(["add", "add", "add", "del", "del", "boot", "spool", "identify", "late", "import", "folded"]),
    st.integers(0, 5),
    st.booleans(),
)


def play(where: Path, plan: list[tuple[str, int, bool]]) -> None:
    """Do what the plan says, as a runtime, `identify` and `import` would."""
    boot, imports = 0, 0
    ended: list[str] = []
    for kind, n, rotate in plan:
        about = {"boot_id": f"boot-{boot}"}
        over: dict[str, Any] = {"rotate_bytes": 1 if rotate else 1 << 20}
        made = ledgers.settings(where, **over)
        if kind in ("add", "spool"):
            event = add_event(n, vlan_id=n % 3 + 1, netns_inode=100 + n, eni_id=None, **about)
            if kind == "spool":
                with ledgers.locked(where):
                    writer.record(ledgers.settings(where, lock_wait_ms=0), event)
            else:
                record(where, event, **over)
        elif kind == "del":
            gone = writer.record(made, del_event(n, **about))
            ended += [gone["association_id"]] if gone else []
        elif kind == "boot":
            boot += 1
        elif kind == "folded":
            writer.record(made, del_event(99, **about))
        elif kind == "identify":
            record_found(
                made,
                about,
                lambda live, n=n: [  # type: ignore[misc]
                    {"event": "identify", "association_id": one["association_id"], "eni_id": f"eni-{n:017x}"}
                    for one in live[:1]
                ],
            )
        elif kind == "late" and ended:
            late = {"event": "identify", "late": True, "association_id": ended[-1], "eni_id": f"eni-{n:017x}"}
            record_found(made, about, lambda _, late=late: [late])  # type: ignore[misc]
        elif kind == "import":
            imports += 1
            about_log = {key: add_event(n)[key] for key in ("branch_mac", "addresses", "trunk_mac")}
            logged = {
                "event": "import",
                "imported_event": "add" if rotate else "del",
                "occurred_ts": f"2020-11-01T{imports % 24:02}:00:00.000000Z",
                "import_id": f"{imports:032x}",
                "vlan_id": n % 3 + 1,
                **about_log,
            }
            if rotate:
                logged["association_id"] = f"assoc-{imports:017x}"
            record_found(made, about, lambda _, logged=logged: [logged])  # type: ignore[misc]


def answers(where: Path) -> dict[str, Any]:
    """Everything that can be asked of a small ledger, with its answer."""
    history = History(str(where))
    events = list(history.events())
    found: dict[str, Any] = {"live": history.live(), "events": events, "all": history.all()}
    moments = sorted({event["ts"] for event in events} | {e["spooled_ts"] for e in events if "spooled_ts" in e})
    whats = ["1", "2", TRUNK, "10.0.0.3", "100", "103", f"eni-{2:017x}", f"{1:064x}", f"{4:064x}"[:20]]
    for number, when in enumerate([*moments, "2020-11-01T02:30:00.000000Z"]):
        found[f"at {when}"] = history.at(when)
        for what in whats[number % 3 :: 3]:  # each of them at every third moment
            found[f"who {what} at {when}"] = history.who(what, when)
    for what in [*whats, *(one["association_id"] for one in found["all"][:6])]:
        found[f"who {what}"] = history.who(what)
    for one in found["all"]:
        found[f"events of {one['association_id']}"] = list(history.events_of(one))
    for since, until in zip(moments[::3], moments[2::3], strict=False):
        found[f"from {since} to {until}"] = list(history.events(since, until))
    return found


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(STEP, min_size=8, max_size=30))
def test_every_answer_is_the_same(tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[str, int, bool]]) -> None:
    where = tmp_path_factory.mktemp("p") / "s"
    writer.record(ledgers.settings(where), del_event(99, boot_id="boot-0"))
    play(where, plan)
    before, events = answers(where), prove(where)
    known = ledgers.state_file(where)
    lines = [json.loads(line) for line in (where / ACTIVE).read_text().splitlines()]
    assert known["marks"] == sorted({mark for event in lines for mark in marks_of(event)})
    assert known["size"] == (where / ACTIVE).stat().st_size
    report = pruned(where)
    assert report.left == []
    assert len(report.packed) == len(sealed(where))
    assert prove(where) == events
    after = answers(where)
    assert after.keys() == before.keys()
    for question, answer in before.items():
        assert after[question] == answer, question
    assert fsck(str(where)).sound
    for path in where.glob("ledger-*.index"):  # `ledger.index` says that they are there, and they are not
        path.unlink()
    assert answers(where) == before
    (where / HEADS).unlink(missing_ok=True)  # without them everything is gone through
    assert answers(where) == before


def test_a_packed_segment_is_what_it_was(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    before = contents(where)
    names = [path.name for path in sealed(where)]
    report = pruned(where)
    assert [row["segment"] for row in report.packed] == names
    after = contents(where)
    for name in names:
        assert name not in after
        assert gzip.decompress(after[f"{name}.gz"]) == before[name]
        told = subprocess.run(["gzip", "-dc", where / f"{name}.gz"], capture_output=True, check=True)
        assert (told.stdout, told.stderr) == (before[name], b"")
        assert (where / f"{name}.gz").stat().st_mode & 0o777 == 0o640
    assert after[ACTIVE] == before[ACTIVE]
    again = pruned(where)
    assert (again.packed, again.indexed, again.removed) == ([], [], [])
    assert contents(where) == after


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    before = contents(where)
    report = prune.prune(ledgers.settings(where, retain_bytes=12_000), dry_run=True)
    assert report.removed
    assert report.packed
    assert contents(where) == before
    done = pruned(where, retain_bytes=12_000)
    assert [row["segment"] for row in done.removed] == [row["segment"] for row in report.removed]
    assert [row["segment"] for row in done.packed] == [row["segment"] for row in report.packed]


def test_writers_and_readers_go_on_with_a_packed_past(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    for n in range(20, 30):
        record(where, add_event(n), rotate_bytes=3000)
    pruned(where)
    (where / ACTIVE).unlink()  # only packed ones are left, and no state.json
    (where / "state.json").unlink()
    assert all(path.suffix == ".gz" for path in segments(where))
    live = History(str(where)).live()
    written = record(where, add_event(40))
    assert written["seq"] > max(event["seq"] for event in prove(where)[:-2])
    assert History(str(where)).live()[:-1] == live


def test_questions_leave_no_descriptor_open(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    history = History(str(where))
    gc.disable()
    try:
        history.who("10.0.0.1")
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        for _ in range(5):
            history.who("10.0.0.1")
            history.at(prove(where)[3]["ts"])
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
    finally:
        gc.enable()


def test_packed_while_a_reader_reads(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    events = prove(where)
    history = History(str(where)).events()
    got = [next(history)]
    pruned(where)
    assert [*got, *history] == events


def test_both_forms_of_a_segment(tmp_path: Path) -> None:
    """As a kill between the two leaves them."""
    where = tmp_path / "state"
    a_past(where)
    first = sealed(where)[0]
    data, events = first.read_bytes(), prove(where)
    pruned(where)
    first.write_bytes(data)
    assert list(History(str(where)).events()) == events
    assert fsck(str(where)).sound
    assert [row["segment"] for row in pruned(where).packed] == [first.name]
    assert not first.exists()
    assert prove(where) == events


@pytest.mark.parametrize("step", range(1, 40))
def test_killed_at_any_step(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "state"
    a_past(where, 7)
    events = prove(where)

    class Killed(BaseException):
        pass

    calls = 0

    def counted(name: str) -> None:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                raise Killed
            if calls > step:
                raise AssertionError("a killed process does nothing more")
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("rename", "fsync", "fdatasync", "write", "ftruncate", "utime"):
        counted(name)
    real_unlink = os.unlink

    def unlink(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise Killed
        if calls < step:
            real_unlink(*args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    with suppress(Killed):
        pruned(where)
    monkeypatch.undo()
    monkeypatch.setattr(gzip_members, "MEMBER", 1200)
    assert list(History(str(where)).events()) == events
    assert fsck(str(where)).sound
    pruned(where)
    assert prove(where) == events
    assert all(path.suffix == ".gz" for path in sealed(where))
    assert not list(where.glob(".*.tmp"))


# -- what is not sound


def test_a_damaged_segment_stays_as_it_is(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    path = sealed(where)[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    report = pruned(where)
    assert [row["segment"] for row in report.left] == [path.name]
    assert "not what was written" in report.left[0]["why"]
    assert path.read_bytes() == data
    assert not list(where.glob(".*"))


def test_every_byte_of_a_packed_segment(tmp_path: Path) -> None:
    """Whatever is flipped, an answer is the true one or an error; fsck names the file."""
    where = tmp_path / "state"
    a_past(where, 9)
    history = History(str(where))
    truth: dict[str, Any] = {"events": list(history.events())}
    for what in ("2", "10.0.0.1", history.live()[0]["association_id"]):
        truth[what] = history.who(what)
        assert truth[what]
    pruned(where)
    path = sealed(where)[0]
    data = path.read_bytes()
    with path.open("rb") as file:
        assert len(list(gzip_members.members(file.fileno()))) > 1
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        report = fsck(str(where))
        assert not report.sound, at
        assert report.damage[0].path == str(path), at
        for what, answer in truth.items():
            if what != "events":
                with suppress(EniLedgerError):
                    assert history.who(what) == answer, (at, what)
        got: list[Any] = []
        with suppress(EniLedgerError):
            got += history.events()
        assert got == [event for event in truth["events"] if event in got], at
        assert len(got) < len(truth["events"]), at
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        assert not fsck(str(where)).sound, size


def test_behind_a_damaged_member_everything_is_proven_again(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    events = prove(where)
    pruned(where)
    path = sealed(where)[0]
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        parts = [found for found in gzip_members.members(file.fileno()) if not isinstance(found, int)]
    assert len(parts) > 2
    data[parts[1][0].at + 60] ^= 1
    path.write_bytes(data)
    report = fsck(str(where))
    lost = parts[1][1].count(b"\n")
    assert report.events == len(events) - lost
    assert len(report.damage) == 1
    assert (report.damage[0].line, report.damage[0].offset) == (parts[1][0].line, parts[1][0].offset)


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "other"])
def test_every_byte_of_an_index(tmp_path: Path, how: str) -> None:
    """It is derived: whatever happens to it, every answer is the true one, and prune makes it anew."""
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    truth = {what: History(str(where)).who(what) for what in ("1", "10.0.0.1", TRUNK, f"{3:064x}")}
    first, second = sorted(where.glob("*.index"))[:2]
    data = first.read_bytes()
    for at in range(0, len(data), {"flip": 2, "cut": 29}.get(how, len(data))):
        if how == "flip":
            first.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        elif how == "cut":
            first.write_bytes(data[:at])
        elif how == "gone":
            first.unlink()
        else:
            shutil.copy(second, first)
        for what, answer in truth.items():
            assert History(str(where)).who(what) == answer, (at, what)
    if how != "flip":
        assert fsck(str(where)).notes == [
            f"{first.stem}.jsonl.gz has no index that can be used; eni-ledger prune makes it"
        ]
        assert [row["segment"] for row in pruned(where).indexed] == [f"{first.stem}.jsonl.gz"]
        assert first.read_bytes() == data


def test_a_name_that_says_something_else(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    path = sealed(where)[0]
    first, last = segment.sealed_range(path.name) or (0, 0)
    path.rename(path.with_name(segment.sealed_name(first, last - 1)))
    assert "the name says" in pruned(where).left[0]["why"]


# -- retention


def test_a_segment_is_kept_as_long_as_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its own events are older: until the next one begins, it is what says who was there."""
    where = tmp_path / "state"
    day = 86_400_000_000
    now = 20_000 * day
    clock = {"us": now}
    for module in (writer, rotation):
        monkeypatch.setattr(module, "now_us", lambda: clock["us"])
    for n in range(6):  # one segment every ten days
        record(where, add_event(n), rotate_bytes=1)
        clock["us"] += 10 * day
    names = [path.name for path in sealed(where)]
    clock["us"] = now + 50 * day
    with directory(where) as fd:
        for days, gone in [(100, 0), (40, 0), (39, 1), (31, 1), (29, 2), (1, 4), (0, 4)]:
            made = ledgers.settings(where, retain_days=days)
            assert rotation.expired(fd, segment.list_sealed(fd), made) == names[:gone], days
    pruned(where, retain_days=29)
    assert [path.name.removesuffix(".gz") for path in sealed(where)] == names[2:]
    assert fsck(str(where)).sound
    # 29 days ago is answered still
    when = format_ts(clock["us"] - 29 * day)
    assert len(History(str(where)).at(when)) == 3


def test_retention_removes_every_form(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    record(where, add_event(30), rotate_bytes=1, retain_bytes=1)
    assert sealed(where) == []
    assert list(where.glob("ledger-*")) == []


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that an index is read from, as they are opened from now on."""
    names: list[str] = []

    def open_file(dir_fd: int, name: str, flags: int) -> int:
        if name.endswith(".index"):
            names.append(name)
        return state_directory.open_file(dir_fd, name, flags)

    monkeypatch.setattr("eni_ledger.ledger.format.source.open_file", open_file)
    return names


def test_a_question_opens_the_indexes_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    begins = next(event["ts"] for event in prove(where) if event.get("container_id") == f"{2:064x}")
    answer = History(str(where)).who("10.0.0.2", begins)
    assert len(answer) == 1
    names = opened(monkeypatch)
    assert History(str(where)).who("10.0.0.2", begins) == answer
    assert names[0] == HEADS
    assert len(names) == 2 < len(sealed(where))
    (where / HEADS).unlink()
    names.clear()
    assert History(str(where)).who("10.0.0.2", begins) == answer
    assert len(names) > len(sealed(where))  # each of them, once the attempt to do with less has failed


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "link", "fifo", "directory", "other", "doubled"])
def test_every_byte_of_what_is_said_of_all_indexes(tmp_path: Path, how: str) -> None:
    """It is derived as well, and each of its lines is believed only as it was written."""
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    truth = {what: History(str(where)).who(what) for what in ("1", "10.0.0.1", TRUNK, f"{3:064x}")}
    heads = where / HEADS
    data = heads.read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == len(sealed(where)) > 2
    for at in range(0, len(data), {"flip": 13, "cut": 71}.get(how, len(data))):
        heads.rmdir() if heads.is_dir() else heads.unlink()
        if how == "flip":
            heads.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        elif how in ("cut", "empty"):
            heads.write_bytes(data[:at])
        elif how == "link":
            (tmp_path / "elsewhere").write_bytes(data)
            heads.symlink_to(tmp_path / "elsewhere")
        elif how == "fifo":
            os.mkfifo(heads)
        elif how == "directory":
            heads.mkdir()
        elif how == "other":  # what one index says, under the name of another: its sum does not fit
            name, other = (line[18:65] for line in lines[:2])
            heads.write_bytes(data.replace(name, b"x" * 47).replace(other, name))
        else:
            heads.write_bytes(data + lines[0])
        for what, answer in truth.items():
            assert History(str(where)).who(what) == answer, (at, what)
    if how == "directory":
        heads.rmdir()
    assert pruned(where).indexed == []
    assert heads.read_bytes() == data
    if how == "link":
        assert (tmp_path / "elsewhere").read_bytes() == data
        assert not heads.is_symlink()


def test_what_ended_before_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "state"
    for n in range(1, 9):  # one after the other in the same place
        record(where, add_event(n, addresses=["10.0.0.1/20"]))
        record(where, del_event(n))
    record(where, add_event(9, addresses=["10.0.0.1/20"]))
    last = prove(where)[-1]
    record(where, add_event(10), rotate_bytes=1)
    answer = History(str(where)).who("10.0.0.1", last["ts"])
    assert [one["container_id"] for one in answer] == [f"{9:064x}"]
    pruned(where)
    path = sealed(where)[0]
    with directory(where) as fd:
        index = open_index(Directory(fd), path.name.replace(".jsonl.gz", ".index"), path.name)
        assert index is not None
        place = index.place(last["ts"])
        assert place > 4
        assert len(index.find([index_keys.address("10.0.0.1")])) > 4
        assert index.find([index_keys.address("10.0.0.1")], place) <= {place - 1, place}
        assert index.place("0") == -1
    reads: list[int] = []
    real = gzip_members.read_member

    def read_member(fd: int, at: int, length: int) -> tuple[gzip_members.Member, bytes]:
        reads.append(at)
        return real(fd, at, length)

    monkeypatch.setattr(gzip_members, "read_member", read_member)
    assert History(str(where)).who("10.0.0.1", last["ts"]) == answer
    assert len(reads) <= 3


def test_an_index_of_a_former_version_is_made_anew(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    pruned(where)
    path = next(where.glob("ledger-*.index"))
    data = path.read_bytes()
    first, _, rest = data.replace(b'{"v":%d,' % VERSION, b'{"v":1,', 1).partition(b"\n")
    body = first[: first.rindex(b',"sum":"')]
    path.write_bytes(b'%b,"sum":"%08x"}\n%b' % (body, crc32(body), rest))  # sound, as a former version left it
    (where / HEADS).unlink()
    answer = History(str(where)).who("10.0.0.1")
    History(str(where)).at(answer[0]["since"])
    assert [row["segment"] for row in pruned(where).indexed] == [f"{path.stem}.jsonl.gz"]
    assert path.read_bytes() == data
    assert History(str(where)).who("10.0.0.1") == answer


def test_an_index_says_what_is_in_its_segment(tmp_path: Path) -> None:
    where = tmp_path / "state"
    a_past(where)
    events = {path.name: [json.loads(line) for line in plain(path).splitlines()] for path in sealed(where)}
    pruned(where)
    path = sealed(where)[0]
    inside = events[path.name.removesuffix(".gz")]
    with directory(where) as fd:
        index = open_index(Directory(fd), path.name.replace(".jsonl.gz", ".index"), path.name)
        assert index is not None
        assert (index.begins, index.ends) == (inside[0]["ts"], inside[-1]["ts"])
        assert (index.before, f"{index.crc:08x}") == (0, inside[-1]["crc"])
        assert not any(map(index.has, MARKS))
