"""Interposed calls of `vpc-branch-eni`, `vpc-eni` or `ecs-eni`: run the delegate, relay its answer, record the call.

The ECS agent reads no conflist; it executes one plugin by file name. Under such a name eni-ledger runs the delegate of
that name and relays its standard output, standard error and exit status byte for byte. It reads the configuration, the
boot ID and the agent's database while the delegate works. In the bundle, the supervisor starts the delegate and relays
its answer (`build/front/early.h`, `supervise.h`). A failure of eni-ledger never reaches the agent, unless `onError` is
`fail`.
"""

from __future__ import annotations

import os
import sys

from eni_ledger.base import errors
from eni_ledger.base.config import Settings
from eni_ledger.base.runtime import original_environment
from eni_ledger.plugin import delegate, process, record
from eni_ledger.plugin.protocol import STDIN_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from eni_ledger.base.events import Draft, Event
    from eni_ledger.plugin.interposed_event import Prepared
    from eni_ledger.plugin.protocol import Call


def run(name: str, call: Call) -> None:
    """Run the delegate `name` and exit as it exits. Raises DelegateError if it cannot run; otherwise never returns.

    With `onError` `fail` also whatever kept a successful call from being recorded.
    """
    settings = _settings(call)
    data: bytes | None = None
    running: delegate.Supervised | delegate.Running
    try:
        early = process.early()
        if early is None:
            running = _start(name, call, settings)
        else:
            data, failed, is_running = early
            if not is_running:
                raise delegate.refusal(settings.delegate_dir, name, failed)
            running = delegate.Supervised(data or b"")
        prepared = _prepare(name, call, settings, running.data)
        status, answer, took_ms = running.wait(None if isinstance(prepared, Exception) else prepared.work)
    except errors.DelegateError as exc:
        _refused(name, call, settings, data, exc)
        raise
    call.quiet = status != 0 and not answer
    written = None
    try:
        written = _record(call, settings, prepared, status, answer, took_ms)
    except Exception as exc:
        if settings.on_error != "fail":  # not even the failure could be noted
            running.give_up()
        elif status == 0:
            raise
        call.complain(str(exc))
    call.replied = True
    try:
        running.forward_answer(answer)
    except errors.IoFailure:
        if status == 0:
            raise
    if written is not None:
        record.report(call, settings, written, quiet=isinstance(prepared, Exception) or prepared.error_reported)
    else:
        record.report_problems(call, settings, _minimal_event(call))
    running.leave(status)


def _start(name: str, call: Call, settings: Settings) -> delegate.Running:
    """Start the delegate as our child, or replace this process by it. Raises DelegateError."""
    env = original_environment(call.env)
    if call.command not in ("ADD", "DEL") or len(sys.argv) > 1:
        delegate.exec_delegate(delegate.find(settings.delegate_dir, name), env)
    delegate.prepare_process()
    path = delegate.find(settings.delegate_dir, name)
    try:
        data = sys.stdin.buffer.read() if sys.stdin else b""
    except OSError as exc:
        exec_unrecorded(call, settings, path, env, None, exc)
    try:
        return delegate.Running(path, env, data)
    except (OSError, ImportError) as exc:
        exec_unrecorded(call, settings, path, env, data, exc)


def _minimal_event(call: Call) -> Draft:
    """Return an event with command and container ID of the call only."""
    return {"event": call.command.lower(), "container_id": call.container_id}


def _prepare(name: str, call: Call, settings: Settings, data: bytes) -> Prepared | Exception:
    """Return what is known before the answer, or why that is nothing: a damaged installation. Never raises."""
    try:
        from eni_ledger.plugin import interposed_event  # until the delegate is at work, every import delays the task

        return interposed_event.prepare(name, call, settings, data)
    except Exception as exc:
        return exc


def _record(
    call: Call, settings: Settings, prepared: Prepared | Exception, status: int, answer: bytes, took_ms: float
) -> Event | None:
    """Write down what the delegate did; return the event as written, None when there is none.

    Raises with `onError` `fail` only.
    """
    if isinstance(prepared, Exception):
        record.failed(call, settings, _minimal_event(call), prepared)
        return None
    from eni_ledger.plugin import interposed_event  # loaded by `_prepare`, if it could be

    prepared.event["took_ms"] = round(took_ms, 3)
    return interposed_event.record(call, settings, prepared, status, answer)


def _settings(call: Call) -> Settings:
    """Return the effective settings; faults go into `call.problems`. Never raises."""
    try:
        return record.settings_of(call, beside=_config_beside())
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
    directory = path.rpartition("/")[0]
    if not path.startswith("/"):
        directory = os.path.realpath(directory)
    return directory.rpartition("/")[0] + "/config.json"


def exec_unrecorded(
    call: Call, settings: Settings, path: str, env: dict[str, str], data: bytes | None, exc: Exception
) -> NoReturn:
    """Replace this process by the delegate, unrecorded, because it cannot be started as a child (no memory)."""
    record.failed(call, settings, _minimal_event(call), exc)
    if data is not None:
        os.dup2(delegate.memory_file(data), 0)
    delegate.exec_delegate(path, env)


def _refused(name: str, call: Call, settings: Settings, data: bytes | None, exc: errors.DelegateError) -> None:
    """Write down an ADD that failed because there is no delegate to run. Never raises; the runtime gets `exc`."""
    try:
        from eni_ledger.plugin import interposed_event  # loaded by `_prepare`, if it could be

        if data is None:
            data = sys.stdin.buffer.read(STDIN_LIMIT + 1) if sys.stdin else b""
        prepared = interposed_event.prepare(name, call, settings, data)
        if call.command == "ADD":
            prepared.event |= {"event": "add_failed", "error_code": exc.code, "error_msg": str(exc)}
            written = record.record(call, settings, prepared.event)
            if written is not None:
                record.report(call, settings, written)
    except Exception as second:
        call.complain(f"{call.command} not recorded: {second}")
    record.report_problems(call, settings, _minimal_event(call))
