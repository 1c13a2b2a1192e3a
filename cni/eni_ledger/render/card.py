"""One association as a card: everything the ledger knows about it, grouped by line."""

from __future__ import annotations

from eni_ledger.render.text import (
    SHORT,
    addresses,
    age,
    beside,
    clock,
    columns,
    containers,
    label,
    mismatches,
    moment,
    safe,
    since,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from eni_ledger.base.events import Fields
    from eni_ledger.render.screen import Screen


WHY_ENDED = {
    "del": "the runtime's DEL",
    "lost": "found gone, without a DEL",
    "superseded": "another ADD took its VLAN, interface or attachment, without a DEL",
    "rebooted": "the host booted again, without a DEL",
    "log_ends": "not known: the log it was imported from goes no further",
}
_NAMES = 10  # columns of the names at the left
# Field named by `mismatch`: (key of the declared value, key of the kernel's value, label)
_DIFFERENT = {
    "branch_mac": ("branch_mac", "observed_mac", "MAC"),
    "vlan_id": ("vlan_id", "observed_vlan_id", "VLAN"),
    "declared_mac": ("declared_mac", "observed_mac", "MAC"),
    "ifname": ("declared_ifname", "ifname", "interface"),
}


def how_ended(association: Fields) -> str:
    """Return its `ended_by`; `log_ends` of an imported one that was lost."""
    ended_by = str(association.get("ended_by"))
    return "log_ends" if (ended_by, association.get("via")) == ("lost", "import") else ended_by


def mismatch_text(record: Fields) -> str:
    """Return the declared and the observed value of each field in which they differ."""
    parts = []
    for name in mismatches(record):
        declared, observed, words = _DIFFERENT.get(name, (name, f"observed_{name}", name))
        declaration = f"{words} {safe(record.get(declared)) or 'none'} declared"
        seen = record.get(observed)
        shown = f"{safe(seen) or 'none'} in the kernel"
        if name == "ifname":
            shown = f"{safe(seen)} asked for"
        elif seen is None and name in ("addresses", "gateways"):  # "none" is recorded as an empty list
            shown = "what the kernel showed is not recorded"
        parts.append(f"{declaration}, {shown}")
    return "; ".join(parts)


def print_card(association: Fields, screen: Screen, now: datetime) -> None:
    """Print everything the ledger knows about one association, grouped by line."""
    association_id, lifetime = safe(association.get("association_id")), _lifetime(association, screen, now)
    if "what" in association:  # one of several that were asked for
        screen.line(screen.paint(f"{safe(association['what'])}:", "bold"))
    head = screen.paint(association_id, "bold")
    if screen.width is not None and columns(f"{association_id}  {lifetime}") > screen.width:
        screen.line(head)
        _print_line("", lifetime, screen)
    elif lifetime.startswith("live"):
        screen.line(f"{head}  {screen.paint('live', 'green')}{lifetime[4:]}")
    else:
        screen.line(f"{head}  {lifetime}")
    for name, text in _card_lines(association, screen.width):
        _print_line(name, text, screen)
    if mismatches(association):
        _print_line("mismatch", mismatch_text(association), screen, "red")


def _print_line(name: str, text: str, screen: Screen, style: str = "") -> None:
    """Print the text beside its name, nothing without a text."""
    if not text:
        return
    head = f"  {name.ljust(_NAMES)}"
    first, *more = beside(head, text, screen.width)
    label, value = first[: len(head)], first[len(head) :]
    screen.line(screen.paint(label, style or "dim") + screen.paint(value, style) if name else first)
    for line in more:
        screen.line(screen.paint(line, style))


def _lifetime(association: Fields, screen: Screen, now: datetime) -> str:
    """Return when the association began and ended, and how long it lasted."""
    zone = screen.zone
    begin = clock(association.get("since"), zone, named=True)
    if association.get("until") is None:
        return f"live since {begin} ({since(association.get('since'), moment(association.get('as_of')) or now)})"
    first, last = moment(association.get("since")), moment(association["until"])
    lasted = f" ({age((last - first).total_seconds())})" if first and last else ""
    end = clock(association["until"], zone, named=True)
    if end[19:] == begin[19:]:
        begin = begin[:19]
    if end[:10] == begin[:10]:
        end = end[11:]
    return f"{begin} to {end}{lasted}"


def _card_lines(association: Fields, width: int | None) -> Iterable[tuple[str, str]]:
    """Yield name and text of each line of the card; a line with empty text is not printed.

    Where a `width` has no room for 64 digits, the container ID is as short as Docker prints it.
    """

    def values(*pairs: tuple[str, str]) -> str:
        return "  ".join(f"{label}{safe(association[key])}" for key, label in pairs if association.get(key) is not None)

    if association.get("until") is not None:
        ended = how_ended(association)
        yield "ended by", WHY_ENDED.get(ended, safe(ended))
    yield (
        "branch",
        values(
            ("vlan_id", "VLAN "), ("vlan_protocol", ""), ("eni_id", ""), ("branch_mac", ""), ("protocol", "protocol ")
        ),
    )
    yield "declared", values(("declared_ifname", "interface "), ("declared_mac", "MAC "))
    yield "addresses", "  ".join(addresses(association, prefix=True))
    yield "hostname", values(("private_dns_name", ""))
    yield "gateways", values(("gateways", ""))
    yield (
        "trunk",
        values(
            ("trunk_eni_id", ""),
            ("trunk_mac", ""),
            ("trunk_ifname", ""),
            ("trunk_ifindex", "index "),
            ("trunk_netns_inode", "in netns "),
        ),
    )
    has_task = association.get("task_arn") or association.get("task_family")
    yield "task", label(association) if has_task else ""
    yield "", values(("task_arn", ""))
    yield "" if has_task else "task", values(("service", "service "), ("cluster", "cluster "))
    container = safe(association.get("container_id"))
    yield "container", container if width is None or len(container) + 2 <= width else container[:SHORT]
    yield "", values(("pause_name", ""))
    yield "", values(("ifname", "interface "), ("network", "network "))
    for number, text in enumerate(containers(association)):
        yield ("" if number else "shared by"), text
    yield "netns", values(("netns_inode", ""), ("netns", ""), ("pid", "pid "))
    yield "kernel", values(("observed_vlan_id", "VLAN "), ("observed_mac", ""))
    took = f"  {safe(association['took_ms'])} ms" if association.get("took_ms") is not None else ""
    yield (
        "recorded",
        values(("via", ""), ("plugin", "plugin "), ("cni_version", "CNI "), ("add_seq", "seq ")) + took,
    )
    yield "host", values(("instance_id", ""), ("boot_id", "boot "))
