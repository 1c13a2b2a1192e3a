"""`who` about a container that only Docker knows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli import docker_containers, quick
from helpers.http_server import Reply, Request, Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unit.cli.conftest import Ledger, Run

PAUSE, APP = "a2" * 32, "c3" * 32
NAME = "ecs-web-7-app-c0ffee0123456789ab"


def engine(request: Request) -> Reply:
    """Answer as an engine with a container that shares the network of another one, named by its name."""
    about = {
        NAME: {"Id": APP, "Name": f"/{NAME}", "HostConfig": {"NetworkMode": "container:pause"}},
        "pause": {"Id": PAUSE, "Name": "/pause", "HostConfig": {"NetworkMode": "none"}},
        "alone": {"Id": "d4" * 32, "Name": "/alone", "HostConfig": {"NetworkMode": "bridge"}},
        "broken": {"Id": ["x"], "Name": 7, "HostConfig": []},
    }
    about[APP[:8]] = about[APP] = about[NAME]
    name = request.path.removeprefix("/containers/").removesuffix("/json")
    return Reply(body=json.dumps(about[name])) if name in about else Reply(404, "{}")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve(engine, tmp_path / "docker.sock") as server:
        monkeypatch.setattr(docker_containers, "DOCKER_SOCKET", server.url)
        monkeypatch.setattr(quick, "DOCKER_SOCKET", server.url)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        yield server


@pytest.mark.parametrize("what", [NAME, APP, APP[:8]])
def test_docker_says_whose_network_it_is(filled: Ledger, docker: Server, run: Run, what: str) -> None:
    done = run("who", what)
    assert done.code == 0
    assert "10.0.32.5" in done.out
    note = f"container {what} of Docker shares the network of {PAUSE[:12]}"
    assert f"note: {note}\n" in done.err
    document = run("who", what, "--json").json()
    (found,) = document["associations"]
    assert (found["container_id"], document["notes"]) == (PAUSE, [note])
    assert "/_ping" not in [request.path for request in docker.requests]


def test_a_pause_container_by_its_name(filled: Ledger, docker: Server, run: Run) -> None:
    done = run("who", "pause")
    assert (done.code, done.err) == (0, f"note: Docker knows pause as {PAUSE[:12]}\n")


@pytest.mark.parametrize("what", ["alone", "broken", "missing-container.x", "123456789"])
def test_what_docker_does_not_know_either_is_as_before(filled: Ledger, docker: Server, run: Run, what: str) -> None:
    done = run("who", what)
    assert (done.code in (1, 2), done.out) == (True, "")
    assert docker.requests
    assert "Docker" not in done.err


@pytest.mark.parametrize("what", ["10.9.9.9", "4090", "0a:00:00:00:00:99", "eni-0aaaaaaaa"])
def test_what_is_no_name_is_not_asked_of_docker(filled: Ledger, docker: Server, run: Run, what: str) -> None:
    assert run("who", what).code == 1
    assert docker.requests == []


def test_what_the_ledger_has_is_not_asked_of_docker(filled: Ledger, docker: Server, run: Run) -> None:
    assert run("who", PAUSE).code == 0
    assert docker.requests == []


def test_only_root_asks(filled: Ledger, docker: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("who", APP).code == 1
    assert docker.requests == []


def test_an_engine_that_hangs(filled: Ledger, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_containers, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with serve(lambda _: Reply(wait=True), tmp_path / "docker.sock") as server:
        monkeypatch.setattr(docker_containers, "DOCKER_SOCKET", server.url)
        assert run("who", APP).code == 1


def test_a_plain_question_leaves_it_to_the_command_line(
    filled: Ledger, docker: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front door has no HTTP client; where nobody could ask Docker, it gives the answer itself."""
    run("list")  # sets the environment
    words = ["who", APP, "--json"]
    assert quick.main(words) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert quick.main(words) == 1
    assert docker.requests == []
