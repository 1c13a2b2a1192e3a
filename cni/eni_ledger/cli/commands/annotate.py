"""`eni-ledger annotate`: packets and flow log records, with the tasks that they come from and go to."""

from __future__ import annotations

import click

from eni_ledger.cli.annotating import Wish, annotate
from eni_ledger.cli.options import Command, reading, session_of

EXAMPLES = [
    ("tcpdump -i enp40s0 -ven | eni-ledger annotate", "live: each packet with its task and ENI"),
    ("eni-ledger annotate --date yesterday < tcpdump.txt", "what tcpdump printed yesterday: yesterday's tasks"),
    ("eni-ledger annotate --read x.pcap --write y.pcapng", "the same in the comments of packets, for Wireshark"),
    ("eni-ledger annotate --read x.pcap -o json | jq -r '.from.task_family'", "an object for each packet"),
    ("zcat flowlogs.gz | eni-ledger annotate", "VPC Flow Logs: task, family and container behind each record"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Packets and flow logs with the tasks that they are of.")
@click.option("--read", "read_from", metavar="FILE", help="Read this pcap or pcapng file; - for standard input.")
@click.option("--write", "write_to", metavar="FILE", help="Write a pcapng file with a comment for each packet and with "
              "names for addresses; - for standard output.")  # fmt: skip
@click.option("--date", "day", metavar="DAY", help="The day of the first stamp without a date: 2026-11-27, yesterday, "
              "tuesday. Default: that of the last such time.")  # fmt: skip
@click.option("--at", metavar="TIME", help="The moment of lines that have no time (tcpdump -t, -ttt, -ttttt).")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: an object a line.")
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    read_from: str | None,
    write_to: str | None,
    day: str | None,
    at: str | None,
    output: str,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Tell of each packet which task it comes from and goes to: family, revision, start of the task ID, and ENI ID, by
    VLAN tag, MAC addresses and IP addresses, as of the packet's time.

    Standard input is what tcpdump prints, with -e for VLAN tags and MAC addresses; VPC Flow Logs, in the default format
    or another one behind its header; or a capture. Lines that are none of these pass unchanged, and each line is
    passed on as it comes.

    What stands behind a packet: [from api:17/5f8a2b3d eni-0123], [to ...], both, or [VLAN 101: nobody then; ...] with
    the task that had the tag last and the one that has it next. "by address" is said where only an IP address is known
    to the ledger. A change of hands within a second of the packet is said, too: there the packet's clock decides.

    Times of tcpdump without -tt are read in the zone of --tz, else of ENI_LEDGER_TZ, else of this host, as tcpdump
    prints them.

    Exit status 3 when the capture is cut off, or the ledger damaged: all that can be told has been printed.
    """
    wish = Wish(read_from, write_to, day, at, as_json=as_json or output == "json")
    annotate(session_of(ctx, state_dir, no_color), wish)
