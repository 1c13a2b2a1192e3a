"""agent.db while its owner commits: every answer is that of one transaction, and not of a past one."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

from eni_ledger.identity import agent_db, bolt
from helpers.agent_db import eni_id, generation, known, mac
from helpers.bolt import BoltWriter

TESTS = Path(__file__).parents[2]
LONG = 60.0
TASKS = 24


def generation_of(path: str) -> int | None:
    """Return the generation that the whole file shows; all of it has to be of one and the same."""
    found = agent_db.tasks(path, LONG)
    if not found:
        return None
    number = int(found[0]["eni_id"][4:], 16) >> 16
    assert [identity["eni_id"] for identity in found] == [eni_id(number, index) for index in range(TASKS)]
    return number


def test_before_each_single_write_of_a_commit_the_last_committed_generation_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    seen: list[tuple[str, int | None]] = []
    writer.step = lambda what: seen.append((what, generation_of(path)))
    for number in range(1, 12):
        seen.clear()
        writer.commit(generation(number, TASKS))
        assert [what for what, _ in seen[-2:]] == ["meta", "done"]
        assert {shown for what, shown in seen if what != "done"} == {number - 1 or None}
        assert seen[-1] == ("done", number)
    writer.close()


def test_commits_between_the_metas_and_the_pages_mean_reading_again(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    writer.commit(generation(1, TASKS))
    tries: list[int] = []

    def slowly(snapshot: bolt.ReadTransaction) -> list[bytes]:
        tries.append(snapshot.txid)
        bucket = snapshot.buckets()[b"tasks"]
        found = []
        for key, _ in snapshot.items(bucket):
            if len(tries) <= 4:  # in the midst of the walk: one commit, then two, three, four
                for _ in range(len(tries)):
                    writer.commit(generation(writer.txid, TASKS))
            found.append(key)
        return found

    keys = bolt.view(path, bolt.within(LONG), slowly)
    assert keys == [f"{index:032x}".encode() for index in range(TASKS)]
    assert len(tries) == 5
    assert tries[-1] == writer.txid
    writer.close()


def test_a_commit_after_the_last_page_means_reading_again(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    writer.commit(generation(1, TASKS))

    def then(snapshot: bolt.ReadTransaction) -> list[bytes]:
        found = [value for _, value in snapshot.items(snapshot.buckets()[b"tasks"])]
        if snapshot.txid < 5:
            writer.commit(generation(snapshot.txid, TASKS))
        return found

    assert bolt.view(path, bolt.within(LONG), then) == list(generation(4, TASKS)[b"tasks"].values())
    writer.close()


def test_what_the_caller_makes_of_torn_pages_is_tried_again_too(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    writer.commit(generation(1, TASKS))
    tries: list[int] = []

    def stumble(snapshot: bolt.ReadTransaction) -> int:
        tries.append(snapshot.txid)
        if len(tries) == 1:
            writer.commit(generation(2, TASKS))
            raise ValueError("no JSON")
        return tries[-1]

    assert bolt.view(path, bolt.within(LONG), stumble) == writer.txid
    writer.close()


def test_a_writer_in_another_process_that_never_rests(tmp_path: Path) -> None:
    path, marks = str(tmp_path / "agent.db"), str(tmp_path / "marks")
    writer = subprocess.Popen(
        [sys.executable, "-m", "helpers.agent_db", path, marks, str(TASKS)], cwd=TESTS, stdin=subprocess.PIPE
    )
    try:
        while not (os.path.exists(marks) and generation_of(path)):  # noqa: PTH110  as quick as can be
            assert writer.poll() is None
        fd = os.open(marks, os.O_RDONLY)
        generations = set()
        for number in range(600):
            index = number % TASKS
            committed = struct.unpack("<QQ", os.pread(fd, 16, 0))[1]
            found = known(path, mac(index), LONG)
            begun = struct.unpack("<QQ", os.pread(fd, 16, 0))[0]
            assert found is not None
            shown, of = divmod(int(found["eni_id"][4:], 16), 1 << 16)
            assert of == index
            assert committed <= shown <= begun
            generations.add(shown)
            if number % 20 == 0:
                generations.add(generation_of(path) or 0)
        assert len(generations) > 2
        os.close(fd)
        assert writer.poll() is None
    finally:
        writer.communicate()
    assert writer.returncode == 0
    assert agent_db.problem(path, LONG) is None
