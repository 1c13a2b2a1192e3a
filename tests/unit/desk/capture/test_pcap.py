from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import CaptureError
from eni_ledger.desk.capture.pcap import Pcap

MAGIC = {10**6: 0xA1B2C3D4, 10**9: 0xA1B23C4D}
PACKETS = [(1764300000, 5, b"abc", 60), (1764300001, 7, b"", 0), (1764300002, 999, b"x" * 70, 70)]


def capture(order: str, per_second: int, packets: list[tuple[int, int, bytes, int]] | None = None) -> bytes:
    """Return a pcap file."""
    head = struct.pack(f"{order}IHHiIII", MAGIC[per_second], 2, 4, 0, 0, 65535, 1)
    chosen = PACKETS if packets is None else packets
    return head + b"".join(struct.pack(f"{order}IIII", s, f, len(data), size) + data for s, f, data, size in chosen)


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("per_second", MAGIC)
def test_both_orders_and_resolutions(order: str, per_second: int) -> None:
    reader = Slow(capture(order, per_second))
    found = Pcap(reader.read(4), reader)
    assert (found.link_type, found.per_second, found.snapshot) == (1, per_second, 65535)
    assert list(found.packets()) == [(s * per_second + f, data, size) for s, f, data, size in PACKETS]


@pytest.mark.parametrize("cut", [1, 5, 70, 85, 100])
def test_one_that_is_cut_off_gives_all_before_and_names_the_byte(cut: int) -> None:
    whole = capture("<", 10**6)
    reader = io.BytesIO(whole[:-cut])
    found: list[object] = []
    with pytest.raises(CaptureError, match="cut off") as caught:
        found.extend(Pcap(reader.read(24), reader).packets())
    places = [24, 24 + 19, 24 + 19 + 16]
    assert f"it ends at byte {len(whole) - cut}, " in caught.value.details
    assert f"begins at byte {places[len(found)]};" in caught.value.details


def test_a_header_that_is_cut_off() -> None:
    reader = io.BytesIO(capture("<", 10**6)[:10])
    with pytest.raises(CaptureError, match="ends at byte 10"):
        Pcap(reader.read(4), reader)


def test_a_length_that_no_packet_has() -> None:
    data = capture("<", 10**6) + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31) + bytes(100)
    reader = io.BytesIO(data)
    with pytest.raises(CaptureError, match=f"byte {len(capture('<', 10**6))}: it would be of"):
        list(Pcap(reader.read(24), reader).packets())


def test_another_version() -> None:
    with pytest.raises(CaptureError, match=r"pcap 3\.0"):
        Pcap(struct.pack("<IHHiIII", 0xA1B2C3D4, 3, 0, 0, 0, 0, 1), io.BytesIO())


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    reader = io.BytesIO(capture("<", 10**6, []) + data)
    read = 0
    with contextlib.suppress(CaptureError):
        for _, frame, _ in Pcap(reader.read(24), reader).packets():
            read += len(frame) + 16
    assert read <= len(data)
