"""What a writer can find and do: each way through `WriteSession` that changes the disk, and its start."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.line import now_us
from eni_ledger.ledger.write import spool
from helpers.ledgers import ACTIVE, BOOT, OTHER_BOOT, add_event, del_event, plain, record, segments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

ACTED = 50
"""The number of the attachment that a scenario adds; 1 to 9 are there before, in the ledger or in the spool."""


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes the state directory, `do` is asked of a writer with the settings `over` (see `faulty.py`).

    `retains`: whole sealed segments may go, oldest first.
    """

    name: str
    prepare: Callable[[Path], object]
    do: list[Any]
    over: dict[str, Any] = field(default_factory=dict)
    retains: bool = False


def nothing(where: Path) -> None:
    """No directory, no ledger."""


def ledger(where: Path) -> None:
    """Three live associations and an ended one, in one segment."""
    for n in (1, 2, 3, 4):
        record(where, add_event(n))
    record(where, del_event(2))


def rotated(where: Path) -> None:
    """Four segments."""
    ledger(where)
    for n in (5, 6, 7):
        record(where, add_event(n), rotate_bytes=1)


def _active(where: Path, change: Callable[[bytes], bytes]) -> None:
    path = where / ACTIVE
    path.write_bytes(change(path.read_bytes()))


def torn(where: Path) -> None:
    """Half a line at the end."""
    ledger(where)
    _active(where, lambda data: data + data.splitlines()[1][:100])


def torn_alone(where: Path) -> None:
    """A segment with nothing but half a line in it, behind a sealed one."""
    rotated(where)
    record(where, add_event(8), rotate_bytes=1)
    (where / "state.json").unlink()
    record(where, del_event(8))
    path = where / ACTIVE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines)[:50])
    (where / "state.json").unlink()


def _flip(where: Path, line: int) -> None:
    def change(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        lines[line] = lines[line].replace(b'"v":1', b'"v":0')
        return b"".join(lines)

    _active(where, change)


def damaged_at_the_end(where: Path) -> None:
    """The last line is not what was written."""
    ledger(where)
    _flip(where, -1)


def damaged_inside(where: Path) -> None:
    """A line in the middle is not what was written, and without state.json a writer sees it."""
    rotated(where)
    record(where, add_event(8))
    record(where, add_event(9))
    _flip(where, 1)
    (where / "state.json").unlink()


def cut(where: Path) -> None:
    """The last lines are gone: state.json knows of more events."""
    ledger(where)
    _active(where, lambda data: b"".join(data.splitlines(keepends=True)[:-2]))


def between_renames(where: Path) -> None:
    """What a crash in the middle of a rotation leaves: no active segment."""
    rotated(where)
    (where / ".next").write_bytes((where / ACTIVE).read_bytes())
    (where / ACTIVE).unlink()
    (where / "state.json").unlink()


def taken_away(where: Path) -> None:
    """The active segment is gone, state.json is not."""
    rotated(where)
    (where / ACTIVE).unlink()


def without_state(where: Path) -> None:
    """state.json is garbage."""
    rotated(where)
    (where / "state.json").write_bytes(b"{}\n")


def put(where: Path, event: Draft, *, age_s: int = 0) -> str:
    """Put an event into the spool; return the name of its file."""
    before = set(waiting(where))
    dir_fd = open_state_dir(str(where))
    try:
        spool.put(dir_fd, event, now_us() - age_s * 1_000_000, sync=False)
    finally:
        os.close(dir_fd)
    return next(iter(set(waiting(where)) - before))


def spooled(where: Path) -> None:
    """Three events wait: an add, the del of an add that is in the ledger, another add."""
    ledger(where)
    put(where, {**add_event(5), "association_id": f"assoc-{5:017x}"})
    put(where, del_event(1))
    put(where, {**add_event(6), "association_id": f"assoc-{6:017x}"})


def spooled_and_cut(where: Path) -> None:
    """One spool file is not whole."""
    spooled(where)
    path = where / "spool" / waiting(where)[0]
    path.write_bytes(path.read_bytes()[:-30])


def folded(where: Path) -> None:
    """Spool files whose events are in the ledger already: their writer was killed before it could remove them."""
    spooled(where)
    files = {path.name: path.read_bytes() for path in (where / "spool").iterdir()}
    record(where, add_event(7))
    for name, data in files.items():
        (where / "spool" / name).write_bytes(data)


def from_before_a_boot(where: Path) -> None:
    """An event of the boot before waits, in a ledger that has seen the next one."""
    ledger(where)
    put(where, {**add_event(5), "association_id": f"assoc-{5:017x}"}, age_s=60)
    name = waiting(where)[0]
    held = (where / "spool" / name).rename(where.parent / name)
    record(where, add_event(6, boot_id=OTHER_BOOT))
    held.rename(where / "spool" / name)


ACT = ["record", add_event(ACTED)]

SCENARIOS = (
    Scenario("the first event", nothing, ACT),
    Scenario("add", ledger, ACT),
    Scenario("add that supersedes", ledger, ["record", add_event(ACTED, vlan_id=add_event(3)["vlan_id"])]),
    Scenario("del", ledger, ["record", del_event(3)]),
    Scenario("gc of three", ledger, ["gc", "ecs-trunk", {"boot_id": BOOT}]),
    Scenario("boot", ledger, ["record", add_event(ACTED, boot_id=OTHER_BOOT)]),
    Scenario("rotation", ledger, ACT, {"rotate_bytes": 1}),
    Scenario("retention", rotated, ACT, {"rotate_bytes": 1, "retain_bytes": 1}, retains=True),
    Scenario("torn tail", torn, ACT),
    Scenario("torn tail and rotation", torn, ACT, {"rotate_bytes": 1}),
    Scenario("torn tail alone", torn_alone, ACT),
    Scenario("damaged end", damaged_at_the_end, ACT),
    Scenario("damage inside", damaged_inside, ACT),
    Scenario("lines cut off", cut, ACT),
    Scenario("no active segment", between_renames, ACT),
    Scenario("active segment taken away", taken_away, ACT),
    Scenario("state.json unusable", without_state, ACT),
    Scenario("spooling", ledger, ["spool", add_event(ACTED)]),
    Scenario("fold of three", spooled, ACT),
    Scenario("fold and rotation", spooled, ACT, {"rotate_bytes": 1}),
    Scenario("fold of a cut file", spooled_and_cut, ACT),
    Scenario("fold of what is folded", folded, ACT),
    Scenario("fold from before a boot", from_before_a_boot, ["record", add_event(ACTED, boot_id=OTHER_BOOT)]),
    *(
        Scenario(f"repair of {name}", prepare, ["repair", {"boot_id": BOOT}])
        for name, prepare in (
            ("a torn tail", torn),
            ("a damaged end", damaged_at_the_end),
            ("damage inside", damaged_inside),
            ("lines cut off", cut),
            ("no active segment", between_renames),
            ("an active segment taken away", taken_away),
            ("an unusable state.json", without_state),
            ("a spool", spooled),
        )
    ),
    Scenario("prune", rotated, ["prune"]),
    Scenario("prune with retention", rotated, ["prune"], {"retain_bytes": 2_000}, retains=True),
)


def waiting(where: Path) -> list[str]:
    """Return the names of the spool files."""
    return sorted(path.name for path in (where / "spool").glob("[!.]*.json")) if (where / "spool").exists() else []


@dataclass
class Before:
    """What a state directory had: segments with their complete lines, torn bytes, spooled events, damage."""

    segments: list[list[bytes]]
    torn: bytes
    spooled: list[Draft]
    quarantine: list[bytes]
    damage: int

    @classmethod
    def of(cls, where: Path) -> Before:
        """Look at a state directory, or at none."""
        if not where.exists():
            return cls([], b"", [], [], 0)
        pieces = [plain(path).splitlines(keepends=True) for path in segments(where)]
        whole = [[line for line in lines if line.endswith(b"\n")] for lines in pieces]
        last = pieces[-1][-1] if (where / ACTIVE).exists() and pieces[-1] else b"\n"
        events = []
        for name in waiting(where):
            try:
                events.append(json.loads((where / "spool" / name).read_bytes()))
            except ValueError:
                continue
        aside = [path.read_bytes() for path in (where / "quarantine").glob("[!.]*")]
        found = len(fsck(str(where)).damage) if segments(where) else 0
        return cls(whole, b"" if last.endswith(b"\n") else last, events, aside, found)

    def lost(self, now: Before, *, retains: bool = False, settled: bool = False) -> list[str]:
        """Return a phrase for everything that was there before and is not there now, or was not there before.

        `settled`: a writer has been there and mended what there was to mend.
        """
        wrong = []
        lines = [line for segment in now.segments for line in segment]
        had = self.segments
        if retains:  # whole segments, the oldest
            while had and not set(had[0]) & set(lines):
                had = had[1:]
        gone = [line for segment in had for line in segment if line not in lines]
        if gone:
            wrong.append(f"{len(gone)} lines are gone, the first: {gone[0]!r:.200}")
        aside = [self.torn, *self.quarantine] if self.torn != now.torn else self.quarantine
        wrong += [f"{data!r:.60} is not in the quarantine" for data in aside if data and data not in now.quarantine]
        events = [json.loads(line) for line in lines if b'"event":"checkpoint"' not in line and _is_json(line)]
        for event in self.spooled:
            key = (event["event"], event["container_id"])
            there = sum((each["event"], each.get("container_id", "")) == key for each in events)
            waits = sum(1 for each in now.spooled if each == event)
            if there + waits == 0 or there > 1:
                wrong.append(f"spooled {key} is {there} times in the ledger and waits {waits} times")
        # Until the next writer has been there, fsck may count what a half done sealing left as one place more.
        if now.damage != self.damage and (settled or not (now.damage and self.damage)):
            wrong.append(f"{self.damage} damaged places became {now.damage}")
        return wrong


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
