"""Identity from a real Docker engine: the labels that the ECS agent gives its pause containers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eni_ledger.identity.docker import DockerSource
from eni_ledger.identity.identify import identify
from eni_ledger.kernel.scan import scan
from eni_ledger.reconcile.verify import container_of
from helpers import dockerd

if TYPE_CHECKING:
    pass

ARN = "arn:aws:ecs:eu-west-1:123456789012:task/prod/00000000000000000000000000000001"
LABELS = {
    "com.amazonaws.ecs.task-arn": ARN,
    "com.amazonaws.ecs.cluster": "prod",
    "com.amazonaws.ecs.task-definition-family": "web",
    "com.amazonaws.ecs.task-definition-version": "7",
    "com.amazonaws.ecs.container-name": "~internal~ecs~pause",
}


def test_a_pause_container(engine: dockerd.Engine, tmp_path: Path) -> None:
    container, pid = engine.start(LABELS)
    try:
        association = {"association_id": "assoc-00000000000000001", "container_id": container, "vlan_id": 101}
        outcome = identify([association], [DockerSource(str(engine.socket))])
        assert outcome.unavailable == {}
        (event,) = outcome.events
        assert {key: event[key] for key in ("task_arn", "cluster", "task_family", "task_revision")} == {
            "task_arn": ARN,
            "cluster": "prod",
            "task_family": "web",
            "task_revision": "7",
        }
        # What verify --adopt finds out about an attachment that nobody recorded.
        (tmp_path / "proc").mkdir()
        (tmp_path / f"proc/{pid}").symlink_to(f"/proc/{pid}")
        found = scan(str(tmp_path / "proc"), ()).find(None, Path(f"/proc/{pid}/ns/net").stat().st_ino)
        assert found is not None
        assert found.pids == [pid]
        assert container_of(pid) == container
    finally:
        engine.remove(container)
    assert DockerSource(str(engine.socket)).ask({"container_id": container}) == {}


def test_the_containers_of_a_task(engine: dockerd.Engine) -> None:
    """As the agent starts them: the pause container has the ENI's name as its hostname, the others its network."""
    hostname = "ip-10-0-32-5.eu-central-1.compute.internal"
    pause, _ = engine.start(LABELS, "--name=ecs-web-7-internalecspause-0a", f"--hostname={hostname}")
    others = []
    try:
        for name, network in (("app", pause), ("envoy", "ecs-web-7-internalecspause-0a")):
            more = (f"--name=ecs-web-7-{name}-0b", f"--network=container:{network}")
            others.append(engine.start({"com.amazonaws.ecs.container-name": name}, *more)[0])
        engine.call("kill", others[1])  # one that has stopped is still the task's
        source = DockerSource(str(engine.socket))
        found = source.ask({"container_id": pause})
        assert (found["private_dns_name"], found["pause_name"]) == (hostname, "ecs-web-7-internalecspause-0a")
        assert found["containers"] == [
            {"id": others[0], "name": "app", "docker_name": "ecs-web-7-app-0b"},
            {"id": others[1], "name": "envoy", "docker_name": "ecs-web-7-envoy-0b"},
        ]
        unversioned = DockerSource(str(engine.socket), versioned=False)
        for text in (others[0], others[0][:12], "ecs-web-7-app-0b"):
            assert unversioned.sharer(text) == (others[0], "ecs-web-7-app-0b", pause)
        assert unversioned.sharer("ecs-web-7-internalecspause-0a") == (pause, "ecs-web-7-internalecspause-0a", pause)
        assert unversioned.sharer("nobody") is None
    finally:
        for container in (*others, pause):
            engine.remove(container)


def test_a_container_that_is_no_task_s(engine: dockerd.Engine) -> None:
    container, _ = engine.start({"maintainer": "somebody"})
    try:
        assert DockerSource(str(engine.socket)).ask({"container_id": container}) == {}
    finally:
        engine.remove(container)


def test_namespaces_that_docker_holds_are_found_without_their_process(engine: dockerd.Engine, tmp_path: Path) -> None:
    container, pid = engine.start(LABELS)
    try:
        sandbox = engine.call("inspect", "--format={{.NetworkSettings.SandboxKey}}", container)
        if not sandbox:  # with --network=none some versions keep none
            return
        (tmp_path / "proc").mkdir()
        inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
        found = scan(str(tmp_path / "proc"), (str(Path(sandbox).parent),)).find(None, inode)
        assert found is not None
        assert found.path == sandbox
    finally:
        engine.remove(container)
