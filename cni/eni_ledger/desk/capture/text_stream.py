"""Annotates a stream of tcpdump's lines, and of flow log records, faster than tcpdump prints them.

A million lines take less time than tcpdump needs to print them: blocks of up to a MiB instead of lines, and for each
line one split, two slices and a look into a dictionary. Its key is what stands between the time and the length, and
from there to the end of the addresses; what it gives holds for an interval of time, whose bounds are kept as stamps, to
be compared as bytes. Only a line whose key is new, or whose time is outside, is read with regular expressions. Where
stamp and length stand is learned from the line that was read last.
"""

from __future__ import annotations

from collections.abc import Callable

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.desk.capture import flow_logs, tcpdump_text
from eni_ledger.desk.capture.alike import Alike
from eni_ledger.desk.capture.attribution import Attribution
from eni_ledger.desk.capture.flow_logs import FlowLogs
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.stamps import Stamps
from eni_ledger.desk.capture.tcpdump_text import Line
from eni_ledger.desk.capture.timeline import Timeline
from eni_ledger.desk.capture.words import words

_MOST_KEYS = 100_000
_LONGEST_LINE = 1 << 20
_LENGTH = b", length "
_NO_PLACE = 1 << 30  # behind the end of every line: what is there is empty, and not in the cache


class TextStream:
    """Annotates lines in their order; `paint` decorates what is added.

    `error` is what ended it: lines whose time cannot be known, or a ledger that cannot be read.
    """

    def __init__(self, timeline: Timeline, stamps: Stamps, paint: Callable[[str], str] = str) -> None:
        self._timeline, self._stamps, self._paint = timeline, stamps, paint
        self._alike = Alike(timeline, self._tell)
        self.flows = FlowLogs(timeline, stamps.fixed)
        self.error: EniLedgerError | None = None
        self._rest = b""
        self._cache: dict[bytes, tuple[bytes, bytes, bytes]] = {}  # first stamp, stamp after the last, what is added
        self._changes = -1
        self._begin, self._end = 0, _NO_PLACE  # of the stamp in a line
        self._link = _NO_PLACE  # where the packet's length stands
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
        begin, end, link, last = self._begin, self._end, self._link, self._stamp
        known = self._cache.get
        for line in lines:
            parts = line.split(b": ", 2)
            if len(parts) > 1:
                head = parts[0]
                stamp = head[begin:end]
                entry = known(head[end:link] + parts[1])
                if entry is not None and entry[0] <= last <= stamp < entry[1]:
                    last = stamp
                    add(line)
                    add(entry[2])
                    continue
            self._stamp = last
            behind = self._known(parts) or self._read(line)
            add(line)
            add(behind)
            begin, end, link, last = self._begin, self._end, self._link, self._stamp
        self._stamp = last

    def _known(self, parts: list[bytes]) -> bytes:
        """Return what stands behind a line whose length stands elsewhere than that of the line before, as far as known.

        A capture of untagged and of tagged packets has such lines in turns.
        """
        link = parts[0].rfind(_LENGTH, self._end) + len(_LENGTH)
        if len(parts) == 1 or link < len(_LENGTH) or link == self._link:
            return b""
        entry = self._cache.get(parts[0][self._end : link] + parts[1])
        stamp = parts[0][self._begin : self._end]
        if entry is None or not entry[0] <= self._stamp <= stamp < entry[1]:
            return b""
        self._stamp, self._link = stamp, link
        return entry[2]

    def _read(self, line: bytes) -> bytes:
        """Return what stands behind a line, its end included."""
        found = tcpdump_text.read(line)
        if found is None:
            return self._another(line)
        try:
            at = self._stamps.read(found.form, found.stamp)
        except (ValueError, OverflowError):
            return b"\n"  # 25:61:00 is no time
        since, until, (text, behind) = self._alike.find(found.packet, at)
        if self._changes != self._timeline.changes:
            self._forget()
        self._stamp = found.stamp
        if found.goes_on:
            self._first_line = (found.packet, at, text)
            self._end = _NO_PLACE  # the next line is to be read, whatever it is like
            return behind
        self._first_line, self._begin, self._end = None, found.begin, found.end
        self._keep(line.split(b": ", 2), found, self._stamps.bounds(found.form, at, since, until), behind)
        return behind

    def _keep(self, parts: list[bytes], found: Line, bounds: tuple[bytes, bytes], behind: bytes) -> None:
        """Keep what stands behind a line for those that have the same ends."""
        link = parts[0].rfind(_LENGTH, found.end) + len(_LENGTH)
        # Of IPv6 with -v the addresses come later: "(hlim 64, payload length: 32) A > B: ".
        if len(parts) == 1 or link < len(_LENGTH) or parts[1].count(b"(") != parts[1].count(b")"):
            return
        if len(self._cache) >= _MOST_KEYS:
            self._cache.clear()
        self._link = link
        self._cache[parts[0][found.end : link] + parts[1]] = (*bounds, behind)

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
            more, behind = self._alike.find(whole, at).told
            return behind if more != text else b"\n"
        found = self.flows.read(line.decode(errors="replace"))
        if found is None:
            return b"\n"
        record, associations = found
        added = flow_logs.added(associations) if record else " ".join(flow_logs.ADDED)
        return b" " + self._paint(added).encode() + b"\n"

    def _tell(self, attribution: Attribution, at: int) -> tuple[str, bytes]:
        """Return whose a packet is, and how that stands behind its line."""
        text = words(attribution, self._timeline, at)
        return text, b"  " + self._paint(f"[{text}]").encode() + b"\n" if text else b"\n"

    def _forget(self) -> None:
        self._cache.clear()
        self._changes = self._timeline.changes
