"""Annotates a stream of tcpdump's lines, and of flow log records, faster than tcpdump prints them.

A million lines take less time than tcpdump needs to print them: blocks of up to a MiB instead of lines, and for each
line two slices and a look into a dictionary. Its key is what stands between the time and the length, and from there to
the end of the addresses; what it gives holds for an interval of time, whose bounds are kept as stamps, to be compared
as bytes. Only a line whose key is new, or whose time is outside, is read with regular expressions.
"""

from __future__ import annotations

from collections.abc import Callable

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.desk.capture import flow_logs, tcpdump_text
from eni_ledger.desk.capture.attribution import attribute
from eni_ledger.desk.capture.flow_logs import FlowLogs
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.stamps import Stamps
from eni_ledger.desk.capture.timeline import Timeline
from eni_ledger.desk.capture.words import words

_MOST_KEYS = 100_000
_LONGEST_LINE = 1 << 20
_NO_PLACE = 1 << 30  # behind the end of every line: what is there is empty, and not in the cache


class TextStream:
    """Annotates lines in their order; `paint` decorates what is added.

    `error` is what ended it: lines whose time cannot be known, or a ledger that cannot be read.
    """

    def __init__(self, timeline: Timeline, stamps: Stamps, paint: Callable[[str], str] = str) -> None:
        self._timeline, self._stamps, self._paint = timeline, stamps, paint
        self.flows = FlowLogs(timeline, stamps.fixed)
        self.error: EniLedgerError | None = None
        self._rest = b""
        self._cache: dict[bytes, tuple[bytes, bytes, bytes]] = {}  # first stamp, stamp after the last, what is added
        self._changes = -1
        self._begin, self._end = 0, _NO_PLACE  # of the stamp in a line
        self._stamp = b""  # of the line before
        self._first_line: tuple[Packet, int, str] | None = None  # of a packet whose addresses come with the next line

    def feed(self, block: bytes) -> bytes:
        """Return the whole lines of what was kept and `block`, annotated; keep the rest.

        With an error, only those before the line that it is about.
        """
        try:
            self._timeline.refresh()
        except EniLedgerError as exc:
            self.error = exc
            return b""
        if self._changes != self._timeline.changes:
            self._forget()
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:  # no line of anything that is understood
            whole, self._rest = self._rest, b""
            return self._annotated(lines) + whole
        return self._annotated(lines)

    def finish(self) -> bytes:
        """Return what was kept: a last line without an end."""
        rest, self._rest = self._rest, b""
        return self._annotated([rest])[:-1] if rest else b""

    def _annotated(self, lines: list[bytes]) -> bytes:
        """Return lines with what is added to each, and their ends."""
        out: list[bytes] = []
        try:
            self._annotate(lines, out.append)
        except EniLedgerError as exc:
            self.error = exc
        return b"".join(out)

    def _annotate(self, lines: list[bytes], add: Callable[[bytes], None]) -> None:
        begin, end, last = self._begin, self._end, self._stamp
        known = self._cache.get
        for line in lines:
            stamp = line[begin:end]
            length = line.find(b", length ", end)
            link = line.find(b": ", length)
            entry = known(line[end:length] + line[link : line.find(b": ", link + 2)])
            if entry is not None and entry[0] <= last <= stamp < entry[1]:
                last = stamp
                add(line)
                add(entry[2])
            else:
                self._stamp = last
                behind = self._read(line)
                add(line)
                add(behind)
                begin, end, last = self._begin, self._end, self._stamp
        self._stamp = last

    def _read(self, line: bytes) -> bytes:
        """Return what stands behind a line, its end included."""
        found = tcpdump_text.read(line)
        if found is None:
            return self._another(line)
        try:
            at = self._stamps.read(found.form, found.stamp)
        except (ValueError, OverflowError):
            return b"\n"  # 25:61:00 is no time
        attribution = attribute(self._timeline, found.packet, at)
        if self._changes != self._timeline.changes:
            self._forget()
        text = words(attribution, self._timeline, at)
        behind = self._behind(text)
        self._stamp = found.stamp
        if found.goes_on:
            self._first_line = (found.packet, at, text)
            self._end = _NO_PLACE  # the next line is to be read, whatever it is like
            return behind
        self._first_line, self._begin, self._end = None, found.begin, found.end
        if len(self._cache) >= _MOST_KEYS:
            self._cache.clear()
        bounds = self._stamps.bounds(found.form, at, attribution.since, attribution.until)
        self._cache[_key(line, found.end)] = (*bounds, behind)
        return behind

    def _another(self, line: bytes) -> bytes:
        """Return the same for a line that is no packet's first: a packet's second, or a record of a flow log."""
        first, self._first_line = self._first_line, None
        if first:
            self._end = _NO_PLACE
            packet, at, text = first
            second = tcpdump_text.read_second(line)
            if second is None:
                return b"\n"
            whole = packet._replace(source_ip=second.source_ip, target_ip=second.target_ip)
            more = words(attribute(self._timeline, whole, at), self._timeline, at)
            return self._behind(more if more != text else "")
        found = self.flows.read(line.decode(errors="replace"))
        if found is None:
            return b"\n"
        record, associations = found
        added = flow_logs.added(associations) if record else " ".join(flow_logs.ADDED)
        return b" " + self._paint(added).encode() + b"\n"

    def _behind(self, text: str) -> bytes:
        return b"  " + self._paint(f"[{text}]").encode() + b"\n" if text else b"\n"

    def _forget(self) -> None:
        self._cache.clear()
        self._changes = self._timeline.changes


def _key(line: bytes, end: int) -> bytes:
    """Return what of a line decides whose it is, but for the time. `TextStream._annotate` has the same, inline."""
    length = line.find(b", length ", end)
    link = line.find(b": ", length)
    return line[end:length] + line[link : line.find(b": ", link + 2)]
