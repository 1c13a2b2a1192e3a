"""Reads tcpdump's lines and flow log records and gives an object for each packet and each record, for JSON."""

from __future__ import annotations

from typing import Any

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.desk.capture import flow_logs, tcpdump_text
from eni_ledger.desk.capture.attribution import attribute
from eni_ledger.desk.capture.flow_logs import FlowLogs
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.stamps import Stamps
from eni_ledger.desk.capture.timeline import Timeline
from eni_ledger.desk.capture.words import FIELDS, as_json

_MOST_LINES = 1000  # of one packet: a dump of the largest has more


class TextObjects:
    """Makes objects of lines in their order; what belongs to no packet is left out.

    A packet is complete when the next one begins, or when `finish` is called. `error` is as in `TextStream`.
    """

    def __init__(self, timeline: Timeline, stamps: Stamps) -> None:
        self._timeline, self._stamps = timeline, stamps
        self.flows = FlowLogs(timeline, stamps.fixed)
        self.error: EniLedgerError | None = None
        self._rest = b""
        self._packet: tuple[Packet, int, list[str]] | None = None  # with its time and its lines

    def feed(self, block: bytes) -> list[dict[str, Any]]:
        """Return the objects of what is complete with `block`; with an error, those before it."""
        objects: list[dict[str, Any]] = []
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        try:
            self._timeline.refresh()
            for line in lines:
                self._read(line, objects)
        except EniLedgerError as exc:
            self.error = exc
        return objects

    def finish(self) -> list[dict[str, Any]]:
        """Return the objects of what was kept: nothing more comes, or not for a while."""
        objects = self.feed(b"\n") if self._rest else []
        return objects + self._complete()

    def _read(self, line: bytes, objects: list[dict[str, Any]]) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        found = tcpdump_text.read(line)
        if found is not None:
            try:
                at = self._stamps.read(found.form, found.stamp)
            except (ValueError, OverflowError):
                return
            objects += self._complete()
            self._packet = (found.packet, at, [text])
        elif self._packet and line[:1].isspace():
            packet, at, lines = self._packet
            second = tcpdump_text.read_second(line)
            if second and len(lines) == 1:
                packet = packet._replace(source_ip=second.source_ip, target_ip=second.target_ip)
            self._packet = (packet, at, [*lines[: _MOST_LINES - 1], text])
        elif record := self.flows.read(text):
            objects += self._complete()
            if record[0]:
                objects.append(flow_logs.document(*record, FIELDS))

    def _complete(self) -> list[dict[str, Any]]:
        """Return the object of the packet that is complete now."""
        if self._packet is None:
            return []
        packet, at, lines = self._packet
        self._packet = None
        attribution = attribute(self._timeline, packet, at)
        return [{**as_json(packet, attribution, self._timeline, at), "text": "\n".join(lines)}]
