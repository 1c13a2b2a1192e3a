"""What becomes of the answers: the first that knows gives it, nothing known is ever overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.identity.identify import identify, make
from eni_ledger.identity.source import NAMES, Unavailable, is_branch, wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

TASK = "arn:aws:ecs:eu-west-1:123456789012:task/prod/00000000000000000000000000000001"
OTHER_TASK = TASK[:-1] + "2"
ENI, OTHER_ENI, TRUNK = (f"eni-{n:017x}" for n in (1, 2, 3))


class Fake:
    """A source with fixed answers, by association ID."""

    def __init__(self, name: str, answers: dict[str, Any], *gives: str, past: bool = True) -> None:
        self.name = name
        self.gives = frozenset(gives or ("eni_id", "task_arn", "trunk_eni_id"))
        self.past = past
        self.asked: list[str] = []
        self._answers = answers

    def ask(self, association: Fields) -> Fields:
        self.asked.append(association["association_id"])
        answer = self._answers.get(association["association_id"], {})
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


def association(n: int = 1, **over: Any) -> dict[str, Any]:
    return {"association_id": f"assoc-{n:017x}", "vlan_id": 100 + n, "trunk_mac": "0a:00:00:00:00:01", **over}


ONE = association()["association_id"]


def test_the_first_that_knows_gives_it_and_others_are_asked_for_the_rest() -> None:
    first = Fake("agent-db", {ONE: {"eni_id": ENI, "task_arn": TASK, "service": None}})
    second = Fake("imds", {ONE: {"trunk_eni_id": TRUNK}})
    third = Fake("ec2", {ONE: {"eni_id": ENI}})
    outcome = identify([association()], [first, second, third])
    assert outcome.events == [
        {"event": "identify", "association_id": ONE, "eni_id": ENI, "task_arn": TASK, "identity_source": "agent-db"},
        {"event": "identify", "association_id": ONE, "trunk_eni_id": TRUNK, "identity_source": "imds"},
    ]
    assert (outcome.disagreements, outcome.incomplete) == ([], [])
    assert third.asked == []
    assert outcome.asked == {"agent-db": 1, "imds": 1, "ec2": 0}
    assert outcome.answered == {"agent-db": 1, "imds": 1, "ec2": 0}


def test_what_is_complete_is_not_asked_for() -> None:
    source = Fake("agent-db", {})
    outcome = identify([association(eni_id=ENI, task_arn=TASK, trunk_eni_id=TRUNK)], [source])
    assert source.asked == []
    assert outcome.incomplete == []


def test_a_whole_eni_has_no_trunk() -> None:
    assert wanted({"association_id": ONE, "protocol": "default"}) == {"eni_id", "task_arn"}


def test_what_is_no_branch_is_asked_for_nothing() -> None:
    source = Fake("docker", {ONE: {"task_arn": TASK}})
    bridge = {"association_id": ONE, "ifname": "eth0", "branch_mac": "0a:00:00:00:01:01"}
    assert identify([bridge], [source]).incomplete == []
    assert (source.asked, is_branch(bridge), is_branch(association())) == ([], False, True)


def test_a_source_that_says_otherwise_is_reported_and_nothing_of_it_is_taken() -> None:
    source = Fake("docker", {ONE: {"task_arn": OTHER_TASK, "task_family": "web", "eni_id": ENI, "trunk_eni_id": TRUNK}})
    outcome = identify([association(task_arn=TASK)], [source])
    (told,) = outcome.disagreements
    assert (told.key, told.known, told.known_from, told.source, told.said) == (
        "task_arn", TASK, "ledger", "docker", OTHER_TASK,
    )  # fmt: skip
    assert outcome.events == [
        {"event": "identify", "association_id": ONE, "trunk_eni_id": TRUNK, "identity_source": "docker"}
    ]
    assert outcome.incomplete == [ONE]


def test_two_sources_that_disagree() -> None:
    first = Fake("agent-db", {ONE: {"eni_id": ENI}})
    second = Fake("ec2", {ONE: {"eni_id": OTHER_ENI}})
    (told,) = identify([association()], [first, second]).disagreements
    assert (told.known, told.known_from, told.said) == (ENI, "agent-db", OTHER_ENI)


def test_a_revision_is_the_same_as_text_and_as_number() -> None:
    source = Fake("docker", {ONE: {"task_arn": TASK, "task_revision": "7"}})
    outcome = identify([association(task_revision=7)], [source])
    assert outcome.disagreements == []


def test_a_source_that_is_unavailable_is_asked_once() -> None:
    source = Fake("imds", {ONE: Unavailable("no such service", "here")})
    outcome = identify([association(1), association(2)], [source])
    assert source.asked == [ONE]
    assert str(outcome.unavailable["imds"]) == "no such service: here"
    assert len(outcome.incomplete) == 2


def test_what_has_ended_is_asked_only_of_those_who_know_the_past() -> None:
    now, past = Fake("ec2", {}, past=False), Fake("agent-db", {ONE: {"eni_id": ENI}})
    outcome = identify([association(until="2026-11-23T14:00:00.000000Z")], [now, past])
    assert (now.asked, past.asked) == ([], [ONE])
    assert outcome.events[0]["eni_id"] == ENI


def test_sources_are_made_by_name_in_the_order_that_is_asked_for() -> None:
    assert [source.name for source in make(NAMES)] == list(NAMES)
    assert [source.name for source in make(("imds", "docker"))] == ["imds", "docker"]
    with pytest.raises(UsageError, match="there is no such source: 'dns'"):
        make(("dns",))
