"""Standing in front of `vpc-branch-eni` or `vpc-eni`: run the real one, pass its answer on, write down what it did.

The ECS agent reads no conflist; it executes one plugin by file name. Called by such a name, we run the delegate of that
name and are to the agent what it is: same standard output and error, same exit status, byte for byte. What can be done
while it works (reading the configuration, the boot ID, the agent's database) is done then; in the bundle that begins
with the interpreter's own start (`build/bundle.d/early.h`). Whatever fails here is ours and never reaches the agent,
unless `onError` is `fail`.
"""

from __future__ import annotations

import os
import sys

from eni_ledger import errors
from eni_ledger.config import Settings
from eni_ledger.plugin import delegate, recording
from eni_ledger.plugin.front import original_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from eni_ledger.plugin.protocol import Call
    from eni_ledger.plugin.witness import Prepared


def run(name: str, call: Call) -> None:
    """Be the plugin `name` for this call. Raises DelegateError when it cannot be run; otherwise never returns.

    With `onError` `fail` also whatever kept a successful call from being recorded.
    """
    running = delegate.Running.early()
    settings = _settings(call)
    env: dict[str, str] = {}
    if running is None:
        env = original_environment(call.env)
        if call.command not in ("ADD", "DEL") or len(sys.argv) > 1:
            delegate.become(delegate.find(settings.delegate_dir, name), env)
        delegate.prepare_process()
    stdin_fd = None
    try:
        if running is None:
            path = delegate.find(settings.delegate_dir, name)
            try:
                stdin_fd = delegate.keep_stdin(sys.stdin.buffer if sys.stdin else None)
                running = delegate.Running(path, env, stdin_fd)
            except (OSError, ImportError) as exc:
                _step_aside(call, settings, path, env, stdin_fd, exc)
        prepared = _prepare(name, call, settings, running.stdin_fd)
        status, answer, took_ms = running.wait()
    except errors.DelegateError as exc:
        _refused(name, call, settings, stdin_fd, exc)
        raise
    try:
        written = _record(call, settings, prepared, status, answer, took_ms)
    except Exception as exc:  # only with onError=fail
        call.complain(str(exc))
        if status == 0:
            raise
        written = None
    delegate.hand_on(answer)
    if written is not None:
        recording.announce(call, settings, written, quiet=isinstance(prepared, Exception) or prepared.said)
    running.leave(status)


def _prepare(name: str, call: Call, settings: Settings, stdin_fd: int | None) -> Prepared | Exception:
    """Return what is known before the answer, or why that is nothing: a damaged installation. Never raises."""
    try:
        from eni_ledger.plugin import witness  # until the delegate is at work, every import delays the task

        return witness.prepare(name, call, settings, stdin_fd)
    except Exception as exc:
        return exc


def _record(
    call: Call, settings: Settings, prepared: Prepared | Exception, status: int, answer: bytes, took_ms: float
) -> dict[str, Any] | None:
    """Write down what the delegate did; return the event as written, None when there is none.

    Raises with `onError` `fail` only.
    """
    if isinstance(prepared, Exception):
        event = {"event": call.command.lower(), "container_id": call.container_id}
        recording.failed(call, settings, event, prepared)
        return None
    from eni_ledger.plugin import witness

    prepared.event["took_ms"] = round(took_ms, 3)
    return witness.record(call, settings, prepared, status, answer)


def _settings(call: Call) -> Settings:
    """Return the settings in force; whatever is wrong with them is ours alone. Never raises."""
    try:
        return recording.settings_of(call, beside=_config_beside())
    except Exception as exc:
        call.problems.append(errors.ConfigError("the settings cannot be read", f"{type(exc).__name__}: {exc}"))
        return Settings()


def _config_beside() -> str | None:
    """Return the path of the configuration file next to the plugin directory that we were called from.

    `install ecs` lays both out under one directory, which the agent's container sees at another path than the host.
    """
    path = sys.argv[0]
    if "/" not in path:
        return None
    if not path.startswith("/"):
        path = os.path.abspath(path)
    return path.rpartition("/")[0].rpartition("/")[0] + "/config.json"


def _step_aside(
    call: Call, settings: Settings, path: str, env: dict[str, str], stdin_fd: int | None, exc: Exception
) -> NoReturn:
    """Become the delegate, because there is no way to stand beside it (no memory, no process): unrecorded, but run."""
    event = {"event": call.command.lower(), "container_id": call.container_id}
    recording.failed(call, settings, event, exc)
    if stdin_fd is not None:
        os.dup2(stdin_fd, 0)
    delegate.become(path, env)


def _refused(name: str, call: Call, settings: Settings, stdin_fd: int | None, exc: errors.DelegateError) -> None:
    """Write down an ADD that failed because there is no delegate to run. Never raises; the runtime gets `exc`."""
    try:
        from eni_ledger.plugin import witness

        if stdin_fd is None:
            stdin_fd = delegate.keep_stdin(sys.stdin.buffer if sys.stdin else None)
        prepared = witness.prepare(name, call, settings, stdin_fd)
        if call.command == "ADD":
            prepared.event |= {"event": "add_failed", "error_code": exc.code, "error_msg": str(exc)}
            written = recording.record(call, settings, prepared.event)
            if written is not None:
                recording.announce(call, settings, written)
    except Exception as second:
        call.complain(f"{call.command} not recorded: {second}")
