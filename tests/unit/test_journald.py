from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eni_ledger import journald
from eni_ledger.ledger.format.line import EVENTS, KEYS
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOG = Path(__file__).parents[2] / "conf/journald/eni-ledger.catalog"


def parse(payload: bytes) -> list[tuple[str, bytes]]:
    """Read an entry as systemd's document says, written apart from the code under test."""
    fields = []
    while payload:
        line, _, rest = payload.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, end, rest = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        fields.append((name.decode(), value))
        payload = rest
    return fields


class Receiver:
    """A datagram socket where journald's would be."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "socket")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE_S)

    def receive(self) -> list[tuple[str, bytes]]:
        payload, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 4)
        if not fds:
            return parse(payload)
        (fd,) = fds
        assert payload == b"", "journald ignores a datagram with both payload and descriptor"
        with os.fdopen(fd, "rb") as file:
            file.seek(0)
            with pytest.raises(PermissionError):  # sealed: nobody can change it under journald's hands
                os.write(fd, b"x")
            return parse(file.read())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.close()


def sent(receiver: Receiver, event: dict[str, Any], **more: Any) -> dict[str, list[str]]:
    assert journald.send(event, sockets=[receiver.path], **more)
    fields: dict[str, list[str]] = {}
    for name, value in receiver.receive():
        fields.setdefault(name, []).append(value.decode())
    return fields


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_format_has_a_field_of_its_own(key: str) -> None:
    name = journald.field_name(key)
    assert name is not None
    assert [other for other in KEYS if journald.field_name(other) == name] == [key]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("seq", "LEDGER_SEQ"),
        ("ts", "LEDGER_TS"),
        ("vlan_id", "VLAN_ID"),
        ("message", "LEDGER_MESSAGE"),
        ("message_id", "LEDGER_MESSAGE_ID"),
        ("priority", "LEDGER_PRIORITY"),
        ("syslog_identifier", "LEDGER_SYSLOG_IDENTIFIER"),
        ("object_pid", "LEDGER_OBJECT_PID"),
        ("ip", "LEDGER_IP"),
        ("ledger_seq", "LEDGER_LEDGER_SEQ"),
        ("_pid", None),
        ("1st", None),
        ("", None),
        ("a=b", None),
        ("a\nb", None),
        ("straße", None),
        ("a-b", None),
        ("x" * 64, "X" * 64),
        ("x" * 65, None),
        ("priority" + "x" * 56, None),
    ],
)
def test_field_names(key: str, name: str | None) -> None:
    assert journald.field_name(key) == name


def test_ids_are_published_one_for_each_event_and_valid() -> None:
    assert tuple(journald.MESSAGE_IDS) == EVENTS
    ids = [*journald.MESSAGE_IDS.values(), journald.FAILURE_ID]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_catalog_and_code_have_the_same_ids() -> None:
    ids = re.findall(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), re.M)
    assert ids == [*journald.MESSAGE_IDS.values(), journald.FAILURE_ID]


def test_catalog_names_only_fields_that_an_entry_can_have() -> None:
    known = {journald.field_name(key) for key in KEYS} | {"LIVE_COUNT"}
    used = set(re.findall(r"@([A-Z_]+)@", CATALOG.read_text()))
    assert used
    assert used <= known


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            {
                "event": "add",
                "eni_id": "eni-0a1",
                "vlan_id": 101,
                "addresses": ["10.0.32.4/20"],
                "trunk_ifname": "enp40s0",
                "netns_inode": 4026532281,
                "container_id": "0123456789abcdef",
            },
            "branch eni-0a1 vlan 101 10.0.32.4 on trunk enp40s0 joined netns 4026532281 (container 0123456789ab)",
        ),
        (
            {"event": "add", "branch_mac": "0a:00:00:00:00:01", "vlan_id": 0, "netns": "/run/netns/x"},
            "branch 0a:00:00:00:00:01 vlan 0 joined netns /run/netns/x",
        ),
        (
            {"event": "add", "ifname": "eth0", "branch_mac": "0a:00:00:00:00:01", "netns_inode": 1},
            "interface eth0 0a:00:00:00:00:01 joined netns 1",
        ),
        (
            {"event": "add", "protocol": "default", "eni_id": "eni-0a1", "netns_inode": 1},
            "ENI eni-0a1 joined netns 1",
        ),
        (
            {"event": "add", "vlan_id": 7, "eni_id": "eni-1", "netns_inode": 1, "mismatch": ["vlan_id"]},
            "branch eni-1 vlan 7 joined netns 1; not as declared: vlan_id",
        ),
        (
            {"event": "add_failed", "ifname": "eth0", "netns": "/n", "error_code": 11, "error_msg": "busy"},
            "interface eth0 did not join netns /n: error 11, busy",
        ),
        (
            {
                "event": "del",
                "vlan_id": 7,
                "eni_id": "eni-1",
                "netns_inode": 1,
                "task_arn": "arn:a:task/c/0f",
            },
            "branch eni-1 vlan 7 left netns 1 (task 0f)",
        ),
        (
            {"event": "identify", "vlan_id": 7, "eni_id": "eni-1", "task_arn": "arn:a:task/c/0f"},
            "branch eni-1 vlan 7 identified (task 0f)",
        ),
        (
            {"event": "adopt", "vlan_id": 7, "eni_id": "eni-1", "netns_inode": 1},
            "branch eni-1 vlan 7 was found in netns 1, joined unrecorded",
        ),
        (
            {"event": "lost", "vlan_id": 7, "eni_id": "eni-1", "netns_inode": 1},
            "branch eni-1 vlan 7 is gone from netns 1 without a DEL",
        ),
        (
            {"event": "boot", "instance_id": "i-1", "boot_id": "b"},
            "i-1 booted (boot ID b); associations of earlier boots have ended",
        ),
        ({"event": "checkpoint", "live": [{}]}, "ledger checkpoint: 1 live association"),
        ({"event": "checkpoint", "live": []}, "ledger checkpoint: 0 live associations"),
        ({"event": "import", "vlan_id": 7, "netns": "/n"}, "branch vlan 7 imported: joined netns /n"),
        ({"event": "later", "vlan_id": 7}, "branch vlan 7 later"),
        (
            {"event": "add", "ifname": "eth0", "netns": "/n", "error_msg": "no such interface", "spooled": True},
            "interface eth0 joined netns /n; not seen in the kernel: no such interface; waits in the spool",
        ),
    ],
)
def test_sentences(receiver: Receiver, event: dict[str, Any], sentence: str) -> None:
    assert sent(receiver, event)["MESSAGE"] == [sentence]


@pytest.mark.parametrize(
    ("event", "priority"),
    [
        ({"event": "add"}, "6"),
        ({"event": "del"}, "6"),
        ({"event": "add", "mismatch": []}, "6"),
        ({"event": "add", "mismatch": ["observed_mac"]}, "4"),
        ({"event": "add_failed"}, "4"),
        ({"event": "add", "error_code": 110, "error_msg": "no such interface"}, "4"),
        ({"event": "lost"}, "4"),
    ],
)
def test_priorities(receiver: Receiver, event: dict[str, Any], priority: str) -> None:
    assert sent(receiver, event)["PRIORITY"] == [priority]


def test_values_read_as_in_the_ledger(receiver: Receiver) -> None:
    fields = sent(
        receiver,
        {
            "event": "later",
            "took_ms": 0.8,
            "spooled": True,
            "service": None,
            "network": "",
            "later_object": {"a": [1, "ü"]},
            "later_list": [1, None, [2], True],
            "live": [{"vlan_id": 1}, {"vlan_id": 2}],
        },
        extra={"hint": "why", "priority": 0},
    )
    assert fields["TOOK_MS"] == ["0.8"]
    assert fields["SPOOLED"] == ["true"]
    assert "SERVICE" not in fields
    assert fields["NETWORK"] == [""]
    assert fields["LATER_OBJECT"] == ['{"a":[1,"ü"]}']
    assert fields["LATER_LIST"] == ["1", "null", "[2]", "true"]
    assert fields["LIVE_COUNT"] == ["2"]
    assert "LIVE" not in fields
    assert fields["HINT"] == ["why"]
    assert fields["LEDGER_PRIORITY"] == ["0"]
    assert fields["PRIORITY"] == ["6"]
    assert "MESSAGE_ID" not in fields, "a kind of event that this version does not know has no ID"


def test_a_lone_surrogate_becomes_an_escape(receiver: Receiver) -> None:
    assert sent(receiver, {"event": "add", "network": "a\udc80"})["NETWORK"] == [r"a\udc80"]


def test_a_sentence_is_one_short_line_whatever_is_in_it(receiver: Receiver) -> None:
    forged = "x\nNov 23 14:00:00 host sshd[1]: Accepted\x1b[2J" * 100
    event = {
        "event": "add_failed",
        "ifname": forged,
        "error_msg": forged,
        "container_id": forged,
        "netns": forged,
    }
    (message,) = sent(receiver, event)["MESSAGE"]
    assert message.isprintable()
    assert len(message) < 1500


TEXTS = st.text(st.characters(exclude_categories=()), max_size=40)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS, st.lists(TEXTS, max_size=4)
)


@example(event={"live": 1})
@given(event=st.dictionaries(st.one_of(st.sampled_from([*KEYS, "message", "priority", "ip"]), TEXTS), VALUES))
def test_any_event_is_one_wellformed_entry_with_one_head(
    tmp_path_factory: pytest.TempPathFactory, event: dict[str, Any]
) -> None:
    receiver = Receiver(tmp_path_factory.mktemp("any"))
    try:
        assert journald.send(event, sockets=[receiver.path])
        fields = receiver.receive()
    finally:
        receiver.close()
    names = [name for name, _ in fields]
    for name in ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY"):
        assert names.count(name) == 1
    assert names.count("MESSAGE_ID") <= 1
    for key, value in event.items():
        field = journald.field_name(key)
        if field is None or not isinstance(value, str):
            continue
        assert (field, value.encode("utf-8", "backslashreplace")) in fields


@pytest.mark.parametrize("size", [1_000, 150_000, 400_000, 5_000_000])
def test_large_entries_arrive_whole(receiver: Receiver, size: int) -> None:
    assert sent(receiver, {"event": "add_failed", "error_msg": "x" * size})["ERROR_MSG"] == ["x" * size]


def test_the_first_socket_that_is_there_is_used(receiver: Receiver, tmp_path: Path) -> None:
    directory = tmp_path / "stale"
    directory.mkdir()
    stale = Receiver(directory)
    stale.close()  # its file is left, but nobody listens
    no_socket = tmp_path / "file"
    no_socket.write_text("")
    sockets = [str(tmp_path / "none"), stale.path, str(no_socket), receiver.path]

    assert journald.send({"event": "add"}, sockets=sockets)
    assert ("EVENT", b"add") in receiver.receive()


@pytest.mark.parametrize("sockets", [[], ["/nonexistent/socket"], ["/" + "x" * 200], ["a\0b"], ["/dev/null", "/"]])
def test_no_journald_is_false(sockets: list[str]) -> None:
    assert journald.send({"event": "add"}, sockets=sockets) is False
    assert journald.send_failure("no", sockets=sockets) is False


@pytest.mark.parametrize("event", [None, [], {"live": 3}, {1: 2}, {"event": object()}, {"addresses": 3}])
def test_nothing_raises(receiver: Receiver, event: Any) -> None:
    assert journald.send(event, sockets=[receiver.path]) in (True, False)
    assert journald.send_failure("x", event, sockets=[receiver.path]) in (True, False)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_full_queue_is_false_and_leaves_nothing_open(receiver: Receiver) -> None:
    before = open_files()
    for _ in range(5000):
        if not journald.send({"event": "add"}, sockets=[receiver.path]):
            break
    else:
        pytest.fail("the queue never filled")
    assert not journald.send({"event": "add", "error_msg": "x" * 1_000_000}, sockets=[receiver.path])
    assert open_files() == before


def test_many_threads_do_not_mix_their_entries(receiver: Receiver) -> None:
    got: list[list[tuple[str, bytes]]] = []
    reading = threading.Thread(target=lambda: got.extend(receiver.receive() for _ in range(40)))
    reading.start()

    def write(n: int) -> None:
        for i in range(10):
            while not journald.send({"event": "add", "network": f"{n}/{i}" * 30_000}, sockets=[receiver.path]):
                pass

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in writers:
        thread.start()
    for thread in [*writers, reading]:
        thread.join()
    values = [dict(fields)["NETWORK"] for fields in got]
    assert sorted(values) == sorted((f"{n}/{i}" * 30_000).encode() for n in range(4) for i in range(10))


def test_failure_has_its_fields_and_a_safe_message(receiver: Receiver) -> None:
    assert journald.send_failure("not\nrecorded", {"error_code": 102, "message": "x"}, sockets=[receiver.path])
    fields = dict(receiver.receive())
    assert fields["MESSAGE"] == rb"not\nrecorded"
    assert fields["PRIORITY"] == b"3"
    assert fields["MESSAGE_ID"].decode() == journald.FAILURE_ID
    assert fields["ERROR_CODE"] == b"102"
    assert fields["LEDGER_MESSAGE"] == b"x"


def test_only_c_modules_are_loaded() -> None:
    code = (
        "import sys; before = set(sys.modules); from eni_ledger import journald;"
        "journald.send({'event': 'add', 'error_msg': 'x' * 1000000}, sockets=['/nonexistent'])\n"
        "new = set(sys.modules) - before - {'eni_ledger', 'eni_ledger.journald', '__future__'}\n"
        "print([n for n in new if getattr(sys.modules[n], '__file__', '') and "
        "not sys.modules[n].__file__.endswith('.so')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
