"""Questions put to several ledgers at once, to archives and to single segments: `--state-dir` in all its forms."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format.line import now_us
from eni_ledger.ledger.query.many import Many
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.query.reader import LedgerReader
from eni_ledger.ledger.write import rotation, writer
from helpers.ledgers import (
    ACTIVE,
    BOOT,
    OTHER_BOOT,
    SOURCE,
    add_event,
    contents,
    copy,
    del_event,
    prove,
    record,
    sealed,
    settings,
)
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.cli.conftest import Ran, Run

ONE, TWO = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"
QUESTIONS = [
    ["list"],
    ["list", "--at", "now"],
    ["who", "10.0.0.1"],
    ["who", "2", "--at", "now"],
    ["log"],
    ["log", "-n", "2"],
    ["fsck"],
]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Return a directory with the ledgers of two hosts; 10.0.0.1 is live on both."""
    where = tmp_path / "copies"
    where.mkdir()
    for n in (1, 2):
        record(where / "one", add_event(n, instance_id=ONE))
    for n in (1, 3):
        record(where / "two", add_event(n, instance_id=TWO, boot_id=OTHER_BOOT))
    record(where / "two", del_event(3, instance_id=TWO, boot_id=OTHER_BOOT), rotate_bytes=1)
    return where


def archived(directory: Path, target: Path, name: str = "") -> Path:
    with tarfile.open(target, "w:gz" if target.suffix in (".gz", ".tgz") else "w") as tar:
        tar.add(directory, name or directory.name)
    return target


def as_of(directory: Path) -> str:
    last = prove(directory)[-1]
    return f"as of {last['ts'][:19].replace('T', ' ')} UTC, of {last['instance_id']}"


def ledgers_of(done: Ran) -> dict[str, str]:
    """Return the instance of each association, and the ledger that it is said to be from."""
    return {one["ledger"]: one["instance_id"] for one in done.json()["associations"]}


@pytest.mark.parametrize("before", [0, 1, 2])
def test_state_dir_is_repeated_before_and_after_the_command(run: Run, copies: Path, before: int) -> None:
    options = [("--state-dir", str(copies / name)) for name in ("one", "two")]
    first, rest = options[:before], options[before:]
    done = run(*(word for each in first for word in each), "who", "10.0.0.1", *(word for each in rest for word in each))
    assert (done.code, done.err) == (0, "")
    heads = [f"{as_of(copies / name)}: {copies / name}" for name in ("one", "two")]
    assert done.out.splitlines()[:3] == [*heads, ""]
    assert ONE in done.out.splitlines()[4]
    assert TWO in done.out.splitlines()[5]


def test_a_pattern_names_them_and_passes_over_what_is_no_ledger(run: Run, copies: Path) -> None:
    (copies / "notes.txt").write_text("of another kind")
    (copies / "empty").mkdir()
    done = run("who", "10.0.0.1", "--json", "--state-dir", f"{copies}/*")
    assert done.code == 0
    assert ledgers_of(done) == {str(copies / "one"): ONE, str(copies / "two"): TWO}
    assert f"note: no ledger, passed over: {copies}/empty, {copies}/notes.txt\n" in done.err
    nothing = run("list", "--state-dir", f"{copies}/n*")
    assert (nothing.code, nothing.out) == (3, "")
    assert "there is no ledger here" in nothing.err


def test_a_directory_with_a_star_in_its_name_is_no_pattern(run: Run, copies: Path) -> None:
    (copies / "one").rename(copies / "o*")
    done = run("list", "--json", "--state-dir", f"{copies}/o*")
    assert len(done.json()["associations"]) == 2
    assert "ledger" not in done.json()["associations"][0]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_an_archive_answers_as_the_directory_does(run: Run, copies: Path, question: list[str], suffix: str) -> None:
    archive = archived(copies / "two", copies.parent / f"two{suffix}", ".")
    before = contents(copies), archive.read_bytes()
    question = [datetime.now(UTC).isoformat() if word == "now" else word for word in question]  # the same for both
    there, here = (run(*question, "--state-dir", str(path)) for path in (copies / "two", archive))
    assert (here.code, here.err) == (there.code, there.err)
    assert here.out == there.out.replace(str(copies / "two"), str(archive))
    assert (contents(copies), archive.read_bytes()) == before


def test_an_archive_of_several_hosts(run: Run, copies: Path) -> None:
    archive = archived(copies, copies.parent / "all.tar.gz")
    done = run("who", "10.0.0.1", "--json", "--state-dir", str(archive))
    assert ledgers_of(done) == {f"{archive}/copies/one": ONE, f"{archive}/copies/two": TWO}
    checked = run("fsck", "--json", "--state-dir", str(archive)).json()
    assert checked["sound"] is True
    assert [one["state_dir"] for one in checked["ledgers"]] == [f"{archive}/copies/one", f"{archive}/copies/two"]


def test_an_archive_comes_through_a_pipe(run: Run, copies: Path) -> None:
    pipe = copies.parent / "pipe"
    os.mkfifo(pipe)
    command = ["tar", "-C", str(copies), "-czf", str(pipe), "one"]
    with subprocess.Popen(command) as tar:
        done = run("list", "--json", "--state-dir", str(pipe))
        assert tar.wait(PATIENCE_S) == 0
    assert len(done.json()["associations"]) == 2


@pytest.mark.parametrize("form", ["sealed", "packed", "packed and renamed", "active", "renamed", "gzip"])
def test_a_segment_by_itself(run: Run, copies: Path, form: str) -> None:
    if form.startswith("packed"):
        prune(settings(copies / "two"))
    (first,) = sealed(copies / "two")
    names = {"packed and renamed": "evidence.gz", "renamed": "evidence", "gzip": "evidence.jsonl.gz"}
    source = copies / "two" / ACTIVE if form == "active" else first
    segment = copies.parent / names.get(form, source.name)
    data = source.read_bytes()
    segment.write_bytes(gzip.compress(data) if form == "gzip" else data)
    done = run("who", "10.0.0.1", "--json", "--state-dir", str(segment))
    assert (done.code, [one["instance_id"] for one in done.json()["associations"]]) == (0, [TWO])
    live = run("list", "--json", "--state-dir", str(segment)).json()["associations"]
    assert sorted(one["addresses"] for one in live)[0] == ["10.0.0.1/20"]
    assert run("fsck", "--state-dir", str(segment)).code == 0


def test_of_two_copies_of_one_ledger_the_newer_one_counts(run: Run, copies: Path) -> None:
    old = copy(copies / "one", copies / "old")
    record(copies / "one", del_event(2, instance_id=ONE))
    record(copies / "one", add_event(4, instance_id=ONE))
    state_dirs = ["--state-dir", str(old), "--state-dir", str(copies / "one")]
    done = run("list", "--json", *state_dirs)
    assert [one["addresses"] for one in done.json()["associations"]] == [["10.0.0.1/20"], ["10.0.0.4/20"]]
    assert {one["ledger"] for one in done.json()["associations"]} == {str(copies / "one")}
    assert f"{old} is a copy of the same ledger as {copies / 'one'}, which is newer and counts" in done.err
    ended = run("who", "10.0.0.2", "--json", *state_dirs).json()["associations"]
    assert [one["ended_by"] for one in ended] == ["del"]
    events = run("log", "--json", *state_dirs).json_lines()
    assert [event["seq"] for event in events] == [event["seq"] for event in prove(copies / "one")]
    assert {event["ledger"] for event in events} == {str(copies / "one")}


def test_events_are_in_order_of_time_over_all_ledgers(run: Run, copies: Path) -> None:
    for n in (5, 6):
        for name, instance in (("one", ONE), ("two", TWO)):
            record(copies / name, add_event(n, instance_id=instance))
    events = run("log", "--json", "--state-dir", f"{copies}/*").json_lines()
    assert len(events) == len(prove(copies / "one")) + len(prove(copies / "two"))
    assert [event["ts"] for event in events] == sorted(event["ts"] for event in events)
    last = run("log", "--json", "-n", "3", "--state-dir", f"{copies}/*").json_lines()
    assert last == events[-3:]


def test_damage_in_one_leaves_the_others_answers(run: Run, copies: Path) -> None:
    damaged = copies / "one" / ACTIVE
    damaged.write_bytes(damaged.read_bytes().replace(b"ecs-trunk", b"ECS-trunk"))
    for question in (["list"], ["who", "10.0.0.1"], ["log"], ["list", "--at", "now"]):
        done = run(*question, "--state-dir", f"{copies}/*")
        assert done.code == 3, question
        assert TWO in done.out, question
        assert str(damaged) in done.err, question
    document = run("who", "10.0.0.1", "--json", "--state-dir", f"{copies}/*").json()
    assert document["damage"]["path"] == str(damaged)
    assert [one["instance_id"] for one in document["associations"]] == [TWO]
    assert run("fsck", "--state-dir", f"{copies}/*").code == 1


@pytest.mark.parametrize("what", ["missing", "empty directory", "cut archive", "link in an archive", "no ledger"])
def test_one_that_cannot_be_read_leaves_the_others_answers(run: Run, copies: Path, what: str) -> None:
    other = copies.parent / "other"
    if what == "empty directory":
        other.mkdir()
    elif what == "cut archive":
        data = archived(copies, copies.parent / "whole.tar.gz").read_bytes()
        other.write_bytes(data[: len(data) // 2])
    elif what == "link in an archive":
        (copies / "one" / "ledger.index").symlink_to("/etc/passwd")
        archived(copies / "one", other)
        (copies / "one" / "ledger.index").unlink()
    elif what == "no ledger":
        other.write_text("of another kind")
    for question in (["list"], ["who", "10.0.0.1"], ["log"], ["log", "-n", "1"], ["fsck"], ["list", "--at", "now"]):
        done = run(*question, "--state-dir", str(other), "--state-dir", str(copies / "two"))
        assert done.code == 3, question
        assert TWO in done.out, question
        assert str(other) in done.err, question
        assert "Traceback" not in done.err
        alone = run(*question, "--state-dir", str(other))
        assert (alone.code, alone.out) == (3, ""), question


@pytest.mark.parametrize("command", [["prune"], ["identify"], ["verify"], ["verify", "--adopt"], ["fsck", "--repair"]])
@pytest.mark.parametrize("form", ["two", "pattern", "archive", "segment"])
def test_what_writes_takes_one_state_directory(run: Run, copies: Path, command: list[str], form: str) -> None:
    options = {
        "two": ["--state-dir", str(copies / "one"), "--state-dir", str(copies / "two")],
        "pattern": ["--state-dir", f"{copies}/*"],
        "archive": ["--state-dir", str(archived(copies, copies.parent / "x.tar"))],
        "segment": ["--state-dir", str(copies / "one" / ACTIVE)],
    }
    before = contents(copies)
    done = run(*command, *options[form])
    assert (done.code, done.out) == (2, "")
    assert "this command takes one state directory" in done.err
    assert contents(copies) == before


def test_a_copy_needs_no_root(copies: Path) -> None:
    need(os.geteuid() == 0 and shutil.which("setpriv"), "root and setpriv, to be another user")
    archived(copies, copies / "all.tar.gz")
    with tempfile.TemporaryDirectory() as directory:
        public = Path(directory) / "public"
        shutil.copytree(copies, public)
        for path in [Path(directory), public, *public.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.chown(public / "one", 65533, 65533)
        (public / "one").chmod(0o775)
        done = as_another_user("list", "--state-dir", str(public / "one"), "--state-dir", str(public / "all.tar.gz"))
        assert done.returncode == 0, done.stderr
        assert f"note: {public / 'one'}: it belongs to user 65533" in done.stderr
        assert TWO in done.stdout


def as_another_user(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from eni_ledger.cli.main import main; sys.exit(main(sys.argv[1:]))"
    paths = os.pathsep.join([str(SOURCE), *(path for path in sys.path if path)])
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_ages_are_counted_to_the_last_event_of_their_copy(run: Run, copies: Path) -> None:
    done = run("list", "--json", "--state-dir", f"{copies}/*").json()["associations"]
    ends = {str(copies / name): prove(copies / name)[-1]["ts"] for name in ("one", "two")}
    assert {one["ledger"]: one["as_of"] for one in done} == ends


def test_a_ledger_that_begins_later_is_said_to_know_nothing(run: Run, copies: Path) -> None:
    when = prove(copies / "one")[-1]["ts"]
    done = run("list", "--at", when, "--state-dir", f"{copies}/*")
    assert done.code == 0
    assert f"note: {copies / 'two'}: nothing is known of " in done.err
    assert f"{copies / 'one'}: nothing is known" not in done.err


def test_one_ledger_and_several_answer_the_same_questions() -> None:
    """Only a single ledger has files to look at."""
    several = {name for name in vars(Many) if not name.startswith("_")}
    assert several == {name for name in vars(LedgerReader) if not name.startswith("_")}
    assert {name for name in vars(History) if not name.startswith("_")} == several | {"path", "snapshot"}


@contextlib.contextmanager
def followed(*state_dirs: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Follow ledgers, and give what returns the next event that is printed; the first one is the last that there is."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ENI_LEDGER")}
    command = [sys.executable, "-m", "eni_ledger.entry", "log", "-f", "--json", "-n", "1"]
    command += [f"--state-dir={path}" for path in state_dirs]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    out = process.stdout
    assert out
    try:
        yield lambda: json.loads(out.readline())
    finally:
        process.kill()
        process.communicate()


def test_follow_misses_no_event_of_any_ledger(copies: Path) -> None:
    for n in range(5, 30):  # one ledger has far higher numbers than the other
        record(copies / "two", add_event(n, instance_id=TWO, boot_id=OTHER_BOOT))
    with followed(copies / "one", copies / "two") as event:
        assert event()["ledger"] == str(copies / "two")
        for n in (41, 42, 43):
            for name, instance, boot in (("one", ONE, BOOT), ("two", TWO, OTHER_BOOT)):
                record(copies / name, add_event(n, instance_id=instance, boot_id=boot))
                new = event()
                assert (new["vlan_id"], new["ledger"]) == (n + 1, str(copies / name))


def test_follow_takes_in_what_a_clock_that_is_behind_writes(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writer, rotation):
        monkeypatch.setattr(module, "now_us", lambda: now_us() - 3_600_000_000)
    late = {"instance_id": "i-0cccccccccccccccc", "boot_id": OTHER_BOOT.replace("b", "c")}
    record(copies / "late", add_event(4, **late))
    with followed(copies / "one", copies / "late") as event:
        assert event()["instance_id"] == ONE
        for n in (5, 6):
            record(copies / "late", add_event(n, **late))
            assert event()["vlan_id"] == n + 1


def test_follow_shows_what_several_copies_get_once(copies: Path) -> None:
    twin = shutil.copytree(copies / "one", copies / "twin")
    with followed(copies / "one", twin) as event:
        assert event()["vlan_id"] == 3
        for n in (5, 6, 7):
            record(copies / "one", add_event(n, instance_id=ONE))
            assert event()["vlan_id"] == n + 1
            shutil.copyfile(copies / "one" / ACTIVE, twin / ACTIVE)


def test_watch_shows_what_each_ledger_gets_and_keeps_no_file_open(copies: Path, tmp_path: Path) -> None:
    packed = archived(copies / "two", tmp_path / "two.tar.gz")
    command = [sys.executable, "-m", "eni_ledger.entry", "list", "--watch=0.1", "-q", "--no-pager"]
    command += [f"--state-dir={path}" for path in (copies / "one", packed, packed, copies / "one" / ACTIVE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    open_files = []
    try:
        for n in range(4, 10):
            for _ in range(5):  # at least two pictures
                process.stdout.readline()
            new = record(copies / "one", add_event(n, instance_id=ONE))["association_id"]
            while process.stdout.readline().strip() != new:
                pass
            open_files.append(len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
    finally:
        process.kill()
        process.communicate()
    # A picture that is being made has some ten files open; kept from picture to picture they were a hundred by now.
    assert open_files[-1] < 50, open_files
