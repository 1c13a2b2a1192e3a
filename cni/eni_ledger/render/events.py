"""Events as log lines. Column widths are fixed: lines are printed before the later events are read."""

from __future__ import annotations

import sys
from datetime import UTC, tzinfo

from eni_ledger.render.card import mismatch_text
from eni_ledger.render.screen import Screen
from eni_ledger.render.table import no_room
from eni_ledger.render.text import (
    addresses,
    clock,
    columns,
    container_names,
    family,
    fold,
    instance,
    label,
    mismatches,
    safe,
    short_id,
    task_id,
    zone_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

_REASONS = {
    "gc": "GC: the runtime does not list it any more",
    "rebooted": "the host was booted again",
    "verify": "its network namespace was not there any more",
}
_NO_NAMESPACE = ("boot", "checkpoint", "identify")

WIDE = 120  # from here on there is room for milliseconds
DATED = 90  # for the date on each line; below, a line of its own says when a day begins
BRANCHED = 79  # for the ENI or MAC; the task comes first
TASK = 16  # columns of the task; ``api:17/5f8a2b3d`` has 15
ROOMY = 130  # for the namespace too, whatever else there is to say

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

_INSTANCE = len("i-0123456789abcdef0")


class EventLines:
    """Formats events as lines for one screen, those of several ledgers with their `instances`."""

    def __init__(self, screen: Screen, *, instances: bool = False) -> None:
        self.screen = screen
        self._instances = instances
        width = screen.width or 1000
        self.wide, self.dated, self.branched = width >= WIDE, width >= DATED, width >= BRANCHED
        self._left_out = [] if width >= ROOMY else ["NETNS", "PID"]
        if not self.branched:
            self._left_out.insert(0, "ENI/MAC")
        self._day = ""

    def header(self) -> str:
        """Return the header: the names of the columns, below those of the columns left out for lack of space."""
        zone = zone_name(self.screen.zone)
        cells = [f"TIME ({zone})" if self.dated else f"TIME {zone}", "EVENT", "VLAN", "IP", "ENI/MAC", "TASK"]
        cells = [*self._columns(cells), *(["INSTANCE".ljust(_INSTANCE)] if self._instances else [])]
        lines = self._lines([*cells, "DETAILS"] if self.wide else cells, indent=len(cells[0]) + 1)
        lines = [self.screen.paint(line, "bold") for line in lines]
        if self._left_out:
            lines[:0] = [
                self.screen.paint(line, "dim") for line in fold(no_room(self._left_out, self.screen), self.screen.width)
            ]
        return "\n".join(lines)

    def line(self, event: Fields) -> str:
        """Return the text of one event: one line, or several on a narrow terminal.

        Of several addresses it shows the first and the number of the others. Where the date does not fit on each
        line, it stands above the first event of a day.
        """
        kind = safe(event.get("event"))
        ips = addresses(event)
        time, day = clock(event.get("ts"), self.screen.zone, milli=self.wide), ""
        if not self.dated:
            day, _, time = time.partition(" ") if " " in time else ("", "", time)
        columns = self._columns(
            [
                time,
                kind,
                safe(event.get("vlan_id")) or "-",
                (ips[0] if ips else "-") + (f" +{len(ips) - 1}" if len(ips) > 1 else ""),
                safe(_branch(event)) or "-",
                label(event) or "-",
            ]
        )
        if self._instances:
            columns.append(instance(event).ljust(_INSTANCE))
        style = "bold red" if mismatches(event) else _STYLES.get(kind, "")
        lines = self._lines(columns, indent=len(columns[0]) + 1)
        lines[-1:] = self._with_tail(lines[-1], event, indent=len(columns[0]) + 1)
        line = "\n".join(lines)
        if style:  # Only the kind is coloured: a screen full of colour says nothing.
            line = line.replace(columns[1], self.screen.paint(columns[1], style), 1)
        if day in ("", self._day):
            return line
        self._day = day
        return f"{self.screen.paint(day, 'bold')}\n{line}"

    def _lines(self, cells: list[str], indent: int) -> list[str]:
        """Return the cells in lines that the screen has room for, those after the first line further in."""
        width = self.screen.width
        lines: list[str] = []
        line = ""
        for cell in cells:
            joined = f"{line} {cell}" if line else cell
            if width is not None and line.strip() and columns(joined.rstrip()) > width:
                lines.append(line.rstrip())
                joined = " " * min(indent, max(0, width - columns(cell.rstrip()))) + cell
            line = joined
        return [*lines, line.rstrip()]

    def _with_tail(self, line: str, event: Fields, indent: int) -> list[str]:
        """Return the last line of columns with the text after them: beside them if it fits, else wrapped below.

        The namespace is left out where it does not fit: it would double the length of the log, and `show` has it.
        """
        words = remarks(event, self.screen.zone)
        namespace = "" if event.get("event") in _NO_NAMESPACE else _namespace(event)
        width, used = self.screen.width or sys.maxsize, columns(line)
        for tail in ("; ".join(part for part in (namespace, words) if part), words):
            if used + 1 + columns(tail) <= width:
                return [f"{line} {tail}".rstrip()]
        if not words:
            return [line]
        indent = min(indent, max(0, width - 30))
        return [
            line,
            *(" " * min(indent, max(0, width - columns(part))) + part for part in fold(words, width - indent)),
        ]

    def _columns(self, cells: list[str]) -> list[str]:
        """Return the cells padded to their widths, without the branch where it does not fit."""
        time, kind, vlan, ip, branch, task = cells
        time = time.ljust(23 if self.wide else 19 if self.dated else 8)
        columns = [time, kind.ljust(10), vlan.rjust(4), ip.ljust(15)]
        return [*columns, *([branch.ljust(21)] if self.branched else []), task.ljust(TASK)]


def _branch(event: Fields) -> object:
    """Return the name of the interface: its ENI ID if known, else a MAC."""
    keys = ("eni_id", "branch_mac", "observed_mac", "declared_mac")
    return next((event[key] for key in keys if event.get(key)), None)


def remarks(event: Fields, zone: tzinfo = UTC) -> str:
    """Return the details of an event that have no column, times in `zone`."""
    parts = [_about(event, zone)]
    if mismatches(event):
        parts.append("! " + mismatch_text(event))
    step = event.get("clock_step_us")
    if isinstance(step, int | float) and step:
        parts.append(f"the clock had stepped back by {abs(step) / 1e6:.3f} s")
    return "; ".join(part for part in parts if part)


def _about(event: Fields, zone: tzinfo) -> str:
    kind = event.get("event")
    if kind == "add_failed":
        code = f"error {safe(event['error_code'])}: " if event.get("error_code") is not None else ""
        return code + safe(event.get("error_msg"))
    if kind == "boot":
        unsynced = ", not synced: a power cut may have taken events before it" if event.get("sync") is False else ""
        return f"boot {safe(event.get('boot_id'))}{unsynced}"
    if kind == "checkpoint":
        live = event.get("live")
        return f"{len(live)} live" if isinstance(live, list) else ""
    if kind == "identify":
        task = f"task {task_id(event['task_arn'])}" if event.get("task_arn") else ""
        trunk = f"trunk {safe(event['trunk_eni_id'])}" if event.get("trunk_eni_id") else ""
        source = f"({safe(event['identity_source'])})" if event.get("identity_source") else ""
        names = container_names(event)
        beside = f"containers {names}" if names else ""
        return " ".join(part for part in (task, family(event), trunk, beside, source) if part)
    if kind == "import":
        error = safe(event.get("error_msg"))
        what = f"{safe(event.get('imported_event'))} of {clock(event.get('occurred_ts'), zone, named=zone is not UTC)}"
        return f"{what}: {error}" if error else what
    # Why an association was lost, and what an add put an end to.
    supersedes = event.get("supersedes")
    ended = f"supersedes {', '.join(map(short_id, supersedes))}" if isinstance(supersedes, list) else ""
    reason = safe(event.get("reason"))
    return _REASONS.get(reason, reason) or ended


def _namespace(event: Fields) -> str:
    """Return inode and PID of the namespace."""
    named = (("netns", event.get("netns_inode")), ("pid", event.get("pid")))
    return " ".join(f"{name} {safe(value)}" for name, value in named if value is not None)
