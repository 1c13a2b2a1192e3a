"""What Docker says now of an association's containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eni_ledger.desk.topology.facts import DockerFacts
from eni_ledger.identity.source import Unavailable
from helpers.pictures import branch

if TYPE_CHECKING:
    import pytest

    from eni_ledger.identity.docker import DockerSource


def test_without_docker_there_is_nothing_to_say(tmp_path: Any) -> None:
    facts = DockerFacts(str(tmp_path / "docker.sock"))
    assert facts(branch(0)) == {}
    assert facts.unavailable == ""


def test_a_docker_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(_: DockerSource, association: dict[str, Any]) -> dict[str, Any]:
        asked.append(association)
        raise Unavailable("Docker does not answer in time", "docker.sock: 2 s")

    monkeypatch.setattr("eni_ledger.identity.docker.DockerSource.ask", ask)
    facts = DockerFacts()
    assert facts(branch(0)) == facts(branch(1)) == {}
    assert len(asked) == 1
    assert "does not answer" in facts.unavailable


def test_a_task_without_other_containers_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eni_ledger.identity.docker.DockerSource.ask", lambda *_: {"task_arn": "a"})
    assert DockerFacts()(branch(0)) == {"task_arn": "a", "containers": [], "from": "docker"}
    monkeypatch.setattr("eni_ledger.identity.docker.DockerSource.ask", lambda *_: {})
    assert DockerFacts()(branch(0)) == {}
