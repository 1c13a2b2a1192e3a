"""In a container like the ECS agent's: no shell, no libc of its own, its binds, its capabilities, under a real dockerd.

Docker's own init is process 1 and a static busybox stands for the agent. What it would execute is executed by
`docker exec`: in the same namespaces, with the same root, capabilities and seccomp filter. dockerd runs where a private
journald is at /run, which the agent's container has at /var/run.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers import agent_db
from helpers.agent import ENVIRONMENT, real_delegates
from helpers.bolt import BoltWriter
from helpers.journal import Journal
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.trunk import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUSYBOX = Path("/bin/busybox")
IMAGE = "eni-ledger.test/agent"
MAC = "0a:1b:2c:3d:03:01"
CONTAINER_PLUGINS = "amazon-ecs-cni-plugins"
# vpc-eni as far as the kernel is concerned: the link with that MAC, moved into the namespace, renamed, an address. The
# container's own process IDs are not the host's, so the namespace is named by a process that has entered it.
VPC_ENI = f"""#!/busybox sh
b=/busybox
case $1 in --capabilities) echo '{{"capabilities":["awsvpc-network-mode"]}}'; exit;; esac
$b cat >/dev/null
[ "$CNI_COMMAND" = ADD ] || exit 0
link=$($b ip -o link | $b grep -i {MAC} | $b cut -d: -f2 | $b cut -d@ -f1)
$b nsenter --net="$CNI_NETNS" $b sleep 60 >/dev/null 2>&1 &
while [ "$($b readlink /proc/$!/ns/net)" = "$($b readlink /proc/self/ns/net)" ]; do :; done
$b ip link set $link netns $! || exit 3
for words in "link set $link name $CNI_IFNAME" "address add 10.0.32.4/20 dev $CNI_IFNAME" "link set $CNI_IFNAME up" \
  "route add default via 10.0.32.1"; do
  $b nsenter --net="$CNI_NETNS" $b ip $words || exit 4
done
$b kill $!
printf '{{"cniVersion":"0.3.0",  "interfaces":[{{"name":"eth0","mac":"{MAC}","sandbox":"%s"}}]}}' "$CNI_NETNS"
"""


def image(delegate: bytes) -> bytes:
    """Return the root of the agent's image: its plugins and the program that stands for the agent."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("tmp", CONTAINER_PLUGINS):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, data in (("busybox", BUSYBOX.read_bytes()), (f"{CONTAINER_PLUGINS}/vpc-eni", delegate)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


class Docker:
    """A dockerd of its own beside a journald of its own; use as a context manager."""

    def __init__(self, journal: Journal, directory: Path) -> None:
        self._journal = journal
        self._socket = directory / "docker.sock"
        self._log = (directory / "dockerd.log").open("w+")
        options = ["--iptables=false", "--bridge=none", "--storage-driver=vfs", f"--data-root={directory}/root"]
        options += ["--log-level=warn"]
        options += [f"--exec-root={directory}/exec", f"--pidfile={directory}/pid", f"--host=unix://{self._socket}"]
        self._process = subprocess.Popen(
            journal.command(["dockerd", *options]),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Docker:
        deadline = time.monotonic() + PATIENCE_S
        while self("version").returncode != 0:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            names = self("ps", "--all", "--quiet").stdout.decode().split()
            if names:
                self("rm", "--force", *names)
            self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()

    def log(self) -> str:
        """Return what dockerd said."""
        self._log.seek(0)
        return self._log.read()

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run `docker` and return what came of it."""
        command = self._journal.command(["docker", f"--host=unix://{self._socket}", *arguments])
        return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE_S, check=False)

    def must(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run `docker` and return what it printed; the test fails when it does."""
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: {done.stderr.decode()}\n{self.log()}"
        return done.stdout.decode().strip()


class Instance:
    """An instance: the agent's container, and its directories on the host under `root`."""

    def __init__(self, docker: Docker, root: Path, bundle: Path) -> None:
        self.docker = docker
        self.data = root / "data"
        home = self.data / "eni-ledger"
        (home / "plugins").mkdir(parents=True)
        shutil.copytree(bundle, home / "bundle", symlinks=True)
        for name in ("vpc-branch-eni", "vpc-eni"):
            (home / "plugins" / name).symlink_to("../bundle/eni-ledger")
        (home / "plugins/ecs-bridge").symlink_to(f"/{CONTAINER_PLUGINS}/ecs-bridge")
        (home / "config.json").write_text(json.dumps({"stateDir": "/data/eni-ledger/state"}))
        for name in ("log", "etc", "cache"):
            (root / name).mkdir()
        binds: list[tuple[str | Path, str]] = [
            ("/proc", "/host/proc:ro"),
            ("/sbin", "/host/sbin:ro"),
            ("/var/run", "/var/run"),
        ]
        binds += [(path, f"{path}:ro") for path in ("/usr/lib", "/lib", "/usr/lib64", "/lib64") if Path(path).exists()]
        binds += [(self.data, "/data"), (root / "log", "/log"), (root / "etc", "/etc/ecs")]
        binds += [(root / "cache", "/var/cache/ecs"), ("/sys/fs/cgroup", "/sys/fs/cgroup")]
        options = [f"--volume={source}:{target}" for source, target in binds]
        options += ["--cap-add=NET_ADMIN", "--cap-add=SYS_ADMIN", "--init", "--net=host"]
        docker.must("run", "--detach", "--name=ecs-agent", *options, IMAGE, "/busybox", "sleep", "3600")

    def pause(self) -> tuple[str, int]:
        """Start a pause container; return its ID and its process ID on the host."""
        container = self.docker.must("run", "--detach", "--net=none", IMAGE, "/busybox", "sleep", "3600")
        return container, int(self.docker.must("inspect", "--format={{.State.Pid}}", container))

    def call(
        self, env: Mapping[str, str], conf: Mapping[str, object], *arguments: str, plugin: str = "vpc-eni"
    ) -> subprocess.CompletedProcess[bytes]:
        """Execute a plugin as the agent does."""
        given = [f"--env={key}={value}" for key, value in {**ENVIRONMENT, **env}.items()]
        program = f"/data/eni-ledger/plugins/{plugin}"
        return self.docker(
            "exec", "--interactive", *given, "ecs-agent", program, *arguments, stdin=json.dumps(conf).encode()
        )


@pytest.fixture(scope="module")
def journal() -> Iterator[Journal]:
    with Journal() as running:
        yield running


@pytest.fixture(scope="module")
def instance(journal: Journal, front_door: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    missing = [name for name in ("dockerd", "docker", "docker-init", "ip") if shutil.which(name) is None]
    need(not missing and BUSYBOX.exists(), f"docker.io, tini, iproute2, busybox-static (missing: {missing})")
    bundle = front_door.resolve().parent
    need((bundle / "_internal").exists(), "the bundle")
    real = real_delegates()
    root = tmp_path_factory.mktemp("instance")
    # The journald's namespace sees this file system too, but not what is under /run.
    need(not root.is_relative_to("/run"), "a temporary directory that is not under /run")
    with Docker(journal, root) as docker:
        delegate = (real / "vpc-eni").read_bytes() if real else VPC_ENI.encode()
        docker.must("import", "-", IMAGE, stdin=image(delegate))
        yield Instance(docker, root, bundle)


@pytest.fixture
def eni() -> Iterator[None]:
    """Have a link with the ENI's MAC on the host; it goes with its peer."""
    need(os.geteuid() == 0, "root, for links")
    run("ip", "link", "add", "elpeer0", "type", "veth", "peer", "name", "elent0", "address", MAC)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "del", "elpeer0"], capture_output=True, check=False)


CONF = {
    "cniVersion": "0.3.0",
    "name": "network-name",
    "type": "vpc-eni",
    "eniMACAddress": MAC,
    "eniIPAddresses": ["10.0.32.4/20"],
    "gatewayIPAddresses": ["10.0.32.1"],
    "blockInstanceMetadata": False,
}


def cni(command: str, container: str, netns: str) -> dict[str, str]:
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": netns,
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "",
        "CNI_PATH": "/data/eni-ledger/plugins",
    }


def test_the_container_is_like_the_agents(instance: Instance) -> None:
    inside = instance.docker.must("exec", "ecs-agent", "/busybox", "ls", "/").split()
    assert {"data", "log", "var", "tmp", "usr"} <= set(inside)
    assert not {"bin", "opt", "run"} & set(inside)
    status = instance.docker.must("exec", "ecs-agent", "/busybox", "grep", "CapEff", "/proc/self/status")
    assert status.split()[1] == "00000000a82435fb"  # Docker's defaults, NET_ADMIN, SYS_ADMIN
    comm = instance.docker.must("exec", "ecs-agent", "/busybox", "cat", "/proc/1/comm")
    assert comm == "docker-init"


def test_a_task_from_add_to_del(instance: Instance, journal: Journal, eni: None) -> None:
    container, pid = instance.pause()
    database = BoltWriter(os.fspath(instance.data / "agent.db"))
    task = agent_db.task("c" * 32, agent_db.eni_id(1, 7), MAC, ip="10.0.32.4", InterfaceAssociationProtocol="default")
    database.commit({b"tasks": dict([task])})
    netns = f"/host/proc/{pid}/ns/net"

    added = instance.call(cni("ADD", container, netns), CONF)
    assert (added.returncode, added.stderr) == (0, b""), added
    assert json.loads(added.stdout)["interfaces"][0] == {"name": "eth0", "mac": MAC, "sandbox": netns}
    ledger = instance.data / "eni-ledger/state/ledger.jsonl"
    event = json.loads(ledger.read_text().splitlines()[-1])
    expected = {
        "event": "add",
        "container_id": container,
        "netns": netns,
        "netns_inode": Path(f"/proc/{pid}/ns/net").stat().st_ino,
        "pid": pid,
        "branch_mac": MAC,
        "observed_mac": MAC,
        "addresses": ["10.0.32.4/20"],
        "protocol": "default",
        "eni_id": agent_db.eni_id(1, 7),
        "task_arn": f"{agent_db.CLUSTER}/{'c' * 32}",
        "via": "interposed",
        "plugin": "vpc-eni",
    }
    assert {key: event.get(key) for key in expected} == expected
    assert not {"mismatch", "error_code"} & set(event)
    inside = run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-j", "address", "show", "dev", "eth0")
    assert json.loads(inside)[0]["address"] == MAC

    ended = instance.call(cni("DEL", container, "none"), CONF)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    delete = json.loads(ledger.read_text().splitlines()[-1])
    assert (delete["event"], delete["association_id"]) == ("del", event["association_id"])
    # Written to /var/run/systemd/journal/socket, the only one that there is in the container.
    entries = journal.entries(f"ASSOCIATION_ID={event['association_id']}")
    assert [entry["EVENT"] for entry in entries] == ["add", "del"]
    assert {entry["CONTAINER_ID"] for entry in entries} == {container}
    instance.docker.must("rm", "--force", container)


def test_the_questions_at_the_agents_start(instance: Instance) -> None:
    done = instance.call({}, {}, "--capabilities")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"capabilities": ["awsvpc-network-mode"]}


def test_a_delegate_that_the_agents_image_does_not_have(instance: Instance, journal: Journal) -> None:
    container = "d" * 64
    done = instance.call(cni("ADD", container, "/host/proc/1/ns/net"), CONF, plugin="vpc-branch-eni")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 113
    assert [entry["EVENT"] for entry in journal.entries(f"CONTAINER_ID={container}")] == ["add_failed"]


def test_the_command_line_in_there(instance: Instance) -> None:
    done = instance.docker("exec", "ecs-agent", "/data/eni-ledger/bundle/eni-ledger", "version")
    assert (done.returncode, done.stderr) == (0, b"")
    answered = instance.docker(
        "exec", "ecs-agent", "/data/eni-ledger/bundle/eni-ledger", "fsck", "--state-dir", "/data/eni-ledger/state"
    )
    assert answered.returncode == 0, answered
