"""`eni-ledger who`: the associations that have or had an address, a VLAN ID, an ENI, a namespace."""

from __future__ import annotations

import click

from eni_ledger.cli.answers import who
from eni_ledger.cli.completers import live_names
from eni_ledger.cli.docker_containers import sharer
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.request import Request
from eni_ledger.render.form import Form

EXAMPLES = [
    ("eni-ledger who 10.0.32.4", "every association that had this address, the latest last"),
    ("eni-ledger who 10.0.32.4 --at 'last tuesday 03:12'", "the association that had it then (UTC)"),
    ("eni-ledger who 101 --at 2026-11-23T03:12:00Z", "VLAN ID 101, as a packet capture shows it"),
    ("eni-ledger who ecs-web-7-app-c0ffee0123456789ab", "any container of the task, by its Docker name or ID"),
    ("eni-ledger who 0a:12:34:56:78:9a", "a MAC"),
    ("eni-ledger who 4026532281 --json", "a network namespace, by its inode"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Who has or had an IP, a MAC, a VLAN ID, an ENI ...")
@click.argument("what", shell_complete=live_names)
@click.option(
    "--at",
    metavar="TIME",
    help="Only who had it at that time: RFC 3339, '2026-11-23 03:12', '03:12', '3:12pm', 'tuesday 03:12', "
    "'Nov 23 03:12:07', '2h ago', '-15m', Unix time. One to the second means any moment of that second, any other "
    "one its first moment; without a date it is the latest that is past. No zone means UTC.",
)
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"associations": [...]}, one a line.')
@reading
@click.pass_context
def command(
    ctx: click.Context, what: str, at: str | None, as_json: bool, state_dir: str | None, no_color: bool
) -> None:
    """Tell who has or had WHAT: an IP address or a CIDR, a MAC, a VLAN ID (101 or vlan101), an ENI ID, a container ID
    or a task ID, whole or its first digits as the tables print them, a task ARN, a family or family:revision, a
    service, a cluster, a trunk by its interface, an instance ID, a network namespace (its inode, net:[inode] or path),
    the PID of a pause container, or an ID as the tables print it. A kind before a colon says what it is: vlan:102,
    family:api, task:5f8a, trunk:enp40s0. A container may be any one of the task, by its ID or its Docker name, once
    identify has recorded it; as root on a host with Docker, also before. The hostname of the containers is the private
    DNS name of the ENI.

    All of these are reused, often within minutes, so there may be several answers; with --at there is one for
    each trunk, and two when it changed hands in that second. Where the clock was set back
    and showed that time again, a note says so. When WHAT fits several things all of them are given, and which field it
    is; with --json in "fitted", by association.

    Exit status 1 when there is none, 2 for what can be none of them.
    """
    session = session_of(ctx, state_dir, no_color)
    session.docker = sharer
    who(session, Request([what], at=at, form=Form("json" if as_json else "table")))
