"""Standing in front of `vpc-branch-eni` or `vpc-eni`: run the real one, pass its answer on, write down what it did.

The ECS agent reads no conflist; it executes one plugin by file name. Called by such a name, we run the delegate of that
name and are to the agent what it is: same standard output and error, same exit status, byte for byte. What can be done
while it works (reading the configuration, the boot ID, the agent's database) is done then. Whatever fails here is ours
and never reaches the agent, unless `onError` is `fail`.
"""

from __future__ import annotations

import os
import sys

from eni_ledger import errors
from eni_ledger.plugin import agent_conf, delegate, recording
from eni_ledger.plugin.front import original_environment
from eni_ledger.plugin.observe import Netns, observe, text
from eni_ledger.plugin.protocol import STDIN_LIMIT, Call, read_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.config import Settings

    Event = dict[str, Any]

_IDENTITY = frozenset(("eni_id", "task_arn", "cluster", "task_family", "task_revision", "service"))


def run(name: str, call: Call) -> None:
    """Be the plugin `name` for this call. Raises DelegateError when there is no delegate; otherwise never returns."""
    settings = recording.settings_of(call, beside=_config_beside())
    path = delegate.find(settings.delegate_dir, name)
    env = original_environment(call.env)
    if call.command not in ("ADD", "DEL") or len(sys.argv) > 1:
        delegate.become(path, env)
    stdin_fd = delegate.keep_stdin(sys.stdin.buffer if sys.stdin else None)
    running = delegate.Running(path, env, stdin_fd)
    prepared = _prepare(name, call, settings, stdin_fd)
    status, answer, took_ms = running.wait()
    try:
        written = _record(call, settings, prepared, status, answer, took_ms)
    except errors.EniLedgerError as exc:  # only with onError=fail
        call.complain(str(exc))
        if os.waitstatus_to_exitcode(status) == 0:
            raise
        written = None
    delegate.hand_on(answer)
    if written is not None:
        recording.announce(call, settings, written)
    delegate.leave(status)


def _config_beside() -> str | None:
    """Return the path of the configuration file next to the plugin directory that we were called from.

    `install ecs` lays both out under one directory, which the agent's container sees at another path than the host.
    """
    directory = os.path.dirname(sys.argv[0])
    return f"{os.path.dirname(directory)}/config.json" if directory else None


class _Prepared:
    """What is known before the delegate answers: the `event` so far, and what went `wrong` with that, or None."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.wrong: Exception | None = None


def _prepare(name: str, call: Call, settings: Settings, stdin_fd: int) -> _Prepared:
    """Return the event as far as the call itself, this host and the agent's database tell it. Never raises."""
    prepared = _Prepared({"event": call.command.lower(), "via": "interposed", "plugin": name})
    event = prepared.event
    try:
        from eni_ledger import host
        from eni_ledger.ledger import writer  # noqa: F401 - loaded now, while there is time, and not when it answers

        event |= host.identity()
        event |= {"container_id": call.container_id, "ifname": text(call.ifname)}
        data = os.pread(stdin_fd, STDIN_LIMIT + 1, 0)
        if len(data) > STDIN_LIMIT:
            raise errors.DecodeFailure("the network configuration is too long", f"more than {STDIN_LIMIT} bytes")
        read_conf(call, data)
        event |= {"network": call.network, "cni_version": call.version}
        if call.command == "ADD":
            event["netns"] = text(call.netns)
            event |= agent_conf.declared(name, call.conf, call.env.get("CNI_ARGS", ""))
            event |= _identity(settings, event)
    except Exception as exc:  # whatever it is, the delegate is at work and the agent waits for its answer
        prepared.wrong = exc
    return prepared


def _identity(settings: Settings, event: Event) -> Event:
    """Return ENI ID and task from the agent's database, {} when it does not say."""
    from eni_ledger.identity.agent_db import lookup

    found = lookup(
        settings.agent_db,
        event.get("branch_mac", ""),
        vlan_id=event.get("vlan_id"),
        addresses=event.get("addresses", ()),
    )
    return {key: value for key, value in found.items() if key in _IDENTITY} if found else {}


def _record(
    call: Call, settings: Settings, prepared: _Prepared, status: int, answer: bytes, took_ms: float
) -> Event | None:
    """Write down what the delegate did and return the event as written, None when there is nothing to write.

    Raises EniLedgerError with `onError` `fail` only.
    """
    event = prepared.event
    event["took_ms"] = round(took_ms, 3)
    failed = status != 0
    try:
        if failed and call.command == "DEL":
            return None  # the runtime calls DEL again; the association ends with the one that succeeds
        if failed:
            event["event"] = "add_failed"
            event |= _error_of(status, answer)
        if prepared.wrong is not None and not failed:
            raise prepared.wrong
        if call.command == "ADD" and not failed:
            _observe(call, event)
        return recording.record(call, settings, event)
    except Exception as exc:
        recording.failed(call, settings, event, exc)
        return None


def _observe(call: Call, event: Event) -> None:
    """Add what the kernel shows, and where that differs from what was declared."""
    said = dict(event)
    try:
        netns = Netns(call.netns)
        try:
            event |= netns.fields()
            seen = observe(netns, call.ifname, gateways=False)
        finally:
            netns.close()
    except errors.ObserveError as exc:
        event |= {"error_code": exc.code, "error_msg": text(str(exc))}
        return
    for key in ("observed_vlan_id", "observed_mac", "trunk_ifname", "trunk_ifindex"):
        if seen.get(key) is not None:
            event[key] = seen[key]
    for key in ("trunk_mac", "addresses", "branch_mac"):
        if event.get(key) is None and seen.get(key) is not None:
            event[key] = seen[key]
    event["mismatch"] = agent_conf.differences(said, seen) or None


def _error_of(status: int, answer: bytes) -> Event:
    """Return `error_code` and `error_msg` of a delegate that failed: its own, else how it ended."""
    from eni_ledger.fastjson import loads

    try:
        said = loads(answer[:STDIN_LIMIT])
        code, msg, details = said.get("code"), said.get("msg"), said.get("details")
        if isinstance(code, int) and isinstance(msg, str):
            return {
                "error_code": code,
                "error_msg": f"{msg}: {details}" if isinstance(details, str) and details else msg,
            }
    except (ValueError, AttributeError):
        pass
    code = os.waitstatus_to_exitcode(status)
    how = f"the delegate was ended by signal {-code}" if code < 0 else f"the delegate ended with status {code}"
    return {"error_code": errors.EniLedgerError.code, "error_msg": how}
