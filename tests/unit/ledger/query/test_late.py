"""What is identified when an association has ended, or while it is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eni_ledger.ledger.query.questions import History
from helpers.ledgers import add_event, del_event, record, sealed, with_events

if TYPE_CHECKING:
    from pathlib import Path


def test_identified_after_its_end(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1, eni_id=None))
    ended = record(tmp_path, del_event(1))
    late = {"event": "identify", "association_id": added["association_id"], "eni_id": "eni-0123456789abcdef0"}
    record(tmp_path, {**late, "late": True, "identity_source": "agent-db"}, rotate_bytes=1)
    assert sealed(tmp_path)
    (found,) = History(str(tmp_path)).who("eni-0123456789abcdef0")
    assert (found["until"], found["ended_by"]) == (ended["ts"], "del")
    assert "identity_source" not in found
    (then,) = History(str(tmp_path)).at(added["ts"])
    assert then == found
    assert [event["event"] for event in with_events(History(str(tmp_path)), found["association_id"])[1]] == [
        "add",
        "del",
        "identify",
    ]


def test_identified_while_live_is_known_for_all_of_its_life(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1, eni_id=None))
    named = {"event": "identify", "association_id": added["association_id"], "eni_id": "eni-0123456789abcdef0"}
    record(tmp_path, named)
    assert History(str(tmp_path)).at(added["ts"])[0]["eni_id"] == "eni-0123456789abcdef0"
    record(tmp_path, del_event(1), rotate_bytes=1)
    (found,) = History(str(tmp_path)).at(added["ts"])
    assert (found["eni_id"], found["ended_by"]) == ("eni-0123456789abcdef0", "del")
