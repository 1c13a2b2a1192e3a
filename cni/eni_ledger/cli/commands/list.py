"""`eni-ledger list`: the live associations, now or at a given time."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.cli.answers import live
from eni_ledger.cli.asking import filter_options, form_options, request_of, time_options, whats_argument
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import present
from eni_ledger.cli.watch import SECONDS, watch

EXAMPLES = [
    ("eni-ledger list", "the branch ENIs of this host and their tasks"),
    ("eni-ledger list --at 'yesterday 03:12'", "live at that moment, with tasks that have ended since"),
    ("eni-ledger list --since 03:00 --until 03:30", "live at any moment of that half hour"),
    ("eni-ledger list --at 03:12 --tz Europe/Berlin", "the same question in the time of another zone"),
    ("eni-ledger list 10.0.32.5 vlan:102", "those that have this address or that VLAN ID"),
    ("eni-ledger list --family 'api*' --mismatch", "of these families, where the kernel shows another value"),
    ("eni-ledger list --watch=5", "the same list every 5 seconds, what is new in bold"),
    ("eni-ledger list --sort -since --limit 10 -o wide", "the ten latest, with all columns"),
    ("eni-ledger list --columns VLAN,TASK,addresses -o csv", "for a spreadsheet"),
    ("eni-ledger list --query 'associations[?vlan_id==`102`].task_arn' -o text", "as with the AWS CLI"),
    ("eni-ledger list --group-by family", "how many of each family"),
    ("eni-ledger list --json | jq -r '.associations[].addresses[]'", "every IP address in use"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="What is live now, or was at some time.")
@whats_argument(required=False)
@time_options
@filter_options
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=SECONDS,
    type=click.FloatRange(min=0.1),
    help="Print it again every 2 or so many seconds until ^C; what has changed is bold.",
)
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context, /, what: tuple[str, ...], state_dir: str | None, no_color: bool, **options: Any
) -> None:
    """List the live associations: VLAN, branch ENI (its MAC while the ENI ID is not known), IP addresses, task
    (or container), inode of the network namespace, PID of the pause container, age. With WHAT, as with who, only those
    that it fits; - reads WHATs from standard input. With --at what was live then, with --since and --until whatever
    was live at any moment of the interval.

    A value marked ! was declared to the plugin, but the kernel shows another. Where the clock was set back and showed
    the time of --at again, a note says so. A filter may be given several times, one of its patterns has to fit, and
    all filters have to. --event selects associations that such an event began or ended.

    Exit status 0, even when nothing is live; 1 when one WHAT fits nothing, and for a time before the ledger begins; 2
    when a line of standard input can be no WHAT: it is named, and all others are answered.
    """
    seconds, request = options.pop("watch"), request_of(what, options)

    def draw() -> None:
        session = session_of(ctx, state_dir, no_color)
        try:
            live(session, request, present)
        finally:
            session.close()

    if seconds is None:
        draw()
    else:
        watch(draw, seconds)
