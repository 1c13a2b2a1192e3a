from __future__ import annotations

import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from eni_ledger.base.config import FILE_KEYS, Settings, load
from eni_ledger.base.errors import ConfigError, UsageError
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.format import live as live_state
from eni_ledger.ledger.format.json_schema import KINDS, Config, json_schema
from eni_ledger.ledger.format.schema import Association, Event, State
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import batch, spool, writer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parents[4] / "conf/schema"
VALIDATORS = {kind: jsonschema.Draft202012Validator(json_schema(kind)) for kind in KINDS}
SAMPLE: dict[str, Any] = {
    "ts": "2026-11-23T14:00:00.123456Z",
    "seq": 2,
    "v": 1,
    "event": "add",
    "association_id": "assoc-0123456789abcdef0",
    "container_id": "c" * 64,
    "ifname": "eth0",
    "branch_mac": "0a:1b:2c:3d:00:01",
    "vlan_id": 101,
    "addresses": ["10.0.32.4/20"],
    "netns_inode": 4026532281,
    "via": "chained",
    "took_ms": 0.8,
    "crc": "0a1b2c3d",
}
CHECKPOINT: dict[str, Any] = {
    "ts": "2026-11-23T14:00:00.123456Z",
    "seq": 1,
    "v": 1,
    "event": "checkpoint",
    "prev_crc": "00000000",
    "live": [{"association_id": "assoc-0123456789abcdef0", "since": "2026-11-23T14:00:00.123456Z", "add_seq": 1}],
    "crc": "0a1b2c3d",
}


# --- whatever the writer writes ---

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
LINE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MAC = st.builds("0a:00:00:00:00:{:02x}".format, st.integers(0, 3))
VLAN = st.integers(0, 4094) | st.integers(101, 103)
TEXTS = st.lists(TEXT, max_size=3)
CONTAINER = st.sampled_from(["a" * 64, "a" * 64, "b" * 64]) | LINE
IFNAME = st.sampled_from(["eth0", "eth1"])
IDENTITY: dict[str, st.SearchStrategy[Any]] = {
    "instance_id": TEXT,
    "agent_version": TEXT,
    "network": TEXT,
    "eni_id": TEXT,
    "branch_mac": MAC,
    "vlan_id": VLAN,
    "addresses": TEXTS,
    "gateways": TEXTS,
    "protocol": st.sampled_from(["vlan", "default"]),
    "trunk_eni_id": TEXT,
    "trunk_mac": MAC,
    "trunk_ifname": TEXT,
    "trunk_ifindex": st.integers(1, 2**31 - 1),
    "netns": TEXT,
    "netns_inode": st.integers(4026531840, 4026531843) | st.integers(1, 2**64 - 1),
    "netns_dev": st.integers(0, 2**32),
    "pid": st.integers(1, 2**22),
    "pid_start": st.integers(0, 2**63),
    "observed_vlan_id": VLAN,
    "observed_mac": MAC,
    "mismatch": TEXTS,
    "task_arn": TEXT,
    "cluster": TEXT,
    "task_family": TEXT,
    "task_revision": TEXT | st.integers(0, 10_000),
    "service": TEXT,
    "via": st.sampled_from(["chained", "interposed", "scan", "import"]),
    "plugin": TEXT,
    "cni_version": TEXT,
    "took_ms": st.floats(0, 1e6) | st.integers(0, 100),
    "error_code": st.integers(0, 10_000),
    "error_msg": TEXT,
}
ANYTHING = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.none() | values for key, values in IDENTITY.items()},
        "later_key": TEXT | TEXTS | st.integers(),
    },
)
BOOT = st.sampled_from(["boot-1", "boot-1", "boot-1", "boot-2", None])
WHOLE = st.fixed_dictionaries({"container_id": CONTAINER, "ifname": IFNAME, "boot_id": BOOT})
PART = st.fixed_dictionaries({"boot_id": BOOT}, optional={"container_id": CONTAINER, "ifname": IFNAME})


def of(kinds: list[str], about: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda kind, part, more: {"event": kind, **part, **more}, st.sampled_from(kinds), about, ANYTHING)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["record", "record", "record", "record", "spool", "gc"]),
        of(["add", "del"], WHOLE) | of(["adopt", "add_failed", "lost", "identify", "import"], PART),
    ),
    min_size=1,
    max_size=12,
)


def perform(setting: Settings, operation: str, event: dict[str, Any], ids: Iterator[int]) -> None:
    if operation == "gc":
        batch.record_gc(setting, str(event.get("network", "")), set(), {"boot_id": event["boot_id"], "via": "chained"})
        return
    if event["event"] in ("lost", "identify"):  # these say which one they mean
        live = History(setting.state_dir).live() if Path(setting.state_dir, "ledger.jsonl").exists() else []
        made = f"assoc-{next(ids):017x}"
        event = {**event, "association_id": live[0]["association_id"] if live else made}
    if operation == "record":
        writer.record(setting, event)
        return
    if event["event"] in ("add", "adopt"):  # the spool's caller has given it its id already
        event = {**event, "association_id": f"assoc-{next(ids):017x}"}
    dir_fd = os.open(setting.state_dir, os.O_RDONLY)
    try:
        spool.put(dir_fd, event, line_format.now_us(), sync=False)
    finally:
        os.close(dir_fd)


def lines_of(directory: Path) -> list[bytes]:
    files = [*sorted(directory.glob("ledger-*.jsonl")), directory / "ledger.jsonl"]
    return [line for file in files if file.exists() for line in file.read_bytes().splitlines(keepends=True)]


def assert_valid(line: bytes) -> Event:
    found = line_format.decode(line)
    event = Event.model_validate(found)
    assert Event.model_validate_json(line) == event
    assert event.model_dump(mode="json", exclude_none=True) == found, "something was lost or changed on the way"
    VALIDATORS["event"].validate(found)
    return event


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations=OPERATIONS, rotate=st.sampled_from([400, 1 << 24]))
def test_every_line_that_the_writer_can_make_validates(
    operations: list[tuple[str, dict[str, Any]]], rotate: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        setting = Settings(directory)
        setting.sync = False
        setting.rotate_bytes = rotate
        ids = itertools.count()
        for operation, given_event in operations:
            perform(setting, operation, given_event, ids)
        writer.record(setting, {"event": "add", "container_id": "end", "ifname": "eth0"})

        for line in lines_of(Path(directory)):
            event = assert_valid(line)
            for one in [event, *(event.live or ())]:
                assert set(one.model_extra or ()) <= {"later_key"}, "a key that the schema does not describe"
        document = Path(directory, "state.json").read_bytes()
        VALIDATORS["state"].validate(json.loads(document))
        stated = State.model_validate_json(document)
        assert stated.model_extra == {}
        live = History(directory).live()
        by_age = sorted(stated.associations, key=lambda one: (one.since, one.add_seq))
        assert [one.model_dump(mode="json", exclude_none=True) for one in by_age] == live
        assert all(Association.model_validate(one).live for one in live)
        for association in History(directory).who("end"):
            Association.model_validate(association)


def test_a_ledger_ahead_of_the_clock_and_a_damaged_one_validate_too(tmp_path: Path) -> None:
    """A clock that stepped back, and the checkpoint behind damage: the two things that no input brings about."""
    first = {**CHECKPOINT, "ts": "2199-01-01T00:00:00.000000Z", "live": []}
    line, _ = line_format.encode(first, 0)
    (tmp_path / "ledger.jsonl").write_bytes(line)
    setting = Settings(str(tmp_path))
    for name in ("a", "b", "c"):
        writer.record(setting, {"event": "add", "container_id": name, "ifname": "eth0"})
    assert (assert_valid(lines_of(tmp_path)[-1]).clock_step_us or 0) > 0

    data = bytearray((tmp_path / "ledger.jsonl").read_bytes())
    data[-20] ^= 1
    (tmp_path / "ledger.jsonl").write_bytes(data)
    writer.record(setting, {"event": "add", "container_id": "d", "ifname": "eth0"})
    checkpoint, _ = (tmp_path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    event = assert_valid(checkpoint)
    assert event.damage
    assert event.prev_segment
    assert event.damage.startswith(event.prev_segment)


def test_associations_with_their_end_validate(tmp_path: Path) -> None:
    setting = Settings(str(tmp_path))
    on_trunk = {"vlan_id": 5, "trunk_ifname": "enp40s0", "trunk_mac": "0a:00:00:00:00:01"}
    for event in (
        {"event": "add", "container_id": "a", "ifname": "eth0", "boot_id": "1", "network": "n", **on_trunk},
        {"event": "add", "container_id": "b", "ifname": "eth0", "boot_id": "1", "network": "n", **on_trunk},
        {"event": "del", "container_id": "b", "ifname": "eth0", "boot_id": "1"},
        {"event": "add", "container_id": "c", "ifname": "eth0", "boot_id": "1", "network": "n", **on_trunk},
    ):
        writer.record(setting, event)
    batch.record_gc(setting, "n", set(), {"boot_id": "1"})
    writer.record(setting, {"event": "add", "container_id": "d", "ifname": "eth0", "boot_id": "1", **on_trunk})
    writer.record(setting, {"event": "add", "container_id": "e", "ifname": "eth0", "boot_id": "2", **on_trunk})

    events = [assert_valid(line) for line in lines_of(tmp_path)]
    assert [len(event.supersedes or ()) for event in events if event.event == "add"] == [0, 1, 0, 0, 0]
    found = [Association.model_validate(one) for one in History(str(tmp_path)).who("5")]
    assert [one.ended_by for one in found] == ["superseded", "del", "lost", "rebooted", None]
    assert [one.live for one in found] == [False, False, False, False, True]
    assert all(one.model_extra == {} for one in found)


# --- what is refused, by the model and by the schema alike ---


def refuses(model: type[BaseModel], kind: str, value: object) -> bool:
    """Tell whether the model refuses `value`; the schema has to be of the same opinion."""
    try:
        model.model_validate(value)
        refused = False
    except ValidationError:
        refused = True
    assert VALIDATORS[kind].is_valid(value) is not refused
    return refused


def test_samples_are_accepted() -> None:
    assert not refuses(Event, "event", SAMPLE)
    assert not refuses(Event, "event", CHECKPOINT)


@pytest.mark.parametrize(
    "change",
    [
        {"ts": "2026-11-23 14:00:00.123456Z"},
        {"ts": "2026-11-23T14:00:00Z"},
        {"ts": "2026-13-23T14:00:00.123456Z"},
        {"ts": "2026-11-23T24:00:00.123456Z"},
        {"ts": "2026-11-23T14:00:00.123456+01:00"},
        {"ts": "٢٠٢٦-11-23T14:00:00.123456Z"},
        {"ts": None},
        {"seq": 0},
        {"seq": "2"},
        {"seq": 2.5},
        {"v": 2},
        {"v": "1"},
        {"event": "added"},
        {"event": None},
        {"association_id": "assoc-0123456789ABCDEF0"},
        {"association_id": "assoc-0123456789abcdef01"},
        {"association_id": "x assoc-0123456789abcdef0"},
        {"association_id": None},
        {"container_id": None},
        {"container_id": 7},
        {"ifname": None},
        {"vlan_id": -1},
        {"vlan_id": 4095},
        {"vlan_id": "101"},
        {"vlan_id": True},
        {"branch_mac": "0A:1B:2C:3D:00:01"},
        {"branch_mac": "0a:1b:2c:3d:00"},
        {"branch_mac": "0a:1b:2c:3d:00:01:02"},
        {"addresses": "10.0.32.4/20"},
        {"addresses": [1]},
        {"protocol": "gre"},
        {"netns_inode": 0},
        {"pid": -1},
        {"via": "hearsay"},
        {"took_ms": -0.1},
        {"took_ms": "1"},
        {"supersedes": ["x"]},
        {"spooled_ts": "yesterday"},
        {"crc": "0A1B2C3D"},
        {"crc": "0a1b2c3"},
        {"crc": None},
        {"live": [{}]},
        {"live": {}},
    ],
)
def test_bad_events_are_refused(change: dict[str, Any]) -> None:
    assert refuses(Event, "event", {**SAMPLE, **change})


@pytest.mark.parametrize("tail", ["\n", "\r\n", " ", "\0"])
@pytest.mark.parametrize("key", ["ts", "association_id", "branch_mac", "crc"])
def test_patterns_match_to_the_very_end(key: str, tail: str) -> None:
    with pytest.raises(ValidationError):
        Event.model_validate({**SAMPLE, key: SAMPLE[key] + tail})


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("add", "association_id"),
        ("add", "container_id"),
        ("add", "ifname"),
        ("adopt", "association_id"),
        ("del", "association_id"),
        ("del", "container_id"),
        ("lost", "association_id"),
        ("identify", "association_id"),
        ("boot", "boot_id"),
        ("checkpoint", "live"),
        ("checkpoint", "prev_crc"),
    ],
)
def test_an_event_that_says_nothing_is_refused(kind: str, missing: str) -> None:
    whole = {**SAMPLE, "event": kind, "boot_id": "b", "live": [], "prev_crc": "00000000"}
    assert not refuses(Event, "event", whole)
    assert refuses(Event, "event", {**whole, missing: None})
    del whole[missing]
    assert refuses(Event, "event", whole)


@pytest.mark.parametrize("missing", ["ts", "seq", "v", "event", "crc"])
def test_every_event_has_its_head(missing: str) -> None:
    assert refuses(Event, "event", {key: value for key, value in SAMPLE.items() if key != missing})


def test_null_and_absent_are_the_same_and_unknown_keys_are_kept() -> None:
    more = {"eni_id": None, "live": None, "later": {"a": [1]}}
    assert not refuses(Event, "event", {**SAMPLE, **more})
    event = Event.model_validate({**SAMPLE, **more})
    assert event.model_extra == {"later": {"a": [1]}}
    assert event.model_dump(mode="json", exclude_none=True) == {**SAMPLE, "later": {"a": [1]}}


def test_models_are_evidence_and_cannot_be_changed() -> None:
    event = Event.model_validate(SAMPLE)
    with pytest.raises(ValidationError):
        event.vlan_id = 5  # type: ignore[misc]


def test_state_is_checked() -> None:
    good = {"v": 1, "seq": 4, "ts": SAMPLE["ts"], "boot_id": None, "crc": "0a1b2c3d", "sum": "00000000"}
    good["associations"] = CHECKPOINT["live"]
    assert not refuses(State, "state", good)
    for change in ({"v": 2}, {"seq": -1}, {"sum": "x"}, {"associations": [{"since": SAMPLE["ts"]}]}, {"crc": None}):
        assert refuses(State, "state", {**good, **change})


@pytest.mark.parametrize(
    "association", [{"since": "2026"}, {"add_seq": 0}, {"ended_by": "magic"}, {"until": "now"}, {"vlan_id": 5000}]
)
def test_bad_associations_are_refused(association: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Association.model_validate({**CHECKPOINT["live"][0], **association})


# --- config ---

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 40_000),
    st.sampled_from([0, 4095, 4096, 10_000, 10_001, 36_500, 36_501, 1 << 30, (1 << 30) + 1, 1 << 50, (1 << 50) + 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["warn", "fail", "Warn", "/", "/a b", "a", "", "/a\nb", "/a\0b", "true", "/ü"]),
    st.lists(st.integers(), max_size=1),
)


@settings(max_examples=300, deadline=None)
@given(config=st.dictionaries(st.sampled_from([*FILE_KEYS, "unknown", "state_dir"]), VALUES, max_size=3))
def test_model_schema_and_loader_agree_about_every_config(config: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.json")
        path.write_text(json.dumps(config))
        loaded: Settings | None
        try:
            loaded = load(None, {"ENI_LEDGER_CONFIG": str(path)})
        except ConfigError:
            loaded = None
    # JSON Schema has one kind of number: 5.0 is an integer there. The other two look closer.
    if not any(isinstance(value, float) for value in config.values()):
        assert VALIDATORS["config"].is_valid(config) is (loaded is not None)
    if loaded is None:
        with pytest.raises(ValidationError):
            Config.model_validate(config)
        return
    model = Config.model_validate(config)
    assert model.model_dump() == {key: getattr(loaded, key) for key in Settings.__slots__}


# --- schemas ---


@pytest.mark.parametrize("kind", KINDS)
def test_schema_in_conf_is_the_schema_of_the_model(kind: str) -> None:
    assert json.loads((SCHEMAS / f"{kind}.json").read_text()) == json_schema(kind)


def test_conf_has_no_other_schema() -> None:
    assert {file.name for file in SCHEMAS.iterdir()} == {f"{kind}.json" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_sound_and_says_what_everything_is(kind: str) -> None:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema)[:3] == ["$schema", "$id", "title"]
    assert schema["$id"] == f"urn:eni-ledger:schema:{kind}:1"
    for part in [schema, *schema.get("$defs", {}).values()]:
        assert part["description"]
        assert [key for key, about in part["properties"].items() if not about.get("description")] == []


def test_event_schema_has_the_keys_of_the_format_in_their_order() -> None:
    keys = list(json_schema("event")["properties"])
    assert keys[: len(line_format.KEYS)] == list(line_format.KEYS)
    assert keys[-1] == "crc"


def test_event_schema_has_the_kinds_of_the_format() -> None:
    assert json_schema("event")["properties"]["event"]["enum"] == list(line_format.EVENTS)


def test_no_key_belongs_to_two_worlds() -> None:
    """What `state` takes for the event's own is not among the association's fields, and the other way round."""
    assert not live_state._OF_THE_EVENT & set(Association.model_fields)
    of_checkpoints = {"live", "damage", "prev_crc", "prev_segment", "log_ends"}
    assert set(Event.model_fields) - set(Association.model_fields) == live_state._OF_THE_EVENT | of_checkpoints


@pytest.mark.parametrize("kind", ["", "Event", "events", "../event", "x" * 1000])
def test_an_unknown_schema_is_a_usage_error(kind: str) -> None:
    with pytest.raises(UsageError, match="no such schema"):
        json_schema(kind)
