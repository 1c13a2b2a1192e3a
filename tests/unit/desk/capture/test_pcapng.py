from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import CaptureError
from eni_ledger.desk.capture import pcapng
from eni_ledger.desk.capture.pcapng import Block, Section, blocks
from unit.desk.capture.test_pcap import Slow

AT = 1764300000_000005


def block(order: str, kind: int, body: bytes) -> bytes:
    """Return a block."""
    total = len(body) + 12
    return struct.pack(f"{order}II", kind, total) + body + struct.pack(f"{order}I", total)


def section(order: str, *inside: bytes, length: int = -1) -> bytes:
    """Return a section with blocks in it."""
    return block(order, pcapng.SECTION, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, length)) + b"".join(inside)


def interface(order: str, link_type: int = 1, options: bytes = b"") -> bytes:
    """Return an interface description."""
    return block(order, pcapng.INTERFACE, struct.pack(f"{order}HHI", link_type, 0, 0) + options)


def packet(order: str, data: bytes, ticks: int = AT, options: bytes = b"", number: int = 0) -> bytes:
    """Return an enhanced packet block."""
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) + 100)
    return block(order, pcapng.ENHANCED, head + data + bytes(-len(data) % 4) + options)


def read(data: bytes) -> list[Block]:
    reader = Slow(data)
    return list(blocks(reader.read(7), reader))


@pytest.mark.parametrize("order", "<>")
def test_packets_in_both_orders(order: str) -> None:
    found = read(section(order, interface(order), packet(order, b"abcde")) + section(order, interface(order, 113)))
    reader = Section()
    packets = [reader.read(each) for each in found]
    assert [each.kind for each in found] == [pcapng.SECTION, 1, 6, pcapng.SECTION, 1]
    assert packets[2] is not None
    assert (packets[2].at, packets[2].frame, packets[2].length) == (AT, b"abcde", 105)
    assert reader.interfaces[0].link_type == 113


@pytest.mark.parametrize(
    ("options", "ticks"),
    [
        (b"", AT),
        (struct.pack("<HHBxxx", 9, 1, 6), AT),
        (struct.pack("<HHBxxx", 9, 1, 9), AT * 1000 + 999),
        (struct.pack("<HHBxxx", 9, 1, 0x80 | 20), (1764300000 << 20) + 6),
        (struct.pack("<HHqHH", 14, 8, 1764300000, 0, 0), 5),
    ],
)
def test_times(options: bytes, ticks: int) -> None:
    found = read(section("<", interface("<", options=options), packet("<", b"", ticks)))
    reader = Section()
    packets = [reader.read(each) for each in found]
    assert packets[2] is not None
    assert packets[2].at == AT


def test_the_obsolete_packet_block() -> None:
    old = block("<", 2, struct.pack("<HHIIII", 0, 3, AT >> 32, AT & 0xFFFFFFFF, 3, 3) + b"abc\0")
    found = read(section("<", interface("<"), old))
    reader = Section()
    packets = [reader.read(each) for each in found]
    assert packets[2] is not None
    assert (packets[2].at, packets[2].frame) == (AT, b"abc")
    commented = read(section("<", interface("<"), pcapng.commented(found[2], pcapng.comment_option("hi"))))
    assert commented[2].data[28 : 28 + 4] == b"abc\0"
    assert b"hi" in commented[2].data


@pytest.mark.parametrize("order", "<>")
def test_a_comment_stands_before_other_options_and_not_twice(order: str) -> None:
    there = struct.pack(f"{order}HH", 1, 5) + b"there\0\0\0" + bytes(4)
    for options in (b"", there):
        one = read(section(order, interface(order), packet(order, b"abcde", options=options)))[2]
        option = pcapng.comment_option("task", order)
        data = pcapng.commented(one, option)
        again = read(section(order, interface(order), data))[2]
        assert again.data == data
        assert again.data[28:36] == b"abcde\0\0\0"
        assert again.data[36:44] == struct.pack(f"{order}HH", 1, 4) + b"task"
        assert (b"there" in again.data) == bool(options)
        assert pcapng.commented(again, option) == data


def test_a_long_comment_is_cut_between_characters() -> None:
    option = pcapng.comment_option("€" * 40_000)
    length = struct.unpack_from("<H", option, 2)[0]
    assert option[4 : 4 + length].decode() == "€" * 20_000


def test_a_section_of_which_the_length_changes_does_not_say_it() -> None:
    (found,) = read(section("<", length=1000))
    assert pcapng.without_length(found) == section("<")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (section("<") + b"\x06\0\0\0\x0c\0", "cut off"),
        (section("<", interface("<"))[:-1], "within a block that begins at byte 28;"),
        (section("<") + struct.pack("<III", 6, 13, 13), "byte 28: its length is 13"),
        (section("<") + struct.pack("<III", 6, 1 << 31, 13), "byte 28: its length is 2147483648"),
        (section("<") + struct.pack("<III", 6, 12, 16), "byte 28: its two lengths differ"),
        (pcapng.MAGIC + bytes(24), "byte 0: no byte order"),
    ],
)
def test_what_is_no_block(data: bytes, what: str) -> None:
    with pytest.raises(CaptureError, match=what):
        read(data)


@pytest.mark.parametrize(
    "inside",
    [packet("<", b"abc"), interface("<") + packet("<", b"", number=1), interface("<") + block("<", 6, b"\0\0\0\0"),
     interface("<") + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 100, 100)), block("<", 1, b"")],
)  # fmt: skip
def test_a_malformed_block(inside: bytes) -> None:
    reader = Section()
    found = read(section("<", inside))
    with pytest.raises(CaptureError, match="malformed: byte"):
        list(map(reader.read, found))


@given(st.lists(st.binary(max_size=60)), st.binary(max_size=60))
def test_any_bytes(bodies: list[bytes], rest: bytes) -> None:
    inside = b"".join(block("<", 1 + n % 7, body + bytes(-len(body) % 4)) for n, body in enumerate(bodies))
    reader, section_ = io.BytesIO(section("<", interface("<"), inside) + rest), Section()
    with contextlib.suppress(CaptureError):
        for each in blocks(b"", reader):
            if section_.read(each):
                commented = pcapng.commented(each, pcapng.comment_option("x"))
                assert len(commented) % 4 == 0
                assert commented[4:8] == commented[-4:] == struct.pack("<I", len(commented))
