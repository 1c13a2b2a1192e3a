from __future__ import annotations

from datetime import UTC, date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.capture import tcpdump_text, text_stream
from eni_ledger.desk.capture.stamps import Stamps
from eni_ledger.desk.capture.text_stream import TextStream
from eni_ledger.desk.capture.timeline import Timeline
from helpers.packets import ROUTER, mac
from unit.desk.capture.conftest import ALL, FakeSource, association, at, line

DAY = date(2026, 11, 27)
FIVE = at("2026-11-27T03:05:00Z")
API, WEB = b"  [from api:17/00000001 eni-00000000000000001]", b"  [from web:17/00000002 eni-00000000000000002]"
OTHER_LINES = [
    b"",
    b"\t0x0000:  0aaa bbcc dd01 0a1b 2c3d 0101 8100 0065  ........,=.....e",
    b"reading from file x.pcap, link-type EN10MB (Ethernet), snapshot length 96",
    b"\xff\xfe\x00 no text at all",
    b"14 packets captured",
]


def stream(timeline: Timeline, **more: int) -> TextStream:
    return TextStream(timeline, Stamps(UTC, DAY, **more))


def out(number: int = 1, stamp: str = "03:05:00.000000") -> bytes:
    return line(stamp, mac(number), ROUTER, source_ip=f"10.0.32.{number}")


@pytest.mark.parametrize(
    "stamp", ["03:05:00.000000", "03:05:00.000000123", "1795748700.000000", "2026-11-27 03:05:00.000000"]
)
@pytest.mark.parametrize("number", ["", "    1  "])
def test_each_form_of_time(timeline: Timeline, stamp: str, number: str) -> None:
    text = number.encode() + out(stamp=stamp)
    assert stream(timeline).feed(text + b"\n" + text + b"\n") == 2 * (text + API + b"\n")


def test_a_vlan_that_changes_hands(timeline: Timeline) -> None:
    lines = [out(1, "03:09:00.000000"), out(2, "03:13:00.000000"), out(2, "03:14:00.000000")]
    found = stream(timeline).feed(b"\n".join(lines) + b"\n").splitlines()
    assert found == [lines[0] + API, lines[1] + WEB, lines[2] + WEB]
    gap = stream(timeline).feed(out(1, "03:11:00.000000") + b"\n")
    assert b"[VLAN 101: nobody then; api:17/00000001 until" in gap


def test_the_same_key_at_another_time_is_looked_up_again(timeline: Timeline) -> None:
    lines = [
        line(stamp, ROUTER, "0a:00:00:00:00:99") for stamp in ("03:09:00.000000", "03:11:00.000000", "03:13:00.000000")
    ]
    found = stream(timeline).feed(b"\n".join(lines) + b"\n").splitlines()
    assert [b"api" in each for each in found] == [True, True, False]
    assert [b"nobody" in each for each in found] == [False, True, False]
    assert b"web" in found[2]


def test_other_lines_pass_unchanged(timeline: Timeline) -> None:
    text = b"\n".join([OTHER_LINES[1], out(), *OTHER_LINES, out(), b""])
    found = stream(timeline).feed(text)
    assert found.replace(API, b"") == text
    assert found.count(API) == 2


def test_a_last_line_without_an_end(timeline: Timeline) -> None:
    reader = stream(timeline)
    assert reader.feed(out()) == b""
    assert reader.finish() == out() + API
    assert reader.finish() == b""


def test_a_line_that_never_ends_is_passed_on(timeline: Timeline) -> None:
    reader = stream(timeline)
    assert reader.feed(b"x" * ((1 << 20) + 1)) == b"x" * ((1 << 20) + 1)


def test_verbose_lines(timeline: Timeline) -> None:
    link = f"{mac(1)} > {ROUTER}, ethertype 802.1Q (0x8100), length 46: vlan 101, p 0, ethertype IPv4 (0x0800), "
    first = f"03:05:00.000000 {link}(tos 0x0, ttl 64, id 1, proto UDP (17), length 28)".encode()
    second = b"    10.0.32.1.1234 > 10.0.32.3.53: domain"
    stray = b"    10.0.32.1.1234 > 10.0.32.3.53: domain"
    found = stream(timeline).feed(b"\n".join([first, second, stray, out(), stray, b""])).splitlines()
    both = b"  [from api:17/00000001 eni-00000000000000001 to db:17/00000003 eni-00000000000000003 (by address)]"
    assert found == [first + API, second + both, stray, out() + API, stray]
    alone = b"    10.0.32.1.1234 > 10.0.0.2.53: domain"
    assert stream(timeline).feed(b"\n".join([first, alone, b""])).splitlines() == [first + API, alone]


def test_verbose_lines_of_ipv6_are_told_apart_by_their_addresses(timeline: Timeline) -> None:
    link = f"03:05:00.000000 {mac(1)} > {ROUTER}, ethertype 802.1Q (0x8100), length 90: vlan 101, p 0, "
    inside = "ethertype IPv6 (0x86dd), (hlim 64, next-header TCP (6) payload length: 32) "
    lines = [
        f"{link}{inside}2600:1f14::1.5000 > 2600:1f14::{peer}.80: Flags [S], length 0".encode() for peer in (3, 4, 9)
    ]
    found = stream(timeline).feed(b"\n".join([*lines, b""])).splitlines()
    assert found == [stream(timeline).feed(each + b"\n")[:-1] for each in lines]
    assert [b"to db" in each for each in found] == [True, False, False]


def test_lines_of_several_forms_in_turns_are_read_once(timeline: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    read, true = [], tcpdump_text.read

    def reading(text: bytes) -> tcpdump_text.Line | None:
        read.append(text)
        return true(text)

    monkeypatch.setattr(tcpdump_text, "read", reading)
    untagged = f"{mac(3)} > {ROUTER}, ethertype IPv4 (0x0800), length 54: 10.0.32.3.5000 > 10.0.0.2.80: Flags [S]"
    arp = f"{mac(3)} > {ROUTER}, ethertype ARP (0x0806), length 42: Request who-has 10.0.0.2 tell 10.0.32.3, length 28"
    forms = [out(), b"03:05:00.000000 " + untagged.encode(), b"03:05:00.000000 " + arp.encode()]
    found = stream(timeline).feed(b"\n".join([*forms * 10, b""])).splitlines()
    assert found[:3] * 10 == found
    assert all(b"  [from " in each for each in found)
    assert read == forms


def test_a_stream_that_goes_on_for_days() -> None:
    later = association(9, "new", "2026-11-29T03:00:00.000000Z", vlan=109)
    reader = TextStream(Timeline(FakeSource([*ALL, later])), Stamps(UTC))
    stamps = ["1795748700.000000", "1795921500.000000"]
    text = b"".join(line(stamp, ROUTER, "0a:00:00:00:00:99", 109, "52.1.2.3") + b"\n" for stamp in stamps)
    assert [b"VLAN of new" in each for each in reader.feed(text).splitlines()] == [False, True]


def test_lines_without_a_time_end_it_behind_those_that_have_one(timeline: Timeline) -> None:
    reader = stream(timeline)
    bare = out(stamp="")[1:]
    assert reader.feed(out() + b"\n" + bare + b"\n") == out() + API + b"\n"
    assert isinstance(reader.error, UsageError)
    fixed = stream(timeline, fixed=1795748700_000000)
    distance = out(stamp=" 00:00:01.000000")
    assert fixed.feed(bare + b"\n" + distance + b"\n" + distance + b"\n").count(API) == 3


def test_a_time_that_is_none_passes_unchanged(timeline: Timeline) -> None:
    text = out(stamp="25:05:00.000000") + b"\n"
    assert stream(timeline).feed(text) == text


def test_midnight(timeline: Timeline) -> None:
    late = association(7, "late", "2026-11-27T23:59:59.500000Z", "2026-11-28T00:00:00.500000Z", vlan=107)
    reader = TextStream(Timeline(FakeSource([*ALL, late])), Stamps(UTC, DAY))
    stamps = ["23:59:59.900000", "00:00:00.100000", "00:00:00.900000", "23:59:58.000000"]
    text = b"".join(line(stamp, ROUTER, "0a:00:00:00:00:99", 107) + b"\n" for stamp in stamps)
    found = reader.feed(text).splitlines()
    assert [b"VLAN of late" in each for each in found] == [True, True, False, False]


def test_a_ledger_that_grows_while_packets_come(source: FakeSource, timeline: Timeline) -> None:
    reader = stream(timeline)
    packet = line("03:20:00.000000", ROUTER, "0a:00:00:00:00:99", 109) + b"\n"
    assert b"[VLAN 109: nobody then]" in reader.feed(packet)
    source.grow(association(9, "new", "2026-11-27T03:19:00.000000Z", vlan=109))
    assert b"[VLAN of new:17/00000009" in reader.feed(packet)


def test_the_cache_is_bounded(timeline: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "_MOST_KEYS", 3)
    reader = stream(timeline)
    for port in range(20):
        text = out().replace(b".5000 >", b".%d >" % (5000 + port))
        assert reader.feed(text + b"\n") == text + API + b"\n"


LINES = st.lists(
    st.one_of(
        st.sampled_from(OTHER_LINES),
        st.builds(out, st.sampled_from([1, 2, 3]), st.sampled_from(
            ["03:05:00.000000", "03:11:00.000000", "03:13:00.000000", "1795748700.000000",
             "2026-11-27 03:13:00.000000"])),
        st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@example([out(), b"IP (tos ", b""], [18])
@example([out(), b"03:05:00.000000 IP 10.0.32.3 > 10.0.0.2, length 0"], [18])
@given(LINES, st.lists(st.integers(1, 80), max_size=30))
def test_however_the_blocks_are_cut_the_lines_are_the_same(lines: list[bytes], cuts: list[int]) -> None:
    text = b"\n".join(lines)
    reader = TextStream(Timeline(FakeSource(list(ALL))), Stamps(UTC, DAY, FIVE))
    whole = reader.feed(text) + reader.finish()
    single = TextStream(Timeline(FakeSource(list(ALL))), Stamps(UTC, DAY, FIVE))
    pieces, place = [], 0
    for cut in cuts:
        pieces.append(text[place : place + cut])
        place += cut
    assert b"".join(map(single.feed, [*pieces, text[place:]])) + single.finish() == whole
    # What is added stands behind each line, and a cache changes nothing.
    for before, after in zip(lines, whole.split(b"\n"), strict=True):
        assert after.startswith(before)
        fresh = TextStream(Timeline(FakeSource(list(ALL))), Stamps(UTC, DAY, FIVE))
        assert fresh.feed(before + b"\n") == after + b"\n"
