"""The lines of one member of a packed segment: what was asked for, each once, and all where that cannot be told."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import encode
from eni_ledger.ledger.read import line_filter
from eni_ledger.ledger.read.member_lines import MemberLines
from helpers.ledgers import BOOT, add_event

TS = "2026-11-23T14:00:00.000000Z"


def member(*events: dict[str, Any] | bytes, before: int = 7) -> tuple[MemberLines, list[bytes], list[Any]]:
    """Return a member of these events, its lines, and the damage that it finds; of bytes the line is made of them."""
    lines, crc = [], before
    for seq, event in enumerate(events, 1):
        if isinstance(event, bytes):
            crc = zlib.crc32(event, crc)
            lines.append(b'%b,"crc":"%08x"}\n' % (event, crc))
        else:
            line, crc = encode({"ts": TS, "seq": seq, "v": 1, **event}, crc)
            lines.append(line)
    damage: list[Any] = []
    about = gzip_members.Member(0, 0, 1, 0, before)
    return MemberLines(b"".join(lines), "ledger-1.jsonl.gz", about, damage), lines, damage


def spaced(seq: int, **event: Any) -> bytes:
    """Return the beginning of a line that is JSON, and not as a writer writes it."""
    return json.dumps({"ts": TS, "seq": seq, "v": 1, **event})[:-1].encode()


def of(found: list[line_filter.Line]) -> list[bytes]:
    return [line for line, _ in found]


def test_a_text_gives_the_lines_that_have_it_and_each_line_once() -> None:
    there, lines, damage = member(add_event(1), add_event(2), add_event(11))
    assert of(there.with_text(b"10.0.0.2/")) == [lines[1]]
    assert of(there.with_text(b"10.0.0.2/")) == []
    assert of(there.with_text(b"10.0.0.9/")) == []  # nobody's, and no reason to give all
    assert of(there.with_text(b"10.0.0.")) == [lines[0], lines[2]]
    assert damage == []


def test_what_was_asked_before_is_not_searched_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    there, _, _ = member(add_event(1), add_event(2))
    there.with_text(b"10.0.0.2/")
    monkeypatch.setattr("eni_ledger.ledger.read.member_lines._starts", None)
    assert there.with_text(b"10.0.0.2/") == []
    monkeypatch.undo()
    there.with_text(None)
    monkeypatch.setattr("eni_ledger.ledger.read.member_lines._starts", None)
    assert there.with_text(b"10.0.0.1/") == []  # all lines have been given


def test_no_text_gives_all_lines_and_then_nothing_is_left() -> None:
    there, lines, _ = member(add_event(1), add_event(2))
    assert of(there.with_text(None)) == lines
    assert of(there.with_text(None)) == []
    assert of(there.with_text(b"10.0.0.1/")) == []


@pytest.mark.parametrize("text", [line_filter.BOOT, line_filter.CHECKPOINT])
def test_what_can_end_an_association_is_not_missed_for_being_written_in_another_way(text: bytes) -> None:
    kind = json.loads(b"{%b}" % text)["event"]
    there, lines, _ = member(add_event(1), spaced(2, event=kind, boot_id=BOOT, live=[]))
    assert text not in b"".join(lines)
    assert of(there.with_text(text)) == lines


def test_an_escape_may_hide_any_text() -> None:
    hidden = spaced(2, event="add", boot_id=BOOT).replace(b'"add"', b'"\\u0061dd"')
    there, lines, _ = member(add_event(1), hidden)
    assert of(there.with_text(b"10.0.0.1/")) == lines


@pytest.mark.parametrize("number", [0, 1])
def test_a_line_that_is_not_what_was_written_is_damage_and_not_given(number: int) -> None:
    there, lines, damage = member(add_event(1), add_event(2), add_event(3))
    there._data = there._data.replace(b"10.0.0.%d/" % (number + 1), b"10.0.9.9/")
    assert of(there.with_text(None)) == [line for n, line in enumerate(lines) if n != number]
    (found,) = damage
    assert (found.line, found.offset) == (number + 1, len(b"".join(lines[:number])))


def test_a_line_behind_one_whose_end_is_broken_is_not_proven() -> None:
    there, lines, damage = member(add_event(1), add_event(2))
    there._data = there._data.replace(lines[0][-18:], b'"crc":"0000000g"}\n')
    assert of(there.with_text(b"10.0.0.2/")) == []
    assert [(found.line, found.offset) for found in damage] == [(2, len(lines[0]))]
