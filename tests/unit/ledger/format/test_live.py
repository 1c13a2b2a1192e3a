"""What is live: every rule that ends an association, the writer's splice against the replay, and state.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format import state_file as state_format
from eni_ledger.ledger.format import supersede
from eni_ledger.ledger.format.live import Live
from eni_ledger.ledger.read import current
from helpers.ledgers import BOOT, OTHER_BOOT, TRUNK, add_event, del_event, record, state_file, three_segments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Draft


def stamped(seq: int, event: Draft) -> Draft:
    ts = f"2026-11-23T14:{seq // 60:02}:{seq % 60:02}.000000Z"
    out = {"ts": ts, "seq": seq, "v": 1, **event}
    if event["event"] in ("add", "adopt"):
        out.setdefault("association_id", f"assoc-{seq:017x}")
    return out


def aid(seq: int) -> str:
    return f"assoc-{seq:017x}"


def after(*events: Draft, boot_id: str | None = BOOT) -> tuple[Live, list[tuple[str, str]]]:
    """Return what is live after the events, and what the last of them ended."""
    live = Live(boot_id=boot_id)
    ended: list[tuple[Association, str]] = []
    for seq, event in enumerate(events, 1):
        ended = live.apply(stamped(seq, event))
    return live, [(old["association_id"], why) for old, why in ended]


def ids(live: Live) -> list[str]:
    return [association["association_id"] for association in live]


def test_an_add_starts_an_association_with_its_identity() -> None:
    event = add_event(1, took_ms=3.5, error_code=110, error_msg="m", unheard_of="kept")
    live, ended = after(event)
    (association,) = live
    assert ended == []
    own = {k: v for k, v in event.items() if k not in ("event", "took_ms", "error_code", "error_msg")}
    assert association == {
        **own,
        "association_id": aid(1),
        "since": "2026-11-23T14:00:01.000000Z",
        "add_seq": 1,
    }
    assert live.get(aid(1)) is association
    assert len(live) == 1


def test_different_attachments_live_side_by_side() -> None:
    live, ended = after(add_event(1), add_event(2), add_event(3))
    assert (ids(live), ended) == ([aid(1), aid(2), aid(3)], [])


@pytest.mark.parametrize("kind", ["add", "adopt"])
def test_an_add_ends_those_that_its_line_names(kind: str) -> None:
    new = {**add_event(4), "event": kind, "supersedes": [aid(1), aid(3), aid(99)]}
    live, ended = after(add_event(1), add_event(2), add_event(3), new)
    assert (ids(live), ended) == ([aid(2), aid(4)], [(aid(1), "superseded"), (aid(3), "superseded")])


def test_an_add_ends_no_other_whatever_they_have_in_common() -> None:
    """What a writer left standing, by its rules, is not ended by a reader with other rules."""
    live, ended = after(add_event(1), add_event(1))
    assert (ids(live), ended) == ([aid(1), aid(2)], [])


@pytest.mark.parametrize("stated", [None, "assoc-x", 7, {}, [None, 7, [], {}]])
def test_a_supersedes_that_no_writer_writes(stated: object) -> None:
    live, ended = after(add_event(1), {**add_event(2), "supersedes": stated})
    assert (ids(live), ended) == ([aid(1), aid(2)], [])


@pytest.mark.parametrize("kind", ["del", "lost"])
def test_del_and_lost_end_the_one_they_name(kind: str) -> None:
    live, ended = after(add_event(1), add_event(2), {"event": kind, "association_id": aid(1)})
    assert (ids(live), ended) == ([aid(2)], [(aid(1), kind)])
    live, ended = after(add_event(1), {"event": kind, "association_id": aid(7)}, {"event": kind})
    assert (ids(live), ended) == ([aid(1)], [])


def test_a_boot_ends_all_when_it_is_another_boot() -> None:
    live, ended = after(add_event(1), add_event(2), {"event": "boot", "boot_id": OTHER_BOOT})
    assert (ids(live), ended) == ([], [(aid(1), "rebooted"), (aid(2), "rebooted")])
    assert live.boot_id == OTHER_BOOT
    live, ended = after(add_event(1), {"event": "boot", "boot_id": BOOT})
    assert (ids(live), ended) == ([aid(1)], [])


@pytest.mark.parametrize("kind", ["add_failed", "import", "novelty"])
def test_other_events_end_nothing(kind: str) -> None:
    live, ended = after(add_event(1), {**add_event(1), "event": kind, "association_id": aid(1)})
    assert (ids(live), ended) == ([aid(1)], [])


def test_identify_adds_and_never_overwrites() -> None:
    told = {"event": "identify", "association_id": aid(1), "task_arn": "arn:x", "eni_id": "eni-other", "via": "scan"}
    live, ended = after(add_event(1), told)
    (association,) = live
    assert ended == []
    assert association["task_arn"] == "arn:x"
    assert association["eni_id"] == add_event(1)["eni_id"]
    assert association["via"] == "chained"
    assert association["since"] == "2026-11-23T14:00:01.000000Z"
    assert association["add_seq"] == 1
    assert "event" not in association


def test_a_checkpoint_states_what_is_live_anew() -> None:
    kept = {**live_state.association_of(stamped(2, add_event(2)))}
    checkpoint = {"event": "checkpoint", "boot_id": OTHER_BOOT, "prev_crc": "00000000", "live": [kept]}
    live, ended = after(add_event(1), add_event(2), checkpoint)
    assert (ids(live), ended, live.boot_id) == ([aid(2)], [(aid(1), "lost")], OTHER_BOOT)
    live, ended = after(add_event(1), {**checkpoint, "live": None})
    assert (ids(live), ended) == ([], [(aid(1), "lost")])


def test_an_event_from_the_spool_counts_from_when_it_happened() -> None:
    early = "2026-11-23T13:00:00.000000Z"
    live, _ = after({**add_event(1), "spool": "f", "spooled_ts": early})
    (association,) = live
    assert association["since"] == early
    assert not association.keys() & {"spool", "spooled_ts", "ts", "seq", "v"}


def test_the_end_repeats_what_a_search_looks_for() -> None:
    (association,) = after(add_event(1))[0]
    told = live_state.identity_of(association)
    assert told == {k: v for k, v in association.items() if k not in ("since", "add_seq", "via", "cni_version")}


# -- splice, which is what the writer does, against Live, which is what readers do

SMALL = st.integers(1, 4)
MAYBE = st.none() | SMALL


@st.composite
def steps(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(
        st.sampled_from(["add", "add", "add", "adopt", "del", "lost", "identify", "boot", "import", "add_failed"])
    )
    if kind in ("add", "adopt"):
        keys = ("container_id", "vlan_id", "netns_inode")
        known = {key: draw(MAYBE) for key in keys}
        return kind, known, draw(st.sampled_from(["eth0", "eth1"])), draw(st.sampled_from([TRUNK, "other", None]))
    return kind, draw(SMALL), draw(st.fixed_dictionaries({}, optional={"vlan_id": SMALL, "netns_inode": SMALL}))


def event_of(step: tuple[Any, ...], live: list[str], boot: str) -> Draft | None:
    kind = step[0]
    if kind in ("add", "adopt"):
        _, known, ifname, trunk = step
        event = {"event": kind, "boot_id": boot, "ifname": ifname, "trunk_mac": trunk, "netns_dev": 4, **known}
        if known["container_id"] is not None:
            event["container_id"] = f"c{known['container_id']}"
        return {key: value for key, value in event.items() if value is not None}
    if kind == "boot":
        return {"event": "boot", "boot_id": f"boot-{step[1]}"}
    if not live:
        return None
    return {"event": kind, "association_id": live[step[1] % len(live)], **(step[2] if kind == "identify" else {})}


@settings(max_examples=300)
@given(st.lists(steps(), max_size=25))
def test_splice_is_live(plan: list[tuple[Any, ...]]) -> None:
    live, lines, boot = Live(boot_id="boot-1"), list[bytes](), "boot-1"
    for seq, step in enumerate(plan, 1):
        event = event_of(step, ids(live), boot)
        if event is None:
            continue
        event = stamped(seq, event)
        if event["event"] in ("add", "adopt"):
            event["supersedes"] = supersede.ended_by(lines, event)
        live.apply(event)
        lines = live_state.apply_to_lines(lines, event, boot)
        boot = live.boot_id or boot
        got = {each["association_id"]: each for each in map(json.loads, lines)}
        assert got == {each["association_id"]: each for each in live}
        assert len(lines) == len(got)
        # What is live can also be taken up again from those lines, as a checkpoint does.
        again = Live(map(json.loads, lines), boot)
        assert sorted(ids(again)) == sorted(ids(live))


# -- the file


def test_the_file_is_json_with_one_association_per_line(tmp_path: Path) -> None:
    three_segments(tmp_path / "s")
    data = (tmp_path / "s/state.json").read_bytes()
    head, *middle, last = data.decode().splitlines()
    found = json.loads(data)
    assert list(found) == ["v", "seq", "ts", "boot_id", "crc", "size", "marks", "sum", "associations"]
    assert json.loads(head + "]}")["associations"] == []
    assert [json.loads(line.removesuffix(",")) for line in middle] == found["associations"]
    assert last == "]}"
    assert len(middle) == 2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_any_flipped_bit_any_cut_and_anything_more_is_refused(count: int) -> None:
    live, _ = after(*(add_event(n) for n in range(1, count + 1)))
    lines = [state_format.encode_association(association) for association in live]
    head = {"v": 1, "seq": 9, "ts": "2026-11-23T14:00:00.000000Z", "boot_id": BOOT, "crc": "00c0ffee"}
    data = state_format.StateFile(head, lines).encode()
    whole = state_format.decode(data)
    assert whole is not None
    assert (whole.head, whole.lines) == (head, lines)
    for at in range(len(data)):
        assert state_format.decode(data[:at]) is None
        for bit in range(8):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            assert state_format.decode(bytes(broken)) is None, (at, bit, bytes(broken[max(0, at - 20) : at + 20]))
    for more in (b"\n", b" ", b"{}", b"]}\n", b"\0"):
        assert state_format.decode(data + more) is None
        assert state_format.decode(more + data) is None


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"null\n", b'{"associations":[\n]}\n', b"\0" * 4096, b"[\n]}\n"])
def test_what_is_no_state(data: bytes) -> None:
    assert state_format.decode(data) is None


def test_a_sum_that_fits_does_not_make_a_state(tmp_path: Path) -> None:
    assert state_format.decode(state_format.StateFile({"v": 1}, []).encode()) is None
    assert state_format.decode(state_format.StateFile({"v": 1, "seq": "1"}, []).encode()) is None


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "symlink", "empty", "garbage"])
def test_what_cannot_be_read_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        real = tmp_path / "real"
        real.write_bytes(state_format.StateFile({"v": 1, "seq": 1}, []).encode())
        path.symlink_to(real)
    elif kind != "missing":
        path.write_bytes(b"\0garbage" * (kind == "garbage"))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert state_format.read(fd) is None
    finally:
        os.close(fd)


def test_find_live_answers_check(tmp_path: Path) -> None:
    where = tmp_path / "s"
    written = record(where, add_event(1))
    record(where, add_event(2))
    for missing_state in (False, True):
        if missing_state:
            (where / "state.json").unlink()
        found = current.find_live(str(where), del_event(1))
        assert found is not None
        assert found["association_id"] == written["association_id"]
        assert current.find_live(str(where), del_event(1, ifname="eth1")) is None
        assert current.find_live(str(where), del_event(1, container_id=add_event(1)["container_id"][:-1])) is None
    record(where, del_event(1))
    assert current.find_live(str(where), del_event(1)) is None
    assert state_file(where)["seq"] == 4


def container(n: int) -> Draft:
    return {"id": f"{n:064x}", "name": f"c{n}"}


def identified(containers: object) -> Draft:
    return {"event": "identify", "association_id": aid(1), "containers": containers}


def test_containers_grow_and_no_other_value_changes() -> None:
    again = {**container(1), "name": "another"}
    live, _ = after(
        add_event(1),
        identified([container(1)]),
        {**identified([again, container(2)]), "pause_name": "p"},
        {**identified([container(3)]), "pause_name": "q"},
    )
    (association,) = live
    assert association["containers"] == [container(1), container(2), container(3)]
    assert association["pause_name"] == "p"


def test_containers_are_bounded() -> None:
    first, second = [container(n) for n in range(60)], [container(n) for n in range(50, 100)]
    live, _ = after(add_event(1), identified(first), identified(second))
    (association,) = live
    assert association["containers"] == [container(n) for n in range(live_state.CONTAINERS_MAX)]


@pytest.mark.parametrize("odd", ["text", 7, {"id": "x"}, [7, "x", None, {}, {"id": None}, {"id": ["x"]}]])
def test_containers_that_are_none(odd: object) -> None:
    live, _ = after(add_event(1), identified([container(1)]), identified(odd), identified([container(2)]))
    (association,) = live
    assert association["containers"] == [container(1), container(2)]
    live, _ = after(add_event(1), identified(odd), identified([container(1)]))
    (association,) = live
    assert association["containers"] == (odd if not isinstance(odd, list) else [*odd, container(1)])
