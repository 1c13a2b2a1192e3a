"""What an interposed call makes of the answer; the calls themselves are in tests/linux/test_interposed.py."""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.base import config, errors
from eni_ledger.base.config import Settings
from eni_ledger.plugin import interposed, interposed_event
from eni_ledger.plugin.protocol import Call
from helpers.agent import Branch
from helpers.plugin import own_netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event

MAC = "0a:1b:2c:3d:00:01"
BRANCH = Branch("c" * 64, 101, MAC, ["10.0.32.4/20"])


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    made = config.Settings(str(tmp_path / "state"))
    made.journald = False
    made.agent_db = str(tmp_path / "agent.db")
    return made


def call_of(command: str, **env: str) -> Call:
    given = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c" * 64, "CNI_NETNS": own_netns(), "CNI_IFNAME": "lo"}
    return Call({**given, **env}, io.BytesIO(), io.BytesIO())


def prepared_of(call: Call, settings: config.Settings, data: bytes) -> Any:
    return interposed_event.prepare("vpc-branch-eni", call, settings, data)


def test_prepared(settings: config.Settings) -> None:
    prepared = prepared_of(call_of("ADD"), settings, BRANCH.stdin())
    prepared.close()
    assert prepared.wrong is None
    expected = {"event": "add", "via": "interposed", "plugin": "vpc-branch-eni", "cni_version": "0.3.0"}
    expected |= {"network": "network-name", "container_id": "c" * 64, "ifname": "lo", "netns": own_netns()}
    assert {key: prepared.event.get(key) for key in expected} == expected
    assert (prepared.event["vlan_id"], prepared.event["branch_mac"]) == (101, MAC)


def test_prepared_for_del_says_which_one_is_meant(settings: config.Settings) -> None:
    """And no more: what ended is what was recorded when it began, not what the configuration says by then."""
    event = prepared_of(call_of("DEL", CNI_NETNS="none"), settings, BRANCH.stdin()).event
    assert {key: event.get(key) for key in ("vlan_id", "branch_mac", "netns")} == {
        "vlan_id": 101,
        "branch_mac": MAC,
        "netns": "none",
    }
    assert not {"addresses", "gateways", "trunk_mac", "protocol"} & set(event)


def interposed_call(settings: config.Settings, command: str, branch: Branch, **env: str) -> Event | None:
    """Go through a call whose delegate succeeds."""
    call = call_of(command, CNI_CONTAINERID=branch.container_id, **env)
    prepared = interposed_event.prepare("vpc-branch-eni", call, settings, branch.stdin())
    return interposed_event.record(call, settings, prepared, 0, b"{}")


def test_a_constant_container_id(settings: config.Settings) -> None:
    """Managed Instances call plugins with the same container ID and ifname for all tasks."""
    tasks = [Branch("container-id", 100 + n, f"0a:1b:2c:3d:00:0{n}", [f"10.0.32.{n}/20"]) for n in (1, 2, 3)]
    for n, branch in enumerate(tasks):
        added = interposed_call(settings, "ADD", branch, CNI_NETNS=f"/var/run/netns/nosuch-{n}")
        assert added is not None
        assert "supersedes" not in added
    ended = interposed_call(settings, "DEL", tasks[1], CNI_NETNS="none")
    assert ended is not None
    assert (ended["vlan_id"], ended["netns"]) == (102, "/var/run/netns/nosuch-1")
    assert interposed_call(settings, "DEL", tasks[1], CNI_NETNS="none") is None
    from eni_ledger.ledger.query.questions import History

    assert [one["vlan_id"] for one in History(settings.state_dir).live()] == [101, 103]


@pytest.mark.parametrize("left_out", [("name",), ("cniVersion",), ("name", "cniVersion")])
@pytest.mark.parametrize("over", [{}, {"name": ""}, {"name": "a b"}, {"cniVersion": "9.9.9"}, {"branchVlanID": "+101"}])
def test_what_is_good_enough_for_the_delegate_is_no_error(
    settings: config.Settings, left_out: tuple[str, ...], over: dict[str, object]
) -> None:
    conf = json.loads(BRANCH.stdin())
    conf = {key: value for key, value in conf.items() if key not in left_out} | over
    call = call_of("ADD")
    written = interposed_event.record(call, settings, prepared_of(call, settings, json.dumps(conf).encode()), 0, b"{}")
    assert written is not None
    assert "error_code" not in written
    assert (written["vlan_id"], written["branch_mac"]) == (101, MAC)
    assert written.get("network", "") == conf.get("name", "")
    assert written.get("cni_version") == conf.get("cniVersion")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"{" * 5000, b" " * (1 << 20) + b"{}"])
def test_prepared_without_a_configuration(settings: config.Settings, data: bytes) -> None:
    prepared = prepared_of(call_of("ADD"), settings, data)
    prepared.close()
    assert isinstance(prepared.wrong, errors.DecodeFailure)
    assert prepared.event["container_id"] == "c" * 64
    assert not {"protocol", "interface_type", "cni_version"} & set(prepared.event)


def test_recorded_with_what_differs(settings: config.Settings) -> None:
    call = call_of("ADD")
    written = interposed_event.record(call, settings, prepared_of(call, settings, BRANCH.stdin()), 0, b"{}")
    assert written is not None
    assert (written["event"], written["seq"] > 0) == ("add", True)
    assert set(written["mismatch"]) == {"vlan_id", "branch_mac", "addresses", "gateways"}  # `lo` is none of it
    assert written["observed_gateways"] == []


def test_recorded_though_there_is_no_namespace(settings: config.Settings) -> None:
    call = call_of("ADD", CNI_NETNS="/proc/999999999/ns/net")
    written = interposed_event.record(call, settings, prepared_of(call, settings, BRANCH.stdin()), 0, b"{}")
    assert written is not None
    assert (written["error_code"], written["vlan_id"]) == (110, 101)
    assert "mismatch" not in written


@pytest.mark.parametrize(
    ("status", "answer", "code", "msg"),
    [
        (256, b'{"code": 7, "msg": "m"}', 7, "m"),
        (256, b'{"code": 7, "msg": "m", "details": "d"}', 7, "m: d"),
        (256, b'{"code": 7, "msg": "m", "details": {}}', 7, "m"),
        (9, b'{"code": 7, "msg": "m"}', 7, "m"),
        (256, b'{"code": 7}', 999, "the delegate ended with status 1"),
        (9, b"", 999, "the delegate was ended by signal 9"),
        (139, b"null", 999, "the delegate was ended by signal 11"),
        (256, b"[" * 100_000, 999, "the delegate ended with status 1"),
        (256, b'{"code": 7, "msg": "' + b"m" * 2_000_000 + b'"}', 999, "the delegate ended with status 1"),
        (256, b'{"code": 7, "msg": "' + b"m" * 100_000 + b'"}', 7, "m" * 4000),
    ],
)
def test_a_failed_add(settings: config.Settings, status: int, answer: bytes, code: int, msg: str) -> None:
    call = call_of("ADD")
    written = interposed_event.record(call, settings, prepared_of(call, settings, BRANCH.stdin()), status, answer)
    assert written is not None
    assert (written["event"], written["error_code"], written["error_msg"]) == ("add_failed", code, msg)


def test_a_failed_del_is_no_event(settings: config.Settings) -> None:
    call = call_of("DEL")
    assert interposed_event.record(call, settings, prepared_of(call, settings, BRANCH.stdin()), 256, b"") is None
    assert not Path(settings.state_dir).exists()


@pytest.mark.parametrize(
    ("called", "beside"),
    [
        ("/data/eni-ledger/plugins/vpc-eni", "/data/eni-ledger/config.json"),
        ("/vpc-eni", "/config.json"),
        ("./vpc-eni", "{parent}/config.json"),
        ("../plugins/vpc-eni", "{parent}/config.json"),
        ("vpc-eni", None),
        ("", None),
    ],
)
def test_the_configuration_beside_the_plugins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, beside: str | None
) -> None:
    (tmp_path / "plugins").mkdir()
    monkeypatch.chdir(tmp_path / "plugins")
    monkeypatch.setattr(sys, "argv", [called])
    assert interposed._config_beside() == (beside and beside.format(parent=tmp_path))


def test_a_warm_up_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A socket that is closed, an event that no line can hold: the record itself reports it, not the warm-up."""
    prepared = interposed_event.Prepared({"event": "add", "container_id": object()})
    prepared.sock, other = socket.socketpair()
    prepared.sock.close()
    other.close()
    interposed_event.warm_up(Settings(str(tmp_path)), prepared)
    after: object = (prepared.wrong, prepared.sock, list(tmp_path.iterdir()))
    assert after == (None, None, [])


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_installation_without_what_is_loaded_late(
    monkeypatch: pytest.MonkeyPatch, settings: config.Settings, on_error: str
) -> None:
    settings.on_error = on_error
    monkeypatch.delattr("eni_ledger.plugin.interposed_event")
    monkeypatch.setitem(sys.modules, "eni_ledger.plugin.interposed_event", None)
    stderr = io.BytesIO()
    call = call_of("ADD")
    call = Call(call.env, io.BytesIO(), stderr)
    prepared = interposed._prepare("vpc-branch-eni", call, settings, b"")
    assert isinstance(prepared, ImportError)
    if on_error == "fail":
        with pytest.raises(ImportError):
            interposed._record(call, settings, prepared, 0, b"{}", 1.0)
        return
    assert interposed._record(call, settings, prepared, 0, b"{}", 1.0) is None
    assert b"ADD not recorded: ModuleNotFoundError: " in stderr.getvalue()
