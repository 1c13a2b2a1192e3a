"""Annotates captured packets: into a pcapng file with comments and names, as lines, or as JSON."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from eni_ledger.base.errors import CaptureError
from eni_ledger.base.version import __version__
from eni_ledger.desk.capture import frames, pcapng
from eni_ledger.desk.capture.attribution import Attribution
from eni_ledger.desk.capture.frame_finder import FrameFinder
from eni_ledger.desk.capture.name_files import Users
from eni_ledger.desk.capture.packet import Packet
from eni_ledger.desk.capture.pcap import MAGICS, Pcap, Reader
from eni_ledger.desk.capture.timeline import ALWAYS, NEVER, Timeline, time_of
from eni_ledger.desk.capture.words import words

_FLUSH = 1 << 20


def is_capture(begin: bytes) -> bool:
    """Tell whether a file that begins like this is a pcap or pcapng file."""
    return begin[:4] in MAGICS or begin[:4] == pcapng.MAGIC


def not_a_capture(begin: bytes) -> CaptureError:
    """Return the error for a file that is neither."""
    if begin[:2] == b"\x1f\x8b":
        return CaptureError("the capture is compressed", "gzip at byte 0", "zcat FILE | eni-ledger annotate --read -")
    found = f"byte 0 begins {begin[:4].hex(' ')}" if begin else "it is empty, byte 0 is its end"
    return CaptureError("not a packet capture", found, "pcap and pcapng are known: tcpdump -w, tshark -w")


class Counts:
    """How many packets there were, how many of them have an association, and what could not be looked up.

    `foreign` counts packets by a link type that is not known, `timeless` those without a time.
    """

    def __init__(self) -> None:
        self.packets = self.named = self.timeless = 0
        self.foreign: dict[int, int] = {}


class _Told(NamedTuple):
    """What is made of packets that are alike: the comment for each byte order, and whether it names anybody.

    `padded` are the bytes behind a packet in little endian up to the length of its block, by the last two bits of the
    packet's length.
    """

    comments: dict[str, bytes]
    named: bool
    padded: tuple[bytes, bytes, bytes, bytes]


class Annotated:
    """Writes a pcapng file; gives its bytes to `write`."""

    def __init__(self, timeline: Timeline, write: Callable[[bytes], object]) -> None:
        self._timeline, self._write = timeline, write
        self._begin_section()
        self._out: list[bytes] = []
        self._size = 0
        self.counts = Counts()

    def _begin_section(self) -> None:
        """Forget which names have been written: they are those of a section."""
        self._finder: FrameFinder[_Told] = FrameFinder(self._timeline, self._tell)
        self._users: Users | None = None
        self._names: list[str] = []  # addresses whose names are still to be written

    def run(self, begin: bytes, reader: Reader) -> None:
        """Write all of a capture, the first bytes of which are `begin`, as it is read.

        Raises CaptureError, after what comes before the damage has been written, and as `Timeline.cover` does.
        """
        reader = _Flushing(reader, self._flush)
        try:
            if begin[:4] == pcapng.MAGIC:
                self._blocks(begin, reader)
            elif begin[:4] in MAGICS:
                self._packets(Pcap(begin, reader))
            else:
                raise not_a_capture(begin)
        finally:
            self._flush()

    def _packets(self, capture: Pcap) -> None:
        """Write the packets of a pcap file."""
        link_type = capture.link_type
        self._add(pcapng.section_header(f"eni-ledger {__version__}"))
        self._add(pcapng.interface_description(link_type, capture.snapshot, capture.per_second))
        if link_type in frames.LINK_TYPES:
            self._known_packets(capture)
            return
        for ticks, frame, length in capture.packets():
            self._add(pcapng.packet(ticks, frame, length))
            self.counts.packets += 1
            self.counts.foreign[link_type] = self.counts.packets

    def _known_packets(self, capture: Pcap) -> None:
        """Write packets whose link type is known; the loop that a large capture spends its time in."""
        link_type, per_micro = capture.link_type, capture.per_second // 1_000_000
        known, find, out = self._finder.cache(link_type).get, self._finder.find, self._out
        head: Any = struct.Struct("<IIIIIII").pack
        number: Any = struct.Struct("<I").pack
        packets = named = 0
        try:
            for ticks, frame, length in capture.packets():
                at = ticks // per_micro
                entry = known(frame[:18] + frame[30:38])  # as frames.key says
                if entry is None or not entry[0] <= at < entry[1]:
                    entry = find(link_type, frame, at)
                    if self._names:
                        self._write_names("<")
                told = entry[2]
                captured = len(frame)
                padded = told[2][captured & 3]
                total = 32 + captured + len(padded)
                header = head(6, total, 0, ticks >> 32, ticks & 0xFFFFFFFF, captured, length)
                out += (header, frame, padded, number(total))
                packets += 1
                named += told[1]
                self._size += total
                if self._size >= _FLUSH:
                    self._flush()
        finally:
            self.counts.packets, self.counts.named = packets, named

    def _blocks(self, begin: bytes, reader: Reader) -> None:
        """Write the blocks of a pcapng file, all that are no packets as they are."""
        section, counts = pcapng.Section(), self.counts
        for block in pcapng.blocks(begin, reader):
            packet = section.read(block)
            data = block.data
            if block.kind == pcapng.SECTION:
                data = pcapng.without_length(block)
                self._begin_section()
            elif block.kind == pcapng.SIMPLE:
                counts.packets += 1
                counts.timeless += 1
            elif packet is not None:
                counts.packets += 1
                link_type = packet.interface.link_type
                if link_type in frames.LINK_TYPES:
                    told = self._finder.find(link_type, packet.frame, packet.at).told
                    counts.named += told.named
                    if self._names or self._users is None:
                        self._write_names(block.order)
                    if told.comments[block.order]:
                        data = pcapng.commented(block, told.comments[block.order][:-4])
                else:
                    counts.foreign[link_type] = counts.foreign.get(link_type, 0) + 1
            self._add(data)

    def _tell(self, attribution: Attribution, at: int) -> _Told:
        """Return what is made of a packet and of all like it; take note of names that it brings."""
        if self._users is None:
            self._users = Users()
            for association in self._timeline.known.associations:
                if time_of(association.get("since"), ALWAYS) <= at < time_of(association.get("until"), NEVER):
                    self._names += self._users.add(association)
        for party in attribution.parties:
            self._names += self._users.add(party.association)
        text = words(attribution, self._timeline, at)
        ends = b"\0\0\0\0"
        comments = {order: pcapng.comment_option(text, order) + ends if text else b"" for order in "<>"}
        zero, one, two, three = (bytes(-length % 4) + comments["<"] for length in range(4))
        return _Told(comments, bool(attribution.parties), (zero, one, two, three))

    def _write_names(self, order: str) -> None:
        """Write the names that are new."""
        users = self._users = self._users or Users()
        names, self._names = dict.fromkeys(self._names), []
        if names:
            self._add(pcapng.name_resolution(((address, users.host(address)) for address in names), order))

    def _add(self, data: bytes) -> None:
        self._out.append(data)
        self._size += len(data)
        if self._size >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out.clear()  # and no new list: the loop over packets holds this one
            self._size = 0
            self._write(data)


class _Flushing:
    """A reader that writes out what has been made before it waits for more: a live capture is followed."""

    def __init__(self, reader: Reader, flush: Callable[[], None]) -> None:
        self._reader, self._flush = reader, flush

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, at least one unless it is at the end."""
        self._flush()
        return self._reader.read(size)


class Found(NamedTuple):
    """A captured packet: when, what link type, what was captured, its length, and whose it is."""

    at: int
    link_type: int
    frame: bytes
    length: int
    packet: Packet
    attribution: Attribution


def read(timeline: Timeline, begin: bytes, reader: Reader, counts: Counts) -> Iterator[Found]:
    """Yield the packets of a capture, the first bytes of which are `begin`, whose link type is known.

    Raises CaptureError, and as `Timeline.cover` does.
    """
    finder: FrameFinder[Attribution] = FrameFinder(timeline, lambda attribution, _: attribution)
    for link_type, at, frame, length in _packets(begin, reader, counts):
        counts.packets += 1
        if link_type not in frames.LINK_TYPES:
            counts.foreign[link_type] = counts.foreign.get(link_type, 0) + 1
            continue
        _, _, attribution, packet = finder.find(link_type, frame, at)
        counts.named += bool(attribution.parties)
        yield Found(at, link_type, frame, length, packet, attribution)


def _packets(begin: bytes, reader: Reader, counts: Counts) -> Iterator[tuple[int, int, bytes, int]]:
    """Yield of each packet its link type, time in microseconds, what was captured, and its length."""
    if begin[:4] == pcapng.MAGIC:
        section = pcapng.Section()
        for block in pcapng.blocks(begin, reader):
            packet = section.read(block)
            if packet is not None:
                yield packet.interface.link_type, packet.at, packet.frame, packet.length
            elif block.kind == pcapng.SIMPLE:
                counts.packets += 1
                counts.timeless += 1
    elif begin[:4] in MAGICS:
        capture = Pcap(begin, reader)
        per_micro = capture.per_second // 1_000_000
        for ticks, frame, length in capture.packets():
            yield capture.link_type, ticks // per_micro, frame, length
    else:
        raise not_a_capture(begin)
