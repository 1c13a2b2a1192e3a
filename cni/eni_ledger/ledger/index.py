"""The index of a packed segment: which of its members name what. `ledger-<first>-<last>.index`, made by `prune`.

It is derived: without it, or with one that is not what was written, a reader goes through the whole segment.

Three parts. A short line of JSON: `v`; `segment` and `size`, name and bytes of the packed file; `begins`, `ends`, the
times of its first and last event; `before`, `crc`, the CRC that it is chained to and that of its last line; `has`, the
`MARKS` that occur in it; `tables`, the bytes of the second part; `sum`, CRC-32 of what stands before it. A line of JSON
with the tables: `members`, for each its place, its length and the time of its first event; for each of `has` the
members in which it is; `pages`, for each page its first key and its CRC-32; `sum`. Then the pages: each `PAGE` keys of
8 bytes, ascending over all pages, then the number of a member, 2 bytes, for each key; little-endian.

A key is what an event can be found by (`keys_of`): of names, which are also looked for by their beginning, the first
eight bytes; of everything else its CRC-32, which as a number is below all names. An `identify` has a second key for
each, since it is looked for apart: it may be far from the add.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from array import array
from binascii import crc32
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from eni_ledger.errors import StateDirError
from eni_ledger.ledger import segment
from eni_ledger.ledger.reader import Segment
from eni_ledger.ledger.statedir import open_file

Event = dict[str, Any]
Range = tuple[int, int]

VERSION = 1
PAGE = 512

MARKS = ("boot", "import", "identify", "late", "spooled", "step", "damage")
"""Kinds of events that matter to questions that do not name them: `marks_of` says which is which."""

_FIRST_LOOK = 4096
_ENTRY = 10


def exact(kind: str, value: object) -> Range:
    """Return the range with the one key of a value that is looked for as a whole; `kind` tells equal ones apart."""
    key = crc32(f"{kind}:{value}".encode("utf-8", "replace"))
    return key, key


def name(text: str) -> Range:
    """Return the range of the keys of all names that begin with `text`."""
    start = text.encode("utf-8", "replace")[:8]
    return int.from_bytes(start.ljust(8, b"\0"), "big"), int.from_bytes(start.ljust(8, b"\xff"), "big")


def association(association_id: str) -> Range:
    """Return the range of the keys of associations whose ID begins with this."""
    return name(association_id.removeprefix("assoc-"))


def address(text: str) -> Range:
    """Return the range with the key of an IP address, however it is written."""
    plain = text.partition("/")[0]
    if ":" in plain:  # IPv4 has one way to be written
        try:
            plain = str(ipaddress.ip_interface(text).ip)
        except ValueError:
            pass
    return exact("ip", plain)


def netns_path(path: str) -> str:
    """Return a path of a namespace as it is compared: /var/run is /run."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def keys_of(event: Event) -> Iterator[int]:
    """Yield the keys that an event can be found by.

    All that an association has is in the keys of its add. What comes later is found by its ID, and so is an add by the
    IDs of those that it superseded.
    """
    if event["event"] in ("add", "adopt", "identify"):
        yield from _keys_of_fields(event)
    for one in (event.get("association_id"), *(event.get("supersedes") or ())):
        if one:
            yield association(str(one))[0]


def _keys_of_fields(event: Event) -> Iterator[int]:
    macs = {str(event[field]).lower() for field in ("branch_mac", "observed_mac", "trunk_mac") if event.get(field)}
    for mac in macs:
        yield exact("mac", mac)[0]
    for field in ("eni_id", "trunk_eni_id"):
        if event.get(field):
            yield exact("eni", event[field])[0]
    for field in ("vlan_id", "netns_inode"):
        if event.get(field) is not None:
            yield exact("number", event[field])[0]
    if event.get("netns"):
        yield exact("path", netns_path(str(event["netns"])))[0]
    if event.get("task_arn"):
        yield name(task_id(str(event["task_arn"])))[0]
    if event.get("container_id"):
        yield name(str(event["container_id"]))[0]
    for text in event.get("addresses") or ():
        yield address(str(text))[0]


def task_id(arn: str) -> str:
    """Return the ID at the end of a task's ARN."""
    return arn.rpartition("/")[2]


def ranges_of(association: Event) -> Iterator[Range]:
    """Yield the ranges that find whatever has the MAC, the VLAN ID or the container of an association."""
    if association.get("branch_mac"):
        yield exact("mac", str(association["branch_mac"]).lower())
    if association.get("vlan_id") is not None:
        yield exact("number", association["vlan_id"])
    if association.get("container_id"):
        yield name(str(association["container_id"]))


def identified(ranges: Iterable[Range]) -> Iterator[Range]:
    """Yield the ranges that find no more than the `identify` events with what `ranges` would find."""
    for low, _ in ranges:
        yield exact("identify", low)


def marks_of(event: Event) -> Iterator[str]:
    """Yield those of `MARKS` that an event has."""
    kind = event["event"]
    if kind in ("boot", "import", "identify"):
        yield kind
    if kind == "identify" and event.get("late"):
        yield "late"
    if event.get("spooled_ts"):
        yield "spooled"
    if event.get("clock_step_us"):
        yield "step"
    if kind == "checkpoint" and event.get("damage"):
        yield "damage"


class Builder:
    """Collects what the index of a packed segment has to say while the segment is written."""

    def __init__(self) -> None:
        self._entries: set[tuple[int, int]] = set()
        self._members: list[tuple[int, int, str]] = []
        self._marked: dict[str, list[int]] = {}
        self._begins = self._ends = ""
        self._before = self._crc = 0

    def event(self, event: Event, crc: int) -> None:
        """Take one event of the member that `member` will be told of next, and the CRC of its line."""
        number = len(self._members)
        if not self._begins:
            self._begins, self._before = event["ts"], int(event["prev_crc"], 16)
        self._ends, self._crc = event["ts"], crc
        if event["event"] != "checkpoint":  # whoever looks into a segment reads its checkpoint in any case
            self._entries.update((key, number) for key in keys_of(event))
        if event["event"] == "identify":
            keys = [(key, key) for key in keys_of(event)]
            self._entries.update((key, number) for key, _ in identified(keys))
        for mark in marks_of(event):
            if number not in self._marked.setdefault(mark, [])[-1:]:
                self._marked[mark].append(number)

    def member(self, at: int, length: int, begins: str) -> None:
        """Take note that the events so far are in the member of `length` bytes at `at`.

        Raises ValueError for more of them than 16 bits count: that is a segment of 8 GiB.
        """
        if len(self._members) > 0xFFFF:
            raise ValueError("the segment is too large for an index")
        self._members.append((at, length, begins))

    def encode(self, segment_name: str, size: int) -> bytes:
        """Return the bytes of the index of the packed segment, which has `size` bytes."""
        entries = sorted(self._entries)
        pages, directory = [], []
        for start in range(0, len(entries), PAGE):
            part = entries[start : start + PAGE]
            keys, numbers = array("Q", [key for key, _ in part]), array("H", [number for _, number in part])
            if sys.byteorder == "big":
                keys.byteswap()
                numbers.byteswap()
            pages.append(keys.tobytes() + numbers.tobytes())
            directory.append((part[0][0], crc32(pages[-1])))
        tables = _summed({"members": self._members, **self._marked, "entries": len(entries), "pages": directory})
        summary = _summed(
            {
                "v": VERSION,
                "segment": segment_name,
                "size": size,
                "begins": self._begins,
                "ends": self._ends,
                "before": self._before,
                "crc": self._crc,
                "has": sorted(self._marked),
                "tables": len(tables),
            }
        )
        return summary + tables + b"".join(pages)


def _summed(document: dict[str, Any]) -> bytes:
    """Return the line of a document, with the CRC-32 of what is before it as `sum`."""
    body = orjson.dumps(document)[:-1]
    return b'%b,"sum":"%08x"}\n' % (body, crc32(body))


def _checked(line: bytes) -> dict[str, Any]:
    """Return the document of a line made by `_summed`. Raises ValueError."""
    body, mark, stated = line.rpartition(b',"sum":"')
    if not mark or stated != b'%08x"}\n' % crc32(body):
        raise ValueError("the index is not what was written")
    found = orjson.loads(body + b"}")
    if not isinstance(found, dict) or found.get("v", VERSION) != VERSION:
        raise ValueError("the index is of another version")
    return found


class Index:
    """The index at `fd`, which it closes in the end.

    Raises ValueError when it is not what was written, also later, when more of it is read; OSError.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._tables: dict[str, Any] | None = None
        self._pages: dict[int, tuple[array[int], array[int]]] = {}
        start = os.pread(fd, _FIRST_LOOK, 0)
        self._length = start.find(b"\n") + 1
        summary = _checked(start[: self._length])
        self.segment: str = summary["segment"]
        self.size: int = summary["size"]
        self.begins: str = summary["begins"]
        self.ends: str = summary["ends"]
        self.before: int = summary["before"]
        self.crc: int = summary["crc"]
        self.has: frozenset[str] = frozenset(summary["has"])
        self._tables_length: int = summary["tables"]

    def __del__(self) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file. It may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _table(self) -> dict[str, Any]:
        if self._tables is None:
            self._tables = _checked(os.pread(self._fd, self._tables_length, self._length))
            self._firsts = [first for first, _ in self._tables["pages"]]
        return self._tables

    def whole(self) -> bool:
        """Tell whether all of it is what was written. Raises OSError."""
        try:
            table = self._table()
            pages = [self._page(number, table) for number in range(len(self._firsts))]
        except (ValueError, KeyError, IndexError, TypeError):
            return False
        entries: int = table["entries"]
        ends_at = self._length + self._tables_length + entries * _ENTRY
        return sum(len(keys) for keys, _ in pages) == entries and os.fstat(self._fd).st_size == ends_at

    def members(self) -> list[tuple[int, int, str]]:
        """Return for each member of the packed segment its place, its length and the time of its first event."""
        return self._table()["members"]  # type: ignore[no-any-return]  # as `Builder` wrote it, its sum proves

    def marked(self, mark: str) -> list[int]:
        """Return the numbers of the members with an event of one of `MARKS`."""
        return self._table().get(mark, [])  # type: ignore[no-any-return]  # the same

    def find(self, ranges: Iterable[Range]) -> set[int]:
        """Return the numbers of the members with a key in one of `ranges`."""
        found: set[int] = set()
        for low, high in ranges:
            self._find(low, high, found)
        return found

    def _find(self, low: int, high: int, found: set[int]) -> None:
        table = self._table()
        for number in range(max(bisect_left(self._firsts, low) - 1, 0), bisect_right(self._firsts, high)):
            if number not in self._pages:
                self._pages[number] = self._page(number, table)
            keys, members = self._pages[number]
            found.update(members[bisect_left(keys, low) : bisect_right(keys, high)])

    def _page(self, number: int, table: dict[str, Any]) -> tuple[array[int], array[int]]:
        count = min(PAGE, table["entries"] - number * PAGE)
        at = self._length + self._tables_length + number * PAGE * _ENTRY
        raw = os.pread(self._fd, count * _ENTRY, at)
        if crc32(raw) != table["pages"][number][1]:
            raise ValueError("the index is not what was written")
        keys, members = array("Q", raw[: count * 8]), array("H", raw[count * 8 :])
        if sys.byteorder == "big":
            keys.byteswap()
            members.byteswap()
        return keys, members


def open_index(dir_fd: int, file_name: str, segment_name: str) -> Index | None:
    """Return the index `file_name` of the packed segment, None when there is none that fits. Raises OSError."""
    try:
        found = Index(open_file(dir_fd, file_name, os.O_RDONLY))
        packed_size = os.stat(segment_name, dir_fd=dir_fd, follow_symlinks=False).st_size
    except (FileNotFoundError, StateDirError, ValueError, KeyError, TypeError):
        return None
    if (found.segment, found.size) != (segment_name, packed_size):
        found.close()
        return None
    return found


def of(part: Segment) -> Index | None:
    """Return the index of a segment, None when there is none that can be used. Raises OSError."""
    if "index" not in part.known:
        _, _, file_name = segment.forms(part.name)
        part.known["index"] = open_index(part.dir_fd, file_name, part.name) if part.packed else None
    return part.known["index"]  # type: ignore[no-any-return]  # as it was put there


def distrust(part: Segment) -> None:
    """Take the index of a segment for one that is not there: it has been found not to be what was written."""
    part.known["index"] = None
