"""Settings: every key, every source, which source wins, and what is no value."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base import config
from eni_ledger.base.config import Settings, load
from eni_ledger.base.errors import ConfigError, EniLedgerError, InvalidNetworkConfig
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULTS = {
    "state_dir": "/var/lib/eni-ledger",
    "on_error": "warn",
    "journald": True,
    "sync": True,
    "lock_wait_ms": 200,
    "rotate_bytes": 16 * 1024**2,
    "retain_days": 400,
    "retain_bytes": 1024**3,
    "delegate_dir": "/amazon-ecs-cni-plugins",
    "agent_db": "/data/agent.db",
}
GOOD: dict[str, tuple[str, list[Any]]] = {
    "stateDir": ("state_dir", ["/x", "/", "/x y/ü"]),
    "onError": ("on_error", ["warn", "fail"]),
    "journald": ("journald", [True, False]),
    "sync": ("sync", [True, False]),
    "lockWaitMs": ("lock_wait_ms", [0, 10_000]),
    "rotateBytes": ("rotate_bytes", [4096, 1 << 30]),
    "retainDays": ("retain_days", [1, 36_500]),
    "retainBytes": ("retain_bytes", [4096, 1 << 50]),
    "delegateDir": ("delegate_dir", ["/x", "/x y/ü"]),
    "agentDb": ("agent_db", ["/x", "/x y/ü"]),
}
BAD: dict[str, list[Any]] = {
    "stateDir": ["", "x", "./x", "~/x", "/a\0b", "/a\ud800", 1, True, [], {}],
    "onError": ["", "Warn", "ignore", True, 0, ["warn"], {}],
    "journald": [0, 1, "true", "", [], {}],
    "sync": [0, 1, "true", "", [], {}],
    "lockWaitMs": [-1, 10_001, 1.0, "200", True, [], {}],
    "rotateBytes": [4095, (1 << 30) + 1, 5000.0, "5000", True, []],
    "retainDays": [0, -1, 36_501, "400", True, 1e3],
    "retainBytes": [0, 4095, (1 << 50) + 1, "5000", False],
    "delegateDir": ["", "x", "/a\0b", "/a\ud800", 1, []],
    "agentDb": ["", "x", "/a\0b", "/a\ud800", 1, []],
}
CALL_KEYS = ("stateDir", "onError", "journald", "sync")


def as_dict(settings: Settings) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in Settings.__slots__}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path / "config.json"


def env(file: Path, **more: str) -> dict[str, str]:
    return {"ENI_LEDGER_CONFIG": str(file), **more}


def test_defaults(file: Path) -> None:
    assert as_dict(load(None, env(file))) == DEFAULTS
    assert as_dict(load({}, env(file))) == DEFAULTS
    assert config.CONFIG_FILE == "/etc/eni-ledger/config.json"


def test_every_key_has_cases_here() -> None:
    assert set(GOOD) == set(BAD) == set(config.FILE_KEYS)
    assert {attribute for attribute, _ in GOOD.values()} == set(Settings.__slots__) == set(DEFAULTS)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, (_, values) in GOOD.items() for value in values])
def test_good_values(file: Path, key: str, value: Any) -> None:
    file.write_text(json.dumps({key: value}), encoding="utf-8")
    want = {**DEFAULTS, GOOD[key][0]: value}
    assert as_dict(load(None, env(file))) == want
    if key in CALL_KEYS:
        file.write_text("{}")
        assert as_dict(load({key: value}, env(file))) == want


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_bad_values_are_named(file: Path, key: str, value: Any) -> None:
    file.write_text(json.dumps({key: value}))
    with pytest.raises(ConfigError) as caught:
        load(None, env(file))
    assert key in caught.value.details
    assert str(file) in caught.value.details
    assert caught.value.hint
    if key in CALL_KEYS:
        file.write_text("{}")
        with pytest.raises(InvalidNetworkConfig) as of_call:
            load({key: value}, env(file))
        assert key in of_call.value.details


@pytest.mark.parametrize("key", CALL_KEYS)
def test_null_in_the_network_configuration_is_absent(file: Path, key: str) -> None:
    assert as_dict(load({key: None}, env(file))) == DEFAULTS


def test_only_call_keys_are_taken_from_the_network_configuration(file: Path) -> None:
    given = {"lockWaitMs": "no", "rotateBytes": 5000, "retainDays": -1, "name": "n", "cniVersion": "1.0.0"}
    assert as_dict(load(given, env(file))) == DEFAULTS


def test_who_wins(file: Path) -> None:
    file.write_text('{"stateDir":"/file","sync":false,"retainDays":7}')
    assert load(None, env(file)).state_dir == "/file"
    more = env(file, ENI_LEDGER_STATE_DIR="/env")
    assert load(None, more).state_dir == "/env"
    found = load({"stateDir": "/conf", "sync": True}, more)
    assert (found.state_dir, found.sync, found.retain_days) == ("/conf", True, 7)
    assert load({"stateDir": "/conf"}, more, "/option").state_dir == "/option"


def test_empty_variables_are_as_if_not_set(file: Path) -> None:
    assert load(None, env(file, ENI_LEDGER_STATE_DIR="")).state_dir == DEFAULTS["state_dir"]


def test_an_option_may_be_relative(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, env(file), "here").state_dir == str(tmp_path / "here")


@pytest.mark.parametrize("value", ["relative", "./x"])
def test_a_variable_may_not(file: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="ENI_LEDGER_STATE_DIR"):
        load(None, env(file, ENI_LEDGER_STATE_DIR=value))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}{}",
        b'{"sync":NaN}',
        b"\xff",
        b"[" * 60_000,
        b"\0",
        b'{"a":' + b"1" * 5000,
    ],
)
def test_a_file_that_is_no_json_object(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(None, env(file))
    assert str(file) in caught.value.details


def test_an_unknown_key_is_named_with_those_there_are(file: Path) -> None:
    file.write_text('{"state_dir":"/x"}')
    with pytest.raises(ConfigError, match="state_dir") as caught:
        load(None, env(file))
    assert "stateDir" in caught.value.hint


def test_a_file_may_have_64_kib_and_no_more(file: Path) -> None:
    file.write_bytes(b"{}" + b" " * (config.CONFIG_FILE_LIMIT - 2))
    assert as_dict(load(None, env(file))) == DEFAULTS
    file.write_bytes(b"{}" + b" " * (config.CONFIG_FILE_LIMIT - 1))
    with pytest.raises(ConfigError, match="too long"):
        load(None, env(file))


def test_one_that_is_named_has_to_be_there(file: Path) -> None:
    file.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        load(None, env(file))


def test_one_beside_goes_first_if_it_is_there(file: Path, tmp_path: Path) -> None:
    file.write_text('{"retainDays":7}')
    assert load(None, {}, beside=str(file)).retain_days == 7
    assert load(None, {}, beside=str(file)).state_dir == str(tmp_path / "state")
    assert as_dict(load(None, {}, beside=str(tmp_path / "none"))) == DEFAULTS


def test_problems_are_collected_and_the_rest_holds(file: Path, tmp_path: Path) -> None:
    file.write_text('{"unknown":1,"retainDays":"x","sync":false,"onError":7}')
    problems: list[ConfigError] = []
    found = load({"journald": False}, env(file, ENI_LEDGER_STATE_DIR="relative"), problems=problems)
    assert as_dict(found) == {**DEFAULTS, "sync": False, "journald": False}
    assert [str(each).split(":")[0] for each in problems] == [
        "unknown key in the configuration file",
        "retainDays is not valid",
        "onError is not valid",
        "stateDir is not valid",
    ]
    file.write_text("{")
    del problems[:]
    assert as_dict(load(None, env(file), problems=problems)) == DEFAULTS
    assert len(problems) == 1
    # beside the plugins lies the state directory too, as `install ecs` has it
    assert load(None, {}, beside=str(file), problems=problems).state_dir == str(tmp_path / "state")


def test_what_is_no_file(file: Path) -> None:
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError):
        load(None, env(file))
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(ConfigError):  # and does not wait for a writer
        load(None, env(file))
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(EniLedgerError):
        load(None, env(file))


# --- a file that another user may have written ------------------------------------------------------------------------


def _theirs(file: Path) -> None:
    os.chown(file, 12345, 0)


def _for_the_group(file: Path) -> None:
    file.chmod(0o664)


def _for_all(file: Path) -> None:
    file.chmod(0o602)


def _their_directory(file: Path) -> None:
    os.chown(file.parent, 12345, 0)


def _directory_for_the_group(file: Path) -> None:
    file.parent.chmod(0o775)


def _directory_for_all(file: Path) -> None:
    file.parent.chmod(0o757)


def _link(file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to("real")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


UNSAFE = {
    _theirs: "it belongs to user 12345",
    _for_the_group: "others may write to it (mode 0664)",
    _for_all: "others may write to it (mode 0602)",
    _their_directory: "its directory belongs to user 12345",
    _directory_for_the_group: "others may write to its directory (mode 0775)",
    _directory_for_all: "others may write to its directory (mode 0757)",
    _link: "it is a symbolic link",
    _fifo: "it is no regular file",
}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("spoil", "why"), UNSAFE.items(), ids=lambda value: getattr(value, "__name__", "-"))
def test_a_file_that_others_can_have_written_is_not_used(
    file: Path, spoil: Callable[[Path], None], why: str, beside: bool
) -> None:
    need(os.geteuid() == 0, "root, to give files away")
    file.write_text('{"delegateDir": "/theirs", "onError": "fail"}')
    spoil(file)
    problems: list[ConfigError] = []
    given = {"env": {}, "beside": str(file)} if beside else {"env": env(file)}
    settings = load(None, problems=problems, **given)
    assert (settings.delegate_dir, settings.on_error) == ("/amazon-ecs-cni-plugins", "warn")
    assert [problem.msg for problem in problems] == ["the configuration file is not used"]
    assert problems[0].details == f"{file}: {why}"
    assert problems[0].hint
    with pytest.raises(ConfigError, match="is not used"):
        load(None, **given)


def test_in_a_directory_with_the_sticky_bit_nobody_can_replace_it(file: Path) -> None:
    file.write_text('{"delegateDir": "/ours"}')
    file.parent.chmod(0o1777)
    assert load(None, env(file)).delegate_dir == "/ours"


def test_a_link_to_the_directory_is_followed(file: Path, tmp_path: Path) -> None:
    file.write_text('{"delegateDir": "/ours"}')
    link = tmp_path.with_name(f"{tmp_path.name}-link")
    link.symlink_to(tmp_path)
    assert load(None, env(link / file.name)).delegate_dir == "/ours"


def test_a_relative_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('{"delegateDir": "/ours"}')
    monkeypatch.chdir(file.parent)
    assert load(None, {"ENI_LEDGER_CONFIG": file.name}).delegate_dir == "/ours"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"x": ' + "[" * 499 + "]" * 499 + "}", True),
        ('{"x": ' + "[" * 500 + "]" * 500 + "}", False),
        ('{"x": ' + '{"x":' * 500 + "1" + "}" * 500 + "}", False),
        ('{"x": [' + ",".join(["[]"] * 900) + "]}", True),
        ('{"x": "' + "[" * 900 + '\\""}', True),
        ('{"x": "\\\\", "y": ' + "[" * 900 + "]" * 900 + "}", False),
    ],
    ids=["499", "500", "objects", "beside", "string", "behind a string"],
)
def test_nested_too_deeply_whatever_the_version_of_python(tmp_path: Path, text: str, good: bool) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    if good:
        assert config.read_config_file(str(path)) is not None
        return
    with pytest.raises(ConfigError, match=r"not JSON"):
        config.read_config_file(str(path))
