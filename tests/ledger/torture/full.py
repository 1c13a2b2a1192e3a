"""A file system of our own, small, that has so many pages or so many inodes left, or is read-only."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.torture.faults import Server, again
from ledger.torture.scenarios import SCENARIOS, Before, Scenario
from ledger.torture.trial import Run
from ledger.torture.verdict import after_a_fault, counted

PAGE = os.sysconf("SC_PAGE_SIZE")
MOST_PAGES, MOST_INODES = 14, 6
"""With more than these left, no scenario lacks anything."""

_MOUNT = 'mount -t tmpfs -o size=4M,nr_inodes=400,mode=0755 tmpfs "$1"\nshift\nexec "$@"'


class Disk:
    """The file system, and the server of writers that has it mounted at `inside`; we see it at `path`."""

    def __init__(self, source: Path, at: Path) -> None:
        at.mkdir()
        self.inside = at
        self.writers = Server(
            source, ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _MOUNT, "sh", str(at))
        )
        self.writers.ready()
        self.path = Path(f"/proc/{self.writers.pid}/root{at}")

    def fill(self, left: dict[str, int]) -> None:
        """Leave no more than so many `pages` or `inodes`, or make it `read-only`."""
        room = os.statvfs(self.path)
        if "pages" in left:
            fd = os.open(self.path / "filler", os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(fd, 0, max(1, room.f_bavail - left["pages"]) * PAGE)
            finally:
                os.close(fd)
        elif "inodes" in left:
            (self.path / "filler").mkdir()
            for n in range(room.f_ffree - 1 - left["inodes"]):
                (self.path / "filler" / str(n)).touch()
        else:
            gc.collect()  # a reader may hold files open that are removed; with such there is no read-only mount
            self._remount("ro")

    def drain(self) -> None:
        """Give all the room back."""
        self._remount("rw")
        filler = self.path / "filler"
        if filler.is_dir():
            for path in filler.iterdir():
                path.unlink()
            filler.rmdir()
        filler.unlink(missing_ok=True)

    def _remount(self, how: str) -> None:
        if how == "ro" or os.statvfs(self.path).f_flag & os.ST_RDONLY:
            command = ("nsenter", f"--mount=/proc/{self.writers.pid}/ns/mnt", "mount", "-o", f"remount,{how}")
            subprocess.run([*command, str(self.inside)], check=True)


@contextlib.contextmanager
def disk(source: Path, at: Path) -> Iterator[Disk]:
    """Yield a Disk; it ends with its server."""
    made = Disk(source, at)
    try:
        yield made
    finally:
        made.writers.close()
        at.rmdir()


def _longer(do: list[Any], chance: random.Random) -> list[Any]:
    """Make an event longer by up to two pages and a bit: then a part of it may still have room."""
    kind, *given = do
    if kind not in ("record", "spool") or given[0]["event"] != "add" or chance.random() < 0.3:
        return do
    return [kind, {**given[0], "task_family": "x" * chance.randrange(1, 10_000)}]


def everything(run: Run, directory: Path, chance: random.Random, share: int) -> None:
    """Do every scenario with `share` different amounts of room left, and on a read-only file system."""
    lefts = [{"pages": n} for n in range(MOST_PAGES)] + [{"inodes": n} for n in range(MOST_INODES)]
    with disk(run.source, directory / "disk") as small:
        for scenario in SCENARIOS:
            template = directory / f"{scenario.name} to be filled"
            scenario.prepare(template)
            before = Before.of(template)
            for left in [*chance.sample(lefts, share), {"read-only": 1}]:
                if not _one(run, small, scenario, template, before, left, chance):
                    break


def _one(
    run: Run,
    small: Disk,
    scenario: Scenario,
    template: Path,
    before: Before,
    left: dict[str, int],
    chance: random.Random,
) -> bool:
    where, do = again(template, small.path / "state"), _longer(scenario.do, chance)
    small.fill(left)
    answer = small.writers.ask(do, small.inside / "state", **scenario.over)
    small.drain()
    run.counts["of a real read-only file system" if "read-only" in left else "of a real full one"] += 1
    run.counts.update(counted(answer))
    if "read-only" in left and "said" in answer:
        return run.check(fine=False, what=f"{scenario.name}: recorded on a read-only file system: {answer}")
    wrong = after_a_fault(small.writers, scenario, where, before, answer, inside=small.inside / "state")
    return run.check(not wrong, f"{scenario.name}, {left} left, {str(do)[:100]}: {'; '.join(wrong)}")
