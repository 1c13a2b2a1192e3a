"""A host to play with: its clock, its boots, its crashes, a real ledger and the `Model` that it has to agree with.

Everything happens in this process. A crash is an exception that eni-ledger does not catch, at one of the calls that
change something on disk; a write may have got half way before it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from eni_ledger.base.errors import AmbiguousAttachment, EniLedgerError
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import batch, writer
from helpers import ledgers
from helpers.ledgers import ACTIVE, prove, settings
from ledger.torture.model import Model, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from eni_ledger.base.events import Association, Draft, Fields


START = 1_790_000_000_000_000
HOUR = 3_600_000_000
_CHANGING = ("write", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "mkdir")


class Crash(BaseException):
    """The process is gone."""


class World:
    """One host. `where` is its state directory, which is not there yet; `counts` is what happened on it."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.model = Model()
        self.clock = START
        self.boots = 1
        self.counts: Counter[str] = Counter()
        self.moments: set[int] = set()
        self.old_state: bytes | None = None
        self._ids = 0
        self._files: dict[int, str] = {}
        self._times: dict[int, int] = {}
        self._spooled = 0

    @property
    def boot(self) -> str:
        """The host's boot id."""
        return f"00000000-0000-4000-8000-{self.boots:012x}"

    # What may happen

    def tick(self, us: int) -> None:
        """Let time go by."""
        self.clock += us

    def step(self, us: int) -> None:
        """Set the clock forward or, with a negative `us`, back."""
        self.clock = max(self.clock + us, START // 2)
        self.counts["clock steps"] += 1

    def reboot(self) -> None:
        """Start the host anew; nobody tells the ledger."""
        self.boots += 1
        self.counts["reboots"] += 1

    def add(self, n: int, vlan: int, inode: int, *, trunk: int = 1, kind: str = "add", **how: Any) -> None:
        """ADD (or adopt) container `n`; others may have the VLAN, the namespace or the container ID already.

        `trunk` is how much is known of it: 0 nothing, 1 its MAC, from 2 on a link and protocol of its own.
        """
        event = self._attachment(n, vlan, inode, trunk=trunk) | {"event": kind}
        if kind == "add":
            self._call([event], lambda s: writer.record(s, self._about(event)), **how)
        else:
            self._found([event], **how)

    def delete(self, n: int, *, vlan: int = 0, inode: int = -1, **how: Any) -> None:
        """DEL container `n`, whether or not there is one; of a VLAN and with a namespace, if that is said."""
        event: Draft = {"event": "del", "container_id": f"c{n}", "ifname": "eth0"}
        event |= {"vlan_id": vlan} if vlan else {}
        event |= {"netns": f"/run/netns/{inode}"} if inode >= 0 else {}
        self._call([event], lambda s: writer.record(s, self._about(event)), **how)

    def gc(self, keep: set[int], **how: Any) -> None:
        """GC: all but `keep` have to go. Cannot wait in the spool."""
        ids = {f"c{n}" for n in keep}
        valid = {(each, "eth0") for each in ids}
        about = {"boot_id": self.boot}
        self._call(
            [{"event": "lost", "keep": ids}], lambda s: batch.record_gc(s, "net", valid, about), spools=False, **how
        )

    def identify(self, which: int, **how: Any) -> None:
        """Find out ENI and trunk of one that is live."""
        live = self.model.live()
        if live:
            span = live[which % len(live)]
            fields = {"eni_id": f"eni-{which:017x}", "trunk_mac": ledgers.TRUNK}
            self._found([{"event": "identify", "association_id": span.id, **fields}], **how)

    def lose(self, which: int, **how: Any) -> None:
        """Find one that is live to be gone."""
        live = self.model.live()
        if live:
            event = {"event": "lost", "reason": "verify", "association_id": live[which % len(live)].id}
            self._found([event], **how)

    def tear(self, data: bytes) -> None:
        """Leave `data` behind the last newline, as a power cut does."""
        if (self.where / ACTIVE).exists() and data:
            with (self.where / ACTIVE).open("ab") as file:
                file.write(data.replace(b"\n", b" "))
            self.model.torn = True
            self.counts["torn tails"] += 1

    def spoil_state(self, how: int) -> None:
        """Remove `state.json`, put an older one in its place, or damage it."""
        path = self.where / "state.json"
        if not path.exists():
            return
        data = path.read_bytes()
        if how == 0:
            path.unlink()
        elif how == 1 and self.old_state is not None:
            path.write_bytes(self.old_state)
        else:
            path.write_bytes(data[: len(data) // 2])
        self.old_state = data
        self.counts["state.json spoilt"] += 1

    # How it is done

    def _about(self, event: Draft) -> Draft:
        return {"boot_id": self.boot, "network": "net", **event}

    def _attachment(self, n: int, vlan: int, inode: int, *, trunk: int) -> Draft:
        self._ids += 1
        event: Draft = {"association_id": f"assoc-{self._ids:016x}0", "container_id": f"c{n}", "ifname": "eth0"}
        event |= {"vlan_id": vlan, "netns_inode": inode, "netns_dev": 4, "netns": f"/run/netns/{inode}"}
        event |= {"trunk_mac": ledgers.TRUNK} if trunk else {}
        if trunk > 1:
            event |= {"trunk_ifindex": trunk % 2 + 2, "trunk_netns_inode": 1}
            event["vlan_protocol"] = "802.1Q" if trunk < 4 else "802.1ad"
        return event

    def _found(self, events: list[Draft], **how: Any) -> None:
        about = {"boot_id": self.boot, "network": "net"}

        def choose(live: list[Association]) -> list[Draft]:
            ids = {each["association_id"] for each in live}
            return [each for each in events if each["event"] == "adopt" or each["association_id"] in ids]

        self._call(events, lambda s: batch.record_found(s, about, choose, tries=1), spools=False, **how)

    @contextmanager
    def _host(self) -> Iterator[None]:
        """Give the product this host's clock and chance."""
        clock = mock.Mock(wraps=time, time_ns=lambda: self.clock * 1000)

        def urandom(count: int) -> bytes:
            return (self._ids << 8 if count == 9 else self._spooled).to_bytes(count, "big")

        with mock.patch.object(line_format, "time", clock), mock.patch.object(os, "urandom", urandom):
            yield

    def _call(
        self,
        events: list[Draft],
        call: Callable[[Any], object],
        *,
        rotate: bool = False,
        locked: bool = False,
        crash: tuple[int, float] | None = None,
        fault: int | None = None,
        spools: bool = True,
    ) -> None:
        """Have the product do something, and the model; then they have to agree.

        `rotate` the segment is full; `locked` another process keeps the lock; `crash` at which changing call, and how
        much of a write is done by then; `fault` at which one the disk is full.
        """
        self.counts[events[0]["event"]] += 1
        self.moments.add(self.clock)
        if locked and self.model.events and not (self.where / ACTIVE).exists():
            return  # a crash between two renames, and then nobody can say how late it is by the ledger
        before, there = self.model, set(self._spool_names())
        made = settings(self.where, rotate_bytes=1 if rotate else 1 << 30, lock_wait_ms=0, sync=True)
        outcome, refusal = "done", "-"
        with self._host(), self._lock() if locked else ExitStack(), _broken(crash, fault) as broken:
            try:
                call(made)
            except Crash:
                outcome = "crashed"
            except AmbiguousAttachment:
                pass  # it ended none, which is what the model expects
            except EniLedgerError as exc:
                if not locked and fault is None:
                    raise
                outcome = "refused"
                refusal = str(exc)
        assert refusal
        self.counts[outcome if broken() or locked else "done"] += 1
        if locked:
            self._has_waited(events, there, outcome, spools=spools)
            return
        self._settle(before, events, rotate, outcome, faulty=fault is not None)
        if outcome == "done" and not broken():
            self.check_state()

    def _has_waited(self, events: list[Draft], there: set[str], outcome: str, *, spools: bool) -> None:
        new = [name for name in self._spool_names() if name not in there]
        assert len(new) <= (1 if spools else 0)
        assert outcome != "done" or len(new) == 1, "told of success, and it is not in the spool"
        for name in new:
            latest = max((int(each[:16]) for each in there), default=-1)
            self._spooled += 1
            event = {"boot_id": self.boot, **events[0]}
            waiting = self.model.wait(event, self.clock, latest, self._times.get(latest, -1))
            self._times[waiting.order] = waiting.occurred
            self._files[waiting.order] = name
            self.moments.add(waiting.occurred)
            self.counts["spooled"] += 1

    def _settle(self, before: Model, events: list[Draft], rotate: bool, outcome: str, *, faulty: bool) -> None:
        """Find out how much of what was predicted is there, which has to be all of it when success was told."""
        written = self._lines()
        predicted = before.predict(self.clock, self.boot, rotate, events)
        if faulty and rotate and outcome == "done" and len(written) != len(predicted.events):
            predicted = before.predict(self.clock, self.boot, False, events)
        if outcome == "done":
            _same(list(map(_plain, written)), list(map(_plain_model, predicted.events)), "told of success, but ")
            self.model = predicted
        else:
            new = predicted.events[len(before.events) : len(written)]
            assert len(before.events) <= len(written) <= len(predicted.events)
            if outcome == "refused":
                assert all(event["event"] == "checkpoint" for event in new), "an error, and it was recorded"
            for event in new:
                before.take(dict(event))
            done = {event["order"] for event in new if "order" in event}
            files = self._spool_names()
            before.spool = [one for one in before.spool if one.order not in done and self._files[one.order] in files]
            self.model = before
        self.model.torn = outcome == "crashed" or (outcome == "refused" and self.model.torn)
        active = self.where / ACTIVE
        self.model.in_segment = active.read_bytes().count(b"\n") if active.exists() else 0

    def _lines(self) -> list[Draft]:
        """Return what is on disk in whole lines."""
        found = []
        for path in ledgers.segments(self.where) if self.where.exists() else []:
            found += [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        return found

    def _spool_names(self) -> list[str]:
        spool = self.where / "spool"
        return sorted(p.name for p in spool.iterdir() if p.name[0] != ".") if spool.is_dir() else []

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.where.mkdir(0o750, exist_ok=True)
        fd = os.open(self.where / "lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    # What has to be true

    def check_state(self) -> None:
        """After a success `state.json` says what is live."""
        if (self.where / "state.json").exists():
            found = [one["association_id"] for one in ledgers.state_file(self.where)["associations"]]
            assert found == [span.id for span in self.model.live()]

    def check(self, chance: Random) -> None:
        """Hold everything that can be asked against the model."""
        if not (self.where / ACTIVE).exists():
            return  # nothing yet, or a crash between two renames: the next writer goes on
        if self.model.torn:
            self._untear()
        events = prove(self.where)
        _same([_plain(event) for event in events], [_plain_model(event) for event in self.model.events])
        report = fsck(str(self.where))
        assert report.sound, [str(damage) for damage in report.damage]
        assert report.events == len(events)
        history = History(str(self.where))
        assert list(history.events()) == events
        _same(_answers(history.live()), sorted(span.answer() for span in self.model.live()))
        _same(_answers(history.all()), sorted(span.answer() for span in self.model.spans))
        times = {number(event["ts"]) for event in events} | {s.since for s in self.model.spans} | self.moments
        for moment in chance.sample(sorted(times), min(4, len(times))):
            self._check_at(history, moment + chance.choice((-1, 0, 0, 1)))

    def _untear(self) -> None:
        """Look at the ledger without the torn tail, which fsck tells of."""
        path = self.where / ACTIVE
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            assert any("torn" in note for note in fsck(str(self.where)).notes)
            path.write_bytes(data[: data.rfind(b"\n") + 1])
        self.model.torn = False

    def _check_at(self, history: History, moment: int) -> None:
        expected = self.model.at(moment)
        found = history.at(text(moment))
        _same(_answers(found), sorted(span.answer() for span in expected), f"at {text(moment)}: ")
        for vlan in {span.fields["vlan_id"] for span in expected}:
            ids = sorted(one["association_id"] for one in history.who(f"vlan{vlan}", text(moment)))
            assert ids == sorted(span.id for span in expected if span.fields["vlan_id"] == vlan)
        self.counts["moments asked about"] += 1


def _same(found: list[Any], expected: list[Any], where: str = "") -> None:
    """Fail, and show only what is not in both."""
    if found != expected:
        more, less = [x for x in found if x not in expected], [x for x in expected if x not in found]
        raise AssertionError(f"{where}the product has {more or 'another order'}, the model {less}")


def _answers(found: Sequence[Fields]) -> list[tuple[Any, ...]]:
    keys = ("association_id", "since", "until", "ended_by", "add_seq", "end_seq", "eni_id")
    return sorted(tuple(one.get(key) for key in keys) for one in found)


def _plain(event: Draft) -> Draft:
    """Return of an event what the model knows too."""
    keys = ("seq", "event", "ts", "clock_step_us", "spooled_ts", "association_id", "reason")
    found = {key: event[key] for key in keys if key in event}
    if event["event"] == "boot":
        found["boot_id"] = event["boot_id"]
    return {**found, "supersedes": sorted(event.get("supersedes", ()))}


def _plain_model(event: Draft) -> Draft:
    found: Draft = {key: event[key] for key in ("seq", "event", "association_id", "reason") if key in event}
    found["ts"] = text(event["ts"])
    if "step" in event:
        found["clock_step_us"] = event["step"]
    if "spooled" in event:
        found["spooled_ts"] = text(event["spooled"])
    if event["event"] == "boot":
        found["boot_id"] = event["boot_id"]
    return {**found, "supersedes": sorted(event.get("supersedes", ()))}


@contextmanager
def _broken(crash: tuple[int, float] | None, fault: int | None) -> Iterator[Callable[[], bool]]:
    """Let the process be gone, or the disk full, at one of the calls that change something; tell if it came to that."""
    calls, happened = 0, False
    real = {name: getattr(os, name) for name in _CHANGING}
    at = crash[0] if crash else fault

    def replaced(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls, happened
            calls += 1
            if calls != at:
                return real[name](*args, **more)
            happened = True
            if not crash:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if name == "write":
                real[name](args[0], bytes(args[1])[: int(len(args[1]) * crash[1])])
            raise Crash

        return call

    with ExitStack() as stack:
        for name in real if at else ():
            stack.enter_context(mock.patch.object(os, name, replaced(name)))
        yield lambda: happened
