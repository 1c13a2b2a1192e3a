"""Which live association a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.desk.wire.chosen import chosen, label
from eni_ledger.ledger.query.questions import History
from helpers.ledgers import TRUNK, add_event, del_event, record

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/prod/5f8a2b3d6f5f4c8e9d2f4a6b8c0d1e2f"


def test_the_one_that_is_live(tmp_path: Path) -> None:
    record(tmp_path, add_event(1))
    record(tmp_path, del_event(1))
    second = record(tmp_path, add_event(2, task_arn=ARN, task_family="api", task_revision="17"))
    history = History(str(tmp_path))
    for what in (TRUNK, "10.0.0.2", "5f8a2b3d", second["association_id"]):
        assert chosen(history, what)["association_id"] == second["association_id"]
    assert label(chosen(history, "10.0.0.2")).startswith("api:17/5f8a2b3d VLAN 3 10.0.0.2 #")
    with pytest.raises(NotFound, match=r"it has ended: .* VLAN 2 10\.0\.0\.1 #[0-9a-f]{8}, until 20"):
        chosen(history, "10.0.0.1")
    with pytest.raises(NotFound, match=r"nothing has or had this: '10\.9\.9\.9'"):
        chosen(history, "10.9.9.9")


def test_several_are_listed(tmp_path: Path) -> None:
    for n in range(1, 13):
        record(tmp_path, add_event(n))
    with pytest.raises(UsageError, match="12 live associations have this") as raised:
        chosen(History(str(tmp_path)), TRUNK)
    assert raised.value.details.count("#") == 10
    assert raised.value.details.endswith("; ...")
