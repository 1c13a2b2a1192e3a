"""The event of an interposed call: what is known while the delegate runs, and what the kernel shows afterwards.

Loaded once the delegate is at work: until then every import delays the task. Imports inside functions stand where a
module that cannot be loaded is caught, since the delegate's answer must reach the agent all the same.
"""

from __future__ import annotations

import os

from eni_ledger.base import errors
from eni_ledger.plugin import record as record_call
from eni_ledger.plugin.protocol import STDIN_LIMIT, Call, parse_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Draft, Event
    from eni_ledger.kernel.netns import Netns
    from eni_ledger.plugin.identity_search import Search


_SEEN = ("observed_vlan_id", "observed_mac", "vlan_protocol", "trunk_ifname", "trunk_ifindex", "trunk_netns_inode")
_MSG_LIMIT = 4000  # the details of a panic are a stack trace


class Prepared:
    """What is known before the delegate answers: the `event` so far, and what went `wrong` with that, or None.

    `ahead` is what is done ahead of the answer if there is time, `search` the search for ENI and task; each is None
    once it is done. `error_reported` is whether the delegate has reported the error in the event. `netns` and
    `sock` are the open namespace and an rtnetlink socket in it, None if that failed; `strayed` is whether this process
    is still in that namespace, after which it must read no namespace.
    """

    def __init__(self, event: Draft) -> None:
        self.event = event
        self.wrong: Exception | None = None
        self.ahead: Callable[[], None] | None = None
        self.search: Search | None = None
        self.error_reported = False
        self.strayed = False
        self.netns: Netns | None = None
        self.sock: socket | None = None

    def work(self, signalled: Callable[[], bool]) -> float | None:
        """Do what there is to do while the delegate works, see `delegate.Running.wait`. Never raises.

        Where the delegate has answered by now, doing ahead what is due would only take the time twice.
        """
        ahead, self.ahead = self.ahead, None
        if ahead is not None and not signalled():
            ahead()
        if self.search is None:
            return None
        identity = None if signalled() else self.search.again(signalled)
        if identity is None:
            return self.search.pause()
        self.event |= identity
        self.search = None
        return None

    def search_last(self) -> None:
        """Search once more when the delegate has answered, in as little time as that takes. Never raises."""
        if self.search is not None:
            self.event |= self.search.last() or {}
            self.search = None

    def close(self) -> None:
        """Let go of the namespace."""
        if self.sock is not None:
            self.sock.close()
        if self.netns is not None:
            self.netns.close()


def prepare(name: str, call: Call, settings: Settings, data: bytes) -> Prepared:
    """Return the event as far as `data`, the call's standard input, and this host tell it, and the search for the rest.

    Never raises.
    """
    prepared = Prepared({"event": call.command.lower(), "via": "interposed", "plugin": name})
    event = prepared.event
    try:
        from eni_ledger.base import host
        from eni_ledger.kernel.netns import text

        event |= host.identity()
        event |= {"container_id": call.container_id, "ifname": text(call.ifname)}
        event["netns"] = text(call.netns)
        if len(data) > STDIN_LIMIT:
            raise errors.DecodeFailure("the network configuration is too long", f"more than {STDIN_LIMIT} bytes")
        parse_conf(call, data)  # whether it is good, with its version and without a name, is the delegate's to say
        _add_declared(name, call, event)
    except Exception as exc:  # whatever it is, the delegate is at work and the agent waits for its answer
        prepared.wrong = exc
    if call.command == "ADD":
        _enter(call, prepared)
    prepared.ahead = lambda: warm_up(settings, prepared)
    _begin_search(call, settings, prepared)
    return prepared


def _begin_search(call: Call, settings: Settings, prepared: Prepared) -> None:
    """Find out what ENI and task have to be searched for. Never raises."""
    try:
        from eni_ledger.plugin import identity_search

        search = identity_search.of_add if call.command == "ADD" else identity_search.of_del
        prepared.search = search(settings, prepared.event)
    except Exception:  # whatever it is: the delegate is at work, and `identify` finds them later
        prepared.search = None


def warm_up(settings: Settings, prepared: Prepared) -> None:
    """Warm code and page cache while the delegate runs. Never raises."""
    try:
        from eni_ledger.journald import send
        from eni_ledger.kernel import rtnetlink
        from eni_ledger.ledger.write.warm_up import warm_up as warm_up_writer

        warm_up_writer(settings, prepared.event)
        if settings.journald:
            send(prepared.event, sockets=())
        if prepared.sock is not None:
            rtnetlink.links(prepared.sock)
            rtnetlink.addresses(prepared.sock)
            rtnetlink.default_gateways(prepared.sock, 1)
    except Exception:  # whatever it is: the delegate runs, and the real attempt reports it
        if prepared.sock is not None:  # half an answer may be left in it
            prepared.sock.close()
            prepared.sock = None


def _enter(call: Call, prepared: Prepared) -> None:
    """Open the namespace, and a socket in it, while there is time. What fails is tried again after the answer."""
    from eni_ledger.kernel import netns as netns_file
    from eni_ledger.kernel import rtnetlink

    try:
        prepared.netns = netns_file.Netns(call.netns)
        prepared.sock = rtnetlink.open_socket(prepared.netns.fd, prepared.netns.own_fd)
    except (errors.ObserveError, OSError, ImportError):
        pass
    except rtnetlink.StrayedError as exc:
        prepared.wrong, prepared.strayed = exc, True


def _add_declared(name: str, call: Call, event: Draft) -> None:
    """Add what the configuration declares, as far as it could be parsed."""
    from eni_ledger.plugin import agent_netconf

    if isinstance(call.conf.get("cniVersion"), str):
        event["cni_version"] = call.conf["cniVersion"]
    if call.network:
        event["network"] = call.network
    declared = agent_netconf.declared(name, call.conf, call.env.get("CNI_ARGS", ""))
    if call.command == "ADD":
        event |= declared
    else:  # only what selects the association; its `add` has recorded the rest
        event |= {key: declared[key] for key in ("branch_mac", "vlan_id") if key in declared}


def record(call: Call, settings: Settings, prepared: Prepared, status: int, answer: bytes) -> Event | None:
    """Write down what the delegate did and return the event as written, None when there is nothing to write.

    Raises with `onError` `fail` only.
    """
    event = prepared.event
    try:
        if status != 0 and call.command == "DEL":
            return None  # the runtime calls DEL again; the association ends with the one that succeeds
        prepared.search_last()
        if status != 0:
            event["event"] = "add_failed"
            event |= _error_of(status, answer)
        elif call.command == "ADD":
            if prepared.wrong is not None:
                event |= _our_error(prepared.wrong)
            if not prepared.strayed:
                _observe(call, prepared)
            if error := _error_in(answer):  # the real ones end with 0 after a panic, and the agent takes it for success
                prepared.error_reported = True
                event |= error
        return record_call.record(call, settings, event)
    except Exception as exc:
        record_call.failed(call, settings, event, exc)
        return None
    finally:
        prepared.close()


def _our_error(exc: Exception) -> Draft:
    """Return `error_code` and `error_msg` of an error of ours, with which the event is recorded all the same."""
    from eni_ledger.kernel.netns import text

    known = isinstance(exc, errors.EniLedgerError)
    code = getattr(exc, "code", errors.EniLedgerError.code)
    return {"error_code": code, "error_msg": text(str(exc) if known else f"{type(exc).__name__}: {exc}")}


def _observe(call: Call, prepared: Prepared) -> None:
    """Add what the kernel shows, and where that differs from what was declared."""
    from eni_ledger.kernel.attachment import observe
    from eni_ledger.kernel.netns import Netns
    from eni_ledger.plugin import agent_netconf

    event = prepared.event
    declared = dict(event)
    try:
        netns = prepared.netns = prepared.netns or Netns(call.netns)
        event |= netns.fields()
        seen = observe(netns, call.ifname, sock=prepared.sock)
    except errors.ObserveError as exc:
        event |= _our_error(exc)
        return
    for key in _SEEN:
        if key in seen:
            event[key] = seen[key]
    shared = (
        "trunk_mac",
        "vlan_id",
        "branch_mac",
        *(("addresses", "gateways") if agent_netconf.plain(declared) else ()),
    )
    for key in shared:
        if key in seen:
            event.setdefault(key, seen[key])
    if declared.get("protocol") == "default" and "observed_mac" in seen:
        event.setdefault("branch_mac", seen["observed_mac"])
    if different := agent_netconf.netconf_mismatches(declared, seen):
        event["mismatch"] = different
        event |= {f"observed_{key}": seen[key] for key in ("addresses", "gateways") if key in different}


def _error_of(status: int, answer: bytes) -> Draft:
    """Return `error_code` and `error_msg` of a delegate that failed: its own, else how it ended."""
    if error := _error_in(answer):
        return error
    code = os.waitstatus_to_exitcode(status)
    how = f"the delegate was ended by signal {-code}" if code < 0 else f"the delegate ended with status {code}"
    return {"error_code": errors.EniLedgerError.code, "error_msg": how}


def _error_in(answer: bytes) -> Draft:
    """Return `error_code` and `error_msg` of an answer that is an error, {} of one that is none."""
    from eni_ledger.base.minijson import loads

    try:
        reply = loads(answer[:STDIN_LIMIT])
        code, msg, details = reply.get("code"), reply.get("msg"), reply.get("details")
    except (ValueError, AttributeError):
        return {}
    if type(code) is not int or not isinstance(msg, str):
        return {}
    both = f"{msg}: {details}" if isinstance(details, str) and details else msg
    return {"error_code": code, "error_msg": both[:_MSG_LIMIT]}
