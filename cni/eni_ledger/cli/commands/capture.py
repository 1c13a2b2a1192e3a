"""`eni-ledger capture`: run tcpdump for the packets of one task."""

from __future__ import annotations

import shlex

import click

from eni_ledger.base.errors import NotFound
from eni_ledger.cli.acting import enter_netns, execute, live_association, nsenter, show
from eni_ledger.cli.completers import live_names
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.desk.wire import tcpdump
from eni_ledger.desk.wire.chosen import label
from eni_ledger.kernel.recorded import trunk_interface

EXAMPLES = [
    ("eni-ledger capture api:17", "the packets of the live task of this family and revision"),
    ("eni-ledger capture 10.0.32.5 -- -w out.pcap", "into a file; eni-ledger annotate --read out.pcap names the tasks"),
    ("eni-ledger capture vlan:102 -- -c 20 port 443", "20 packets of HTTPS"),
    ("eni-ledger capture 5f8a2b3d --print", "the command that would run"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Run tcpdump for the packets of one task.")
@click.argument("what", shell_complete=live_names)
@click.argument("arguments", metavar="[-- TCPDUMP-ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
@click.option("--print", "only_print", is_flag=True, help="Print the command and run nothing.")
@click.option("--json", "as_json", is_flag=True, help='As --print, as a JSON document: {"argv": [...]}.')
@reading
@click.pass_context
def command(
    ctx: click.Context,
    what: str,
    arguments: tuple[str, ...],
    only_print: bool,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Run tcpdump on the trunk, with a filter for the VLAN ID and MAC of the live association that WHAT names; anything
    that who accepts. A whole ENI is captured in its network namespace, after checking that it is the one recorded.
    Works on this host's own ledger: a copy and the sample ledger are refused.

    [-- TCPDUMP-ARGUMENTS] are tcpdump's own options and an expression; the filter of the association goes before the
    expression. -i, -r, -V and -F are refused. The exit status is tcpdump's; 1 when nothing live has WHAT, 2 when
    several have.
    """
    session = session_of(ctx, state_dir, no_color)
    association = live_association(session, what)
    whole = association.get("protocol") == "default" or association.get("vlan_id") is None
    interface = str(association.get("ifname") or "any") if whole else trunk_interface(association)
    argv = tcpdump.command(association, interface, arguments)
    inside = nsenter(association) if whole else []
    if only_print or as_json:
        show(session, association, [*inside, *argv], as_json=as_json)
        return
    session.screen.note(f"{label(association)}: {shlex.join(argv)}")
    if whole:
        enter_netns(association)
    try:
        execute(argv)
    except NotFound as exc:
        raise NotFound("tcpdump is not installed", "", "eni-ledger capture ... --print") from exc
