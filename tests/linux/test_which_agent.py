"""Which process is the agent, and what is in its container: real namespaces, a real dockerd, and who pretends."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.doctor.host import FAIL, OK, Finding, Paths
from eni_ledger.doctor.run import run_checks
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.layout import PLUGIN_PATH
from eni_ledger.install.process_root import Root
from helpers import dockerd
from helpers.agent_container import container, wait_for_name
from helpers.ledgers import settings
from helpers.prereq import need
from helpers.roots import make_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUSYBOX = Path("/bin/busybox")
DELEGATES = "/amazon-ecs-cni-plugins"
ENV = {
    "PATH": os.environ["PATH"],
    "ECS_DATADIR": "/data",
    "ECS_CNI_PLUGINS_PATH": PLUGIN_PATH,
    "ECS_ENABLE_TASK_ENI": "true",
}


class OnThisHost(Paths):
    """A tree of a host whose processes are those of this one."""

    proc = "/proc"


class Host:
    """The tree of a host with eni-ledger in front of the agent's plugins."""

    def __init__(self, root: Path) -> None:
        self.root = make_host(root, f"ECS_CNI_PLUGINS_PATH={PLUGIN_PATH}\n".encode())
        self.data = root / "var/lib/ecs/data"
        plugins = self.data / "eni-ledger/plugins"
        bundle = self.data / "eni-ledger/bundle"
        for one in (plugins, bundle):
            one.mkdir(parents=True)
        (bundle / "eni-ledger").write_text("#!/bin/sh\n")
        (bundle / "eni-ledger").chmod(0o755)
        for name in ("vpc-branch-eni", "vpc-eni", "ecs-eni"):
            (plugins / name).symlink_to("../bundle/eni-ledger")
        (plugins / "ecs-bridge").symlink_to(f"{DELEGATES}/ecs-bridge")

    def agent(self) -> Agent:
        return Agent(data=str(self.data))

    def ask(self) -> dict[str, Finding]:
        found = run_checks(settings(self.data / "eni-ledger/state"), OnThisHost(str(self.root)))
        return {one.name: one for one in found}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    need(os.geteuid() == 0, "root, for namespaces")
    need(BUSYBOX.exists(), "busybox-static")
    return Host(tmp_path / "host")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    made = tmp_path / "container"
    made.mkdir()
    return made


def check_seen(host: Host, pid: int) -> None:
    """Assert that the process is known for the agent and looked at in its own root."""
    (seen,) = host.agent().ours()
    assert (seen.pid, seen.belongs, seen.outside) == (pid, True, False)
    assert host.agent().is_effective(PLUGIN_PATH) is True
    assert host.agent().plugins(DELEGATES) == ["ecs-bridge", "vpc-branch-eni", "vpc-eni"]
    found = host.ask()
    assert (found["interposed"].status, f"process {pid}" in found["interposed"].message) == (OK, True), found
    assert (found["delegates"].status, found["delegates"].message) == (
        OK,
        f"vpc-branch-eni, vpc-eni are in the agent's {DELEGATES}",
    )


def test_an_agent_whose_root_is_its_own(host: Host, empty: Path) -> None:
    assert host.agent().ours() == []
    with container(empty, host.data, ENV) as pid:
        check_seen(host, pid)
    assert host.agent().is_effective(PLUGIN_PATH) is None


def test_the_agents_container_under_docker(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    need(not dockerd.missing(), f"docker.io (missing: {dockerd.missing()})")
    with dockerd.Engine(tmp_path_factory.mktemp("d")) as engine:  # the name of a socket has 107 bytes at most
        binds = [(host.data, "/data"), ("/proc", "/host/proc:ro")]
        binds += [(path, f"{path}:ro") for path in ("/usr/lib", "/lib", "/usr/lib64", "/lib64") if Path(path).exists()]
        links = "".join(
            f"/busybox ln /busybox {DELEGATES}/{name};" for name in ("vpc-branch-eni", "vpc-eni", "ecs-bridge")
        )
        work = f"/busybox mkdir {DELEGATES}; {links} printf agent >/proc/self/comm; read _ </end"
        made = engine.call(
            *("run", "--detach", "--net=host", "--cap-add=NET_ADMIN", "--cap-add=SYS_ADMIN"),
            *(f"--volume={source}:{target}" for source, target in binds),
            *(f"--env={name}={value}" for name, value in ENV.items()),
            *(dockerd.IMAGE, "/busybox", "sh", "-c", f"/busybox mkfifo /end; {work}"),
        )
        try:
            pid = int(engine.call("inspect", "--format={{.State.Pid}}", made))
            wait_for_name(pid)
            check_seen(host, pid)
        finally:
            engine.remove(made)


def test_an_agent_with_other_data(host: Host, empty: Path, tmp_path: Path) -> None:
    (tmp_path / "opt/ecs data").mkdir(parents=True)
    with container(empty, tmp_path / "opt/ecs data", ENV) as pid:
        assert host.agent().is_effective(PLUGIN_PATH) is None
        assert host.agent().using(PLUGIN_PATH) == []
        (other,) = [one for one in host.agent().others() if one.pid == pid]
        assert other.data is not None
        assert Path(other.data).samefile(tmp_path / "opt/ecs data")
        found = host.ask()["interposed"]
        assert (found.status, f"agent (PID {pid}) has {other.data} at /data" in found.message) == (FAIL, True)


@contextmanager
def pretending(directory: Path, env: Mapping[str, str], *prefix: str) -> Iterator[int]:
    """Run a `sleep` of the name `agent`."""
    directory.mkdir()
    directory.chmod(0o755)
    program = directory / "agent"
    shutil.copy(shutil.which("sleep") or "", program)
    process = subprocess.Popen([*prefix, str(program), "600"], env=dict(env))
    try:
        wait_for_name(process.pid)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"), id="of another user"),
        # Its uid is 0 in the namespace and 0 outside of it: a container with one of its own.
        pytest.param(("unshare", "--user", "--map-root-user"), id="in another user namespace"),
    ],
)
def test_who_pretends_changes_nothing(
    host: Host, empty: Path, prefix: tuple[str, ...], tmp_path_factory: object
) -> None:
    del tmp_path_factory
    need(shutil.which("setpriv"), "setpriv")
    directory = Path("/tmp") / f"eni-ledger-pretending-{os.getpid()}"
    try:
        with pretending(directory, ENV, *prefix) as pid:
            assert pid not in {one.pid for one in host.agent().processes()}
            assert host.agent().using(PLUGIN_PATH) == []
            assert "the agent does not run" in host.ask()["interposed"].message
            with container(empty, host.data, ENV) as agent:
                check_seen(host, agent)
    finally:
        shutil.rmtree(directory)


class TestRoot:
    """Links of another root are followed there."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Root]:
        made = tmp_path / "root"
        (made / "a/b").mkdir(parents=True)
        (made / "a/b/program").write_text("")
        (made / "a/b/program").chmod(0o755)
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/program").write_text("")
        (made / "absolute").symlink_to("/a/b")
        (made / "up").symlink_to("../../../../outside")
        (made / "a/out").symlink_to(str(tmp_path / "outside"))
        (made / "a/round").symlink_to("round")
        with Root(os.open(made, os.O_PATH | os.O_DIRECTORY)) as found:
            yield found

    def test_inside(self, root: Root) -> None:
        assert root.names("/absolute/../b/./") == ["program"]
        assert root.is_program("/absolute/program")
        assert root.names("/../..") == ["a", "absolute", "up"]
        assert not root.is_program("/a")

    @pytest.mark.parametrize(
        "path", ["/up", "/a/out", "/a/round", "/none", "/a/b/program/x", "/a/b/" + "../b/" * 400 + "x"]
    )
    def test_there_is_no_way_out(self, root: Root, path: str) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(OSError, match=r"No such|Not a directory|Too many levels|too long"):
            root.names(path)
        assert not root.is_program(f"{path}/program")
        assert len(list(Path("/proc/self/fd").iterdir())) == before
