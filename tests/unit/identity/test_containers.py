"""The containers of a task in `agent.db`, and when they are asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.identity import bolt, containers
from eni_ledger.identity.identify import identify
from eni_ledger.identity.source import lacks_containers
from eni_ledger.ledger.format.line import format_ts, now_us
from helpers.agent_db import CLUSTER, container
from helpers.bolt import BoltWriter
from unit.identity.test_identify import ENI, ONE, OTHER_TASK, TASK, Fake, association

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "a" * 32, "a" * 31 + "b"
ARN = f"{CLUSTER}/{KEY}"
PAUSE, APP, ENVOY = "c0" * 32, "a1" * 32, "b2" * 32
PAUSED = container(KEY, "~internal~ecs~pause", PAUSE, "ecs-web-7-internalecspause-0a", kind="CNI_PAUSE")


def of_task(path: Path, *saved: tuple[bytes, bytes], pause_id: str = PAUSE) -> dict[str, Any]:
    BoltWriter(str(path / "agent.db")).commit({b"tasks": {}, b"containers": dict(saved)})
    return bolt.view(
        str(path / "agent.db"), bolt.within(30), lambda snapshot: containers.of_task(snapshot, ARN, pause_id)
    )


def test_what_the_agent_saved(tmp_path: Path) -> None:
    found = of_task(
        tmp_path,
        PAUSED,
        container(KEY, "envoy", ENVOY, "ecs-web-7-envoy-0b"),
        container(KEY, "app", APP, "ecs-web-7-app-0c", Links=[f"{OTHER}-x"]),
        container(KEY, "not-made-yet", "", "ecs-web-7-later-0d"),
        container(OTHER, "app", "d4" * 32, "ecs-web-7-app-0e", Command=[f"{KEY}-app"]),
    )
    assert found == {
        "pause_name": "ecs-web-7-internalecspause-0a",
        "containers": [
            {"id": APP, "name": "app", "docker_name": "ecs-web-7-app-0c"},
            {"id": ENVOY, "name": "envoy", "docker_name": "ecs-web-7-envoy-0b"},
        ],
    }


def test_many_tasks_on_many_pages(tmp_path: Path) -> None:
    saved = dict(
        container(f"{n:032x}", name, f"{n:060x}{number:04x}", f"ecs-{n}-{name}", pad="x" * (n * 37 % 5000))
        for n in range(200)
        for number, name in enumerate(("app", "envoy"))
    )
    BoltWriter(str(tmp_path / "agent.db")).commit({b"tasks": {}, b"containers": saved})
    for n in (0, 77, 199):
        arn = f"{CLUSTER}/{n:032x}"
        found = bolt.view(
            str(tmp_path / "agent.db"),
            bolt.within(30),
            lambda snapshot, arn=arn: containers.of_task(snapshot, arn, PAUSE),  # type: ignore[misc]  # binds the loop's
        )
        assert [one["docker_name"] for one in found["containers"]] == [f"ecs-{n}-app", f"ecs-{n}-envoy"]


def test_another_pause_container_is_another_task_s(tmp_path: Path) -> None:
    app = container(KEY, "app", APP, "ecs-web-7-app-0c")
    assert of_task(tmp_path, PAUSED, app, pause_id="e5" * 32) == {}
    assert of_task(tmp_path, PAUSED, app, pause_id="container-id")["containers"]  # one ID for all: it says nothing


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"[]",
        b"7",
        json.dumps({"DockerId": APP[:12], "Container": {"Name": "app"}}).encode(),
        json.dumps({"DockerId": 7, "Container": None}).encode(),
        json.dumps({"DockerId": APP.upper(), "Container": {"Name": "app"}}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_container_takes_no_other_one_away(tmp_path: Path, value: bytes) -> None:
    good = container(KEY, "envoy", ENVOY, "ecs-web-7-envoy-0b")
    (one,) = of_task(tmp_path, (f"{KEY}-app".encode(), value), good)["containers"]
    assert one["name"] == "envoy"


def test_names_that_are_none_are_left_out(tmp_path: Path) -> None:
    value = {"DockerId": APP, "DockerName": "x" * 256, "Container": {"Name": "app\x1b[31m"}}
    found = of_task(tmp_path, (f"{KEY}-app".encode(), json.dumps(value).encode()))
    assert found == {"containers": [{"id": APP}]}


def ago(seconds: float) -> str:
    return format_ts(now_us() - int(seconds * 1e6))


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        ({"since": ago(99 * 86400)}, True),
        ({"since": ago(60), "containers": [{"id": APP}]}, True),
        ({"since": ago(3700), "containers": [{"id": APP}]}, False),
        ({"since": ago(3700), "until": ago(60), "containers": [{"id": APP}]}, True),
        ({"since": ago(9 * 86400), "until": ago(2 * 86400)}, False),
        ({"since": "no time", "containers": [{"id": APP}]}, True),
    ],
    ids=["none known", "young", "settled", "just ended", "forgotten by the agent", "no time stamp"],
)
def test_when_containers_are_asked_for(state: dict[str, Any], asked: bool) -> None:
    assert lacks_containers({"vlan_id": 101, **state}) is asked
    assert not lacks_containers(state)  # no branch


def test_the_first_source_that_knows_some_is_the_last_that_is_asked() -> None:
    containers_of = [{"id": APP, "name": "app"}]
    first = Fake("agent-db", {ONE: {"containers": containers_of, "pause_name": "pause"}}, "eni_id", "containers")
    second = Fake("docker", {ONE: {"containers": containers_of}}, "containers")
    complete = association(eni_id=ENI, task_arn=TASK, trunk_eni_id="eni-1", since=ago(10))
    outcome = identify([complete], [first, second])
    (event,) = outcome.events
    assert (event["containers"], event["pause_name"], second.asked) == (containers_of, "pause", [])
    known = identify([{**complete, "containers": containers_of, "pause_name": "pause"}], [first, second])
    assert (known.events, known.without_containers, second.asked) == ([], [], [])


def test_none_known_is_no_lack_of_identity() -> None:
    source = Fake("docker", {}, "containers")
    outcome = identify([association(eni_id=ENI, task_arn=TASK, trunk_eni_id="eni-1")], [source])
    assert (outcome.incomplete, outcome.without_containers, source.asked) == ([], [ONE], [ONE])


def test_containers_of_a_source_that_means_another_task_do_not_count() -> None:
    source = Fake(
        "docker", {ONE: {"task_arn": OTHER_TASK, "containers": [{"id": APP}], "pause_name": "x"}}, "containers"
    )
    outcome = identify([association(eni_id=ENI, task_arn=TASK)], [source])
    assert (outcome.events, len(outcome.disagreements)) == ([], 1)
