"""The commands as a chained plugin, against a real state directory, attached to `lo` of our own namespace."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base import host
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import probe
from eni_ledger.ledger.write.probe import FAILURES
from helpers.plugin import VERSIONS, own_netns, result

if TYPE_CHECKING:
    from .conftest import Here

PREV = {"cniVersion": "1.1.0", "interfaces": [{"name": "lo", "sandbox": "/x"}], "ips": []}


# --- ADD ---


def test_add_records_what_is_declared_and_what_is_seen(here: Here) -> None:
    prev = result("1.1.0", ifname="lo", mac="0a:00:00:00:00:01", addresses=("203.0.113.9/24",), gateway="203.0.113.1")
    served = here.serve("ADD", here.conf(prev=prev))
    assert (served.status, served.stderr) == (0, "")
    (event,) = here.events("add")
    own = Path("/proc/self/ns/net").stat()
    expected = {
        "container_id": "c0ffee",
        "ifname": "lo",
        "network": "ecs-trunk",
        "declared_mac": "0a:00:00:00:00:01",
        "observed_mac": "00:00:00:00:00:00",
        "mismatch": ["declared_mac", "addresses"],
        "addresses": ["203.0.113.9/24"],
        "gateways": ["203.0.113.1"],
        "netns": own_netns(),
        "netns_inode": own.st_ino,
        "netns_dev": own.st_dev,
        "pid": os.getpid(),
        "via": "chained",
        "cni_version": "1.1.0",
    }
    assert {key: event.get(key) for key in expected} == expected
    assert event["pid_start"] > 0
    assert event["took_ms"] > 0
    assert isinstance(event["observed_addresses"], list)  # an empty one where `lo` has none
    for key in ("vlan_id", "protocol", "trunk_mac", "trunk_ifindex", "plugin", "eni_id", "error_code", "branch_mac"):
        assert key not in event


def add_of(here: Here, prev: dict[str, Any], **more: str) -> dict[str, Any]:
    """Return the event of an ADD after `prev`."""
    assert here.serve("ADD", here.conf(prev=prev), here.env("ADD", **more)).status == 0
    return here.events("add")[-1]


def who(here: Here, what: str) -> list[str]:
    return [one["association_id"] for one in History(str(here.state_dir)).who(what)]


LO = {"name": "lo", "sandbox": "/x"}


@pytest.mark.parametrize(
    ("interfaces", "ips"),
    [
        ([{"name": "veth1"}, LO], [{"address": "203.0.113.9/24", "interface": 0}]),
        ([{"name": "veth1"}, LO], [{"address": "203.0.113.9/24", "interface": 9}]),
        ([LO, {"name": "eth7", "sandbox": "/x"}], [{"address": "203.0.113.9/24"}]),
        ([LO, {"name": "eth7", "sandbox": "/x"}], [{"address": "203.0.113.9/24", "interface": 1}]),
        ([{"name": "lo"}], [{"address": "203.0.113.9/24", "interface": 0}]),
        ([], [{"address": "203.0.113.9/24"}]),
    ],
    ids=["host's end", "none", "no index", "another interface", "no sandbox", "no interfaces"],
)
def test_an_address_is_found_whatever_it_hangs_on(here: Here, interfaces: list[Any], ips: list[Any]) -> None:
    event = add_of(here, {"cniVersion": "1.1.0", "interfaces": interfaces, "ips": ips})
    assert event["addresses"] == ["203.0.113.9/24"]
    assert event["mismatch"] == ["addresses"]
    assert who(here, "203.0.113.9") == [event["association_id"]]


def test_an_interface_of_another_name_than_was_asked_for(here: Here) -> None:
    prev = result("1.1.0", ifname="lo", mac="0a:00:00:00:00:01", addresses=("203.0.113.9/24",))
    event = add_of(here, prev, CNI_IFNAME="nosuch0")
    assert (event["ifname"], event["declared_ifname"]) == ("nosuch0", "lo")
    assert event["mismatch"] == ["ifname", "declared_mac", "addresses"]
    assert (event["declared_mac"], event["observed_mac"]) == ("0a:00:00:00:00:01", "00:00:00:00:00:00")
    assert "error_code" not in event
    for what in ("203.0.113.9", "0a:00:00:00:00:01", "00:00:00:00:00:00"):
        assert who(here, what) == [event["association_id"]]


def test_a_default_route_that_is_not_there(here: Here) -> None:
    prev = {**PREV, "routes": [{"dst": "0.0.0.0/0", "gw": "203.0.113.1"}]}
    event = add_of(here, prev)
    assert (event["mismatch"], event["observed_gateways"]) == (["gateways"], [])
    gateway = {"address": "127.0.0.1/8", "gateway": "203.0.113.1"}
    event = add_of(here, {**PREV, "ips": [gateway]})  # a gateway, and no route to it was declared
    assert "gateways" not in event.get("mismatch", ())
    assert event["gateways"] == ["203.0.113.1"]


def test_none_is_not_the_same_as_not_known(here: Here) -> None:
    event = add_of(here, PREV)
    assert event["gateways"] == []
    assert isinstance(event["addresses"], list)
    event = add_of(here, PREV, CNI_NETNS="/nonexistent")
    assert not {"addresses", "gateways", "observed_addresses", "observed_gateways", "mismatch"} & set(event)


def test_a_pod_of_aws_cni_has_no_branch_mac(here: Here) -> None:
    """The routing table's number in its `mac` is no MAC either."""
    interfaces = [{"name": "eni0123456789a"}, {**LO, "mac": "0"}, {"name": "dummy0123456789a", "mac": "3"}]
    event = add_of(here, {"cniVersion": "1.1.0", "interfaces": interfaces})
    assert event["observed_mac"] == "00:00:00:00:00:00"
    assert not {"branch_mac", "declared_mac", "mismatch"} & set(event)


def test_three_tasks_with_one_container_id(here: Here) -> None:
    prevs = [result("1.1.0", mac=f"0a:00:00:00:00:0{n}") for n in (1, 2, 3)]
    for n, prev in enumerate(prevs):
        assert "supersedes" not in add_of(here, prev, CNI_NETNS=f"/nonexistent/{n}")
    assert here.serve("DEL", here.conf(prev=prevs[1]), CNI_NETNS="").status == 0
    assert here.serve("DEL", here.conf(), CNI_NETNS="/nonexistent/2").status == 0
    assert [event["declared_mac"][-1] for event in here.events("del")] == ["2", "3"]


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_del_that_may_be_of_several(here: Here, on_error: str) -> None:
    for n in (1, 2):
        add_of(here, result("1.1.0", mac=f"0a:00:00:00:00:0{n}"), CNI_NETNS=f"/nonexistent/{n}")
    served = here.serve("DEL", here.conf(onError=on_error), CNI_NETNS="")
    assert served.status == (on_error == "fail")
    assert "several live attachments have this container ID and ifname" in served.stderr
    assert here.events("del") == []


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_ledger_on_nfs_is_told_once(here: Here, monkeypatch: pytest.MonkeyPatch, on_error: str) -> None:
    monkeypatch.setattr(
        probe,
        "unsuitable_filesystem",
        lambda path: f"{path} is on nfs4 (srv:/): flock and fdatasync promise less there",
    )
    said = []
    for n in range(3):
        served = here.serve("ADD", here.conf(prev=PREV, onError=on_error), CNI_CONTAINERID=f"c{n}")
        assert (served.status, json.loads(served.stdout)) == (0, PREV)
        said.append(served.stderr)
    what = f"eni-ledger: recorded, but {here.state_dir} is on nfs4 (srv:/): flock and fdatasync promise less there\n"
    assert said == [what, "", ""]
    assert len(here.events("add")) == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_add_and_del_in_every_version(here: Here, version: str) -> None:
    prev = result(version, ifname="lo", addresses=("203.0.113.9/24",))
    assert here.serve("ADD", here.conf(version, prev)).status == 0
    assert here.serve("DEL", here.conf(version, prev), CNI_NETNS="none").status == 0
    add, delete = here.events("add", "del")
    assert add["addresses"] == delete["addresses"] == ["203.0.113.9/24"]
    assert add["association_id"] == delete["association_id"]


def test_own_namespace_is_refused(here: Here) -> None:
    for override in (None, "", "0", "yes"):
        served = here.serve("ADD", here.conf(prev=PREV), CNI_NETNS_OVERRIDE=override)
        assert (served.status, served.error["code"]) == (1, 8)
    assert here.events() == []


@pytest.mark.parametrize("override", ["1", "true", "TRUE", "True"])
def test_own_namespace_on_request(here: Here, override: str) -> None:
    assert here.serve("ADD", here.conf(prev=PREV), CNI_NETNS_OVERRIDE=override).status == 0


@pytest.mark.parametrize(
    "netns", ["/nonexistent/ns/net", "/etc/passwd", "/proc/self/ns/uts", "none", "/proc/1\n/ns/net"]
)
def test_a_namespace_that_is_none_does_not_harm(here: Here, netns: str) -> None:
    prev = result("1.1.0", mac="0a:00:00:00:00:01")
    served = here.serve("ADD", here.conf(prev=prev), CNI_NETNS=netns, CNI_IFNAME="eth0")
    assert (served.status, json.loads(served.stdout)) == (0, prev)
    assert "recorded without what the kernel shows" in served.stderr
    assert served.stderr.count("\n") == 1
    (event,) = here.events("add")
    assert event["error_code"] == 110
    assert event["error_msg"]
    assert (event["netns"], event["declared_mac"]) == (netns, "0a:00:00:00:00:01")
    assert event["addresses"] == ["10.0.32.4/20"]
    assert "netns_inode" not in event


def test_a_namespace_that_is_none_with_on_error_fail(here: Here) -> None:
    served = here.serve("ADD", here.conf(prev=PREV, onError="fail"), CNI_NETNS="/nonexistent")
    assert (served.status, served.error["code"]) == (1, 110)
    assert here.events("add") == []


def test_an_interface_that_is_not_there(here: Here) -> None:
    served = here.serve("ADD", here.conf(prev=result("1.1.0", ifname="nosuch0")), CNI_IFNAME="nosuch0")
    assert served.status == 0
    (event,) = here.events("add")
    assert event["error_code"] == 110
    assert "nosuch0" in event["error_msg"]
    assert event["netns_inode"] == Path("/proc/self/ns/net").stat().st_ino


def test_names_that_are_not_utf_8(here: Here) -> None:
    served = here.serve("ADD", here.conf(prev=PREV), CNI_IFNAME="a\udcff\x01")
    assert served.status == 0
    assert here.events("add")[0]["ifname"] == "a\\xff\x01"
    assert here.serve("DEL", here.conf(), CNI_IFNAME="a\udcff\x01").status == 0
    assert len(here.events("del")) == 1


def test_a_second_add_supersedes(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    here.serve("ADD", here.conf(prev=PREV), CNI_CONTAINERID="other")
    first, second = here.events("add")
    assert second["supersedes"] == [first["association_id"]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stateDir", "relative"),
        ("stateDir", 7),
        ("stateDir", "/a\0b"),
        ("stateDir", "/a\ud800b"),
        ("onError", "ignore"),
        ("onError", True),
        ("journald", "yes"),
        ("sync", 1),
    ],
)
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
def test_wrong_keys_in_the_configuration(here: Here, command: str, key: str, value: object) -> None:
    served = here.serve(command, here.conf(prev=PREV) | {key: value})
    assert (served.status, served.error["code"]) == (1, 7)
    assert key in served.error["msg"] + served.error["details"]
    assert here.events() == []


# --- what goes wrong on our side ---


def broken_symlink(here: Here) -> dict[str, Any]:
    here.state_dir.with_name("real").mkdir()
    here.state_dir.symlink_to("real")
    return {}


def broken_file(here: Here) -> dict[str, Any]:
    here.state_dir.write_text("")
    return {}


def broken_mode(here: Here) -> dict[str, Any]:
    here.state_dir.mkdir()
    here.state_dir.chmod(0o777)
    return {}


def broken_parent(here: Here) -> dict[str, Any]:
    here.state_dir.write_text("")
    return {"stateDir": f"{here.state_dir}/below"}


def broken_for_good(here: Here) -> dict[str, Any]:
    """Leave the lock file to be something that cannot be opened."""
    here.state_dir.mkdir(mode=0o750)
    (here.state_dir / "lock").mkdir()
    return {}


def tree(path: Path) -> dict[str, bytes]:
    """Return what is below `path`, nothing where it is not there."""
    return {
        str(each): each.read_bytes() if each.is_file() else b"" for each in [path, *path.rglob("*")] if each.exists()
    }


def broken_directory_of_others(here: Here) -> dict[str, Any]:
    here.state_dir.mkdir(mode=0o755)
    (here.state_dir / "state.json").write_text('{"v":1}')
    return {}


def broken_no_parent(here: Here) -> dict[str, Any]:
    return {"stateDir": f"{here.state_dir}/below/ledger"}


BROKEN = [
    (broken_directory_of_others, 100),
    (broken_no_parent, 100),
    (broken_symlink, 100),
    (broken_file, 100),
    (broken_mode, 100),
    (broken_parent, 100),
    (broken_for_good, 100),
]


@pytest.mark.parametrize(("breaking", "code"), BROKEN)
def test_a_broken_state_directory_harms_nobody(here: Here, breaking: Any, code: int) -> None:
    keys = breaking(here)
    before = tree(here.state_dir)
    text = json.dumps(here.conf("1.0.0", **keys))[:-1] + ',"prevResult":{ "cniVersion":"1.0.0" }}'
    served = here.serve("ADD", text.encode())
    assert (served.status, served.stdout) == (0, b'{ "cniVersion":"1.0.0" }')
    assert "ADD not recorded: " in served.stderr
    deleted = here.serve("DEL", here.conf(**keys))
    assert (deleted.status, deleted.stdout) == (0, b"")
    assert "DEL not recorded: " in deleted.stderr
    collected = here.serve("GC", here.conf(**keys) | {"cni.dev/valid-attachments": []})
    assert (collected.status, collected.stdout) == (0, b"")
    for each in (served, deleted, collected):
        assert each.stderr.count("\n") == 1
        assert "Traceback" not in each.stderr
    if breaking in (broken_directory_of_others, broken_no_parent):
        assert tree(here.state_dir) == before


@pytest.mark.parametrize(("breaking", "code"), BROKEN)
def test_a_broken_state_directory_with_on_error_fail(here: Here, breaking: Any, code: int) -> None:
    keys = breaking(here) | {"onError": "fail"}
    for command in ("ADD", "DEL", "GC"):
        served = here.serve(command, here.conf(prev=PREV, **keys) | {"cni.dev/valid-attachments": []})
        assert (served.status, served.error["code"]) == (1, code), command


@pytest.mark.parametrize(("breaking", "code"), BROKEN)
@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_status_with_a_broken_state_directory(here: Here, breaking: Any, code: int, on_error: str) -> None:
    keys = breaking(here)
    served = here.serve("STATUS", here.conf(onError=on_error, **keys))
    assert served.status == 1
    assert served.error["code"] == 50
    assert served.error["details"]


def test_status(here: Here) -> None:
    served = here.serve("STATUS", here.conf())
    assert (served.status, served.stdout, served.stderr) == (0, b"", "")
    assert here.events() == []


# --- a ledger of another instance ---


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_call_on_a_copied_ledger_is_served(here: Here, monkeypatch: pytest.MonkeyPatch, on_error: str) -> None:
    """An image with a ledger in it: the boot names the new instance, and what was live there has ended."""
    there, own = "i-0bbbbbbbbbbbbbbbb", "i-0aaaaaaaaaaaaaaaa"
    monkeypatch.setattr(host, "instance_id", lambda: there)
    monkeypatch.setattr(host, "boot_id", lambda: "0" * 36)
    assert here.serve("ADD", here.conf(prev=PREV), CNI_CONTAINERID="there").status == 0
    monkeypatch.undo()
    monkeypatch.setattr(host, "instance_id", lambda: own)
    for command, conf in (("ADD", here.conf(prev=PREV, onError=on_error)), ("DEL", here.conf(onError=on_error))):
        served = here.serve(command, conf)
        assert (served.status, served.stderr) == (0, "")
    first, boot, added, ended = [event for event in here.events() if event["event"] != "checkpoint"]
    assert [event["event"] for event in (first, boot, added, ended)] == ["add", "boot", "add", "del"]
    assert [event["instance_id"] for event in (first, boot, added, ended)] == [there, own, own, own]
    assert ended["association_id"] == added["association_id"]
    assert [(one["container_id"], one["ended_by"]) for one in History(str(here.state_dir)).all()] == [
        ("there", "rebooted"), ("c0ffee", "del")
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["{", '{"unknown":1}', '{"onError":"maybe"}'])
def test_a_broken_configuration_file_harms_nobody(here: Here, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    file = str(tmp_path / "config.json")
    served = here.serve("ADD", here.conf(prev=PREV), ENI_LEDGER_CONFIG=file)
    assert (served.status, json.loads(served.stdout)) == (0, PREV)
    assert "config.json" in served.stderr
    noted = [json.loads(line) for line in (here.state_dir / FAILURES).read_text().splitlines()]
    assert [(each["event"], each["code"]) for each in noted] == [("add", 105)]
    assert here.serve("DEL", here.conf(), ENI_LEDGER_CONFIG=file).status == 0
    recorded = [event["event"] for event in here.events()]
    assert recorded == ["checkpoint", "add", "del"]
    assert here.serve("ADD", here.conf(prev=PREV, onError="fail"), ENI_LEDGER_CONFIG=file).error["code"] == 105
    assert here.serve("STATUS", here.conf(), ENI_LEDGER_CONFIG=file).error["code"] == 50
    assert [event["event"] for event in here.events()] == recorded


def test_a_configuration_of_others_is_reported_whatever_comes_of_the_call(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    path.chmod(0o666)
    reason = f"the configuration file is not used: {path}"
    here.state_dir.mkdir(mode=0o750)
    for command in ("DEL", "GC"):  # neither ends anything
        conf = here.conf() | {"cni.dev/valid-attachments": []}
        served = here.serve(command, conf, ENI_LEDGER_CONFIG=str(path))
        assert (served.status, served.stderr.count(reason)) == (0, 1), command
    (here.state_dir / "lock").unlink()
    (here.state_dir / "lock").mkdir()
    served = here.serve("ADD", here.conf(prev=PREV), ENI_LEDGER_CONFIG=str(path))
    assert (served.status, served.stderr.count(reason)) == (0, 1)
    assert "ADD not recorded: " in served.stderr
    noted = [json.loads(line) for line in (here.state_dir / FAILURES).read_text().splitlines()]
    assert sorted((each["event"], each["code"]) for each in noted if each["code"] == 105) == [
        ("add", 105), ("del", 105), ("lost", 105)
    ]  # fmt: skip


def test_failures_are_counted(here: Here) -> None:
    here.state_dir.mkdir(mode=0o750)
    (here.state_dir / "lock").mkdir()
    assert here.serve("ADD", here.conf(prev=PREV)).status == 0
    assert here.serve("ADD", here.conf(prev=PREV, onError="fail")).status == 1
    noted = [json.loads(line) for line in (here.state_dir / FAILURES).read_text().splitlines()]
    assert [each["container_id"] for each in noted] == ["c0ffee", "c0ffee"]


def test_a_lock_that_is_held(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    with (here.state_dir / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for on_error in ("warn", "fail"):  # what is in the spool is recorded, so `fail` has no reason to
            served = here.serve("DEL", here.conf(onError=on_error))
            assert (served.status, served.stdout) == (0, b"")
            assert "spool" in served.stderr
    here.serve("ADD", here.conf(prev=PREV))
    assert [event["event"] for event in here.events("add", "del")] == ["add", "del", "add"]


def test_without_journald_it_says_so(here: Here) -> None:
    if Path("/run/systemd/journal/socket").exists():
        pytest.skip("a journald runs here")
    served = here.serve("ADD", here.conf(prev=PREV, journald=True))
    assert served.status == 0
    assert "journald" in served.stderr
    assert len(here.events("add")) == 1


# --- DEL ---


def test_del_is_idempotent(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    for _ in range(3):
        served = here.serve("DEL", here.conf(), CNI_NETNS=None)
        assert (served.status, served.stdout, served.stderr) == (0, b"", "")
    assert len(here.events("del")) == 1


def test_del_of_what_was_never_added(here: Here) -> None:
    served = here.serve("DEL", here.conf(), CNI_NETNS="none")
    assert (served.status, served.stdout, served.stderr) == (0, b"", "")
    assert here.events("del") == []


@pytest.mark.parametrize("prev", [7, "x", [], {"cniVersion": "0.1.0"}, {}])
def test_del_does_not_look_at_prev_result(here: Here, prev: object) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    assert here.serve("DEL", here.conf(prev=prev)).status == 0
    assert len(here.events("del")) == 1


def test_del_of_another_interface(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    assert here.serve("DEL", here.conf(), CNI_IFNAME="eth1").status == 0
    assert here.events("del") == []


# --- CHECK ---


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
def test_check(here: Here, version: str) -> None:
    prev = result(version, ifname="lo", addresses=())
    here.serve("ADD", here.conf(version, prev))
    served = here.serve("CHECK", here.conf(version, prev))
    assert (served.status, served.stdout, served.stderr) == (0, b"", "")
    assert here.serve("CHECK", here.conf(version)).status == 0


def test_check_of_a_namespace_that_is_gone(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    served = here.serve("CHECK", here.conf(prev=PREV), CNI_NETNS="/nonexistent")
    assert (served.status, served.error["code"]) == (1, 3)


def rewritten(here: Here, **changes: object) -> None:
    """Record the attachment as if something else had been seen."""
    from eni_ledger.base.config import load
    from eni_ledger.ledger.write.writer import record

    event = here.events("add")[-1] | changes
    kept = {key: value for key, value in event.items() if key not in ("ts", "seq", "v", "crc", "association_id")}
    assert here.serve("DEL", here.conf()).status == 0
    record(load(here.conf(), {}), kept)


@pytest.mark.parametrize(
    "changes",
    [{"netns_inode": 7}, {"netns_dev": 77}, {"observed_vlan_id": 101}, {"observed_mac": "0a:00:00:00:00:09"}],
)
def test_check_names_what_changed(here: Here, changes: dict[str, Any]) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    rewritten(here, **changes)
    ((field, recorded),) = changes.items()
    for on_error in ("warn", "fail"):
        served = here.serve("CHECK", here.conf(prev=PREV, onError=on_error))
        assert (served.status, served.error["code"]) == (1, 111)
        assert f"{field}: recorded {recorded}, now " in served.error["details"]


def test_check_allows_for_a_later_plugin(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    rewritten(here, observed_mac="0a:00:00:00:00:09")
    later = result("1.1.0", ifname="lo", mac="00:00:00:00:00:00")
    assert here.serve("CHECK", here.conf(prev=later)).status == 0


def test_check_of_an_interface_that_is_gone(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV))
    rewritten(here, ifname="nosuch0")
    served = here.serve("CHECK", here.conf(prev=PREV), CNI_IFNAME="nosuch0")
    assert (served.status, served.error["code"]) == (1, 111)
    assert "ifname: recorded nosuch0, now none" in served.error["details"]


def test_check_of_what_is_not_recorded(here: Here) -> None:
    here.serve("ADD", here.conf(prev=PREV), CNI_CONTAINERID="other")
    served = here.serve("CHECK", here.conf(prev=PREV))
    assert (served.status, served.stdout) == (0, b"")
    assert "not in the ledger" in served.stderr
    assert here.serve("CHECK", here.conf(prev=PREV, onError="fail")).error["code"] == 112


def test_check_without_a_ledger(here: Here) -> None:
    served = here.serve("CHECK", here.conf(prev=PREV))
    assert served.status == 0
    assert "no ledger here" in served.stderr
    assert here.serve("CHECK", here.conf(prev=PREV, onError="fail")).error["code"] == 100


def test_check_with_a_malformed_prev_result(here: Here) -> None:
    assert here.serve("CHECK", here.conf(prev=[])).error["code"] == 7
    assert here.serve("CHECK", here.conf(prev={"cniVersion": "0.4.0"})).error["code"] == 1


# --- GC ---

VALID = "cni.dev/valid-attachments"


def added(here: Here, *containers: str, network: str = "ecs-trunk") -> None:
    for name in containers:
        prev = result("1.1.0")
        # Namespaces that do not exist: else each would supersede the one before.
        here.serve("ADD", here.conf(prev=prev, name=network), CNI_CONTAINERID=name, CNI_NETNS=f"/gone/{name}")


def lost(here: Here) -> list[str]:
    return [event["container_id"] for event in here.events("lost")]


@pytest.mark.parametrize("key", [VALID, "cni.dev/attachments"])
def test_gc_ends_what_is_not_valid(here: Here, key: str) -> None:
    added(here, "a", "b", "c")
    added(here, "d", network="another")
    served = here.serve(
        "GC", here.conf() | {key: [{"containerID": "b", "ifname": "lo"}, {"containerID": "a", "ifname": "x"}]}
    )
    assert (served.status, served.stdout, served.stderr) == (0, b"", "")
    assert lost(here) == ["a", "c"]
    event = here.events("lost")[0]
    assert (event["reason"], event["via"], event["ifname"], event["network"]) == ("gc", "chained", "lo", "ecs-trunk")


@pytest.mark.parametrize(
    "keys", [{}, {VALID: None}, {"cni.dev/attachments": None}, {VALID: None, "cni.dev/attachments": None}]
)
def test_gc_without_a_list_ends_nothing(here: Here, keys: dict[str, object]) -> None:
    added(here, "a")
    assert here.serve("GC", here.conf() | keys).status == 0
    assert lost(here) == []


def test_gc_with_an_empty_list_ends_all_of_the_network(here: Here) -> None:
    added(here, "a", "b")
    assert here.serve("GC", here.conf() | {VALID: []}).status == 0
    assert lost(here) == ["a", "b"]


@pytest.mark.parametrize(
    "listed",
    [7, "x", {}, [7], [{}], [{"containerID": "a"}], [{"containerID": 1, "ifname": "lo"}], [None], True, False, 0, ""],
)
def test_gc_with_a_malformed_list(here: Here, listed: object) -> None:
    added(here, "a")
    served = here.serve("GC", here.conf() | {VALID: listed})
    assert (served.status, served.error["code"]) == (1, 7)
    assert VALID in served.error["msg"]
    assert lost(here) == []
