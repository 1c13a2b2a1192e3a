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
from eni_ledger.config import Settings
from eni_ledger.plugin import delegate, recording
from eni_ledger.plugin.front import original_environment
from eni_ledger.plugin.protocol import STDIN_LIMIT, Call, read_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

    from eni_ledger.plugin.observe import Netns

    Event = dict[str, Any]

_IDENTITY = frozenset(("eni_id", "task_arn", "cluster", "task_family", "task_revision", "service"))
_MSG_LIMIT = 4000  # the details of a panic are a stack trace


def run(name: str, call: Call) -> None:
    """Be the plugin `name` for this call. Raises DelegateError when it cannot be run; otherwise never returns.

    With `onError` `fail` also whatever kept a successful call from being recorded.
    """
    settings = _settings(call)
    env = original_environment(call.env)
    if call.command not in ("ADD", "DEL") or len(sys.argv) > 1:
        delegate.become(delegate.find(settings.delegate_dir, name), env)
    delegate.prepare_process()
    stdin_fd = None
    try:
        path = delegate.find(settings.delegate_dir, name)
        try:
            stdin_fd = delegate.keep_stdin(sys.stdin.buffer if sys.stdin else None)
            running = delegate.Running(path, env, stdin_fd)
        except (OSError, ImportError) as exc:
            _step_aside(call, settings, path, env, stdin_fd, exc)
        prepared = _prepare(name, call, settings, stdin_fd)
        status, answer, took_ms = running.wait()
    except errors.DelegateError as exc:
        _refused(name, call, settings, stdin_fd, exc)
        raise
    prepared.event["took_ms"] = round(took_ms, 3)
    try:
        written = _record(call, settings, prepared, status, answer)
    except Exception as exc:  # only with onError=fail
        call.complain(str(exc))
        if status == 0:
            raise
        written = None
    delegate.hand_on(answer)
    if written is not None:
        recording.announce(call, settings, written, quiet=prepared.said)
    running.leave(status)


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
) -> None:
    """Become the delegate, because there is no way to stand beside it (no memory, no process): unrecorded, but run."""
    event = {"event": call.command.lower(), "container_id": call.container_id}
    recording.failed(call, settings, event, exc)
    if stdin_fd is not None:
        os.dup2(stdin_fd, 0)
    delegate.become(path, env)


class _Prepared:
    """What is known before the delegate answers: the `event` so far, and what went `wrong` with that, or None.

    `said` is whether the error in the event is one that the delegate has told. `netns` and `sock` are the opened
    namespace and an rtnetlink socket in it, None unless that went well; `strayed` is whether we did not come back from
    there, after which nothing more may be asked of a namespace.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.wrong: Exception | None = None
        self.said = False
        self.strayed = False
        self.netns: Netns | None = None
        self.sock: socket | None = None

    def close(self) -> None:
        """Let go of the namespace."""
        if self.sock is not None:
            self.sock.close()
        if self.netns is not None:
            self.netns.close()


def _prepare(name: str, call: Call, settings: Settings, stdin_fd: int | None) -> _Prepared:
    """Return the event as far as the call itself, this host and the agent's database tell it. Never raises."""
    prepared = _Prepared({"event": call.command.lower(), "via": "interposed", "plugin": name})
    event = prepared.event
    try:
        from eni_ledger import host
        from eni_ledger.plugin.observe import text

        event |= host.identity()
        event |= {"container_id": call.container_id, "ifname": text(call.ifname)}
        if call.command == "ADD":
            event["netns"] = text(call.netns)
        data = os.pread(stdin_fd, STDIN_LIMIT + 1, 0) if stdin_fd is not None else b""
        if len(data) > STDIN_LIMIT:
            raise errors.DecodeFailure("the network configuration is too long", f"more than {STDIN_LIMIT} bytes")
        try:
            read_conf(call, data)
        finally:  # what is wrong with the rest of it, a later cniVersion perhaps, does not make this unknown
            _declared(name, call, settings, event)
    except Exception as exc:  # whatever it is, the delegate is at work and the agent waits for its answer
        prepared.wrong = exc
    if call.command == "ADD":
        _enter(call, prepared)
    _rehearse(settings, prepared)
    return prepared


def _rehearse(settings: Settings, prepared: _Prepared) -> None:
    """Load and run now, while there is time, what is to be quick once the delegate has answered. Never raises."""
    try:
        from eni_ledger.journald import send
        from eni_ledger.ledger.writer import rehearse
        from eni_ledger.plugin import rtnetlink

        rehearse(settings, prepared.event)
        if settings.journald:
            send(prepared.event, sockets=())
        if prepared.sock is not None:
            rtnetlink.links(prepared.sock)
    except Exception:  # whatever it is: the delegate is at work, and in earnest it is told
        if prepared.sock is not None:  # half an answer may be left in it
            prepared.sock.close()
            prepared.sock = None


def _enter(call: Call, prepared: _Prepared) -> None:
    """Open the namespace, and a socket in it, while there is time. What fails is tried again after the answer."""
    from eni_ledger.plugin import observe, rtnetlink

    try:
        prepared.netns = observe.Netns(call.netns)
        prepared.sock = rtnetlink.open_socket(prepared.netns.fd, prepared.netns.own_fd)
    except (errors.ObserveError, OSError, ImportError):
        pass
    except rtnetlink.StrayedError as exc:
        prepared.wrong, prepared.strayed = exc, True


def _declared(name: str, call: Call, settings: Settings, event: Event) -> None:
    """Add what the configuration says, as far as it was understood, and whose ENI that is."""
    from eni_ledger.plugin import agent_conf

    if not call.conf:
        return
    event["cni_version"] = call.version
    if call.network:
        event["network"] = call.network
    if call.command == "ADD":
        event |= agent_conf.declared(name, call.conf, call.env.get("CNI_ARGS", ""))
        event |= _identity(settings, event)


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


def _refused(name: str, call: Call, settings: Settings, stdin_fd: int | None, exc: errors.DelegateError) -> None:
    """Write down an ADD that failed because there is no delegate to run. Never raises; the runtime gets `exc`."""
    try:
        if stdin_fd is None:
            stdin_fd = delegate.keep_stdin(sys.stdin.buffer if sys.stdin else None)
        prepared = _prepare(name, call, settings, stdin_fd)
        if call.command == "ADD":
            prepared.event |= {"event": "add_failed", "error_code": exc.code, "error_msg": str(exc)}
            written = recording.record(call, settings, prepared.event)
            if written is not None:
                recording.announce(call, settings, written)
    except Exception as second:
        call.complain(f"{call.command} not recorded: {second}")


def _record(call: Call, settings: Settings, prepared: _Prepared, status: int, answer: bytes) -> Event | None:
    """Write down what the delegate did and return the event as written, None when there is nothing to write.

    Raises with `onError` `fail` only.
    """
    event = prepared.event
    try:
        if status != 0 and call.command == "DEL":
            return None  # the runtime calls DEL again; the association ends with the one that succeeds
        if status != 0:
            event["event"] = "add_failed"
            event |= _error_of(status, answer)
        elif call.command == "ADD":
            if prepared.wrong is not None:
                event |= _our_error(prepared.wrong)
            if not prepared.strayed:
                _observe(call, prepared)
            if said := _error_in(answer):  # the real ones end with 0 after a panic, and the agent takes it for success
                prepared.said = True
                event |= said
        return recording.record(call, settings, event)
    except Exception as exc:
        recording.failed(call, settings, event, exc)
        return None
    finally:
        prepared.close()


def _our_error(exc: Exception) -> Event:
    """Return `error_code` and `error_msg` of an error of ours, with which the event is recorded all the same."""
    from eni_ledger.plugin.observe import text

    known = isinstance(exc, errors.EniLedgerError)
    code = getattr(exc, "code", errors.EniLedgerError.code)
    return {"error_code": code, "error_msg": text(str(exc) if known else f"{type(exc).__name__}: {exc}")}


def _observe(call: Call, prepared: _Prepared) -> None:
    """Add what the kernel shows, and where that differs from what was declared."""
    from eni_ledger.plugin import agent_conf
    from eni_ledger.plugin.observe import Netns, observe

    event = prepared.event
    said = dict(event)
    try:
        netns = prepared.netns = prepared.netns or Netns(call.netns)
        event |= netns.fields()
        seen = observe(netns, call.ifname, gateways=False, sock=prepared.sock)
    except errors.ObserveError as exc:
        event |= _our_error(exc)
        return
    for key in ("observed_vlan_id", "observed_mac", "trunk_ifname", "trunk_ifindex"):
        if seen.get(key) is not None:
            event[key] = seen[key]
    for key in ("trunk_mac", "addresses", "branch_mac"):
        if event.get(key) is None and seen.get(key) is not None:
            event[key] = seen[key]
    if different := agent_conf.differences(said, seen):
        event["mismatch"] = different
        if "addresses" in different:
            event["observed_addresses"] = seen.get("addresses")


def _error_of(status: int, answer: bytes) -> Event:
    """Return `error_code` and `error_msg` of a delegate that failed: its own, else how it ended."""
    if said := _error_in(answer):
        return said
    code = os.waitstatus_to_exitcode(status)
    how = f"the delegate was ended by signal {-code}" if code < 0 else f"the delegate ended with status {code}"
    return {"error_code": errors.EniLedgerError.code, "error_msg": how}


def _error_in(answer: bytes) -> Event:
    """Return `error_code` and `error_msg` of an answer that is an error, {} of one that is none."""
    from eni_ledger.fastjson import loads

    try:
        said = loads(answer[:STDIN_LIMIT])
        code, msg, details = said.get("code"), said.get("msg"), said.get("details")
    except (ValueError, AttributeError):
        return {}
    if type(code) is not int or not isinstance(msg, str):
        return {}
    both = f"{msg}: {details}" if isinstance(details, str) and details else msg
    return {"error_code": code, "error_msg": both[:_MSG_LIMIT]}
