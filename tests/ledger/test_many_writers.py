"""Many writers at once, readers beside them, and writers that are killed."""

from __future__ import annotations

import os
import random
import selectors
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.ledger import writer
from eni_ledger.ledger.history import History
from eni_ledger.ledger.repair import fsck
from helpers.ledgers import SOURCE, prove, raw_events, sealed, segments, settings, state_file

SCRIPT = Path(__file__).with_name("writing.py")


def start(
    where: Path, worker: int, count: int, rotate_bytes: int, lock_wait_ms: int = 200, go: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a writer; it begins when the other end of the pipe `go` is closed."""
    arguments = [SOURCE, where, worker, count, rotate_bytes, lock_wait_ms]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)],
        stdin=go,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def acknowledged(outputs: list[bytes]) -> tuple[list[str], list[str]]:
    """Return the association ids whose add, and whose del, was acknowledged."""
    lines = [line.split() for output in outputs for line in output.decode().splitlines()]
    return [i for kind, i in lines if kind == "add"], [i for kind, i in lines if kind == "del"]


def settle(where: Path) -> list[dict[str, Any]]:
    """Have one more writer come, which mends and folds in what was left; return all events, proven."""
    assert (
        writer.record(settings(where), {"event": "del", "boot_id": "boot", "container_id": "x", "ifname": "x"}) is None
    )
    assert not list((where / "spool").glob("[!.]*")) if (where / "spool").exists() else True
    report = fsck(str(where))
    assert report.sound, report.damage
    return prove(where)


def check(where: Path, outputs: list[bytes]) -> Counter[str]:
    """Check that what was acknowledged is there once, and that state.json is what a replay gives."""
    events = settle(where)
    adds = Counter(event["association_id"] for event in events if event["event"] == "add")
    ends = Counter(event["association_id"] for event in events if event["event"] in ("del", "lost"))
    added, ended = acknowledged(outputs)
    assert not set(added) - set(adds)
    assert not set(ended) - set(ends)
    assert set(adds.values()) | set(ends.values()) <= {1}
    attachments = Counter(event["container_id"] for event in events if event["event"] == "add")
    assert set(attachments.values()) <= {1}
    live = set(adds) - set(ends)
    assert {each["association_id"] for each in History(str(where)).live()} == live
    assert {each["association_id"] for each in state_file(where)["associations"]} == live
    return adds


class Looking(threading.Thread):
    """A reader that asks in a loop, and keeps what it saw that cannot be."""

    def __init__(self, where: Path) -> None:
        super().__init__()
        self._where = where
        self._end = threading.Event()
        self.wrong: list[str] = []
        self.rounds = 0

    def run(self) -> None:
        history, seen = History(str(self._where)), 0
        while not self._end.is_set():
            try:
                seqs = [event["seq"] for event in history.events()]
                if seqs != list(range(1, len(seqs) + 1)) or len(seqs) < seen:
                    self.wrong.append(f"{len(seqs)} events after {seen}, {seqs[:3]}...{seqs[-3:]}")
                seen = len(seqs)
                ids = [association["association_id"] for association in history.live()]
                if len(set(ids)) != len(ids):
                    self.wrong.append("twice in live")
                history.who("10.0.0.1")
                report = fsck(str(self._where))
                if not report.sound:
                    self.wrong.append(str(report.damage[0]))
            except Exception as exc:  # any at all is what this looks for
                self.wrong.append(f"{type(exc).__name__}: {exc}")
            self.rounds += 1

    def stop(self) -> None:
        self._end.set()
        self.join()


@pytest.mark.parametrize("lock_wait_ms", [200, 1])
def test_64_writers_and_a_reader(tmp_path: Path, lock_wait_ms: int) -> None:
    where = tmp_path / "state"
    writer.record(settings(where), {"event": "add_failed", "boot_id": "boot"})
    reader = Looking(where)
    reader.start()
    try:
        go, hold = os.pipe()
        processes = [start(where, n, 6, 8000, lock_wait_ms, go) for n in range(1, 65)]
        os.close(go)
        os.close(hold)
        results = [process.communicate(timeout=120) for process in processes]
    finally:
        reader.stop()
    assert [process.returncode for process in processes] == [0] * 64, results
    assert [err for _, err in results if err] == []
    assert reader.wrong == []
    assert reader.rounds > 2
    adds = check(where, [out for out, _ in results])
    assert len(adds) == 64 * 6
    if lock_wait_ms == 200:  # a writer that folds in what waits in the spool does so in one segment, however much it is
        assert len(segments(where)) > 1
    else:
        assert any("spool" in event for event in raw_events(where))


@pytest.mark.parametrize(("seed", "rotate_bytes"), [(1, 1 << 20), (2, 2000)])
def test_writers_killed_at_any_moment(tmp_path: Path, seed: int, rotate_bytes: int) -> None:
    """75 kills each, four writers at a time; what had been acknowledged is there, once, and the chain is sound."""
    where, chance = tmp_path / "state", random.Random(seed)
    writer.record(settings(where), {"event": "add_failed", "boot_id": "boot"})
    outputs: list[bytes] = []
    for round_ in range(19):
        processes = [start(where, round_ * 4 + n + 1, 10_000, rotate_bytes, 20) for n in range(4)]
        with selectors.DefaultSelector() as selector:  # all of them are at work: then it is about the moment
            for process in processes:
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ)
            waiting = len(processes)
            while waiting:
                for key, _ in selector.select(60):
                    selector.unregister(key.fileobj)
                    waiting -= 1
        for process in chance.sample(processes, 4):
            time.sleep(chance.random() * 0.012)
            process.kill()
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert err == b""
            outputs.append(out)
        if round_ % 6 == 0:
            check(where, outputs)
    adds = check(where, outputs)
    assert len(adds) > 19 * 4
    assert (len(sealed(where)) > 20) == (rotate_bytes == 2000)


def test_what_a_kill_leaves_is_no_damage_to_readers(tmp_path: Path) -> None:
    """Readers beside writers that are killed: what they see is sound, before anybody has mended anything."""
    where, chance = tmp_path / "state", random.Random(3)
    writer.record(settings(where), {"event": "add_failed", "boot_id": "boot"})
    reader = Looking(where)
    reader.start()
    outputs = []
    try:
        for n in range(1, 13):
            process = start(where, n, 10_000, 2000)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.random() * 0.05)
            process.kill()
            outputs.append(process.communicate(timeout=60)[0])
    finally:
        reader.stop()
    assert reader.wrong == []
    assert reader.rounds > 2
    check(where, outputs)
