from __future__ import annotations

import io
import struct

import pytest

from eni_ledger.base.errors import CaptureError
from eni_ledger.desk.capture import captures, pcapng
from eni_ledger.desk.capture.captures import Annotated, Counts
from eni_ledger.desk.capture.pcapng import Section, blocks
from eni_ledger.desk.capture.timeline import Timeline
from helpers.packets import ROUTER, frame, mac
from unit.desk.capture.conftest import FakeSource, association, at
from unit.desk.capture.test_pcap import capture
from unit.desk.capture.test_pcapng import block, interface, packet, section

FIVE = at("2026-11-27T03:05:00Z")
API, WEB = "from api:17/00000001 eni-00000000000000001", "from web:17/00000002 eni-00000000000000002"


def out(number: int = 1) -> bytes:
    return frame(mac(number), ROUTER, source_ip=f"10.0.32.{number}")


def annotated(timeline: Timeline, data: bytes) -> tuple[bytes, Counts]:
    written = io.BytesIO()
    one = Annotated(timeline, written.write)
    reader = io.BytesIO(data)
    one.run(reader.read(30), reader)
    return written.getvalue(), one.counts


def comments(data: bytes) -> list[str]:
    """Return the first comment of each packet, empty for one without."""
    reader, found = io.BytesIO(data), []
    section_ = Section()
    for each in blocks(b"", reader):
        if one := section_.read(each):
            place = 28 + len(one.frame) + -len(one.frame) % 4
            code, size = struct.unpack_from(f"{each.order}HH", each.data.ljust(place + 8, b"\0"), place)
            found.append(each.data[place + 4 : place + 4 + size].decode() if code == 1 and size < 1000 else "")
    return found


def names(data: bytes) -> list[bytes]:
    """Return the name resolution blocks."""
    return [each.data for each in blocks(b"", io.BytesIO(data)) if each.kind == pcapng.NAMES]


def pcap(*packets: tuple[int, bytes], per_second: int = 10**6, order: str = "<") -> bytes:
    scale = per_second // 10**6
    return capture(
        order, per_second, [(when // 10**6, when % 10**6 * scale, data, len(data)) for when, data in packets]
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("per_second", [10**6, 10**9])
def test_pcap(timeline: Timeline, order: str, per_second: int) -> None:
    web = at("2026-11-27T03:13:00Z")
    foreign = frame(ROUTER, "0a:99:99:99:99:99", None, "10.1.1.1")
    data, counts = annotated(
        timeline, pcap((FIVE, out()), (FIVE + 1, foreign), (web, out(2)), per_second=per_second, order=order)
    )
    assert comments(data) == [API, "", WEB]
    assert (counts.packets, counts.named) == (3, 2)
    section_ = Section()
    packets = [one for each in blocks(b"", io.BytesIO(data)) if (one := section_.read(each))]
    assert [(one.at, one.frame) for one in packets] == [(FIVE, out()), (FIVE + 1, foreign), (web, out(2))]
    assert section_.interfaces[0].per_second == per_second
    first, second = names(data)
    assert b"api-17-00000001\0" in first
    assert b"db-17-00000003\0" in first
    assert b"web-17-00000002\0" in second


def test_an_address_with_a_second_user_gets_a_name_that_says_so() -> None:
    first = association(
        1, "api", "2026-11-27T03:00:00.000000Z", "2026-11-27T03:10:00.000000Z", addresses=["10.0.32.1/20"]
    )
    second = association(2, "web", "2026-11-27T03:12:00.000000Z", addresses=["10.0.32.1/20"])
    data, _ = annotated(
        Timeline(FakeSource([first, second])), pcap((FIVE, out()), (at("2026-11-27T03:13:00Z"), frame(mac(2), ROUTER)))
    )
    assert [each[16:].split(b"\0")[0] for each in names(data)] == [
        b"api-17-00000001",
        b"2-users-api-17-00000001-and-web-17-00000002",
    ]


@pytest.mark.parametrize("order", "<>")
def test_pcapng_keeps_all_that_is_in_it(timeline: Timeline, order: str) -> None:
    other = block(order, 0x0BAD, b"custom!!")
    simple = block(order, pcapng.SIMPLE, struct.pack(f"{order}I", 3) + b"abc\0")
    inside = (
        interface(order),
        other,
        packet(order, out(), FIVE),
        interface(order, 127),
        packet(order, b"radio", FIVE, number=1),
    )
    data, counts = annotated(timeline, section(order, *inside, simple, length=4000))
    assert comments(data) == [API, ""]
    kinds = [each.kind for each in blocks(b"", io.BytesIO(data))]
    assert kinds == [pcapng.SECTION, 1, 0x0BAD, pcapng.NAMES, 6, 1, 6, 3]
    assert other in data
    assert simple in data
    assert (counts.packets, counts.named, counts.timeless, counts.foreign) == (3, 1, 1, {127: 1})
    assert annotated(timeline, data)[0].count(API.encode()) == 1


def test_each_section_has_its_names(timeline: Timeline) -> None:
    one = section("<", interface("<"), packet("<", out(), FIVE))
    first, second = names(annotated(timeline, one + one)[0])
    assert b"api-17-00000001\0" in first
    assert second == first


def test_a_capture_that_goes_on_for_days() -> None:
    later = association(2, "web", "2026-11-29T03:00:00.000000Z")
    packets = [(FIVE, out(2)), (at("2026-11-29T03:05:00Z"), out(2))]
    data, counts = annotated(Timeline(FakeSource([later])), pcap(*packets))
    assert comments(data)[1] == WEB
    assert counts.named == 1


def test_another_link_type(timeline: Timeline) -> None:
    data = pcap((FIVE, out()))
    data, counts = annotated(timeline, data[:20] + struct.pack("<I", 127) + data[24:])
    assert comments(data) == [""]
    assert counts.foreign == {127: 1}


def test_what_comes_before_the_damage_is_written(timeline: Timeline) -> None:
    written = io.BytesIO()
    one = Annotated(timeline, written.write)
    reader = io.BytesIO(pcap((FIVE, out()), (FIVE, out()))[:-3])
    with pytest.raises(CaptureError, match="cut off"):
        one.run(reader.read(24), reader)
    assert comments(written.getvalue()) == [API]


def test_reading(timeline: Timeline) -> None:
    counts = Counts()
    reader = io.BytesIO(section("<", interface("<"), packet("<", out(), FIVE), packet("<", out(2), FIVE)))
    found = list(captures.read(timeline, reader.read(8), reader, counts))
    assert [one.attribution.source is not None for one in found] == [True, False]
    assert (counts.packets, counts.named) == (2, 2)


@pytest.mark.parametrize("begin", [b"", b"hi\n", b"\x1f\x8b\x08\0"])
def test_foreign_files(timeline: Timeline, begin: bytes) -> None:
    assert not captures.is_capture(begin)
    with pytest.raises(CaptureError, match="byte 0"):
        Annotated(timeline, lambda _: None).run(begin, io.BytesIO())
    with pytest.raises(CaptureError, match="byte 0"):
        list(captures.read(timeline, begin, io.BytesIO(), Counts()))
