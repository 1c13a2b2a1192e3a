"""topology with a real Docker engine: the containers of a task as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eni_ledger.desk.topology.facts import DockerFacts
from eni_ledger.desk.topology.picture import branches, draw
from eni_ledger.desk.topology.tree import TreeLines
from helpers import dockerd
from helpers.pictures import branch

if TYPE_CHECKING:
    pass

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
LABELS = {
    "com.amazonaws.ecs.task-arn": TASK,
    "com.amazonaws.ecs.cluster": "prod",
    "com.amazonaws.ecs.task-definition-family": "web",
    "com.amazonaws.ecs.task-definition-version": "7",
    "com.amazonaws.ecs.container-name": "~internal~ecs~pause",
}


def test_a_task_is_drawn_with_the_containers_that_docker_has_now(engine: dockerd.Engine) -> None:
    hostname = "ip-10-0-32-4.eu-central-1.compute.internal"
    pause, _ = engine.start(LABELS, "--name=ecs-web-7-internalecspause-0a", f"--hostname={hostname}")
    labels = {**LABELS, "com.amazonaws.ecs.container-name": "app"}
    app, _ = engine.start(labels, "--name=ecs-web-7-app-0b", f"--network=container:{pause}")
    try:
        recorded = {"task_arn": None, "task_family": None, "pause_name": None, "private_dns_name": None}
        association = branch(0, container_id=pause, containers=[{"id": "f" * 64, "name": "gone"}], **recorded)
        other = branch(1, containers=[{"id": "e" * 64, "name": "recorded"}])
        facts = DockerFacts(str(engine.socket))
        picture = draw([association, other], facts=facts)
        now, then = branches(picture)
        assert facts.unavailable == ""
        assert ([one["id"] for one in now["containers"]], now["containers_from"]) == ([app], "docker")
        assert ([one["name"] for one in then["containers"]], then["containers_from"]) == (["recorded"], "ledger")
        lines = [line.strip(" ├─└│") for line in TreeLines(None).lines(picture)]
        assert f"pause  {pause[:12]}  ecs-web-7-internalecspause-0a" in lines
        assert f"hostname  {hostname}" in lines
        assert f"app  {app[:12]}" in lines
    finally:
        for container in (app, pause):
            engine.call("rm", "--force", container)
