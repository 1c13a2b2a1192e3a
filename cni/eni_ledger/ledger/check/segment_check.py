"""Verify segments line by line, several at once on all processors.

Findings are plain data, because they come from another process as JSON.
"""

from __future__ import annotations

import os
import re
import selectors
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from eni_ledger.base.errors import FutureFormat, LedgerDamaged
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.line import VERSION
from eni_ledger.ledger.format.live import Live
from eni_ledger.ledger.read.snapshot import Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event

Findings = dict[str, Any]
Progress = Callable[[int, int], None]

_ALONE = 32 * 1024 * 1024
"""Bytes up to which a second process is not worth its start."""

_START = re.compile(
    rb'\{"ts":"([0-9TZ:.-]{27})","seq":([1-9][0-9]{0,18}),"v":%d,'
    rb'"event":"(add|del)","association_id":"(assoc-[0-9a-f]{17})"' % VERSION
)


def _quick(line: bytes) -> Any:
    """Return the keys of a line that fsck compares. Most lines, ordinary add and del events, are not parsed further."""
    start = _START.match(line)
    if start is None or b'"supersedes"' in line:
        return orjson.loads(line)
    ts, seq, event, association_id = start.groups()
    return {"ts": ts.decode(), "seq": int(seq), "event": event.decode(), "association_id": association_id.decode()}


def check_segment(part: Segment) -> Findings:
    """Return the content of a segment and its damage.

    `lines` proven; `first_seq`, `last_seq`, `ts`, `crc` and the number (`last_line`) of the first and last of them;
    `head`, its checkpoint, if that is sound; `live`, the IDs at its end; `damage`, each with `msg`, `line`, `offset`;
    `torn` bytes behind the last newline. `gone` when it is not there any more. Raises FutureFormat, OSError.
    """
    found: Findings = {"lines": 0, "first_seq": None, "last_seq": None, "last_line": 0, "ts": "", "crc": None}
    found |= {"head": None, "live": [], "damage": [], "torn": 0}
    broken: list[LedgerDamaged] = []
    live = Live()
    try:
        fd = part.open()
    except FileNotFoundError:
        return {"gone": True}
    try:
        for number, offset, event, crc in segment.walk(fd, part.name, part.size, damage=broken, loads=_quick):
            if broken:
                _broken(found, broken)
            live.apply(event)
            _check(found, event, live, number, offset)
            found["last_line"], found["crc"], found["ts"] = number, crc, event["ts"]
            found["last_seq"] = event["seq"]
            found["lines"] += 1
        _broken(found, broken)
        if not part.sealed:
            found["torn"] = max(os.fstat(fd).st_size - part.size, 0)
    finally:
        os.close(fd)
    found["live"] = _ids(live)
    return found


def _ids(live: Live) -> list[str]:
    return sorted(one["association_id"] for one in live)


def _damage(found: Findings, msg: str, line: int, offset: int) -> None:
    found["damage"].append({"msg": msg, "line": line, "offset": offset})


def _broken(found: Findings, broken: list[LedgerDamaged]) -> None:
    for one in broken:
        _damage(found, "the line is not what was written", one.line, one.offset)
    broken.clear()


def _check(found: Findings, event: Event, live: Live, number: int, offset: int) -> None:
    """Check the place of a line in the segment, which its CRC does not cover. `live` is what is live after it."""
    if found["first_seq"] is None:
        found["first_seq"] = event["seq"]
    if number == 1:
        if event["event"] == "checkpoint":
            found["head"] = {key: event.get(key) for key in ("ts", "seq", "prev_crc", "prev_segment", "damage")}
            found["head"]["live"] = _ids(live)
        else:
            _damage(found, "the segment does not begin with a checkpoint", 1, 0)
    elif event["seq"] != (found["last_seq"] or 0) + 1 and number == found["last_line"] + 1:
        _damage(found, f"seq {event['seq']} follows {found['last_seq']}", number, offset)
    if event["ts"] < found["ts"]:
        _damage(found, f"time {event['ts']} follows {found['ts']}", number, offset)


def examine_all(parts: list[Segment], progress: Progress | None = None) -> Iterator[Findings]:
    """Yield the findings of each segment, in order. Raises as `check_segment` does."""
    total, done = sum(part.size for part in parts), 0
    count = min(len(os.sched_getaffinity(0)), len(parts)) if total > _ALONE else 1
    workers = _Workers(parts, count) if count > 1 else None
    try:
        for number, part in enumerate(parts):
            yield (workers.result(number) if workers else None) or check_segment(part)
            done += part.size
            if progress:
                progress(done, total)
    finally:
        if workers:
            workers.close()


class _Workers:
    """Processes that each check every `count`-th segment and print its findings as a line of JSON."""

    def __init__(self, parts: list[Segment], count: int) -> None:
        self._results: dict[int, Findings] = {}
        self._selector = selectors.DefaultSelector()
        self._pids = []
        self._rest: dict[int, bytes] = {}
        for worker in range(count):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                self._work(parts, range(worker, len(parts), count), writing)
            os.close(writing)
            self._pids.append(pid)
            self._rest[reading] = b""
            self._selector.register(reading, selectors.EVENT_READ)

    @staticmethod
    def _work(parts: list[Segment], numbers: range, writing: int) -> None:
        """Check the segments and end the process; after an error the parent checks the segment again."""
        try:
            with os.fdopen(writing, "wb") as pipe:
                for number in numbers:
                    pipe.write(orjson.dumps([number, check_segment(parts[number])]) + b"\n")
                    pipe.flush()
        except (FutureFormat, OSError, ValueError, KeyError, TypeError):
            pass
        finally:
            os._exit(0)

    def result(self, number: int) -> Findings | None:
        """Return the findings of a segment, None if its worker failed."""
        while number not in self._results and self._selector.get_map():
            for key, _ in self._selector.select():
                fd = key.fd
                chunk = os.read(fd, 1 << 20)
                if not chunk:
                    self._selector.unregister(fd)
                    os.close(fd)
                *lines, self._rest[fd] = (self._rest[fd] + chunk).split(b"\n")
                self._results.update(orjson.loads(line) for line in lines)
        return self._results.pop(number, None)

    def close(self) -> None:
        """End the processes."""
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)  # a worker that still writes gets an error and ends
        self._selector.close()
        for pid in self._pids:
            os.waitpid(pid, 0)
