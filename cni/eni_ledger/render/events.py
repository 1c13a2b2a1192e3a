"""Events as lines of a log. The widths are fixed: a log is printed while it is read, and may be followed."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from eni_ledger.render.card import mismatch_text
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import SHORT, addresses, clock, family, mismatches, safe, short_id, task_id

_REASONS = {
    "gc": "GC: the runtime does not list it any more",
    "rebooted": "the host was booted again",
    "verify": "its network namespace was not there any more",
}
_NO_NAMESPACE = ("boot", "checkpoint", "identify")

WIDE = 110  # from here on there is room for milliseconds and the owner

_STYLES = {
    "add": "green",
    "adopt": "green",
    "del": "yellow",
    "lost": "red",
    "add_failed": "bold red",
    "boot": "cyan",
    "checkpoint": "dim",
    "identify": "cyan",
}


class EventLines:
    """Turns events into lines for one screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.wide = screen.width is None or screen.width >= WIDE

    def header(self) -> str:
        """Return the line above the first event."""
        cells = ["TIME (UTC)", "EVENT", "VLAN", "IP", "ENI/MAC", "OWNER"]
        return self.screen.paint(" ".join([*self._columns(cells), "DETAILS" if self.wide else ""]).rstrip(), "bold")

    def line(self, event: dict[str, Any]) -> str:
        """Return what is printed for one event: a line, and more of them when a terminal is too narrow for it.

        Of several addresses it has the first and how many more there are.
        """
        kind = safe(event.get("event"))
        ips = addresses(event)
        owner = task_id(event["task_arn"]) if event.get("task_arn") else safe(event.get("container_id"))
        columns = self._columns(
            [
                clock(event.get("ts"), milli=self.wide),
                kind,
                safe(event.get("vlan_id")) or "-",
                (ips[0] if ips else "-") + (f" +{len(ips) - 1}" if len(ips) > 1 else ""),
                safe(event.get("eni_id") or event.get("branch_mac")) or "-",
                owner[:SHORT] or "-",
            ]
        )
        style = "bold red" if mismatches(event) else _STYLES.get(kind, "")
        tail = self._tail(event, len(" ".join(columns)), indent=len(columns[0]) + 1)
        # Only the kind is coloured: a screen full of colour says nothing.
        columns[1] = self.screen.paint(columns[1], style) if style else columns[1]
        return (" ".join(columns) + tail).rstrip()

    def _tail(self, event: dict[str, Any], used: int, indent: int) -> str:
        """Return what follows the columns: on the same line if there is room, else below, broken between words.

        The namespace is left out where there is no room for it: `show` has it, and it would double the log.
        """
        words, namespace = remarks(event), "" if event.get("event") in _NO_NAMESPACE else _namespace(event)
        both = "; ".join(part for part in (namespace, words) if part)
        width = self.screen.width
        if width is None or used + 1 + len(both) <= width:
            return f" {both}"
        if used + 1 + len(words) <= width:
            return f" {words}"
        lines = wrap(words, max(20, width - indent))
        return "".join(f"\n{' ' * indent}{line}" for line in lines)

    def _columns(self, cells: list[str]) -> list[str]:
        """Return the cells at their widths; the owner only where there is room for it."""
        time, kind, vlan, ip, branch, owner = cells
        time = time.ljust(23 if self.wide else 19)
        columns = [time, kind.ljust(10), vlan.rjust(4), ip.ljust(15), branch.ljust(21)]
        return [*columns, owner.ljust(SHORT)] if self.wide else columns


def remarks(event: dict[str, Any]) -> str:
    """Return what is worth saying of an event beyond its fields."""
    parts = [_about(event)]
    if mismatches(event):
        parts.append("! " + mismatch_text(event))
    step = event.get("clock_step_us")
    if isinstance(step, int | float) and step:
        parts.append(f"the clock had stepped back by {abs(step) / 1e6:.3f} s")
    return "; ".join(part for part in parts if part)


def _about(event: dict[str, Any]) -> str:
    kind = event.get("event")
    if kind == "add_failed":
        code = f"error {safe(event['error_code'])}: " if event.get("error_code") is not None else ""
        return code + safe(event.get("error_msg"))
    if kind == "boot":
        return f"boot {safe(event.get('boot_id'))}"
    if kind == "checkpoint":
        live = event.get("live")
        return f"{len(live)} live" if isinstance(live, list) else ""
    if kind == "identify":
        task = f"task {task_id(event['task_arn'])}" if event.get("task_arn") else ""
        trunk = f"trunk {safe(event['trunk_eni_id'])}" if event.get("trunk_eni_id") else ""
        told = f"({safe(event['identity_source'])})" if event.get("identity_source") else ""
        return " ".join(part for part in (task, family(event), trunk, told) if part)
    if kind == "import":
        error = safe(event.get("error_msg"))
        what = f"{safe(event.get('imported_event'))} of {clock(event.get('occurred_ts'))}"
        return f"{what}: {error}" if error else what
    # Why an association was lost, and what an add put an end to.
    supersedes = event.get("supersedes")
    ended = f"supersedes {', '.join(map(short_id, supersedes))}" if isinstance(supersedes, list) else ""
    reason = safe(event.get("reason"))
    return _REASONS.get(reason, reason) or ended


def _namespace(event: dict[str, Any]) -> str:
    """Return inode and PID of the namespace."""
    named = (("netns", event.get("netns_inode")), ("pid", event.get("pid")))
    return " ".join(f"{name} {safe(value)}" for name, value in named if value is not None)
