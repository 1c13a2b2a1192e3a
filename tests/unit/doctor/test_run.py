"""The doctor on trees of hosts that lack one thing or another; the tree has a /proc of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.doctor import host as doctor_host
from eni_ledger.doctor import run
from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Finding, Paths
from eni_ledger.doctor.run import run_checks
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.write import probe
from eni_ledger.render.text import short_id
from helpers.agent_db import eni_id, mac, task
from helpers.bolt import BoltWriter
from helpers.ledgers import ACTIVE, add_event, record, settings, stuck_holder
from helpers.prereq import need
from helpers.proc import AGENT_ENVIRONMENT, make_process

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = 4711
TRUNK = "0a:ff:ee:dd:cc:bb"
PLUGINS = "/data/eni-ledger/plugins"
TIMERS = [f"eni-ledger-{name}.timer" for name in ("identify", "fsck", "prune")]
OWN_PLUGINS = "/amazon-ecs-cni-plugins"
LINE = (
    "2026-11-23T14:00:01Z [INFO] Executing ADD with netconfig: &{{NetConf:{{CNIVersion:0.3.0 Name:network-name "
    "Type:vpc-branch-eni Capabilities:map[] IPAM:{{Type:}} DNS:{{Nameservers:[] Domain: Search:[] Options:[]}} "
    "RawPrevResult:map[] PrevResult:<nil>}} TrunkName: TrunkMACAddress:0a:ff:ee:dd:cc:bb BranchVlanID:{vlan} "
    "BranchMACAddress:{mac} IPAddresses:[{{IP:10.0.32.5 Mask:fffff000}}] GatewayIPAddresses:[10.0.32.1] BlockIMDS:true "
    "InterfaceType:vlan Tap:<nil>}}.\n"
)


class Host:
    """A tree: an instance with the agent at work, eni-ledger installed in front of its plugins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "var/lib/ecs/data/eni-ledger/state"
        for name in ("etc/ecs", "var/log/ecs", "var/lib/ecs/data/eni-ledger", "run/systemd/journal", "proc"):
            (root / name).mkdir(parents=True)
        self.state.mkdir(mode=0o750)
        self.settings = settings(self.state)
        self.configure(ECS_CNI_PLUGINS_PATH=PLUGINS)
        self.run_agent(ECS_CNI_PLUGINS_PATH=PLUGINS, ECS_ENABLE_TASK_ENI="true")
        self.database(trunk=True)

    def configure(self, **keys: str) -> None:
        (self.root / "etc/ecs/ecs.config").write_text("# ours\n" + "".join(f"{k}={v}\n" for k, v in keys.items()))

    def run_agent(self, **env: str) -> None:
        """Have the agent run, in a container with its own plugins and ours."""
        # Its root directory is where the host's data directory is called /data.
        inside = self.root / "var/lib/ecs"
        process = make_process(self.root / "proc", AGENT, "agent", {**AGENT_ENVIRONMENT, **env}, inside)
        for directory in (OWN_PLUGINS, PLUGINS, "/data/eni-ledger/bundle"):
            (process / f"root{directory}").mkdir(parents=True, exist_ok=True)
        (self.root / "proc/stat").write_text("cpu 1\nbtime 1795442400\n")  # 2026-11-23T14:00:00Z; the agent 1 min later
        self.program(f"{OWN_PLUGINS}/vpc-branch-eni")
        self.program(f"{OWN_PLUGINS}/vpc-eni")
        self.program("/data/eni-ledger/bundle/eni-ledger")
        for name in INTERPOSED:
            link = process / f"root{PLUGINS}/{name}"
            link.unlink(missing_ok=True)
            link.symlink_to("../bundle/eni-ledger")

    def program(self, path: str, mode: int = 0o755) -> None:
        file = self.root / f"proc/{AGENT}/root{path}"
        file.write_text("#!/bin/sh\n")
        file.chmod(mode)

    def stop_agent(self) -> None:
        shutil.rmtree(self.root / f"proc/{AGENT}")

    def database(self, *tasks: tuple[bytes, bytes], trunk: bool = False) -> None:
        attachment = {"attachmentType": "instance-eni", "macAddress": TRUNK}
        path = self.root / "var/lib/ecs/data/agent.db"
        path.unlink(missing_ok=True)
        attachments = {b"x": json.dumps(attachment).encode()} if trunk else {}
        BoltWriter(str(path)).commit({b"tasks": dict(tasks), b"metadata": {}, b"eniattachments": attachments})

    def log(self, text: str) -> None:
        (self.root / "var/log/ecs/vpc-branch-eni.log.2026-11-23-14").write_text(text)

    def ask(self) -> dict[str, Finding]:
        return {one.name: one for one in run_checks(self.settings, Paths(str(self.root)))}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "h")


@pytest.fixture
def journal(host: Host) -> Iterator[socket.socket]:
    here = Path.cwd()
    os.chdir(host.root / "run/systemd/journal")  # the name of a socket has 107 bytes at most
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.bind("socket")
            yield sock
    finally:
        os.chdir(here)


def test_the_order_and_names_of_the_checks(host: Host) -> None:
    assert list(host.ask()) == [
        "trunk", "agent-configuration", "account-setting", "interposed", "delegates", "last-add", "chained",
        "state-dir", "front-door", "ledger", "failures", "spooled", "journal", "identity", "kernel", "disk", "timers",
    ]  # fmt: skip


def test_nothing_is_changed(host: Host) -> None:
    record(host.state, add_event(1))
    (host.state / "failures.jsonl").write_text("{}\n")
    before = {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in host.root.rglob("*")}
    host.ask()
    assert {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in host.root.rglob("*")} == before


def test_a_host_without_ecs(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    found = {one.name: one for one in run_checks(settings(tmp_path / "none"), Paths(str(tmp_path)))}
    for name in ("trunk", "agent-configuration", "account-setting", "interposed", "delegates", "last-add"):
        assert (found[name].status, "no ECS agent runs on this host" in found[name].message) == (
            SKIPPED,
            True,
        )
    for name in ("ledger", "failures", "spooled", "identity", "kernel"):
        assert (found[name].status, "there is no ledger yet" in found[name].message) == (SKIPPED, True)
    assert found["chained"].status == WARN
    assert not (tmp_path / "none").exists()


class TestTrunking:
    def test_no_trunk_link(self, host: Host) -> None:
        found = host.ask()["trunk"]
        assert (found.status, TRUNK in found.message) == (WARN, True)

    def test_none_is_not_the_same_as_not_known(self, host: Host) -> None:
        host.database()
        found = host.ask()["trunk"]
        assert (found.status, found.message) == (WARN, "there is no branch, and ECS attached no trunk")
        (host.root / "var/lib/ecs/data/agent.db").unlink()
        found = host.ask()["trunk"]
        assert (found.status, "whether a link is a trunk is not known" in found.message) == (SKIPPED, True)

    def test_on(self, host: Host) -> None:
        found = host.ask()
        assert found["agent-configuration"].status == OK
        assert (found["account-setting"].status, TRUNK in found["account-setting"].message) == (OK, True)

    def test_task_enis_are_off(self, host: Host) -> None:
        host.run_agent(ECS_CNI_PLUGINS_PATH=PLUGINS)
        found = host.ask()["agent-configuration"]
        assert (found.status, "the running agent has no ECS_ENABLE_TASK_ENI" in found.message) == (FAIL, True)

    def test_trunking_is_off(self, host: Host) -> None:
        host.run_agent(ECS_ENABLE_TASK_ENI="true", ECS_ENABLE_HIGH_DENSITY_ENI="false")
        found = host.ask()["agent-configuration"]
        assert (found.status, "HIGH_DENSITY" in found.message, "HIGH_DENSITY" in found.hint) == (FAIL, True, True)

    @pytest.mark.parametrize(
        ("line", "status"),
        [
            ("ECS_CLUSTER=prod", WARN),
            ("ECS_ENABLE_TASK_ENI=1", WARN),
            ("ECS_ENABLE_TASK_ENI=T", WARN),
            ("ECS_ENABLE_TASK_ENI= True ", WARN),
            ('ECS_ENABLE_TASK_ENI="true"', FAIL),
            ("ECS_ENABLE_TASK_ENI=", FAIL),
            ("ECS_ENABLE_TASK_ENI=yes", FAIL),
            ("ECS_ENABLE_TASK_ENI = false", WARN),
            ("#ECS_ENABLE_TASK_ENI=false", WARN),
            ("ECS_ENABLE_HIGH_DENSITY_ENI=0", FAIL),
            ("ECS_ENABLE_HIGH_DENSITY_ENI=f", FAIL),
            ("ECS_ENABLE_HIGH_DENSITY_ENI='false'", WARN),
        ],
    )
    def test_the_file_is_read_as_the_agent_reads_it(self, host: Host, line: str, status: str) -> None:
        host.stop_agent()
        (host.root / "etc/ecs/ecs.config").write_text(f"ECS_CLUSTER=prod\n{line}\n")
        found = host.ask()["agent-configuration"]
        assert found.status == status, found.message
        key, _, value = line.partition("=")
        if status == FAIL:
            assert f"{key}={value.strip()}" in found.message

    def test_the_file_that_sets_it_is_named(self, host: Host) -> None:
        host.stop_agent()
        (host.root / "var/lib/ecs/ecs.config").write_text("ECS_ENABLE_TASK_ENI=0\n")
        assert host.ask()["agent-configuration"].message.startswith("/var/lib/ecs/ecs.config has ECS_ENABLE_TASK_ENI=0")
        host.configure(ECS_ENABLE_TASK_ENI="1")
        assert host.ask()["agent-configuration"].status == WARN

    def test_a_value_that_is_no_boolean(self, host: Host) -> None:
        host.run_agent(ECS_ENABLE_TASK_ENI='"true"')
        found = host.ask()["agent-configuration"]
        assert '"true", which is no boolean and counts as off' in found.message

    def test_the_running_agent_is_read_as_it_reads_itself(self, host: Host) -> None:
        for value in ("1", "t", "TRUE"):
            host.run_agent(ECS_ENABLE_TASK_ENI=value)
            assert host.ask()["agent-configuration"].status == OK
        host.run_agent(ECS_ENABLE_TASK_ENI="true", ECS_ENABLE_HIGH_DENSITY_ENI="0")
        assert host.ask()["agent-configuration"].status == FAIL

    def test_the_account_setting_as_far_as_it_shows(self, host: Host) -> None:
        whole = {"ec2Id": eni_id(2, 2), "MacAddress": mac(2), "InterfaceAssociationProtocol": "default"}
        host.database(task("b" * 32, eni_id(2, 2), mac(2), ENI=[whole]))
        found = host.ask()["account-setting"]
        assert (found.status, "list-account-settings" in found.hint) == (WARN, True)
        assert found.message.startswith("ECS attached no trunk to this instance. Possible reasons: ")
        for reason in ("awsvpcTrunking was off", "the instance type has no trunking", "task ENIs were off"):
            assert reason in found.message
        host.database(task("a" * 32, eni_id(1, 1), mac(1), vlan=101))
        assert host.ask()["account-setting"].status == OK
        host.database()
        found = host.ask()["account-setting"]
        assert (found.status, "has not registered" in found.message) == (SKIPPED, True)
        (host.root / "var/lib/ecs/data/agent.db").unlink()
        assert host.ask()["account-setting"].status == SKIPPED
        (host.root / "var/lib/ecs/data/agent.db").write_bytes(b"x" * 9000)
        assert host.ask()["account-setting"].status == WARN


class TestInterposed:
    def test_in_force(self, host: Host) -> None:
        found = host.ask()
        assert (found["interposed"].status, found["delegates"].status) == (OK, OK)
        assert str(AGENT) in found["interposed"].message

    def test_configured_and_not_restarted(self, host: Host) -> None:
        host.run_agent(ECS_ENABLE_TASK_ENI="true")
        found = host.ask()["interposed"]
        assert (found.status, found.hint) == (FAIL, "systemctl restart ecs")

    @pytest.mark.parametrize("path", [f"{PLUGINS}/", "/data/./eni-ledger//plugins", "//data/eni-ledger/x/../plugins"])
    def test_however_the_path_is_spelled(self, host: Host, path: str) -> None:
        host.run_agent(ECS_CNI_PLUGINS_PATH=path, ECS_ENABLE_TASK_ENI="true")
        assert host.ask()["interposed"].status == OK
        host.run_agent(ECS_ENABLE_TASK_ENI="true")
        host.configure(ECS_CNI_PLUGINS_PATH=path)
        assert host.ask()["interposed"].hint == "systemctl restart ecs"
        host.stop_agent()
        assert host.ask()["interposed"].status == WARN

    def test_quotes_are_a_part_of_the_path(self, host: Host) -> None:
        host.stop_agent()
        host.configure(ECS_CNI_PLUGINS_PATH=f'"{PLUGINS}"')
        found = host.ask()["interposed"]
        assert (found.status, f'"{PLUGINS}"' in found.message) == (FAIL, True)
        assert "names no absolute path" in found.hint  # install ecs refuses to overwrite it

    def test_not_installed(self, host: Host) -> None:
        host.run_agent(ECS_ENABLE_TASK_ENI="true")
        host.configure()
        assert (host.ask()["interposed"].status, host.ask()["interposed"].hint) == (FAIL, "eni-ledger install ecs")

    def test_the_agent_does_not_run(self, host: Host) -> None:
        host.stop_agent()
        found = host.ask()
        assert (found["interposed"].status, found["delegates"].status) == (WARN, SKIPPED)
        host.configure()
        assert host.ask()["interposed"].status == FAIL

    def test_a_plugin_directory_that_lacks_one(self, host: Host) -> None:
        (host.root / f"proc/{AGENT}/root{PLUGINS}/vpc-eni").unlink()
        found = host.ask()["interposed"]
        assert (found.status, "lacks vpc-eni" in found.message) == (FAIL, True)

    def test_a_link_to_nothing(self, host: Host) -> None:
        (host.root / f"proc/{AGENT}/root/data/eni-ledger/bundle/eni-ledger").unlink()
        assert "lacks vpc-branch-eni, vpc-eni, ecs-eni" in host.ask()["interposed"].message

    def test_a_delegate_that_is_missing_or_cannot_be_executed(self, host: Host) -> None:
        host.program(f"{OWN_PLUGINS}/vpc-eni", 0o644)
        found = host.ask()["delegates"]
        assert (found.status, "lacks vpc-eni" in found.message) == (FAIL, True)

    def test_delegates_are_where_the_configuration_says(self, host: Host) -> None:
        config = host.root / "var/lib/ecs/data/eni-ledger/config.json"
        config.write_text('{"delegateDir": "/elsewhere"}')
        found = host.ask()["delegates"]
        assert (found.status, "/elsewhere" in found.message) == (FAIL, True)

    def test_a_plugin_that_came_with_a_later_agent(self, host: Host) -> None:
        host.program(f"{OWN_PLUGINS}/vpc-new")
        found = host.ask()["interposed"]
        assert (found.status, "vpc-new" in found.message, found.hint) == (WARN, True, "eni-ledger install ecs")

    def test_a_process_that_may_be_the_agent_and_cannot_be_seen(self, host: Host) -> None:
        if os.geteuid() == 0:
            found = as_nobody(host)
        else:
            (host.root / f"proc/{AGENT}/environ").chmod(0)
            found = host.ask()
        for name in ("agent-configuration", "interposed", "delegates"):
            assert (found[name].status, "cannot be read" in found[name].message) == (SKIPPED, True)
        for name in ("ledger", "failures", "spooled", "identity"):
            assert (found[name].status, "Permission denied" in found[name].message) == (SKIPPED, True)


def as_nobody(host: Host) -> dict[str, Finding]:
    """Return the findings of a user who may read neither the agent's environment nor the ledger."""
    (host.root / f"proc/{AGENT}/environ").chmod(0o400)
    record(host.state, add_event(1))
    for path in (host.root, *host.root.parents):
        if path.stat().st_uid == 0 and path != Path("/") and path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            found = {one.name: [one.name, one.status, one.message, one.hint] for one in host.ask().values()}
            os.write(writer, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return {name: Finding(*values) for name, values in json.loads(data).items()}


def of_agent(host: Host) -> list[Finding]:
    """Return the findings that tell of the agent."""
    found = host.ask()
    return [found[name] for name in ("agent-configuration", "interposed", "delegates", "last-add")]


class TestWhichAgent:
    """A process is the agent for what only root can arrange; names and environments are anybody's."""

    def pretend(self, host: Host, pid: int, **changes: Any) -> Path:
        """Have a process run that is the agent but for `changes`; its plugin directory is another one."""
        given = {"name": "agent", "env": {"ECS_DATADIR": "/data", "ECS_CNI_PLUGINS_PATH": "/own"}}
        root = host.root / "var/lib/ecs"
        return make_process(host.root / "proc", pid, **{**given, "root": root, **changes})

    @pytest.mark.parametrize(
        "changes", [{"uid": 1000}, {"name": "sleep"}, {"env": {"ECS_CNI_PLUGINS_PATH": "/own", "ECS_CLUSTER": "x"}}]
    )
    def test_what_is_no_candidate_changes_nothing(self, host: Host, changes: dict[str, Any]) -> None:
        before = of_agent(host)
        self.pretend(host, 12, **changes)
        assert of_agent(host) == before
        host.stop_agent()
        assert "the agent does not run" in host.ask()["interposed"].message

    def test_a_set_user_id_program_is_none(self, host: Host, tmp_path: Path) -> None:
        """A process chooses its own name and environment."""
        before = of_agent(host)
        program = tmp_path / "sudo"
        program.write_text("")
        program.chmod(0o4755)
        exe = self.pretend(host, 12) / "exe"
        exe.unlink()
        exe.symlink_to(program)
        assert of_agent(host) == before

    def test_nor_is_a_process_of_another_user_namespace(self, host: Host, tmp_path: Path) -> None:
        before = of_agent(host)
        user = self.pretend(host, 12) / "ns/user"
        user.unlink()
        user.symlink_to(tmp_path)
        assert of_agent(host) == before

    def test_an_agent_with_another_data_directory_is_named(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "other/data").mkdir(parents=True)
        self.pretend(host, 12, root=tmp_path / "other")
        found = host.ask()["interposed"]
        assert (found.status, "agent (PID 12)" in found.message) == (WARN, True)
        host.stop_agent()
        found = host.ask()["interposed"]
        assert (found.status, "agent (PID 12)" in found.message, "another data directory" in found.message) == (
            FAIL, True, True,
        )  # fmt: skip

    @pytest.mark.parametrize("name", ["agent", "amazon-ecs-agen"])
    def test_an_agent_outside_of_a_container(self, host: Host, name: str) -> None:
        host.stop_agent()
        need(not Path("/data").exists(), "a host without /data")
        self.pretend(host, 12, root=Path("/"), name=name)
        found = host.ask()["interposed"]
        assert (found.status, "outside of a container" in found.message) == (FAIL, True)


class TestHostsWithoutASetting:
    def test_bottlerocket(self, host: Host) -> None:
        host.stop_agent()
        (host.root / "etc/os-release").write_text('NAME=Bottlerocket\nID="bottlerocket"\n')
        found = host.ask()["interposed"]
        assert (found.status, "on Bottlerocket the ECS agent is a program of the host" in found.message) == (FAIL, True)

    def test_managed_instances(self, host: Host) -> None:
        host.stop_agent()
        (host.root / "usr/local/bin").mkdir(parents=True)
        (host.root / "usr/local/bin/ecs-eni").write_text("")
        found = host.ask()["interposed"]
        assert (found.status, "ECS_CNI_PLUGINS_PATH does not apply here" in found.message) == (FAIL, True)
        host.run_agent(ECS_CNI_PLUGINS_PATH=PLUGINS)
        assert host.ask()["interposed"].status == OK


def test_an_agent_has_one_plugin_for_whole_enis(host: Host) -> None:
    plugins = host.root / f"proc/{AGENT}/root{OWN_PLUGINS}"
    (plugins / "vpc-eni").rename(plugins / "ecs-eni")
    found = host.ask()["delegates"]
    assert (found.status, "vpc-branch-eni, ecs-eni are in" in found.message) == (OK, True)


class TestTimers:
    @pytest.fixture
    def units(self, host: Host) -> Path:
        """Have systemd run, and return where a package puts units."""
        (host.root / "run/systemd/system").mkdir()
        made = host.root / "usr/lib/systemd/system"
        made.mkdir(parents=True)
        return made

    def test_without_systemd(self, host: Host) -> None:
        assert host.ask()["timers"].status == SKIPPED

    def test_off(self, host: Host, units: Path) -> None:
        found = host.ask()["timers"]
        assert (found.status, "install the package" in found.hint) == (WARN, True)
        for name in TIMERS:
            (units / name).write_text("")
        found = host.ask()["timers"]
        assert found.status == WARN
        assert all(f"{name} is off" in found.message for name in TIMERS)
        assert found.hint.endswith(" ".join(TIMERS))

    def test_on(self, host: Host, units: Path) -> None:
        wanted = host.root / "etc/systemd/system/timers.target.wants"
        wanted.mkdir(parents=True)
        for name in TIMERS:
            (units / name).write_text("")
            (wanted / name).symlink_to(f"/usr/lib/systemd/system/{name}")
        assert host.ask()["timers"].status == OK
        (wanted / TIMERS[0]).unlink()
        found = host.ask()["timers"]
        assert (found.status, found.hint.split()[-1]) == (WARN, TIMERS[0])

    def test_a_host_without_ecs_identifies_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "run/systemd/system").mkdir(parents=True)
        record(tmp_path / "state", add_event(1))
        found = {one.name: one for one in run_checks(settings(tmp_path / "state"), Paths(str(tmp_path)))}["timers"]
        assert (found.status, "identify" in found.message, "fsck" in found.message) == (WARN, False, True)


class TestChained:
    """The network configurations of a host without the agent."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "cni"
        for name in ("proc", "etc/cni/net.d", "opt/cni/bin"):
            (root / name).mkdir(parents=True)
        for name in ("bridge", "portmap", "multus", "eni-ledger"):
            (root / "opt/cni/bin" / name).write_text("")
            (root / "opt/cni/bin" / name).chmod(0o755)
        return root

    @staticmethod
    def ask(root: Path, *types: str, name: str = "10-x.conflist") -> Finding:
        plugins = [{"type": one} for one in types]
        (root / "etc/cni/net.d" / name).write_text(json.dumps({"name": "x", "plugins": plugins}))
        found = {one.name: one for one in run_checks(settings(root / "none"), Paths(str(root)))}
        return found["chained"]

    def test_in_the_chain(self, root: Path) -> None:
        found = self.ask(root, "bridge", "portmap", "eni-ledger")
        words = "/etc/cni/net.d/10-x.conflist calls eni-ledger after bridge, portmap"
        assert (found.status, found.message) == (OK, words)

    def test_in_none(self, root: Path) -> None:
        found = self.ask(root, "bridge")
        assert (found.status, "nothing is recorded" in found.message) == (WARN, True)

    def test_before_anything_that_makes_an_interface(self, root: Path) -> None:
        for types in (("eni-ledger", "bridge"), ("portmap", "eni-ledger")):
            found = self.ask(root, *types)
            assert (found.status, "before any plugin" in found.message) == (WARN, True)

    def test_without_the_plugin_or_leave_to_execute_it(self, root: Path) -> None:
        (root / "opt/cni/bin/eni-ledger").chmod(0o644)
        assert self.ask(root, "bridge", "eni-ledger").status == FAIL
        (root / "opt/cni/bin/eni-ledger").unlink()
        assert (self.ask(root, "bridge", "eni-ledger").hint) == "eni-ledger install cni"

    def test_a_link_that_an_installation_made_elsewhere(self, root: Path) -> None:
        (root / "srv").mkdir()
        for name in ("bridge", "eni-ledger"):
            (root / "opt/cni/bin" / name).rename(root / "srv" / name)
        (root / "opt/eni-ledger").mkdir()
        manifest = {"v": 1, "created": [], "links": {"/srv/eni-ledger": None}, "conflists": {}}
        (root / "opt/eni-ledger/installed.json").write_text(json.dumps(manifest))
        assert self.ask(root, "bridge", "eni-ledger").status == OK

    def test_in_the_delegates_of_multus(self, root: Path) -> None:
        inner = {"name": "x", "plugins": [{"type": "bridge"}, {"type": "portmap"}, {"type": "eni-ledger"}]}
        text = json.dumps({"name": "m", "type": "multus", "delegates": [inner]})
        (root / "etc/cni/net.d/00-multus.conf").write_text(text)
        found = self.ask(root, "bridge")
        words = "/etc/cni/net.d/00-multus.conf calls eni-ledger after bridge, portmap"
        assert (found.status, found.message) == (OK, words)

    def test_a_list_that_is_not_named_so(self, root: Path) -> None:
        found = self.ask(root, "bridge", "eni-ledger", name="10-x.conf")
        assert (found.status, "10-x.conf is a list of plugins" in found.message) == (WARN, True)
        assert found.hint == "rename it to .conflist"

    def test_one_that_cilium_has_renamed(self, root: Path) -> None:
        found = self.ask(root, "bridge", "eni-ledger", name="10-x.conflist.cilium_bak")
        assert (found.status, "no runtime reads a file of this name" in found.message) == (WARN, True)
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "cilium_bak" in found.message, "after bridge" in found.message) == (WARN, True, True)

    @staticmethod
    def elsewhere(root: Path) -> None:
        """Have the other plugins in /usr/lib/cni, and eni-ledger alone in /opt/cni/bin."""
        (root / "usr/lib/cni").mkdir(parents=True)
        for name in ("bridge", "portmap", "multus"):
            (root / "opt/cni/bin" / name).rename(root / "usr/lib/cni" / name)

    def test_where_its_other_plugins_are_it_is_not(self, root: Path) -> None:
        self.elsewhere(root)
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "is not in /usr/lib/cni, where its other plugins are" in found.message) == (FAIL, True)
        assert found.hint == "eni-ledger install cni --bin-dir /usr/lib/cni"
        assert "/opt/cni/bin has nothing but eni-ledger in it" in found.message
        shutil.copy(root / "opt/cni/bin/eni-ledger", root / "usr/lib/cni/eni-ledger")
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "has nothing but eni-ledger in it" in found.message) == (WARN, True)

    def test_where_the_runtime_looks_it_is_not(self, root: Path) -> None:
        (root / "usr/lib/cni").mkdir(parents=True)
        (root / "usr/lib/cni/bridge").write_text("")
        (root / "etc/containerd").mkdir()
        text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/usr/lib/cni"\n'
        (root / "etc/containerd/config.toml").write_text(text)
        found = self.ask(root, "bridge", "eni-ledger")
        words = "containerd (/etc/containerd/config.toml) looks for plugins in /usr/lib/cni, which has none"
        assert (found.status, words in found.message) == (FAIL, True)
        assert found.hint == "eni-ledger install cni --bin-dir /usr/lib/cni"
        (root / "usr/lib/cni/bridge").unlink()
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "calls bridge, and containerd" in found.message) == (FAIL, True)
        (root / "etc/containerd/config.toml").write_text("[")
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "where containerd looks for plugins is not known" in found.message) == (WARN, True)

    def test_which_of_two_directories_counts_is_not_known(self, root: Path) -> None:
        (root / "usr/lib/cni").mkdir(parents=True)
        (root / "usr/lib/cni/bridge").write_text("")
        found = self.ask(root, "bridge", "eni-ledger")
        assert (found.status, "which of them the runtime looks into is not known" in found.message) == (WARN, True)

    def test_plugins_that_are_nowhere(self, root: Path) -> None:
        found = self.ask(root, "ptp", "eni-ledger")
        assert (found.status, "calls ptp, and which directory has it is not known" in found.message) == (WARN, True)

    def test_a_directory_that_a_runtime_reads(self, root: Path) -> None:
        (root / "etc/crio").mkdir()
        (root / "etc/crio/crio.conf").write_text('[crio.network]\nnetwork_dir = "/srv/net.d"\n')
        (root / "srv/net.d").mkdir(parents=True)
        text = '{"plugins": [{"type": "bridge"}, {"type": "eni-ledger"}]}'
        (root / "srv/net.d/10-y.conflist").write_text(text)
        assert self.ask(root, "bridge").message == "/srv/net.d/10-y.conflist calls eni-ledger after bridge"

    def test_the_command_for_shells_is_no_plugin(self, root: Path) -> None:
        (root / "usr/local/bin").mkdir(parents=True)
        (root / "opt/cni/bin/eni-ledger").rename(root / "usr/local/bin/eni-ledger")
        (root / "opt/eni-ledger").mkdir()
        manifest = {"v": 1, "created": [], "links": {"/usr/local/bin/eni-ledger": None}, "conflists": {}}
        (root / "opt/eni-ledger/installed.json").write_text(json.dumps(manifest))
        assert self.ask(root, "bridge", "eni-ledger").status == FAIL

    def test_one_that_is_no_json(self, root: Path) -> None:
        (root / "etc/cni/net.d/20-y.conflist").write_text('{"plugins": [{"type": "eni-ledger"}')
        assert (self.ask(root, "bridge").status, "20-y" in self.ask(root, "bridge").message) == (WARN, True)


class TestLastAdd:
    def test_no_log(self, host: Host) -> None:
        assert host.ask()["last-add"].status == SKIPPED
        host.log("2026-11-23T14:00:01Z [INFO] Plugin vpc-eni version  executing CNI command.\n")
        assert host.ask()["last-add"].status == SKIPPED

    def test_it_is_in_the_ledger(self, host: Host) -> None:
        host.log(LINE.format(vlan=102, mac="0a:1b:2c:3d:00:02"))
        record(host.state, add_event(1, vlan_id=102, branch_mac="0a:1b:2c:3d:00:02"))
        path = host.state / ACTIVE
        events = [json.loads(line) for line in path.read_bytes().splitlines()]
        rewrite(path, [{**event, "ts": "2026-11-23T14:00:02.500000Z"} for event in events])
        assert host.ask()["last-add"].status == OK
        rewrite(path, [{**event, "ts": "2026-11-23T13:00:00.000000Z"} for event in events])
        assert host.ask()["last-add"].status != OK or "before this agent" in host.ask()["last-add"].message

    def test_it_is_not(self, host: Host) -> None:
        host.log(done(LINE.format(vlan=102, mac="0a:1b:2c:3d:00:02")).replace("14:00:01Z", "14:30:00Z"))
        found = host.ask()["last-add"]
        assert (found.status, "VLAN 102, 0a:1b:2c:3d:00:02" in found.message) == (FAIL, True)
        record(host.state, add_event(1, vlan_id=103, branch_mac="0a:1b:2c:3d:00:02"))
        assert host.ask()["last-add"].status == FAIL

    def test_the_log_does_not_say_how_it_ended(self, host: Host) -> None:
        host.log(LINE.format(vlan=102, mac="0a:1b:2c:3d:00:02").replace("14:00:01Z", "14:30:00Z"))
        found = host.ask()["last-add"]
        assert (found.status, "the log does not say" in found.message) == (WARN, True)
        record(host.state, add_event(1, event="add_failed", vlan_id=102, branch_mac="0a:1b:2c:3d:00:02"))
        assert host.ask()["last-add"].status == OK

    def test_it_waits_in_the_spool(self, host: Host) -> None:
        host.log(done(LINE.format(vlan=102, mac="0a:1b:2c:3d:00:02")).replace("14:00:01Z", "14:30:00Z"))
        record(host.state, add_event(1))
        with stuck_holder(host.state):
            record(host.state, add_event(2, vlan_id=102, branch_mac="0a:1b:2c:3d:00:02"), lock_wait_ms=0)
        found = host.ask()["last-add"]
        assert (found.status, "in the spool: 1 event" in found.message) == (WARN, True)

    def test_a_log_directory_that_may_not_be_read(self, host: Host) -> None:
        (host.root / "var/log/ecs").chmod(0o700)
        need(os.geteuid() == 0, "root, to become another user")
        assert as_nobody(host)["last-add"].status == SKIPPED
        assert "cannot be read" in as_nobody(host)["last-add"].message

    def test_it_was_before_this_agent_started(self, host: Host) -> None:
        host.log(LINE.format(vlan=102, mac="0a:1b:2c:3d:00:02"))
        found = host.ask()["last-add"]
        assert (found.status, "eni-ledger import" in found.hint) == (OK, True)


def done(line: str) -> str:
    """Return the line of an ADD together with that of its result."""
    mac = line.partition("BranchMACAddress:")[2][:17]
    result = f"[{{Name:eth0 Mac:{mac} Sandbox:/host/proc/7/ns/net}}] IPs:[]"
    words = f"Writing CNI result to stdout: &{{CNIVersion:1.0.0 Interfaces:{result} Routes:[]}}"
    return f"{line}2026-11-23T14:00:01Z [INFO] {words}\n"


def rewrite(path: Path, events: list[dict[str, Any]]) -> None:
    """Write a sound segment with these events."""
    crc, lines = 0, []
    for event in events:
        line, crc = line_format.encode(event, crc)
        lines.append(line)
    path.write_bytes(b"".join(lines))


class TestLedger:
    def test_sound(self, host: Host) -> None:
        record(host.state, add_event(1))
        found = host.ask()["ledger"]
        assert (found.status, found.message) == (OK, "2 events in 1 segment, 1 live: sound")

    def test_damaged(self, host: Host) -> None:
        record(host.state, add_event(1))
        record(host.state, add_event(2))
        path = host.state / ACTIVE
        path.write_bytes(path.read_bytes().replace(b'"vlan_id":2', b'"vlan_id":9', 1))
        found = host.ask()["ledger"]
        assert (found.status, "line 2" in found.message) == (FAIL, True)

    def test_of_a_later_format(self, host: Host) -> None:
        record(host.state, add_event(1))
        events = [json.loads(line) for line in (host.state / ACTIVE).read_bytes().splitlines()]
        rewrite(host.state / ACTIVE, [{**event, "v": 2} for event in events])
        (host.state / "state.json").unlink()
        found = host.ask()["ledger"]
        assert (found.status, found.message.startswith("written by a later eni-ledger")) == (FAIL, True)

    def test_a_directory_that_is_not_safe(self, host: Host) -> None:
        host.state.chmod(0o777)
        assert host.ask()["ledger"].status == FAIL

    def test_failures_are_counted(self, host: Host) -> None:
        assert host.ask()["failures"].message == "no failure is on record: there is no failures.jsonl"
        of = '"container_id":"0123456789abcdef","ifname":"eth0"'
        line = f'{{"ts":"2026-11-23T14:00:00.000000Z","event":"add",{of},"code":102,"msg":"no space left"}}\n'
        (host.state / "failures.jsonl").write_text(line * 3)
        found = host.ask()["failures"]
        assert (found.status, found.message) == (
            FAIL,
            "3 events could not be recorded, the newest at 2026-11-23T14:00:00.000000Z (add of eth0 in 0123456789ab): "
            "no space left",
        )
        (host.state / "failures.jsonl").write_bytes(b"\xff\n")
        assert host.ask()["failures"].message == "1 event could not be recorded"
        (host.state / "failures.jsonl").write_text(line * (probe.FAILURES_LIMIT // len(line) + 1))
        assert host.ask()["failures"].message.startswith("at least ")

    @pytest.mark.parametrize("content", [b"", b"\n", b"\n\n"])
    def test_a_file_of_failures_without_one(self, host: Host, content: bytes) -> None:
        (host.state / "failures.jsonl").write_bytes(content)
        found = host.ask()["failures"]
        assert (found.status, found.message) == (OK, "no failure is on record: failures.jsonl is empty")

    def test_failures_that_are_no_file(self, host: Host) -> None:
        os.mkfifo(host.state / "failures.jsonl")
        assert host.ask()["failures"].status == FAIL

    def test_events_in_the_spool(self, host: Host) -> None:
        record(host.state, add_event(1))
        assert host.ask()["spooled"].status == OK
        with stuck_holder(host.state):
            record(host.state, add_event(2), lock_wait_ms=0)
        found = host.ask()["spooled"]
        assert (found.status, found.message) == (WARN, "in the spool: 1 event")

    def test_identity(self, host: Host) -> None:
        record(host.state, add_event(1, protocol="vlan"))
        found = host.ask()["identity"]
        assert (found.status, found.hint) == (WARN, "eni-ledger identify")
        assert found.message == "1 of 1 live branches lack task_arn, trunk_eni_id"
        record(host.state, add_event(1, protocol="vlan", task_arn="arn:x", trunk_eni_id="eni-00000001"))
        assert host.ask()["identity"].status == OK

    def test_the_kernel(self, host: Host) -> None:
        record(host.state, add_event(1))
        found = host.ask()["kernel"]
        assert (found.status, "1 gone" in found.message) == (FAIL, True)
        assert found.hint == "eni-ledger verify --mark-lost"

    def test_the_true_cause_of_what_cannot_be_decided(self, host: Host) -> None:
        record(host.state, {key: value for key, value in add_event(1).items() if key not in ("netns_inode", "vlan_id")})
        found = host.ask()["kernel"]
        assert (found.status, "recorded without its namespace" in found.message) == (WARN, True)
        assert "root" not in found.hint

    def test_one_eni_in_two_places(self, host: Host) -> None:
        """Of neither is it known where it is, so the kernel decides nothing."""
        nowhere = {"netns_inode": None, "netns_dev": None, "vlan_id": None, "eni_id": "eni-00000000000000009"}
        ids = [short_id(record(host.state, add_event(n, **nowhere))["association_id"]) for n in (1, 2)]
        found = host.ask()["kernel"]
        assert (found.status, found.message) == (
            WARN,
            f"2 unknown, 1 conflict, 0 unrecorded: {ids[0]} and {ids[1]}: eni-00000000000000009 is in two places",
        )
        assert found.hint == "eni-ledger verify shows all; both stay live until the DEL of one of them"

    def test_the_disk(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        assert host.ask()["disk"].status in (OK, WARN)
        free = os.statvfs(host.state).f_bavail * os.statvfs(host.state).f_frsize
        from eni_ledger.doctor import ledger_checks

        monkeypatch.setattr(ledger_checks, "DISK_FAIL", free * 2)
        found = host.ask()["disk"]
        assert (found.status, "retainBytes" in found.hint) == (FAIL, True)

    def test_a_file_system_of_another_host(self, host: Host) -> None:
        device = host.state.stat().st_dev
        (host.root / "proc/self").mkdir()
        line = f"9 1 {os.major(device)}:{os.minor(device)} / / rw - nfs4 srv:/export rw\n"
        (host.root / "proc/self/mountinfo").write_text(line)
        found = host.ask()["disk"]
        assert (found.status, "is on nfs4 (srv:/export)" in found.message, "stateDir" in found.hint) == (
            WARN,
            True,
            True,
        )


class TestJournal:
    def test_there(self, host: Host, journal: socket.socket) -> None:
        found = host.ask()["journal"]
        if len(str(host.root / "run/systemd/journal/socket")) < 108:
            assert found.status == OK
        journal.setblocking(False)
        with pytest.raises(BlockingIOError):
            journal.recv(1)  # nothing was sent

    def test_not_there(self, host: Host) -> None:
        assert (host.ask()["journal"].status, "cannot be reached" in host.ask()["journal"].message) == (WARN, True)

    def test_switched_off(self, host: Host) -> None:
        host.settings.journald = False
        assert host.ask()["journal"].status == SKIPPED


def test_one_check_that_breaks_keeps_none_of_the_others(host: Host) -> None:
    def broken(_: doctor_host.Host) -> Finding:
        raise PermissionError(13, "Permission denied", "/proc/1/environ")

    found = run._run(broken, doctor_host.Host(host.settings, Paths(str(host.root))))
    assert (found.name, found.status, found.hint) == ("broken", SKIPPED, "run it as root")
