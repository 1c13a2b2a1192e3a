"""Tables of associations: the live ones for `list`, the history for `who`."""

from __future__ import annotations

from datetime import UTC

from eni_ledger.render import table as tables
from eni_ledger.render.card import how_ended, mismatch_text, print_card
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import (
    addresses,
    clock,
    instance,
    label,
    mismatches,
    moment,
    safe,
    short_id,
    since,
    zone_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from eni_ledger.base.events import Fields
    from eni_ledger.render.screen import Screen


ENDED = {
    "del": "DEL",
    "lost": "lost",
    "superseded": "superseded",
    "rebooted": "reboot",
    "log_ends": "log ends",
}
MARK = "!"
_OTHER_COLUMNS = frozenset(("branch_mac", "declared_mac", "addresses", "gateways"))  # all else marks the VLAN


def live_table(associations: Sequence[Fields], now: datetime, *, all_ips: bool = True) -> Table:
    """Return the table of `list`: one row for each association, its age counted to `now`.

    Without `all_ips` an association shows its first address and how many more it has.
    """
    columns = [
        *_identity_columns(associations),
        Column("NETNS", right=True, drop=5),
        Column("PID", right=True, drop=6),
        Column("SINCE", right=True, drop=2),
        Column("ID", style="dim", drop=1),
    ]
    rows = []
    for association in associations:
        row = _identity_cells(association, all_ips=all_ips)
        row += [
            Cell.of(safe(association.get("netns_inode"))),
            Cell.of(safe(association.get("pid"))),
            Cell.of(since(association.get("since"), moment(association.get("as_of")) or now)),
            Cell.of(short_id(association.get("association_id"))),
        ]
        rows.append(row)
    return Table(columns, rows)


def history_table(associations: Sequence[Fields], *, narrow: bool = False, zone: tzinfo = UTC) -> Table:
    """Return the table of `who`: one row for each association with its begin, its end and what ended it, in `zone`.

    With `narrow` the time stands below the date.
    """

    def time(ts: object) -> Cell:
        text = clock(ts, zone)
        return Cell(tuple(text.split(" ", 1))) if narrow else Cell.of(text)

    columns = [
        *_identity_columns(associations),
        Column(f"FROM ({zone_name(zone)})"),
        Column(f"UNTIL ({zone_name(zone)})"),
        Column("ENDED BY", drop=3),
        Column("ID", style="dim", drop=1),
    ]
    rows = []
    for association in associations:
        live = association.get("until") is None
        rows.append(
            [
                *_identity_cells(association),
                time(association.get("since")),
                Cell.of("live", "green") if live else time(association["until"]),
                Cell.of(ENDED.get(how_ended(association), safe(association.get("ended_by")))),
                Cell.of(short_id(association.get("association_id"))),
            ]
        )
    return Table(columns, rows)


def _identity_columns(associations: Sequence[Fields]) -> list[Column]:
    """Return the columns for branch and task; the headers name what the rows hold (ENI or MAC, task or container).

    Rows of several WHATs begin with the one that they answer, `what`; rows of several ledgers with the instance.
    """
    branches = {_branch(association)[0] for association in associations} - {""}
    has_task = not associations or any(_has_task(association) for association in associations)
    return [
        *([Column("WHAT")] if associations and "what" in associations[0] else []),
        *([Column("INSTANCE")] if associations and "ledger" in associations[0] else []),
        Column("VLAN", right=True, style="bold"),
        Column("/".join(sorted(branches)) or "ENI", style="cyan", drop=4),
        Column("IP"),
        Column("TASK" if has_task else "CONTAINER", names=True),
    ]


def _identity_cells(association: Fields, *, all_ips: bool = True) -> list[Cell]:
    wrong = set(mismatches(association))
    ips = addresses(association)
    if len(ips) > 1 and not all_ips:
        ips = [f"{ips[0]} +{len(ips) - 1}"]
    return [
        *([Cell.of(safe(association["what"]))] if "what" in association else []),
        *([Cell.of(instance(association))] if "ledger" in association else []),
        _marked(safe(association.get("vlan_id")), bool(wrong - _OTHER_COLUMNS)),
        _marked(_branch(association)[1], bool(wrong & {"branch_mac", "declared_mac"})),
        _marked("\n".join(ips), bool(wrong & {"addresses", "gateways"})),
        Cell.of(label(association)),
    ]


def _marked(text: str, wrong: bool) -> Cell:
    """Return a cell with the lines of `text`, marked if the kernel shows another value."""
    if wrong:
        return Cell(tuple(f"{line}{MARK}" for line in (text or "-").split("\n")), "bold red")
    return Cell(tuple(text.split("\n"))) if text else Cell.of("")


def _branch(association: Fields) -> tuple[str, str]:
    """Return the kind of the branch's name (ENI or MAC) and the name: the ENI ID if known, else the MAC."""
    if association.get("eni_id"):
        return "ENI", safe(association["eni_id"])
    mac = association.get("branch_mac") or association.get("observed_mac") or association.get("declared_mac")
    return ("MAC", safe(mac)) if mac else ("", "")


def _has_task(association: Fields) -> bool:
    return bool(association.get("task_arn") or association.get("task_family"))


def print_live(associations: Sequence[Fields], screen: Screen, now: datetime) -> None:
    """Print the table of `list` and a line for each mismatch; a single one on a terminal is a card."""
    if len(associations) == 1 and screen.width is not None:
        print_card(associations[0], screen, now)
        return
    table = live_table(associations, now)
    if not {"NETNS", "PID"}.issuperset(tables.fitted(table, screen.width)[1]):
        # An IPv6 address beside the IPv4 address takes the width of three columns.
        table = live_table(associations, now, all_ips=False)
    tables.show(table, screen)
    _explain_marks(associations, screen)


def print_history(associations: Sequence[Fields], screen: Screen, now: datetime) -> None:
    """Print the answers of `who`: a table; cards on a terminal that is too narrow for it, and for a single answer."""
    table = _fitting_history(associations, screen)
    if screen.width is None or (len(associations) > 1 and tables.fitted(table, screen.width)[0].fits(screen.width)):
        tables.show(table, screen)
        _explain_marks(associations, screen)
        return
    for at, association in enumerate(associations):
        if at:
            screen.line()
        print_card(association, screen, now)


def _fitting_history(associations: Sequence[Fields], screen: Screen) -> Table:
    """Return the table of which more columns fit the screen, that with the time behind the date if either will do."""
    wide = history_table(associations, zone=screen.zone)
    if screen.width is None or not (lacks := tables.fitted(wide, screen.width)[1]):
        return wide
    narrow = history_table(associations, narrow=True, zone=screen.zone)
    return narrow if len(tables.fitted(narrow, screen.width)[1]) < len(lacks) else wide


def _explain_marks(associations: Sequence[Fields], screen: Screen) -> None:
    """Print what the kernel shows instead, one line for each marked association."""
    for association in associations:
        if mismatches(association):
            name = safe(association.get("association_id"))
            screen.prose(f"{MARK} {name}: {mismatch_text(association)}", "red", indent=2)


def explain_fits(what: str, fitted: dict[str, str], screen: Screen) -> None:
    """Print which field of each association matched `what`, when more than one field can match it."""
    by_field: dict[str, list[str]] = {}
    for association_id, field in fitted.items():
        by_field.setdefault(field, []).append(short_id(association_id))
    fields = "; ".join(f"{field} of {', '.join(ids)}" for field, ids in by_field.items())
    screen.prose(f"{safe(what)} fits several things: {fields}")
