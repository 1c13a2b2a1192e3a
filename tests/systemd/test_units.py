"""Each unit, started by systemd as an installed one is, does its work within what it is allowed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base import host
from helpers import ledgers
from helpers.http_server import Reply, Request, serve
from helpers.patience import until
from helpers.serving import Serving
from systemd.conftest import REPOSITORY, journal, systemctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eni_ledger.base.events import Draft

DEFAULT = Path("/var/lib/eni-ledger")
ECS = Path("/var/lib/ecs/data/eni-ledger/state")
ELSEWHERE = Path("/srv/ledger")
CONFIG = Path("/etc/eni-ledger/config.json")
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/prod/00000000000000000000000000000001"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for path in (DEFAULT, Path("/var/lib/ecs"), ELSEWHERE, CONFIG.parent, Path("/etc/ecs")):
        shutil.rmtree(path, ignore_errors=True)


def configure(state_dir: Path, **settings: str) -> None:
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(json.dumps({"stateDir": str(state_dir), **settings}))


def history(state_dir: Path) -> None:
    """Make a ledger of three segments, of events of this boot."""
    boot = {"boot_id": host.boot_id()}
    ledgers.record(state_dir, ledgers.add_event(1, **boot))
    ledgers.record(state_dir, ledgers.add_event(2, **boot), rotate_bytes=1)
    ledgers.record(state_dir, ledgers.add_event(3, **boot), rotate_bytes=1)
    assert len(ledgers.sealed(state_dir)) == 2


def test_fsck() -> None:
    history(DEFAULT)
    before = ledgers.contents(DEFAULT)
    systemctl("start", "eni-ledger-fsck.service")
    assert "sound" in journal("-u", "eni-ledger-fsck.service")
    assert ledgers.contents(DEFAULT) == before
    damaged = ledgers.sealed(DEFAULT)[0]
    data = damaged.read_bytes()
    damaged.write_bytes(data.replace(b'"vlan_id":2', b'"vlan_id":9', 1))
    assert damaged.read_bytes() != data
    systemctl("start", "eni-ledger-fsck.service", status=1)
    assert damaged.name in journal("-u", "eni-ledger-fsck.service")
    assert "eni-ledger-fsck.service" in systemctl("list-units", "--failed", "--plain")
    systemctl("reset-failed")


@pytest.mark.parametrize("state_dir", [DEFAULT, ECS, ELSEWHERE], ids=["default", "ecs", "configured"])
def test_prune(state_dir: Path) -> None:
    if state_dir != DEFAULT:
        configure(state_dir)
    history(state_dir)
    events = ledgers.raw_events(state_dir)
    systemctl("start", "eni-ledger-prune.service")
    made = ledgers.sealed(state_dir)
    assert [path.suffix for path in made] == [".gz", ".gz"]
    assert {oct(path.stat().st_mode & 0o777) for path in made} == {"0o640"}
    assert len(list(state_dir.glob("ledger-*.index"))) == 2
    assert ledgers.raw_events(state_dir) == events


def test_serve() -> None:
    """The socket starts it, root's group may connect, and it answers from where the ledger is configured to be."""
    history(ELSEWHERE)
    configure(ELSEWHERE)
    systemctl("start", "eni-ledger-serve.socket")
    path = Path("/run/eni-ledger.sock")
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o660, 0)
    server = Serving(None, f"unix:{path}")
    assert len(server.ask("/v1/associations").json()["associations"]) == 3
    assert server.ask("/").status == 200
    ledgers.record(ELSEWHERE, ledgers.add_event(4, boot_id=host.boot_id()))
    assert len(server.ask("/v1/who?what=10.0.0.4").json()["associations"]) == 1
    systemctl("stop", "eni-ledger-serve.socket", "eni-ledger-serve.service")
    assert "eni-ledger-serve" not in systemctl("list-units", "--failed", "--plain")


def test_identify() -> None:
    """Asked are the agent's database, Docker and the metadata service, each where it is on a host."""
    data = Path("/var/lib/ecs/data")
    data.mkdir(parents=True)
    shutil.copy(REPOSITORY / "tests/fixtures/agent-db/small.db", data / "agent.db")
    known = json.loads((REPOSITORY / "tests/fixtures/agent-db/small.expected.json").read_text())[0]
    configure(ECS, agentDb=str(data / "agent.db"))
    mine = {"boot_id": host.boot_id(), "eni_id": None}
    first = ledgers.record(
        ECS, ledgers.add_event(1, vlan_id=1, branch_mac=known["mac"], addresses=["10.0.32.4/20"], **mine)
    )
    second = ledgers.record(ECS, ledgers.add_event(2, **mine))

    def docker(request: Request) -> Reply:
        if request.path == "/_ping":
            return Reply(headers={"Api-Version": "1.41"})
        if second["container_id"] not in request.path:
            return Reply(404)
        return Reply(body=json.dumps({"Config": {"Labels": {"com.amazonaws.ecs.task-arn": TASK}}}))

    def imds(request: Request) -> Reply:
        return Reply(body="token" if request.method == "PUT" else "eni-0123456789abcdef0")

    socket = Path("/run/docker.sock")
    socket.unlink(missing_ok=True)
    subprocess.run(["ip", "address", "add", "169.254.169.254/32", "dev", "lo"], check=True)
    with serve(docker, socket), serve(imds, at=("169.254.169.254", 80)):
        systemctl("start", "eni-ledger-identify.service")
    found: dict[str, Draft] = {event["association_id"]: {} for event in (first, second)}
    for event in ledgers.prove(ECS):
        if event["event"] == "identify":
            found[event["association_id"]] |= event
    by_agent, by_docker = found[first["association_id"]], found[second["association_id"]]
    assert (by_agent["eni_id"], by_agent["task_arn"]) == (known["eni_id"], known["task_arn"])
    assert by_docker["task_arn"] == TASK
    assert {one["trunk_eni_id"] for one in (by_agent, by_docker)} == {"eni-0123456789abcdef0"}
    assert journal("SYSLOG_IDENTIFIER=eni-ledger", "EVENT=identify", f"TASK_ARN={TASK}")


def test_install_ecs() -> None:
    """The bundle is proven, what the host has is kept, and the running agent is seen through its root directory."""
    data, config, plugins = Path("/var/lib/ecs/data"), Path("/etc/ecs/ecs.config"), Path("/amazon-ecs-cni-plugins")
    data.mkdir(parents=True)
    config.parent.mkdir()
    config.write_text("ECS_CLUSTER=prod\n")
    os.chown(config, 1000, 1000)
    config.chmod(0o640)
    for path in (Path("/data"), plugins):
        path.mkdir()
    for name in ("vpc-branch-eni", "vpc-eni", "one-more-plugin"):
        (plugins / name).touch()
    subprocess.run(["mount", "--bind", data, "/data"], check=True)
    shutil.copy("/usr/bin/sleep", "/run/agent")
    agent = subprocess.Popen(["/run/agent", "3600"], env={"ECS_DATADIR": "/data"})
    try:
        until(lambda: Path(f"/proc/{agent.pid}/comm").read_text() == "agent\n", "the agent does not start")
        systemctl("start", "eni-ledger-ecs.service")
    finally:
        agent.kill()
        agent.wait()
        subprocess.run(["umount", "/data"], check=True)
    said = journal("-u", "eni-ledger-ecs.service")
    assert "proven: in a mount namespace like the agent's: VERSION answered, an ADD passed on and recorded" in said
    assert "no running agent was seen" not in said
    assert config.read_text() == "ECS_CLUSTER=prod\nECS_CNI_PLUGINS_PATH=/data/eni-ledger/plugins\n"
    found = config.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1000, 1000, 0o640)
    links = data / "eni-ledger/plugins"
    assert (links / "vpc-branch-eni").resolve() == (data / "eni-ledger/bundle/eni-ledger").resolve()
    assert (links / "one-more-plugin").readlink() == plugins / "one-more-plugin"
    assert json.loads(CONFIG.read_text())["stateDir"] == str(ECS)
    # Readable for the agent, which calls plugins in its container.
    assert oct((data / "eni-ledger/config.json").stat().st_mode & 0o777) == "0o644"


def test_timers() -> None:
    timers = sorted(path.name for path in (REPOSITORY / "conf/systemd").glob("*.timer"))
    systemctl("start", *timers)
    listed = systemctl("list-timers", "--all")
    assert [name for name in timers if name not in listed] == []
    systemctl("stop", *timers)
