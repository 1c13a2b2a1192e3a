"""Settings: their sources, validation and defaults.

Sources, the first that has a key wins: the command line (`--state-dir`) or the network configuration of the call
(`stateDir`, `onError`, `journald`, `sync`); the environment (`ENI_LEDGER_STATE_DIR`); the configuration file
(`ENI_LEDGER_CONFIG`, else `/etc/eni-ledger/config.json`); the defaults of `Settings`. A configuration file that others
may write to is not used.

Standard library only: this module is loaded on every ADD.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import ConfigError, EniLedgerError, InvalidNetworkConfig
from eni_ledger.base.minijson import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CONFIG_FILE = "/etc/eni-ledger/config.json"
CONFIG_FILE_LIMIT = 64 * 1024
CONFIG_DEPTH_LIMIT = 500  # objects and arrays within each other; what Python itself refuses depends on its version
DEFAULT_STATE_DIR = "/var/lib/eni-ledger"
# Where things are in the ECS agent's container, which is where an interposed plugin runs.
AGENT_PLUGIN_DIR = "/amazon-ecs-cni-plugins"
AGENT_DB = "/data/agent.db"
_OF_OTHERS, _STICKY, _S_IFMT, _S_IFREG = 0o022, 0o1000, 0o170000, 0o100000  # inode(7)
_ELOOP = 40  # errno(3) on Linux: O_NOFOLLOW has met a link
_SAFE = "a file of root's that only root can write to, in a directory of the same kind"


class NamedByCall(str):
    """A path that a network configuration names: its missing parent directories are not created."""

    __slots__ = ()


class Settings:
    """One set of effective settings.

    `state_dir` absolute path; `on_error` ``warn`` (a failure to record never fails the call) or ``fail``;
    `journald` whether events also go to the journal; `sync` whether a line is synced before the call succeeds;
    `lock_wait_ms` longest wait for another writer, milliseconds, after which an event goes to the spool;
    `rotate_bytes` size at which a segment is sealed; `retain_days`, `retain_bytes` how long and how much of the
    sealed segments is kept; `delegate_dir` the directory of the delegates of interposed calls;
    `agent_db` the ECS agent's database, which has ENI IDs and tasks.
    """

    __slots__ = (
        "agent_db",
        "delegate_dir",
        "journald",
        "lock_wait_ms",
        "on_error",
        "retain_bytes",
        "retain_days",
        "rotate_bytes",
        "state_dir",
        "sync",
    )

    def __init__(self, state_dir: str = DEFAULT_STATE_DIR) -> None:
        self.state_dir = state_dir
        self.on_error = "warn"
        self.journald = True
        self.sync = True
        # The design allows 250 ms in all for a stuck lock holder; 50 of them are for writing the spool file.
        self.lock_wait_ms = 200
        self.rotate_bytes = 16 * 1024 * 1024
        self.retain_days = 400
        self.retain_bytes = 1024 * 1024 * 1024
        self.delegate_dir = AGENT_PLUGIN_DIR
        self.agent_db = AGENT_DB


# key in JSON: (attribute, least, most) for numbers, (attribute, allowed values) for the rest
_NUMBERS = {
    "lockWaitMs": ("lock_wait_ms", 0, 10_000),
    "rotateBytes": ("rotate_bytes", 4096, 1 << 30),
    "retainDays": ("retain_days", 1, 36_500),
    "retainBytes": ("retain_bytes", 4096, 1 << 50),
}
_BOOLEANS = {"journald": "journald", "sync": "sync"}
_PATHS = {"stateDir": "state_dir", "delegateDir": "delegate_dir", "agentDb": "agent_db"}
_CALL_KEYS = ("stateDir", "onError", "journald", "sync")
FILE_KEYS = (*_CALL_KEYS, *_NUMBERS, "delegateDir", "agentDb")


def _is_path(text: str) -> bool:
    """Tell whether the kernel can be given `text` as a path: no NUL, no surrogate that stands for no byte."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _apply(settings: Settings, key: str, value: object, error: type[EniLedgerError], where: str) -> None:
    """Set the attribute that `key` stands for, or raise `error` naming key, value and `where` it came from."""
    if key in _PATHS:
        if isinstance(value, str) and value.startswith("/") and _is_path(value):
            setattr(settings, _PATHS[key], value)
            return
        wanted = "an absolute path"
    elif key == "onError":
        if value in ("warn", "fail"):
            settings.on_error = str(value)
            return
        wanted = '"warn" or "fail"'
    elif key in _BOOLEANS:
        if isinstance(value, bool):
            setattr(settings, _BOOLEANS[key], value)
            return
        wanted = "true or false"
    else:
        attribute, least, most = _NUMBERS[key]
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            setattr(settings, attribute, value)
            return
        wanted = f"a whole number from {least} to {most}"
    raise error(f"{key} is not valid", f"{key}={value!r:.200} in {where}", f"{key} has to be {wanted}")


def _unsafe(status: os.stat_result, what: str, sticky: int = 0) -> str:
    """Return how users other than root and this one can write to the file of `status`, "" if none can."""
    if status.st_uid not in (0, os.geteuid()):
        return f"{what} belongs to user {status.st_uid}"
    if status.st_mode & _OF_OTHERS and not status.st_mode & sticky:
        return f"others may write to {what} (mode {status.st_mode & 0o7777:04o})"
    return ""


def _open(path: str) -> int:
    """Return a descriptor of the configuration file, which can name the program that root runs as the delegate.

    Raises OSError, and ConfigError if another user than root and this one can write it. The check covers the open
    file and its directory, in which another user could replace it (not with the sticky bit).
    """
    parent, name = path[: path.rfind("/") + 1] or ".", path[path.rfind("/") + 1 :]
    directory = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        why = _unsafe(os.fstat(directory), "its directory", _STICKY)
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=directory)
    except OSError as exc:
        if exc.errno != _ELOOP:
            raise
        raise ConfigError("the configuration file is not used", f"{path}: it is a symbolic link", _SAFE) from exc
    finally:
        os.close(directory)
    status = os.fstat(fd)
    why = why or _unsafe(status, "it")
    if not why and status.st_mode & _S_IFMT != _S_IFREG:
        why = "it is no regular file"
    if why:
        os.close(fd)
        raise ConfigError("the configuration file is not used", f"{path}: {why}", _SAFE)
    return fd


def _is_too_deep(data: bytes) -> bool:
    """Return whether a JSON text has more than CONFIG_DEPTH_LIMIT objects and arrays within each other."""
    if data.count(b"[") + data.count(b"{") <= CONFIG_DEPTH_LIMIT:
        return False
    depth, in_string, escaped = 0, False, False
    for byte in data:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > CONFIG_DEPTH_LIMIT:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def read_config_file(path: str) -> dict[str, Any] | None:
    """Return the object in the configuration file, None when there is no such file; raise ConfigError."""
    try:
        fd = _open(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError("the configuration file cannot be read", f"{path}: {exc.strerror}") from exc
    try:
        data = os.read(fd, CONFIG_FILE_LIMIT + 1)
    except OSError as exc:
        raise ConfigError("the configuration file cannot be read", f"{path}: {exc.strerror}") from exc
    finally:
        os.close(fd)
    if len(data) > CONFIG_FILE_LIMIT:
        raise ConfigError("the configuration file is too long", f"{path}: more than {CONFIG_FILE_LIMIT} bytes")
    if _is_too_deep(data):
        raise ConfigError("the configuration file is not JSON", f"{path}: nested more than {CONFIG_DEPTH_LIMIT} deep")
    try:
        document = loads(data)
    except ValueError as exc:
        raise ConfigError("the configuration file is not JSON", f"{path}: {exc}") from exc
    if not isinstance(document, dict):
        raise ConfigError("the configuration file holds no JSON object", path)
    return document


def _apply_file(settings: Settings, named: str, beside: str, problems: list[ConfigError]) -> None:
    """Apply the configuration file: the one `named`, else the one at `beside` if it exists, else CONFIG_FILE."""
    path = named or beside or CONFIG_FILE
    try:
        values = read_config_file(path)
        if values is None and named:
            raise ConfigError("the configuration file does not exist", f"ENI_LEDGER_CONFIG={path!r:.200}")
        if values is None and beside:
            path = CONFIG_FILE
            values = read_config_file(path)
    except ConfigError as exc:
        problems.append(exc)
        values = {}
    if path == beside:  # `install ecs` lays the state directory beside it, and there it is looked for
        settings.state_dir = path[: path.rindex("/")] + "/state"
    for key, value in (values or {}).items():
        try:
            if key not in FILE_KEYS:
                where = f"{key!r:.80} in {path}"
                raise ConfigError("unknown key in the configuration file", where, "known are " + ", ".join(FILE_KEYS))
            _apply(settings, key, value, ConfigError, path)
        except ConfigError as exc:
            problems.append(exc)


def load(
    net_conf: Mapping[str, Any] | None,
    env: Mapping[str, str],
    state_dir: str | None = None,
    *,
    beside: str | None = None,
    problems: list[ConfigError] | None = None,
) -> Settings:
    """Return the effective settings of a call.

    `net_conf` is the network configuration of a plugin call, None for a command; `env` the environment; `state_dir`
    the value of `--state-dir`; `beside` a configuration file that goes before CONFIG_FILE if it exists. Raises
    InvalidNetworkConfig for a bad value in `net_conf` or `state_dir`, ConfigError for a bad configuration file or
    environment; or, given a list `problems`, appends the ConfigErrors to it and applies the valid keys and the
    defaults: a typo in the file must not prevent recording.
    """
    settings = Settings()
    collected: list[ConfigError] = []
    _apply_file(settings, env.get("ENI_LEDGER_CONFIG") or "", beside or "", collected)
    if env.get("ENI_LEDGER_STATE_DIR"):
        try:
            _apply(settings, "stateDir", env["ENI_LEDGER_STATE_DIR"], ConfigError, "ENI_LEDGER_STATE_DIR")
        except ConfigError as exc:
            collected.append(exc)
    if collected and problems is None:
        raise collected[0]
    if problems is not None:
        problems += collected
    for key in _CALL_KEYS:
        value = net_conf.get(key) if net_conf else None
        if value is not None:
            _apply(settings, key, value, InvalidNetworkConfig, "the network configuration")
            if key == "stateDir":
                settings.state_dir = NamedByCall(settings.state_dir)
    if state_dir is not None:
        _apply(settings, "stateDir", os.path.abspath(state_dir), InvalidNetworkConfig, "--state-dir")
    return settings
