"""One association as a card: all that is known of it, a line for each kind of thing."""

from __future__ import annotations

from eni_ledger.render.text import addresses, age, clock, family, mismatches, moment, safe, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Any

    from eni_ledger.render.screen import Screen

    Association = dict[str, Any]

WHY_ENDED = {
    "del": "the runtime's DEL",
    "lost": "found gone, without a DEL",
    "superseded": "another ADD took its VLAN, interface or attachment, without a DEL",
    "rebooted": "the host booted again, without a DEL",
    "log_ends": "not known: the log it was imported from goes no further",
}
# what `mismatch` names: (key of what was declared, key of what the kernel shows, words for it)
_DIFFERENT = {
    "branch_mac": ("branch_mac", "observed_mac", "MAC"),
    "vlan_id": ("vlan_id", "observed_vlan_id", "VLAN"),
    "declared_mac": ("declared_mac", "observed_mac", "MAC"),
    "ifname": ("declared_ifname", "ifname", "interface"),
}


def how_ended(association: Association) -> str:
    """Return its `ended_by`; `log_ends` of an imported one that was lost."""
    ended_by = str(association.get("ended_by"))
    return "log_ends" if (ended_by, association.get("via")) == ("lost", "import") else ended_by


def mismatch_text(record: dict[str, Any]) -> str:
    """Return what was declared and what the kernel shows, for each field in which the two differ."""
    parts = []
    for name in mismatches(record):
        declared, observed, words = _DIFFERENT.get(name, (name, f"observed_{name}", name))
        said = f"{words} {safe(record.get(declared)) or 'none'} declared"
        seen = record.get(observed)
        shown = f"{safe(seen) or 'none'} in the kernel"
        if name == "ifname":
            shown = f"{safe(seen)} asked for"
        elif seen is None and name in ("addresses", "gateways"):  # an empty list is what says that there are none
            shown = "what the kernel showed is not recorded"
        parts.append(f"{said}, {shown}")
    return "; ".join(parts)


def print_card(one: Association, screen: Screen, now: datetime) -> None:
    """Print all that is known of one association, a line for each kind of thing."""
    screen.line(f"{screen.paint(safe(one.get('association_id')), 'bold')}  {_lifetime(one, screen, now)}")
    for name, text in _card_lines(one):
        if text:
            screen.line(f"  {screen.paint(name.ljust(10), 'dim')}{text}")
    if mismatches(one):
        screen.line(f"  {screen.paint('mismatch'.ljust(10) + mismatch_text(one), 'red')}")


def _lifetime(one: Association, screen: Screen, now: datetime) -> str:
    """Return from when until when, and for how long."""
    begin = clock(one.get("since"))
    if "until" not in one:
        return f"{screen.paint('live', 'green')} since {begin} UTC ({since(one.get('since'), now)})"
    first, last = moment(one.get("since")), moment(one["until"])
    lasted = f" ({age((last - first).total_seconds())})" if first and last else ""
    end = clock(one["until"])
    if end[:10] == begin[:10]:
        end = end[11:]
    return f"{begin} to {end} UTC{lasted}"


def _card_lines(one: Association) -> Iterable[tuple[str, str]]:
    """Yield name and text of each line of the card; an empty text is a line that is not printed."""

    def said(*pairs: tuple[str, str]) -> str:
        return "  ".join(f"{label}{safe(one[key])}" for key, label in pairs if one.get(key) is not None)

    if "until" in one:
        ended = how_ended(one)
        yield "ended by", WHY_ENDED.get(ended, safe(ended))
    yield (
        "branch",
        said(
            ("vlan_id", "VLAN "), ("vlan_protocol", ""), ("eni_id", ""), ("branch_mac", ""), ("protocol", "protocol ")
        ),
    )
    yield "declared", said(("declared_ifname", "interface "), ("declared_mac", "MAC "))
    yield "addresses", "  ".join(addresses(one, prefix=True))
    yield "gateways", said(("gateways", ""))
    yield (
        "trunk",
        said(
            ("trunk_eni_id", ""),
            ("trunk_mac", ""),
            ("trunk_ifname", ""),
            ("trunk_ifindex", "index "),
            ("trunk_netns_inode", "in netns "),
        ),
    )
    yield "task", said(("task_arn", ""))
    yield (
        "",
        "  ".join(part for part in (family(one), said(("service", "service "), ("cluster", "cluster "))) if part),
    )
    yield "container", said(("container_id", ""))
    yield "", said(("ifname", "interface "), ("network", "network "))
    yield "netns", said(("netns_inode", ""), ("netns", ""), ("pid", "pid "))
    yield "kernel", said(("observed_vlan_id", "VLAN "), ("observed_mac", ""))
    took = f"  {safe(one['took_ms'])} ms" if one.get("took_ms") is not None else ""
    yield (
        "recorded",
        said(("via", ""), ("plugin", "plugin "), ("cni_version", "CNI "), ("add_seq", "seq ")) + took,
    )
    yield "host", said(("instance_id", ""), ("boot_id", "boot "))
