"""Reads pcapng files block by block, and makes blocks (draft-ietf-opsawg-pcapng).

::

    type 4, total length 4, body, total length 4
    Section Header 0x0A0D0D0A: byte order magic 4, version 2+2, section length 8, options
    Interface Description 1:   link type 2, reserved 2, snapshot length 4, options
    Enhanced Packet 6:         interface 4, time 4+4, bytes captured 4, bytes in all 4, the packet, options
    Packet 2 (obsolete):       interface 2, drops 2, then the same
    Name Resolution 4:         records of type 2, length 2, an address, names that end with a zero byte
    options and records:       code 2, length 2, value, up to a multiple of four bytes; 0 0 ends them

Whatever else there is is copied as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from eni_ledger.base.errors import CaptureError
from eni_ledger.desk.capture.pcap import LARGEST_PACKET, Reader, cut_off

SECTION, INTERFACE, PACKET, SIMPLE, NAMES, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 4, 6
MAGIC = SECTION.to_bytes(4, "big")
"""First bytes of a file, the same in both byte orders."""

_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_COMMENT, _HARDWARE, _APPLICATION, _RESOLUTION, _OFFSET = 1, 2, 4, 9, 14
_BLOCK = 1 << 20
_LARGEST_BLOCK = LARGEST_PACKET + (1 << 20)
_SHORTEST = {SECTION: 28, INTERFACE: 20, ENHANCED: 32, PACKET: 32}
_FIXED = 28  # bytes of a packet block before the packet
_LONGEST_COMMENT = 60_000


class Interface(NamedTuple):
    """What a packet's interface says: its link type, the parts of a second that times count, and seconds to add."""

    link_type: int
    per_second: int
    offset: int

    def micros(self, ticks: int) -> int:
        """Return a time in microseconds since 1970."""
        return ticks * 1_000_000 // self.per_second + self.offset * 1_000_000


class Block(NamedTuple):
    """A block: its type, all of its bytes, where it begins in the file, and the byte order of its section."""

    kind: int
    data: bytes
    place: int
    order: str


class CapturedPacket(NamedTuple):
    """A packet of a block: its interface, time in microseconds since 1970, what was captured, and its length."""

    interface: Interface
    at: int
    frame: bytes
    length: int


def blocks(begin: bytes, reader: Reader) -> Iterator[Block]:
    """Yield the blocks of a file, the first bytes of which are `begin`.

    Raises CaptureError for what is no block, and at the end of a file that ends within one.
    """
    data, place, order = begin, 0, "<"
    while True:
        at, size = 0, len(data)
        while at + 12 <= size:
            if data[at : at + 4] == MAGIC:
                order = _ORDERS.get(data[at + 8 : at + 12], "")
                if not order:
                    raise CaptureError("not a block of pcapng", f"byte {place + at}: no byte order", "is it whole?")
            kind, total = struct.unpack_from(f"{order}II", data, at)
            if total % 4 or not 12 <= total <= _LARGEST_BLOCK:
                raise CaptureError("not a block of pcapng", f"byte {place + at}: its length is {total}", "is it whole?")
            if at + total > size:
                break
            block = data[at : at + total]
            if struct.unpack_from(f"{order}I", block, total - 4)[0] != total:
                raise CaptureError(
                    "not a block of pcapng", f"byte {place + at}: its two lengths differ", "is it whole?"
                )
            yield Block(kind, block, place + at, order)
            at += total
        data, place = data[at:], place + at
        more = reader.read(_BLOCK)
        if not more:
            break
        data += more
    if data:
        raise cut_off(place + len(data), place, "a block")


class Section:
    """Keeps the interfaces of the section that is being read."""

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []

    def read(self, block: Block) -> CapturedPacket | None:
        """Take in a block; return its packet when it has one with a time. Raises CaptureError for a malformed one."""
        try:
            if len(block.data) < _SHORTEST.get(block.kind, 0):
                raise IndexError(len(block.data))
            if block.kind == SECTION:
                self.interfaces = []
            elif block.kind == INTERFACE:
                self.interfaces.append(_interface(block))
            elif block.kind in (ENHANCED, PACKET):
                return self._packet(block)
        except (struct.error, IndexError) as exc:
            raise CaptureError(
                "a block of pcapng is malformed", f"byte {block.place}", "is the capture whole?"
            ) from exc
        return None

    def _packet(self, block: Block) -> CapturedPacket:
        form = "IIIII" if block.kind == ENHANCED else "HxxIIII"
        number, high, low, captured, length = struct.unpack_from(block.order + form, block.data, 8)
        if _FIXED + captured > len(block.data) - 4:
            raise IndexError(captured)
        interface = self.interfaces[number]
        frame = block.data[_FIXED : _FIXED + captured]
        return CapturedPacket(interface, interface.micros(high << 32 | low), frame, length)


def _interface(block: Block) -> Interface:
    """Return what an interface description says; times count microseconds unless it says otherwise."""
    (link_type,) = struct.unpack_from(f"{block.order}H", block.data, 8)
    per_second, offset = 10**6, 0
    for code, value in _options(block, 16):
        if code == _RESOLUTION and len(value) == 1:
            per_second = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _OFFSET and len(value) == 8:
            (offset,) = struct.unpack(f"{block.order}q", value)
    return Interface(link_type, per_second, offset)


def _options(block: Block, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(block.data) - 4:
        code, length = struct.unpack_from(f"{block.order}HH", block.data, at)
        if code == 0:
            break
        yield code, block.data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def commented(block: Block, comment: bytes) -> bytes:
    """Return a packet block with a comment, an option as `comment_option` makes it, before those that it has.

    One that begins with this comment is returned unchanged.
    """
    form = "I" if block.kind == ENHANCED else "4xI"
    (captured,) = struct.unpack_from(f"{block.order}{form}", block.data, 20 if block.kind == ENHANCED else 16)
    end = _FIXED + captured + -captured % 4
    rest = block.data[end:-4] or b"\0\0\0\0"
    if rest.startswith(comment):
        return block.data
    return _block(block.order, block.kind, block.data[8:end] + comment + rest)


def without_length(block: Block) -> bytes:
    """Return a section header that does not say how long its section is: that changes."""
    return block.data[:16] + b"\xff" * 8 + block.data[24:]


def comment_option(text: str, order: str = "<") -> bytes:
    """Return the option for a comment, without the end of the options."""
    return _record(order, _COMMENT, text.encode()[:_LONGEST_COMMENT].decode(errors="ignore").encode())


def section_header(application: str) -> bytes:
    """Return the header of a section that `application` writes, in little endian."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _record("<", _APPLICATION, application.encode())
    return _block("<", SECTION, body + b"\0\0\0\0")


def interface_description(link_type: int, snapshot: int, per_second: int) -> bytes:
    """Return the description of an interface whose times count `per_second`, 10**6 or 10**9."""
    body = struct.pack("<HHI", link_type, 0, snapshot)
    return _block("<", INTERFACE, body + _record("<", _RESOLUTION, bytes([len(str(per_second)) - 1])) + b"\0\0\0\0")


def packet(ticks: int, frame: bytes, length: int) -> bytes:
    """Return an enhanced packet block of the first interface, in little endian; `ticks` are parts of a second."""
    head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length)
    return _block("<", ENHANCED, head + frame + bytes(-len(frame) % 4))


def name_resolution(names: Iterable[tuple[str, str]], order: str = "<") -> bytes:
    """Return a name resolution block with pairs of an IP address and a name."""
    records = []
    for address, name in names:
        packed = ip_address(address).packed
        records.append(_record(order, 1 if len(packed) == 4 else 2, packed + name.encode() + b"\0"))
    return _block(order, NAMES, b"".join(records) + b"\0\0\0\0")


def _record(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(order: str, kind: int, body: bytes) -> bytes:
    total = 12 + len(body)
    return struct.pack(f"{order}II", kind, total) + body + struct.pack(f"{order}I", total)
