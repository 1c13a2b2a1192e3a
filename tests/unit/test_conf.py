from __future__ import annotations

import json
import re
import time
from fnmatch import fnmatch
from pathlib import Path

from eni_ledger.config import DEFAULT_STATE_DIR, Settings, load
from eni_ledger.ledger import codec, segment
from eni_ledger.ledger.models import Config, json_schema

CONFIG = Path(__file__).parents[2] / "conf/config.json"
SHIPPERS = CONFIG.parent / "shippers"


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


# --- shippers ---

_DUCKDB = {
    "string": "VARCHAR",
    "time": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "array": "VARCHAR[]",
    "boolean": "BOOLEAN",
}
_ATHENA = {
    "string": "string",
    "time": "string",
    "integer": "bigint",
    "number": "double",
    "array": "array<string>",
    "boolean": "boolean",
}


def columns() -> dict[str, str]:
    """The keys of an event and what each is, as the JSON Schema has it; `live`, an array of objects, is left out."""
    found = {}
    for name, about in json_schema("event")["properties"].items():
        kinds = [one for one in about.get("anyOf", [about]) if one.get("type") != "null"]
        kind = kinds[0].get("type", "string")
        if "T14:" in str(kinds[0].get("examples")):
            kind = "time"
        if name != "live":
            found[name] = kind
    return found


def test_duckdb_has_a_column_for_every_key() -> None:
    (block,) = re.findall(r"columns = \{(.*?)\}", (SHIPPERS / "duckdb.sql").read_text(), re.S)
    listed = dict(re.findall(r"(\w+): '([^']+)'", block))
    assert listed.pop("live") == "JSON"
    assert listed == {name: _DUCKDB[kind] for name, kind in columns().items()}


def test_athena_has_a_column_for_every_key() -> None:
    (block,) = re.findall(r"EXISTS eni_ledger \(\n(.*?)\n\)", (SHIPPERS / "athena.sql").read_text(), re.S)
    listed = dict(re.findall(r"^  `(\w+)` ([a-z<>]+),?$", block, re.M))
    assert listed == {name: _ATHENA[kind] for name, kind in columns().items()}


def test_shippers_read_the_files_that_the_writer_writes() -> None:
    agent = json.loads((SHIPPERS / "cloudwatch-agent.json").read_text())
    (entry,) = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert entry["file_path"] == f"{DEFAULT_STATE_DIR}/{segment.ACTIVE}"
    assert time.strptime(codec.format_ts(0)[:-1], entry["timestamp_format"].removesuffix(".%f") + ".000000")
    for name in ("fluent-bit.yaml", "vector.yaml"):
        (pattern,) = re.findall(r"(/\S+\*\.jsonl)", (SHIPPERS / name).read_text())
        directory, _, glob = pattern.rpartition("/")
        assert directory == DEFAULT_STATE_DIR
        assert fnmatch(segment.ACTIVE, glob)
        assert fnmatch(segment.sealed_name(1, 2), glob)
        assert not fnmatch("failures.jsonl", glob)
