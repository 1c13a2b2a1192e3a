"""The power goes while events are recorded, on ext4 and XFS; what was acknowledged is there afterwards.

The lab's virtual machine records on a disk whose write cache is volatile (`helpers.nbd`). At a random write or flush
the machine is killed, and of its cache the disk loses what chance wants: all, some, single sectors, the earlier of two
writes. The next boot mounts the file system and hands the state directory out as it is; it is examined here, also
after a next writer here, while the machine goes on to write until the next cut.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from eni_ledger.ledger.check.fsck import fsck
from helpers import ledgers
from helpers.nbd import Server, VolatileDisk
from ledger.torture.power_guest import RETAIN_BYTES, ROTATE_BYTES
from ledger.torture.trial import Run, Trial, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eni_ledger.base.events import Draft


REPOSITORY = Path(__file__).parents[3]
GUEST = Path(__file__).with_name("power_guest.py")
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

FILE_SYSTEMS = {
    "ext4": (64 << 20, 4096, ["mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    "xfs": (320 << 20, 512, ["mkfs.xfs", "-q"]),
}
"""Size in bytes (XFS takes no less), what the drive writes whole, and the command that makes it.

XFS bears a drive that tears at 512 bytes. ext4 needs its blocks whole: with half of a commit block on the disk, Linux
6.1 refuses to load the journal ("journal transaction ... is corrupt") and to mount.
"""

MOMENTS = ("writes", "writes", "told", "spooled")
"""What is counted until the cut, each as likely as it is often here."""

LONGEST = 100
"""So many told events, and the cut comes at once: retention, which most rounds see, is not to reach them."""

MISSING = re.compile(r"events are missing: |events \d+ to \d+ are missing|the name says events \d+ to \d+, inside are ")
"""How fsck says that events are not there any more, and that nothing else is wrong."""

LIMIT_S = 1800
"""So long may a machine write until the cut, which takes ten seconds or so where it is alone on two processors."""

LAB_FAILED = 125
"""The exit status of `build/lab` when the machine did not come up, or ended by itself."""

NO_SYNC_EVERY = 5
"""Every fifth round there is a cut with `sync: false` too, on disks of their own."""


class Moment:
    """When the power goes: at a write or flush of so many, or at the first one after so many were told of.

    An event costs some ten writes and flushes, those of others counted. Often enough the cut has to come at once: while
    the first writer deals with what the one before left. And it has to come between success and whatever makes the disk
    keep later what it was to keep already, which is soonest for an event in the spool: nobody syncs after it.
    """

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._server = server
        self._told = 0
        self._of = chance.choice(MOMENTS)
        self._left = chance.randrange(1, {"writes": chance.choice((100, 2500)), "told": 40, "spooled": 3}[self._of])

    def begins(self) -> None:
        """Hear that the machine is about to write."""
        if self._of == "writes":
            self._server.cut_after(self._left)

    def tells(self, event: Draft) -> None:
        """Hear that success was told for `event`."""
        self._told += 1
        if self._of == "told" or (self._of == "spooled" and "spooled" in event):
            self._left -= 1
        if self._told == LONGEST or (self._of != "writes" and self._left == 0):
            self._server.cut_after(1)


@dataclass
class Boot:
    """What a boot gave: the state directory as it was `found`, and the events that it then told success for.

    `began` is whether the state directory was there to the last file; `noise` whatever else the machine said.
    """

    found: Path
    told: list[Draft] = field(default_factory=list)
    began: bool = False
    noise: str = ""

    def hear(self, console: IO[bytes], begins: Callable[[], None], tells: Callable[[Draft], None]) -> None:
        """Read the console to its end; call `begins` when the machine is about to write, `tells` at what it told."""
        for line in console:
            kind, _, rest = line.partition(b" ")
            if not line.endswith(b"\n"):
                break  # the power went within it: nobody was told
            if kind == b"file":
                name, size = rest.decode().split()
                (self.found / name).parent.mkdir(parents=True, exist_ok=True)
                (self.found / name).write_bytes(console.read(int(size)))
            elif kind == b"told":
                self.told.append(json.loads(rest))
                tells(self.told[-1])
            elif line == b"begin\n":
                self.began = True
                begins()
            else:
                self.noise += line.decode(errors="replace")


class Host:
    """A machine with a disk, cut off again and again, and what is known of the ledger on it.

    `promise` is one of those of `power_guest`.
    """

    def __init__(self, run: Run, fs: str, promise: str = "sync") -> None:
        self.name = fs if promise == "sync" else f"{fs} {promise}"
        self.run, self.fs, self.promise = run, fs, promise
        self.synced = promise == "sync"
        self.told: list[Draft] = []
        self.seen: dict[int, Draft] = {}
        self.image = run.where / f"{fs}-{promise}.img"
        size, self.atom, make = FILE_SYSTEMS[fs]
        with self.image.open("wb") as file:
            file.truncate(size)
        subprocess.run([*make, str(self.image)], check=True, env={**os.environ, "PATH": PATH})

    def round(self, directory: Path, chance: random.Random | None) -> None:
        """Boot, examine what the cut before left, and with `chance` write until the next one."""
        boot = self.boot(directory / "found", chance)
        if boot.began:
            self.examine(boot.found, directory / "after")
        self.told = boot.told
        self.count("acknowledged", len(boot.told))
        self.count("of them in the spool", sum("spooled" in event for event in boot.told))

    def boot(self, found: Path, chance: random.Random | None) -> Boot:
        """Run the machine until it is cut off, or with no `chance` until it has handed out the ledger.

        Raises Unfit when the machine does not come up, or ends by itself.
        """
        boot = Boot(found)
        found.mkdir(parents=True)
        disk, socket = VolatileDisk(self.image, self.atom), self.image.with_suffix(".disk")
        socket.unlink(missing_ok=True)
        # Only the cut ends the writing.
        arguments = ("/run/disk/state", chance.random() if chance else 0, 1_000_000 if chance else 0, self.promise)
        mount = f'mkdir /run/disk && mount -t {self.fs} /dev/vda /run/disk || exit 1; "$@"; umount /run/disk'
        guest = ["bash", "-c", mount, "-", sys.executable, "-I", "-S", GUEST, self.run.source, *arguments]
        lab = ["build/lab", "run", "--quiet", "--timeout", str(LIMIT_S), "--nbd", socket, "--", *guest]
        command = [str(each) for each in lab]
        complaints = found.with_name("complaints")
        with (
            Server(disk, socket) as server,
            complaints.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=REPOSITORY) as machine,
        ):
            assert machine.stdout is not None
            moment = Moment(server, chance) if chance else None
            boot.hear(machine.stdout, *((moment.begins, moment.tells) if moment else (lambda: None, lambda _: None)))
        said = complaints.read_text(errors="replace")
        if machine.returncode == LAB_FAILED and not server.was_cut:
            raise Unfit(f"{self.name}: the virtual machine failed: {said}")
        fine = boot.began and not boot.noise and server.was_cut == bool(chance)
        self.check(fine, f"it did not go as planned: {boot.noise}{said}")
        if chance:
            self.count("cuts")
            for fate, number in disk.cut(chance).items():
                self.count(f"writes {fate}", number)
        disk.close()
        return boot

    def examine(self, found: Path, after: Path) -> None:
        """Compare the state directory as `found`, and `after` the next writer, with the acknowledged events."""
        events = proven(found)
        active = found / ledgers.ACTIVE
        self.count("torn tails", active.exists() and not active.read_bytes().endswith(b"\n"))
        self.count("spool files found", len([*found.glob("spool/*.json")]))
        if events:
            self.sound(found, "as found")
        self.unchanged(events)
        self.seen = {event["seq"]: event for event in events}
        ledgers.copy(found, after)
        sizes = {"rotate_bytes": ROTATE_BYTES, "retain_bytes": RETAIN_BYTES}
        ledgers.record(after, ledgers.add_event(1), sync=self.synced, **sizes)
        self.sound(after, "after the next writer")
        if self.synced:
            try:
                ledgers.prove(after)
            except AssertionError as exc:
                self.check(fine=False, what=f"the specification is not kept: {exc}")
        events_after = proven(after)
        self.folded(found, after, events_after)
        lost = self.complete(events_after)
        if self.synced:
            self.check(not lost, f"{len(lost)} of {len(self.told)} that were told are lost, the first: {brief(lost)}")
        elif events:
            self.owned_up(found, events, events_after, lost)

    def sound(self, state_dir: Path, when: str) -> None:
        """Check that fsck reports no damage; without `sync`, none but that events are not there any more."""
        damage = [str(each) for each in fsck(str(state_dir)).damage]
        self.count(f"damage reported {when}", len(damage))
        bad = [each for each in damage if self.synced or not MISSING.match(each)]
        self.check(not bad, f"fsck {when}: {'; '.join(bad)}")

    def folded(self, found: Path, after: Path, events: list[Draft]) -> None:
        """Check that what waited in the spool is in the ledger, or without `sync` set aside, cut short."""
        aside = {path.name.removeprefix("spool-") for path in after.glob("quarantine/spool-*")}
        inside = {event.get("spool") for event in events}
        waiting = {path.name for path in found.glob("spool/*.json")}
        gone = sorted(waiting - inside - aside)
        self.check(not gone, f"neither folded in nor aside: {gone}")
        self.check(not (self.synced and aside), f"cut short in the spool: {sorted(aside)}")
        self.count("spool files cut short", len(waiting & aside))

    def owned_up(self, found: Path, events: list[Draft], events_after: list[Draft], lost: list[Draft]) -> None:
        """Check that what is lost without `sync` was at the end, and that one is told what can be known of it."""
        last = max(event["seq"] for event in events)
        early = [event for event in lost if event.get("seq", last + 1) <= last]
        self.check(not early, f"lost from the middle: {brief(early)}")
        known = last_known(found)
        damage = [str(each) for each in fsck(str(found)).damage]
        named = any(f"state.json knows of event {known}, the ledger ends with {last}" in each for each in damage)
        self.check(named or known <= last, f"state.json knows of event {known}, and fsck says: {damage}")
        self.count("lost and named as missing", sum(event.get("seq", known + 1) <= known for event in lost))
        boots = [event for event in events_after if event["event"] == "boot"]
        self.check(
            bool(boots) and boots[-1].get("sync") is False, f"the boot does not say that it is unsynced: {boots}"
        )

    def unchanged(self, events: list[Draft]) -> None:
        """Check that no seq is there twice, and that what an earlier boot saw is still the same, up to retention."""
        by_seq = {event["seq"]: event for event in events}
        self.check(len(by_seq) == len(events), "a seq is used twice")
        first = min(by_seq, default=1)
        wrong = [seq for seq, event in self.seen.items() if seq >= first and by_seq.get(seq) != event]
        self.check(not wrong, f"events are not what they were: {wrong}")

    def complete(self, events: list[Draft]) -> list[Draft]:
        """Check that what was told since the boot before is there as told, and once; return what is not there."""
        reached = self.told and events[0]["seq"] > 1 and events[0]["ts"] > self.told[0]["ts"]
        self.check(not reached, "the trial wrote so much that retention removed what it looks for")
        ours: dict[tuple[str, str], list[Draft]] = {}
        for event in events:
            if "container_id" in event:
                ours.setdefault((event["event"], event["container_id"]), []).append(event)
        twice = [key for key, same in ours.items() if len(same) > 1]
        self.check(not twice, f"recorded twice: {twice[:3]}")
        lost = []
        for told in self.told:
            same = ours.get((told["event"], told["container_id"]))
            if same is None:
                lost.append(told)
            else:
                self.check(is_as_told(told, same[0]), f"told was {told}, written is {same[0]}")
        self.count("lost", len(lost))
        return lost

    def count(self, what: str, number: int = 1) -> None:
        """Add to the table."""
        self.run.counts[f"{self.name}: {what}"] += number

    def check(self, fine: bool, what: str) -> None:
        """Note a failure unless `fine`."""
        self.run.check(fine, f"{self.name}: {what}")


def proven(state_dir: Path) -> list[Draft]:
    """Return the events of the lines whose CRC fits what the line before states, a torn tail and damage left out."""
    events: list[Draft] = []
    crc = 0
    for path in ledgers.segments(state_dir):
        for line in path.read_bytes().splitlines(keepends=True):
            body, _, trailer = line.rpartition(b',"crc":')
            if line.startswith(b'{"ts":') and b'"event":"checkpoint"' in line[:120] and not events:
                crc = int(json.loads(line)["prev_crc"], 16)
            if trailer == b'"%08x"}\n' % zlib.crc32(body, crc):
                events.append(json.loads(line))
            try:
                crc = int(trailer[1:9], 16)
            except ValueError:
                crc = 0
    return events


def last_known(state_dir: Path) -> int:
    """Return the seq of the last event that `state.json` knows of; 0 where the power cut took it, too."""
    try:
        return int(ledgers.state_file(state_dir)["seq"])
    except (OSError, ValueError):
        return 0


def brief(events: list[Draft]) -> Draft:
    """Return what tells the first of them from the others."""
    keys = ("ts", "seq", "event", "container_id", "spooled_because")
    return {key: event[key] for event in events[:1] for key in keys if key in event}


def is_as_told(told: Draft, written: Draft) -> bool:
    """Whether an event of the ledger is the one that success was told for."""
    written = {key: value for key, value in written.items() if key != "crc"}
    if "spooled" not in told:
        return written == told
    # Folded in later: it has a seq by then, the time of the writer that did so, and may be from the boot before.
    told = {key: value for key, value in told.items() if key not in ("spooled", "spooled_because")}
    written["ts"] = written.get("spooled_ts", written["ts"])
    written["boot_id"] = written.get("event_boot_id", written.get("boot_id"))
    return {key: written.get(key) for key in told} == told


def cut_off(run: Run, hosts: Sequence[Host], now_and_then: Sequence[Host] = ()) -> None:
    """Cut the power of `hosts` once a round, of the others every `NO_SYNC_EVERY` rounds; examine all in the end."""
    used = {host.name: host for host in hosts}
    with ThreadPoolExecutor(2) as pool:
        for number, chance, directory in run.each():
            cut = [*hosts, *(now_and_then if number % NO_SYNC_EVERY == 0 else ())]
            used |= {host.name: host for host in cut}
            chances = [random.Random(chance.random()) for _ in cut]
            list(pool.map(lambda host, own, where=directory: host.round(where / host.name, own), cut, chances))
        list(pool.map(lambda host: host.round(run.where / "end" / host.name, None), used.values()))


def run_trial(run: Run) -> None:
    """Cut the power on each file system, and now and then with `sync: false`."""
    run.where.mkdir(parents=True, exist_ok=True)
    cut_off(run, [Host(run, fs) for fs in FILE_SYSTEMS], [Host(run, fs, "no-sync") for fs in FILE_SYSTEMS])


def needs() -> str:
    """Return what is missing for it."""
    if platform.machine() != "x86_64":
        return "the lab's virtual machine is for x86-64 only"
    tools = ("qemu-system-x86_64", "cpio", "modprobe", "busybox", "mkfs.ext4", "mkfs.xfs")
    missing = [tool for tool in tools if not shutil.which(tool, path=PATH)]
    return f"{', '.join(missing)}: build/setup installs it" if missing else ""


TRIAL = Trial(
    "power-cut",
    "the power goes during ADDs, with a disk that loses its write cache: ext4, XFS",
    run_trial,
    50,
    2,
    needs,
)
