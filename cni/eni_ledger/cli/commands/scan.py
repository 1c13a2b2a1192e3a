"""`eni-ledger scan`: the ENIs and branches that the kernel has now, without the ledger."""

from __future__ import annotations

import os
from typing import Any

import click

from eni_ledger.base.config import load
from eni_ledger.cli.asking import form_options, request_of
from eni_ledger.cli.options import Command, colour_option, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.render.table import Cell, Column, Table, show
from eni_ledger.render.text import addresses, label, safe, size

EXAMPLES = [
    ("eni-ledger scan", "primary ENI, trunks, and the branches in all network namespaces"),
    (
        "eni-ledger scan -o json | jq '.interfaces[] | select(.problem)'",
        "what is down",
    ),
    (
        "eni-ledger scan --no-identity",
        "without asking agent.db, Docker and the metadata service",
    ),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="What the kernel has now: ENIs, trunks, branches.")
@click.option("--no-identity", is_flag=True, help="Ask no source for ENI IDs, tasks and containers.")
@form_options
@colour_option
@click.pass_context
def command(ctx: click.Context, /, no_identity: bool, no_color: bool, **options: Any) -> int:
    """List the ENIs of this host and the branches in all network namespaces as the kernel has them now, with state,
    counters, container and task. The ledger is not read: eni-ledger verify compares the two.

    Exit status 1 when something is down, or when a namespace could not be read.
    """
    from eni_ledger.desk.interfaces import identify, interfaces  # loads pyroute2, which `scan --help` does without
    from eni_ledger.identity.identify import make
    from eni_ledger.identity.imds import Imds
    from eni_ledger.kernel.scan import scan

    session = session_of(ctx, None, no_color)
    form = request_of((), options).form
    found = scan()
    rows = interfaces(found)
    problems = []
    if not no_identity:
        sources = make(("agent-db", "docker"), agent_db=load(None, os.environ).agent_db)
        problems = identify(rows, sources, Imds(timeout_s=1.0))
    document: dict[str, Any] = {"interfaces": rows, "unreadable": found.unreadable}
    print_document(session.screen, form, document, show=lambda rows: show(_table(rows), session.screen))
    session.screen.flush()
    for text in [*problems, *(f"not read: {path}" for path in found.unreadable)]:
        session.screen.note(f"note: {safe(text)}")
    if form.output != "json":
        for row in rows:
            if row.get("problem"):
                session.screen.note(f"{safe(row['ifname'])}: {safe(row['problem'])}")
    return int(bool(found.unreadable) or any(row.get("problem") for row in rows))


def _table(rows: list[dict[str, Any]]) -> Table:
    columns = [
        Column("ROLE"),
        Column("VLAN", right=True, style="bold"),
        Column("INTERFACE"),
        Column("ENI/MAC", style="cyan"),
        Column("IP"),
        Column("TASK/CONTAINER"),
        Column("STATE", drop=2),
        Column("RECEIVED", right=True, drop=3),
        Column("SENT", right=True, drop=3),
        Column("NETNS", right=True, drop=4),
        Column("PID", right=True, drop=5),
    ]
    return Table(columns, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[Cell]:
    counters = row.get("counters") or {}
    down = bool(row.get("problem"))
    return [
        Cell.of(row["role"]),
        Cell.of(safe(row.get("vlan_id"))),
        Cell.of(safe(row.get("ifname"))),
        Cell.of(safe(row.get("eni_id") or row.get("branch_mac"))),
        Cell.of(next(iter(addresses(row)), "")),
        Cell.of(label(row)),
        Cell.of(safe(row.get("state")), "bold red" if down else ""),
        Cell.of(size(counters["rx_bytes"]) if "rx_bytes" in counters else ""),
        Cell.of(size(counters["tx_bytes"]) if "tx_bytes" in counters else ""),
        Cell.of(safe(row.get("netns_inode"))),
        Cell.of(safe(row.get("pid"))),
    ]
