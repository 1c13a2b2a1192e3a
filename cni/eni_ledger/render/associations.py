"""Associations as tables: who has what now, who had it when."""

from __future__ import annotations

from eni_ledger.render import table as tables
from eni_ledger.render.card import how_ended, mismatch_text, print_card
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import SHORT, addresses, clock, family, mismatches, safe, short_id, since, task_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from eni_ledger.render.screen import Screen

    Association = dict[str, Any]

ENDED = {
    "del": "DEL",
    "lost": "lost",
    "superseded": "superseded",
    "rebooted": "reboot",
    "log_ends": "log ends",
}
MARK = "!"


def live_table(found: list[Association], now: datetime, *, all_ips: bool = True) -> Table:
    """Return the table of `list`: one row for each association, its age counted to `now`.

    Without `all_ips` an association shows its first address and how many more it has.
    """
    families = any(one.get("task_family") for one in found)
    columns = _identity_columns(found)
    if families:
        columns.append(Column("FAMILY", drop=5))
    columns += [
        Column("NETNS", right=True, drop=2),
        Column("PID", right=True, drop=4),
        Column("SINCE", right=True),
        Column("ID", style="dim"),
    ]
    rows = []
    for one in found:
        row = _identity_cells(one, all_ips=all_ips)
        if families:
            row.append(Cell.of(family(one)))
        row += [
            Cell.of(safe(one.get("netns_inode"))),
            Cell.of(safe(one.get("pid"))),
            Cell.of(since(one.get("since"), now)),
            Cell.of(short_id(one.get("association_id"))),
        ]
        rows.append(row)
    return Table(columns, rows)


def history_table(found: list[Association], *, narrow: bool = False) -> Table:
    """Return the table of `who`: one row for each association, from when until when, and how it ended.

    A `narrow` one has the time below the date.
    """

    def time(ts: object) -> Cell:
        text = clock(ts)
        return Cell(tuple(text.split(" ", 1))) if narrow else Cell.of(text)

    columns = [
        *_identity_columns(found),
        Column("FROM (UTC)"),
        Column("UNTIL (UTC)"),
        Column("ENDED BY", drop=1),
        Column("ID", style="dim"),
    ]
    rows = []
    for one in found:
        live = "until" not in one
        rows.append(
            [
                *_identity_cells(one),
                time(one.get("since")),
                Cell.of("live", "green") if live else time(one["until"]),
                Cell.of(ENDED.get(how_ended(one), safe(one.get("ended_by")))),
                Cell.of(short_id(one.get("association_id"))),
            ]
        )
    return Table(columns, rows)


def _identity_columns(found: list[Association]) -> list[Column]:
    """Return the columns that say which branch and whose; their headers name what the values really are."""
    branches = {_branch(one)[0] for one in found} - {""}
    owners = {_owner(one)[0] for one in found} - {""}
    return [
        Column("VLAN", right=True, style="bold"),
        Column("/".join(sorted(branches)) or "ENI", style="cyan", drop=3 if branches == {"MAC"} else 1),
        Column("IP"),
        Column(owners.pop() if len(owners) == 1 else "OWNER"),
    ]


def _identity_cells(one: Association, *, all_ips: bool = True) -> list[Cell]:
    wrong = set(mismatches(one))
    ips = addresses(one)
    if len(ips) > 1 and not all_ips:
        ips = [f"{ips[0]} +{len(ips) - 1}"]
    return [
        _marked(safe(one.get("vlan_id")), bool(wrong - {"branch_mac", "declared_mac", "addresses", "gateways"})),
        _marked(_branch(one)[1], bool(wrong & {"branch_mac", "declared_mac"})),
        _marked("\n".join(ips), bool(wrong & {"addresses", "gateways"})),
        Cell.of(_owner(one)[1]),
    ]


def _marked(text: str, wrong: bool) -> Cell:
    """Return a cell of the lines of `text`; marked when it is not what the kernel shows."""
    if wrong:
        return Cell(tuple(f"{line}{MARK}" for line in (text or "-").split("\n")), "bold red")
    return Cell(tuple(text.split("\n"))) if text else Cell.of("")


def _branch(one: Association) -> tuple[str, str]:
    """Return what names the branch, ENI ID or else MAC, and which of the two it is."""
    if one.get("eni_id"):
        return "ENI", safe(one["eni_id"])
    mac = one.get("branch_mac") or one.get("observed_mac") or one.get("declared_mac")
    return ("MAC", safe(mac)) if mac else ("", "")


def _owner(one: Association) -> tuple[str, str]:
    """Return what names the owner, task or else container, shortened, and which of the two it is."""
    if one.get("task_arn"):
        return "TASK", task_id(one["task_arn"])[:SHORT]
    container = safe(one.get("container_id"))
    return ("CONTAINER", container[:SHORT]) if container else ("", "")


def print_live(found: list[Association], screen: Screen, now: datetime) -> None:
    """Print the table of `list` and what has to be said about it."""
    table = live_table(found, now)
    if not {"FAMILY", "PID"}.issuperset(tables.fitted(table, screen.width)[1]):
        # An IPv6 address beside the IPv4 one takes the room of three columns.
        table = live_table(found, now, all_ips=False)
    tables.show(table, screen)
    _explain_marks(found, screen)


def print_history(found: list[Association], screen: Screen, now: datetime) -> None:
    """Print the answers of `who`: a table, or cards on a terminal that is too narrow for it."""
    both = [history_table(found, narrow=narrow) for narrow in (False, True)]
    lacks = [len(tables.fitted(table, screen.width)[1]) for table in both]
    best = both[lacks[1] < lacks[0]]
    # a single one on a narrow terminal: a card says more in the same room
    if lacks[0] == 0 or (len(found) > 1 and tables.fitted(best, screen.width)[0].fits(screen.width)):
        tables.show(best, screen)
        _explain_marks(found, screen)
        return
    for at, one in enumerate(found):
        if at:
            screen.line()
        print_card(one, screen, now)


def _explain_marks(found: list[Association], screen: Screen) -> None:
    """Say what the marks in the table mean, one line for each marked association."""
    for one in found:
        if mismatches(one):
            name = safe(one.get("association_id"))
            screen.line(screen.paint(f"{MARK} {name}: {mismatch_text(one)}", "red"))


def explain_fits(what: str, fitted: dict[str, str], screen: Screen) -> None:
    """Say which field of each association is what was asked for, when it may be several things."""
    by_field: dict[str, list[str]] = {}
    for one, field in fitted.items():
        by_field.setdefault(field, []).append(short_id(one))
    fields = "; ".join(f"{field} of {', '.join(ids)}" for field, ids in by_field.items())
    screen.line(f"{safe(what)} fits several things: {fields}")
