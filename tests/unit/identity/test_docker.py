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


def engine(labels: object = LABELS, version: str = "1.44") -> Callable[[Request], Reply]:
    """Answer as an engine with one container; it refuses another version of the API than its own, as Docker 29 does."""

    def answer(request: Request) -> Reply:
        if request.path == "/_ping":
            return Reply(body="OK", headers={"Api-Version": version})
        if not request.path.startswith(f"/v{version}/"):
            return Reply(400, json.dumps({"message": "client version is too old"}))
        if request.path != f"/v{version}/containers/{PAUSE}/json":
            return Reply(404, json.dumps({"message": "No such container"}))
        return Reply(body=json.dumps({"Id": PAUSE, "State": {"Pid": 1234}, "Config": {"Labels": labels}}))

    return answer


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[Callable[[Request], Reply]], Server]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serve(answer, tmp_path / "docker.sock"))


def test_the_task_of_the_pause_container(listen: Any) -> None:
    server = listen(engine())
    source = DockerSource(server.url)
    assert source.ask(BRANCH) == {"task_arn": ARN, "cluster": "prod", "task_family": "web", "task_revision": "7"}
    source.ask(BRANCH)
    paths = [request.path for request in server.requests]
    assert paths == ["/_ping", *[f"/v1.44/containers/{PAUSE}/json"] * 2]
    assert set(source.gives) == set(source.ask(BRANCH))


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
        (Reply(200, "[]"), "refuses to answer"),
        (Reply(200, b"x" * (docker.ANSWER_MAX + 1)), "too long"),
    ],
    ids=["error", "not JSON", "no object", "too long"],
)
def test_answers_that_are_none(listen: Any, reply: Reply, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        DockerSource(listen(lambda _: reply).url).ask(BRANCH)
