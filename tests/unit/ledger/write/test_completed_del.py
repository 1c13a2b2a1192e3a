"""A `del` that brings ENI and task: an `identify` before it, so that questions find the association by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.archive import prune
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import writer
from helpers import ledgers
from helpers.ledgers import ACTIVE, add_event, del_event, locked, prove, record, sealed

if TYPE_CHECKING:
    from pathlib import Path

ENI = "eni-0123456789abcdef0"
ARN = "arn:aws:ecs:eu-west-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
TASK = {"eni_id": ENI, "task_arn": ARN, "cluster": "prod", "task_family": "web", "task_revision": "7"}


def brings(n: int, association_id: str, **over: Any) -> dict[str, Any]:
    return del_event(n, association_id=association_id, identity_source="agent-db", **{**TASK, **over})


def added_without(where: Path, n: int = 1, **over: Any) -> str:
    return str(record(where, add_event(n, eni_id=None, **over))["association_id"])


def test_an_identify_before_the_del_in_one_write(tmp_path: Path) -> None:
    about = added_without(tmp_path)
    written = record(tmp_path, brings(1, about))
    identify, ended = prove(tmp_path)[-2:]
    assert (identify["event"], ended["event"], ended["seq"]) == ("identify", "del", written["seq"])
    assert {key: identify[key] for key in (*TASK, "identity_source", "association_id")} == {
        **TASK,
        "identity_source": "agent-db",
        "association_id": about,
    }
    assert {key: ended.get(key) for key in TASK} == TASK
    assert "identity_source" not in ended
    assert "late" not in identify  # it is live until the next line
    (found,) = History(str(tmp_path)).who(ENI)
    assert (found["association_id"], found["until"], found["task_family"]) == (about, ended["ts"], "web")
    assert fsck(str(tmp_path)).sound


@pytest.mark.parametrize("name", [ENI, ARN, ARN.rpartition("/")[2]])
def test_found_in_packed_segments_by_their_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(gzip_members, "MEMBER", 1200)
    about = added_without(tmp_path)
    for n in range(2, 20):
        record(tmp_path, add_event(n), rotate_bytes=4000)
    record(tmp_path, brings(1, about), rotate_bytes=4000)
    for n in range(20, 40):
        record(tmp_path, add_event(n), rotate_bytes=4000)
    (before,) = History(str(tmp_path)).who(name)
    assert prune.prune(ledgers.settings(tmp_path)).left == []
    assert b'"event":"del"' not in (tmp_path / ACTIVE).read_bytes()
    assert History(str(tmp_path)).who(name) == [before]
    assert before["association_id"] == about
    assert History(str(tmp_path)).who(name, before["since"]) == [before]
    for path in sealed(tmp_path):
        path.with_name(path.name.replace(".jsonl.gz", ".index")).unlink()
    assert History(str(tmp_path)).who(name) == [before]


def test_what_is_known_is_not_said_again(tmp_path: Path) -> None:
    about = str(record(tmp_path, add_event(1, eni_id=ENI, cluster="prod"))["association_id"])
    record(tmp_path, brings(1, about))
    identify, ended = prove(tmp_path)[-2:]
    assert not {"eni_id", "cluster"} & set(identify)
    assert (identify["task_arn"], ended["eni_id"]) == (ARN, ENI)


@pytest.mark.parametrize("over", [{"association_id": "assoc-00000000000000000"}, {"eni_id": "eni-1", "task_arn": ARN}])
def test_what_is_of_another_association_or_contradicts_is_left_out(tmp_path: Path, over: dict[str, Any]) -> None:
    about = str(record(tmp_path, add_event(1, eni_id=ENI))["association_id"])
    record(tmp_path, {**brings(1, about), **over})
    assert [event["event"] for event in prove(tmp_path)] == ["checkpoint", "add", "del"]
    (ended,) = History(str(tmp_path)).all()
    assert (ended["association_id"], ended["eni_id"], "task_arn" in ended) == (about, ENI, False)


def test_all_of_it_known_is_a_del_alone(tmp_path: Path) -> None:
    about = str(record(tmp_path, add_event(1, **TASK))["association_id"])
    record(tmp_path, brings(1, about))
    assert [event["event"] for event in prove(tmp_path)] == ["checkpoint", "add", "del"]


def test_through_the_spool(tmp_path: Path) -> None:
    """The spool file's name stands in the del alone: after a crash between the two lines it has to be folded in."""
    about = added_without(tmp_path)
    with locked(tmp_path):
        assert record(tmp_path, brings(1, about), lock_wait_ms=1)["spooled"]
    record(tmp_path, add_event(2))
    identify, ended = prove(tmp_path)[-3:-1]
    assert (identify["event"], identify["eni_id"], "spool" in identify) == ("identify", ENI, False)
    assert (ended["event"], ended["eni_id"], "spool" in ended) == ("del", ENI, True)


def test_nothing_to_end_is_nothing_to_tell(tmp_path: Path) -> None:
    added_without(tmp_path)
    assert writer.record(ledgers.settings(tmp_path), brings(2, "assoc-00000000000000000")) is None
    assert [event["event"] for event in prove(tmp_path)] == ["checkpoint", "add"]
