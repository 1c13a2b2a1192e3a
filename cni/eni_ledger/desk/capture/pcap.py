"""Reads pcap files (draft-ietf-opsawg-pcap), in either byte order, with microseconds or nanoseconds.

::

    magic 4, version 2+2, reserved 8, snapshot length 4, link type 4
    each packet: seconds 4, fraction 4, bytes captured 4, bytes in all 4, then what was captured
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Protocol

from eni_ledger.base.errors import CaptureError

MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
"""First bytes, and what they say: the byte order, and the parts of a second that times count."""

_HEADER = 24
_LINK_TYPE = 0x0FFFFFFF  # above it is the length of a frame check sequence
LARGEST_PACKET = 16 << 20
"""Bytes; libpcap captures no more than 256 KiB of one. More than this is no packet's length."""

_BLOCK = 1 << 20


class Reader(Protocol):
    """Reads bytes one after the other."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, at least one unless it is at the end."""
        ...


class Pcap:
    """A pcap file from its first byte on; `order` and `per_second` are of its magic, which has been looked at."""

    def __init__(self, begin: bytes, reader: Reader) -> None:
        """Read the header, the first bytes of which are `begin`. Raises CaptureError."""
        while len(begin) < _HEADER and (more := reader.read(_BLOCK)):
            begin += more
        if len(begin) < _HEADER:
            raise cut_off(len(begin), 0, "the header of the capture")
        self.order, self.per_second = MAGICS[begin[:4]]
        major, minor, self.snapshot, network = struct.unpack_from(f"{self.order}4xHH8xII", begin)
        if (major, minor) != (2, 4):
            raise CaptureError(
                "not a capture of a known version", f"pcap {major}.{minor} at byte 4", "pcap 2.4 is known"
            )
        self.link_type = network & _LINK_TYPE
        self._begin, self._reader = begin[_HEADER:], reader

    def packets(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield of each packet its time in parts of a second, what was captured of it, and its length in bytes.

        Raises CaptureError at the end of a file that ends within a packet, and for a length that no packet has.
        """
        unpack_from: Any = struct.Struct(f"{self.order}IIII").unpack_from
        per_second, data, place = self.per_second, self._begin, _HEADER
        while True:
            at, size = 0, len(data)
            while at + 16 <= size:
                seconds, fraction, captured, length = unpack_from(data, at)
                end = at + 16 + captured
                if end > size:
                    if captured > LARGEST_PACKET:
                        raise CaptureError(
                            "not a packet",
                            f"byte {place + at}: it would be of {captured} bytes",
                            "is the capture whole?",
                        )
                    break
                yield seconds * per_second + fraction, data[at + 16 : end], length
                at = end
            data, place = data[at:], place + at
            more = self._reader.read(_BLOCK)
            if not more:
                break
            data += more
        if data:
            raise cut_off(place + len(data), place, "a packet")


def cut_off(end: int, begin: int, what: str) -> CaptureError:
    """Return the error for a capture that ends at byte `end`, within something that begins at byte `begin`."""
    return CaptureError(
        "the capture is cut off",
        f"it ends at byte {end}, within {what} that begins at byte {begin}; all before that has been answered",
        "when tcpdump still writes it: wait until it has ended",
    )
