"""Several events under one lock, chosen by what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eni_ledger.base.config import Settings
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import BOOT, add_event, record, settings

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association, Draft


def test_what_is_chosen_sees_what_is_live_under_the_lock(tmp_path: Path) -> None:
    added = record(tmp_path, add_event(1))
    seen: list[Association] = []

    def choose(live: list[Association]) -> list[Draft]:
        seen.extend(live)
        return [{"event": "adopt", "ifname": "eth0", "vlan_id": 7}]

    setting: Settings = settings(tmp_path)
    (written,) = record_found(setting, {"boot_id": BOOT, "via": "scan"}, choose)
    assert [association["association_id"] for association in seen] == [added["association_id"]]
    assert written["association_id"].startswith("assoc-")
    assert (written["via"], written["boot_id"]) == ("scan", BOOT)
    assert len(History(str(tmp_path)).live()) == 2
