"""Identity from a real Docker engine: the labels that the ECS agent gives its pause containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.identity.docker import DockerSource
from eni_ledger.identity.identify import identify
from eni_ledger.kernel.scan import scan
from eni_ledger.reconcile.verify import container_of
from helpers import dockerd
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:ecs:eu-west-1:123456789012:task/prod/00000000000000000000000000000001"
LABELS = {
    "com.amazonaws.ecs.task-arn": ARN,
    "com.amazonaws.ecs.cluster": "prod",
    "com.amazonaws.ecs.task-definition-family": "web",
    "com.amazonaws.ecs.task-definition-version": "7",
    "com.amazonaws.ecs.container-name": "~internal~ecs~pause",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dockerd.Engine]:
    need(os.geteuid() == 0, "root, for dockerd")
    need(not dockerd.missing(), f"{dockerd.missing()}, for a Docker engine")
    need(dockerd.BUSYBOX.exists(), "busybox-static")
    with dockerd.Engine(tmp_path_factory.mktemp("docker")) as made:
        yield made


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
