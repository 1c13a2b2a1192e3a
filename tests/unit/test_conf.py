from __future__ import annotations

import json
from pathlib import Path

from eni_ledger.config import Settings, load
from eni_ledger.ledger.models import Config

CONFIG = Path(__file__).parents[2] / "conf/config.json"


def test_the_config_file_is_the_defaults_spelled_out() -> None:
    written = json.loads(CONFIG.read_text())
    assert written == Config().model_dump(by_alias=True)
    assert list(written) == [about.alias or name for name, about in Config.model_fields.items()]


def test_the_config_file_changes_nothing() -> None:
    loaded = load(None, {"ENI_LEDGER_CONFIG": str(CONFIG)})
    defaults = Settings()
    for name in Settings.__slots__:
        assert getattr(loaded, name) == getattr(defaults, name), name


def test_the_model_has_the_defaults_of_the_loader() -> None:
    defaults = Settings()
    assert Config().model_dump() == {name: getattr(defaults, name) for name in Settings.__slots__}
