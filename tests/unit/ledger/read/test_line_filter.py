"""Passing over lines: whatever matters is parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.ledger.format.line import encode
from eni_ledger.ledger.read import line_filter
from eni_ledger.ledger.read.terms import Query
from helpers.ledgers import BOOT, add_event

TS = "2026-11-23T14:46:29.123456Z"
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef"


def line(**keys: Any) -> bytes:
    """Return the line of an event, as a writer makes it."""
    return encode({"ts": TS, "seq": 17, "v": 1, **keys}, 0)[0]


def full(n: int = 1, **keys: Any) -> dict[str, Any]:
    """Return an add with everything that can be asked for."""
    event = {**add_event(n), "association_id": f"assoc-0000000000000000{n}", "eni_id": "eni-0123456789abcdef0"}
    task = {"task_arn": TASK, "cluster": "prod", "task_family": "api", "task_revision": "17", "service": "web"}
    return {**event, **task, "instance_id": "i-0123456789abcdef0", "event": "add", **keys}


def questions(event: dict[str, Any]) -> list[str]:
    """Return questions that the event is an answer to, one of each kind."""
    return [
        event["addresses"][0].partition("/")[0],
        event["branch_mac"],
        event["eni_id"],
        event["association_id"],
        event["association_id"].removeprefix("assoc-"),
        str(event["vlan_id"]),
        f"0{event['vlan_id']}",
        f"vlan{event['vlan_id']}",
        str(event["netns_inode"]),
        f"net:[{event['netns_inode']}]",
        event["netns"],
        event["container_id"],
        event["container_id"][:8],
        TASK,
        TASK.rpartition("/")[2],
        "api",
        "api:17",
        "api:17/01234567",
        "api/0123",
        "prod/0123",
        "family:api",
        "prod/web",
        "cluster:prod",
        "service:web",
        "task:0123",
        "trunk:enp40s0",
        "enp40s0",
        "i-0123456789abcdef0",
        "ip-10-0-0-1.ec2.internal",
        "10.0.0.0/20",
        "10.0.0.0/12",
        "0.0.0.0/0",
    ]


def test_what_answers_a_question_has_its_literal_in_it() -> None:
    event = full()
    for text in questions(event):
        query = Query(text)
        assert query.matches(event), text
        literals = query.literals()
        assert literals is None or any(literal in line(**event) for literal in literals), text
    assert sum(Query(text).literals() is not None for text in questions(event)) == 26


@pytest.mark.parametrize(
    "text",
    ["fd00::1", "0a:1b:2c:3d:01:02", "/run/netns/x", "0101", 'arn:aws:ecs:r:1:task/"x', "arn:aws:ecs:r:1:task/ä"],
)
def test_what_can_be_written_in_several_ways_has_none(text: str) -> None:
    assert Query(text).literals() is None


def test_the_association_is_read_off() -> None:
    assert line_filter.association(line(**full(3))) == "assoc-00000000000000003"
    assert line_filter.association(line(event="add_failed", boot_id=BOOT, error_code=7)) == ""


@pytest.mark.parametrize(
    "one",
    [
        line(event="boot", boot_id=BOOT),
        line(event="checkpoint", live=[full()], prev_crc="00000000"),
        line(**full(supersedes=["assoc-00000000000000009"])),
        line(**full(container_id='with "quotes"')),
        line(**full(association_id='"')),
        line(**full(association_id="ä")),
        line(event="something new", association_id="assoc-1"),
        line(**full(v=2)),
        b'{"seq":17,' + line(**full())[1:],
        b'{"ts":"%s","seq":17,"v":1,"event":"del","x":1,"association_id":"a","crc":"00000000"}\n' % TS.encode(),
        b"{}\n",
        b"\n",
    ],
)
def test_whatever_else_it_is_it_has_to_be_parsed(one: bytes) -> None:
    assert line_filter.association(one) is None
    loads = line_filter.loads_about([b"nobody has this"], set())
    if one.strip():
        assert loads(one) == json.loads(one)
    else:
        with pytest.raises(ValueError, match="empty"):
            loads(one)


def test_lines_are_passed_over_with_their_seq() -> None:
    ids = {"assoc-00000000000000002"}
    loads = line_filter.loads_about([b"10.9.9.9"], ids)
    other = line(**full(1))
    assert loads(other) == {"ts": "", "seq": 17, "event": ""}
    assert loads(line(**full(2)))["event"] == "add"
    assert loads(line(**full(1, addresses=["10.9.9.9/20"])))["event"] == "add"
    ids.add("assoc-00000000000000001")
    assert loads(other)["event"] == "add"


def test_kinds() -> None:
    loads = line_filter.loads_of(frozenset((b"identify",)))
    assert loads(line(**full()))["event"] == ""
    assert loads(line(**full(event="identify")))["event"] == "identify"
    assert loads(line(**full(container_id="\\")))["event"] == "add"
    assert loads(line(event="boot", boot_id=BOOT))["event"] == "boot"


def test_times() -> None:
    loads = line_filter.loads_since("2026-11-23T14:46:29.123457Z")
    assert loads(line(**full())) == {"ts": "", "seq": 17, "event": ""}
    assert loads(line(**full(ts="2026-11-23T14:46:29.123457Z")))["event"] == "add"
    assert loads(line(**full(ts="2026-11-23T14:46:30.000000Z")))["event"] == "add"
    assert loads(line(event="checkpoint", live=[], prev_crc="00000000"))["event"] == "checkpoint"


texts = st.text(max_size=8) | st.sampled_from(["", "assoc-1", '","event":"boot', "\\", "10.0.0.1"])


@given(
    kind=st.sampled_from(["add", "del", "identify", "boot", "add_failed", "import", "checkpoint", "x"]) | texts,
    ids=st.sets(texts, max_size=2),
    keys=st.dictionaries(st.sampled_from(["association_id", "instance_id", "container_id", "task_arn"]), texts),
    supersedes=st.none() | st.lists(texts, max_size=2),
)
def test_nothing_that_matters_is_passed_over(
    kind: str, ids: set[str], keys: dict[str, str], supersedes: list[str] | None
) -> None:
    one = line(event=kind, **keys, supersedes=supersedes)
    event = json.loads(one)
    found = line_filter.loads_about([b"10.0.0.1"], ids)(one)
    if found != event:
        assert found == {"ts": "", "seq": 17, "event": ""}
        assert event["event"] not in ("boot", "checkpoint")
        assert event.get("association_id") not in ids
        assert ids.isdisjoint(event.get("supersedes") or ())
        assert not any("10.0.0.1" in str(value) for value in event.values())
