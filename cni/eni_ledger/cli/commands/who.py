"""`eni-ledger who`: the associations that have or had an address, a VLAN ID, an ENI, a namespace."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.cli.answers import who
from eni_ledger.cli.asking import filter_options, form_options, request_of, time_options, whats_argument
from eni_ledger.cli.docker_containers import sharer
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import present

EXAMPLES = [
    ("eni-ledger who 10.0.32.4", "every association that had this address, the latest last"),
    ("eni-ledger who 10.0.32.4 --at 'last tuesday 03:12'", "the association that had it then"),
    ("eni-ledger who 10.0.32.4 --since 03:00 --until 03:30", "all that had it at any moment of that half hour"),
    ("eni-ledger who 10.0.32.4 10.0.32.5 --at '03:12 Europe/Berlin'", "two addresses, at a time of another zone"),
    ("eni-ledger who - --since -1d --json", "a column of addresses on standard input"),
    ("eni-ledger who 10.0.32.4 --family 'api*'", "only of these families"),
    ("eni-ledger who 101 --at 2026-11-23T03:12:00Z", "VLAN ID 101, as a packet capture shows it"),
    ("eni-ledger who ecs-web-7-app-c0ffee0123456789ab", "any container of the task, by its Docker name or ID"),
    ("eni-ledger who 0a:12:34:56:78:9a", "a MAC"),
    ("eni-ledger who 4026532281 --json", "a network namespace, by its inode"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Who has or had an IP, a MAC, a VLAN ID, an ENI ...")
@whats_argument(required=True)
@time_options
@filter_options
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context, /, what: tuple[str, ...], state_dir: str | None, no_color: bool, **options: Any
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

    Several WHATs are answered at once, and the answers say which of them they are of; - reads them from standard
    input: the first word of each line; empty lines, what follows #, and a mere - are passed over. When nobody had it
    at that time, the answer is who had it last and who had it next; with --json in "before" and "after".

    Exit status 1 when there is no answer for one WHAT; 2 when a line of standard input can be no WHAT: it is named, and
    all others are answered; 2 without an answer for an argument that can be none of the above.
    """
    session = session_of(ctx, state_dir, no_color)
    session.docker = sharer
    who(session, request_of(what, options), present)
