"""The task from a container's labels, asked of a socket that answers as dockerd does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.identity import docker
from eni_ledger.identity.docker import DockerSource
from eni_ledger.identity.source import Unavailable
from helpers.http_server import Reply, Request, Server, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARN = "arn:aws:ecs:eu-west-1:123456789012:task/prod/00000000000000000000000000000001"
LABELS = {
    "com.amazonaws.ecs.task-arn": ARN,
    "com.amazonaws.ecs.cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
    "com.amazonaws.ecs.task-definition-family": "web",
    "com.amazonaws.ecs.task-definition-version": "7",
    "com.amazonaws.ecs.container-name": "~internal~ecs~pause",
    "maintainer": "somebody",
}
PAUSE = "c" * 64
BRANCH = {"container_id": PAUSE}
APP, SIDECAR, OTHER = "a1" * 32, "b2" * 32, "e5" * 32
APP_NAME, PAUSE_NAME = "ecs-web-7-app-c0ffee0123456789ab", "ecs-web-7-internalecspause-deadbeef0123456789"
HOSTNAME = "ip-10-0-32-5.eu-central-1.compute.internal"
SHARING = {"Id": APP, "Name": f"/{APP_NAME}", "HostConfig": {"NetworkMode": f"container:{PAUSE}"}}


def summary(docker_id: str, mode: str, *names: object, ecs_name: str | None = None) -> dict[str, Any]:
    """What the engine's list has of a container."""
    labels = {"com.amazonaws.ecs.container-name": ecs_name} if ecs_name else {}
    return {"Id": docker_id, "Names": list(names), "Labels": labels, "HostConfig": {"NetworkMode": mode}}


LIST = [
    summary(PAUSE, "none", f"/{PAUSE_NAME}", ecs_name="~internal~ecs~pause"),
    summary(SIDECAR, f"container:{PAUSE}", "/ecs-web-7-envoy-01", ecs_name="envoy"),
    summary(APP, f"container:{PAUSE}", f"/{OTHER}/app", f"/{APP_NAME}", ecs_name="app"),
    summary(OTHER, f"container:{'d' * 64}", "/ecs-api-1-app-02", ecs_name="app"),
    summary("short", f"container:{PAUSE}", "/no-id"),
    "rubbish",
]


def inspected(labels: object = LABELS, hostname: str = HOSTNAME) -> dict[str, Any]:
    """What the engine knows of the pause container."""
    config = {"Labels": labels, "Hostname": hostname}
    return {"Id": PAUSE, "Name": f"/{PAUSE_NAME}", "State": {"Pid": 1234}, "Config": config}


def engine(labels: object = LABELS, version: str = "1.44") -> Callable[[Request], Reply]:
    """Answer as an engine with a task; it refuses another version of the API than its own, as Docker 29 does."""

    def answer(request: Request) -> Reply:
        if request.path == "/_ping":
            return Reply(body="OK", headers={"Api-Version": version})
        if not request.path.startswith(f"/v{version}/"):
            return Reply(400, json.dumps({"message": "client version is too old"}))
        path = request.path.removeprefix(f"/v{version}/containers/")
        if path == "json?all=1":
            return Reply(body=json.dumps(LIST))
        named = {PAUSE: inspected(labels), APP: SHARING, APP_NAME: SHARING, APP[:12]: SHARING, "app-alias": SHARING}
        if path.removesuffix("/json") not in named:
            return Reply(404, json.dumps({"message": "No such container"}))
        return Reply(body=json.dumps(named[path.removesuffix("/json")]))

    return answer


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[Callable[[Request], Reply]], Server]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serve(answer, tmp_path / "docker.sock"))


def test_the_task_of_the_pause_container(listen: Any) -> None:
    server = listen(engine())
    source = DockerSource(server.url)
    assert source.ask(BRANCH) == {
        "task_arn": ARN,
        "cluster": "prod",
        "task_family": "web",
        "task_revision": "7",
        "private_dns_name": HOSTNAME,
        "pause_name": PAUSE_NAME,
        "containers": [
            {"id": APP, "name": "app", "docker_name": APP_NAME},
            {"id": SIDECAR, "name": "envoy", "docker_name": "ecs-web-7-envoy-01"},
        ],
    }
    source.ask(BRANCH)
    paths = [request.path.removeprefix("/v1.44/containers/") for request in server.requests]
    assert paths == ["/_ping", f"{PAUSE}/json", "json?all=1", f"{PAUSE}/json"]
    assert set(source.gives) == set(source.ask(BRANCH))


def test_a_hostname_that_docker_chose_is_no_name_of_the_eni(listen: Any) -> None:
    def answer(request: Request) -> Reply:
        if request.path.endswith("json?all=1"):
            return Reply(body="null")
        return Reply(body=json.dumps(inspected(hostname=PAUSE[:12])))

    found = DockerSource(listen(answer).url).ask(BRANCH)
    assert "private_dns_name" not in found
    assert "containers" not in found
    assert found["pause_name"] == PAUSE_NAME


def test_a_task_has_a_bounded_number_of_containers(listen: Any) -> None:
    every = [summary(f"{n:064x}", f"container:{PAUSE}", f"/{'x' * 300}", ecs_name=f"c{n:03}") for n in range(200)]

    def answer(request: Request) -> Reply:
        return Reply(body=json.dumps(every if request.path.endswith("json?all=1") else inspected()))

    containers = DockerSource(listen(answer).url).ask(BRANCH)["containers"]
    assert [one["name"] for one in containers] == [f"c{n:03}" for n in range(64)]
    assert all(set(one) == {"id", "name"} for one in containers)


@pytest.mark.parametrize("text", [APP, APP_NAME, APP[:12]])
def test_whose_network_a_container_uses(listen: Any, text: str) -> None:
    assert DockerSource(listen(engine()).url).sharer(text) == (APP, APP_NAME, PAUSE)


def test_a_network_of_its_own(listen: Any) -> None:
    assert DockerSource(listen(engine()).url).sharer(PAUSE) == (PAUSE, PAUSE_NAME, PAUSE)


@pytest.mark.parametrize("text", ["app-alias", "missing", "d" * 64, "../images", ""])
def test_a_name_that_docker_does_not_have(listen: Any, text: str) -> None:
    """Nor one that it takes for another one: what it answers has to have the name or the ID that was asked for."""
    assert DockerSource(listen(engine()).url).sharer(text) is None


@pytest.mark.parametrize("version", ["1.24", "1.99", ""])
def test_the_engine_says_which_version_it_speaks(listen: Any, version: str) -> None:
    answer = engine(version=version) if version else engine(version="1.44")
    if not version:  # an engine from before the header: its paths have no version

        def old(request: Request) -> Reply:
            return (
                Reply(body="OK") if request.path == "/_ping" else Reply(body=json.dumps({"Config": {"Labels": LABELS}}))
            )

        answer = old
    assert DockerSource(listen(answer).url).ask(BRANCH)["task_arn"] == ARN


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        [],
        {"com.amazonaws.ecs.cluster": "prod"},
        {"com.amazonaws.ecs.task-arn": "x\n\x1b[31m"},
        {"com.amazonaws.ecs.task-arn": 7},
    ],
)
def test_a_container_that_is_no_task_s(listen: Any, labels: object) -> None:
    assert DockerSource(listen(engine(labels)).url).ask(BRANCH) == {}


def test_a_container_that_is_gone(listen: Any) -> None:
    assert DockerSource(listen(engine()).url).ask({"container_id": "d" * 64}) == {}


@pytest.mark.parametrize("container", [None, "", "../images", "a/b", "a b", "x" * 200, "c%2f"])
def test_what_is_no_container_id_is_not_asked_for(container: object) -> None:
    assert DockerSource("/nonexistent").ask({"container_id": container}) == {}


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"Docker cannot be asked: .*: No such file or directory"):
        DockerSource(str(tmp_path / "docker.sock")).ask(BRANCH)


def test_an_engine_that_hangs_costs_the_timeout(listen: Any) -> None:
    with pytest.raises(Unavailable, match=r"does not answer in time: .*: 0\.1 s"):
        DockerSource(listen(lambda _: Reply(wait=True)).url, 0.1).ask(BRANCH)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(500, "{}"), "refuses to answer: .*: status 500"),
        (Reply(200, "<html>"), "not JSON"),
        (Reply(200, "[]"), "is no container"),
        (Reply(200, b"x" * (docker.ANSWER_MAX + 1)), "too long"),
    ],
    ids=["error", "not JSON", "no object", "too long"],
)
def test_answers_that_are_none(listen: Any, reply: Reply, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        DockerSource(listen(lambda _: reply).url).ask(BRANCH)
