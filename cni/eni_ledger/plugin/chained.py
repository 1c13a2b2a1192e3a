"""ADD, DEL, CHECK, GC and STATUS of a plugin in a chain: return prevResult and record the attachment.

The rule of everything here: the faults of a *call* are CNI errors; *our own* faults never are, unless
`onError` is `fail`. Whatever goes wrong while observing and recording, a bug included, ends in `record.failed`:
prevResult is printed, the exit status is 0, and the failure goes to stderr, the journal and
failures.jsonl.

Imports inside functions are of one verb, or stand where a module that cannot be loaded is caught.
"""

from __future__ import annotations

from eni_ledger.base import errors
from eni_ledger.kernel.attachment import NoInterfaceError, observe
from eni_ledger.kernel.netns import Netns, text
from eni_ledger.plugin import cni_result, record
from eni_ledger.plugin.protocol import prev_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.events import Draft, Event, Fields
    from eni_ledger.plugin.protocol import Call


def run(call: Call) -> None:
    """Execute the command of the call. Raises EniLedgerError for an error to return to the runtime."""
    {"ADD": add, "DEL": delete, "CHECK": check, "GC": gc, "STATUS": status}[call.command](call)


def add(call: Call) -> None:
    """ADD: record the attachment, then print prevResult. The record is durable before that."""
    prev, result = prev_result(call)
    netns = _open_netns(call)
    settings = record.settings_of(call)
    event = _event(call, "add")
    written: Event | None = None
    try:
        _describe(call, event, prev, netns)
        if "error_code" in event and settings.on_error == "fail":
            raise errors.ObserveError(event["error_msg"])
        written = record.record(call, settings, _at_this_host(event))
    except Exception as exc:
        record.failed(call, settings, event, exc)
    # The journal comes last: nothing in it can come between the runtime and its result.
    call.reply(result)
    if written is not None:
        record.report(call, settings, written)


def delete(call: Call) -> None:
    """DEL: end the association. Succeeds without namespace or prevResult, and for what was never added."""
    settings = record.settings_of(call)
    event = _event(call, "del") | _hints(call)
    try:
        written = record.record(call, settings, _at_this_host(event))
    except Exception as exc:
        record.failed(call, settings, event, exc)
        return
    if written is not None:
        record.report(call, settings, written)
    record.report_problems(call, settings, event)


def gc(call: Call) -> None:
    """GC: end what is not in the list of valid attachments. A list that is absent or null ends nothing."""
    valid = _valid_attachments(call.conf)
    settings = record.settings_of(call)
    if valid is None:
        return
    event = _event(call, "lost")
    try:
        from eni_ledger.ledger.write.batch import record_gc

        record.refuse_problems(call, settings)
        ended = record_gc(settings, call.network, valid, _at_this_host(event))
    except Exception as exc:
        record.failed(call, settings, event, exc)
        return
    for written in ended:
        record.report(call, settings, written)
    record.report_problems(call, settings, event)


def status(call: Call) -> None:
    """STATUS: raise NotAvailable when an ADD could not be recorded now, whatever `onError` says."""
    settings = record.settings_of(call)
    try:
        from eni_ledger.ledger.write.probe import probe

        if call.problems:
            raise call.problems[0]
        probe(settings)
    except errors.EniLedgerError as exc:
        raise errors.NotAvailable(exc.msg, exc.details, exc.hint) from exc
    except Exception as exc:
        raise errors.NotAvailable("an ADD could not be recorded", f"{type(exc).__name__}: {exc}") from exc


def check(call: Call) -> None:
    """CHECK: compare what was recorded with what the kernel shows now.

    Raises UnknownContainer when the namespace is gone, AttachmentChanged when something is another. An attachment
    that is not in the ledger is NotRecorded with `onError` `fail`, else only a line on stderr.
    """
    prev = prev_result(call)[0] if call.prev_text else {}
    settings = record.settings_of(call)
    try:
        netns = Netns(call.netns)
    except errors.ObserveError as exc:
        raise errors.UnknownContainer("the network namespace is gone", exc.details) from exc
    try:
        from eni_ledger.ledger.read.current import find_live

        record.refuse_problems(call, settings)
        live = find_live(settings.state_dir, _event(call, "check") | _hints(call))
        if live is None:
            who = f"{call.container_id} {text(call.ifname)}"
            raise errors.NotRecorded("the attachment is not in the ledger", who)
        changed = _changes(live, netns, call.ifname, cni_result.mac(prev, call.ifname))
    except Exception as exc:
        if settings.on_error == "fail":
            raise
        call.complain(f"CHECK: {exc}")
        return
    finally:
        netns.close()
    if changed:
        raise errors.AttachmentChanged("the attachment is not what was recorded", "; ".join(changed))


def _changes(live: Fields, netns: Netns, ifname: str, declared_mac: str | None) -> list[str]:
    """Return a phrase for each field that is not as recorded: its name, what was recorded, what is now.

    A plugin after us may have set another MAC; the one in prevResult, which is the chain's last word, is good
    too. Raises ObserveError when the kernel does not show enough.
    """
    now = netns.fields()
    keys = ["netns_inode", "netns_dev"]
    try:
        now |= observe(netns, ifname, gateways=False)
        keys.append("observed_vlan_id")
    except NoInterfaceError:
        if live.get("observed_mac") or live.get("observed_vlan_id"):
            return [f"ifname: recorded {text(ifname)}, now none"]
        raise
    # Where the namespace could not be entered there is no MAC to compare.
    if live.get("observed_mac") and now.get("observed_mac") not in (None, declared_mac):
        keys.append("observed_mac")
    return [
        f"{key}: recorded {live[key]}, now {now.get(key, 'none')}"
        for key in keys
        if live.get(key) is not None and live[key] != now.get(key)
    ]


def _valid_attachments(conf: dict[str, Any]) -> set[tuple[str, str]] | None:
    """Return the (container ID, ifname) pairs of a GC, None without a list. Raises InvalidNetworkConfig."""
    for key in ("cni.dev/valid-attachments", "cni.dev/attachments"):
        listed = conf.get(key)
        if listed is None:
            continue
        if not isinstance(listed, list):
            raise errors.InvalidNetworkConfig(f"{key} is not a list", f"{key}={listed!r:.80}")
        valid: set[tuple[str, str]] = set()
        for item in listed:
            attachment = item if isinstance(item, dict) else {}
            container_id, ifname = attachment.get("containerID"), attachment.get("ifname")
            if not (isinstance(container_id, str) and isinstance(ifname, str)):
                hint = 'each has to be {"containerID": "...", "ifname": "..."}'
                raise errors.InvalidNetworkConfig(f"malformed attachment in {key}", f"{item!r:.80}", hint)
            valid.add((container_id, ifname))
        return valid
    return None


def _open_netns(call: Call) -> Netns | errors.ObserveError:
    """Return the namespace, or why it cannot be opened. Raises InvalidNetns when it is the plugin's own."""
    try:
        netns = Netns(call.netns)
    except errors.ObserveError as exc:
        return exc
    if netns.is_own() and call.env.get("CNI_NETNS_OVERRIDE", "").lower() not in ("true", "1"):
        hint = "set CNI_NETNS_OVERRIDE=1 if this is meant"
        raise errors.InvalidNetns("CNI_NETNS is the plugin's own network namespace", text(call.netns), hint)
    return netns


def _event(call: Call, kind: str) -> Draft:
    """Return what every event of this call has."""
    event: Draft = {"event": kind}
    if call.container_id and kind != "lost":
        event |= {"container_id": call.container_id, "ifname": text(call.ifname)}
    event |= {"network": call.network, "via": "chained", "cni_version": call.version}
    return event


def _hints(call: Call) -> Draft:
    """Return what a DEL or CHECK says of its attachment besides container ID and ifname."""
    mac = cni_result.mac(call.conf.get("prevResult"), call.ifname)
    return {"netns": text(call.netns), **({"declared_mac": mac} if mac else {})}


def _at_this_host(event: Draft) -> Draft:
    from eni_ledger.base import host

    return event | host.identity()


def _describe(call: Call, event: Draft, prev: dict[str, Any], netns: Netns | errors.ObserveError) -> None:
    """Complete an `add` event: what is declared, what the kernel shows, and where they differ."""
    event["netns"] = text(call.netns)
    declared = cni_result.attachment(prev, call.ifname)
    event["declared_ifname"] = declared.ifname and text(declared.ifname)
    seen: dict[str, Any] = {}
    try:
        if isinstance(netns, errors.ObserveError):
            raise netns
        event |= netns.fields()
        gateways = bool(declared.default) or not declared.gateways
        seen = observe(netns, call.ifname, instead=declared.ifname, others=declared.elsewhere, gateways=gateways)
    except errors.ObserveError as exc:
        event |= {"error_code": exc.code, "error_msg": text(str(exc))}
    finally:
        if isinstance(netns, Netns):
            netns.close()
    event |= {key: value for key, value in seen.items() if key != "elsewhere"}
    event["addresses"] = declared.all_addresses() or seen.get("addresses")
    event["gateways"] = declared.gateways or seen.get("gateways")
    mac_key = _mac_key(seen)
    event[mac_key] = declared.mac or event.get(mac_key)
    different = cni_result.result_mismatches(declared, seen, mac_key)
    event["mismatch"] = different or None
    event |= {f"observed_{key}": seen[key] for key in ("addresses", "gateways") if key in different}


def _mac_key(seen: Draft) -> str:
    """Return the key of the MAC that the result declares: `branch_mac` where the interface is the VLAN link itself.

    Only an ENI has a `branch_mac`. Of an interface that is on the VLAN link (a tap, a macvlan), or on none, the
    declared MAC is its own.
    """
    branch = seen.get("vlan_id") is not None and seen.get("branch_mac") == seen.get("observed_mac")
    return "branch_mac" if branch else "declared_mac"
