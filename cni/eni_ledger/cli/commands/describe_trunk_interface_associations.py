"""`eni-ledger describe-trunk-interface-associations`: the answer of EC2, in the form of the AWS CLI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, StateDirError, UsageError
from eni_ledger.cli.damage import Answer, ask, is_live, was_live
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.session import Session
from eni_ledger.desk.ec2 import associations, cli_output, shorthand
from eni_ledger.desk.ec2.pages import SMALLEST, Pages, page_of
from eni_ledger.desk.ec2.refusals import Refused
from eni_ledger.ledger.query import coverage

USAGE, CONFIGURATION, SERVICE, GENERAL = 252, 253, 254, 255
_MANY = ("--filters", "--association-ids")
_WIDTH = 80
NAME = "describe-trunk-interface-associations"
EXAMPLES = [
    (f"eni-ledger {NAME}", "the branches that are live now"),
    (f"eni-ledger {NAME} --filters Name=vlan-id,Values=101", "which branch has the VLAN ID"),
    (f"eni-ledger {NAME} --filters 'Name=tag:eni-ledger:task-family,Values=api*' --output table", "of some families"),
    (
        f"eni-ledger {NAME} --at 'yesterday 03:12' --query 'InterfaceAssociations[].VlanId' --output text",
        "at that time",
    ),
]


class AwsCommand(Command):
    """A command with the exit statuses of the AWS CLI 2, whose lists take several values behind one option."""

    usage_status = USAGE

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`; the arguments behind `--filters` and `--association-ids` up to the next option are values."""
        with _statuses():
            return super().parse_args(ctx, list(_spread(args)))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _statuses():
            return super().invoke(ctx)


def _spread(args: list[str]) -> Iterator[str]:
    """Yield `args` with the option repeated before each further value of a list."""
    option, fresh = "", False
    for arg in args:
        if arg.startswith("-"):
            option, fresh = (arg, True) if arg in _MANY else ("", False)
        elif option and not fresh:
            yield option
        else:
            fresh = False
        yield arg


@contextmanager
def _statuses() -> Iterator[None]:
    """Give an error the exit status that the AWS CLI 2 has for its like."""
    try:
        yield
    except (Refused, LedgerDamaged) as exc:
        exc.status = SERVICE
        raise
    except UsageError as exc:
        exc.status = USAGE
        raise
    except StateDirError as exc:
        exc.status = CONFIGURATION
        raise
    except EniLedgerError as exc:
        exc.status = exc.status or GENERAL
        raise


@click.command(NAME, cls=AwsCommand, examples=EXAMPLES, short_help="EC2's answer about trunks, from the ledger.")
@click.option("--association-ids", metavar="ID ...", multiple=True, help="Only these associations.")
@click.option(
    "--filters",
    metavar="Name=,Values= ...",
    multiple=True,
    help="Only associations for which each filter has one of its values: Name=NAME,Values=VALUE,VALUE, or JSON.",
)
@click.option("--max-items", metavar="N", type=click.IntRange(min=0), help="At most N, and how to go on in NextToken.")
@click.option("--starting-token", metavar="TOKEN", help="Go on from a NextToken.")
@click.option(
    "--page-size",
    metavar="N",
    type=click.IntRange(min=SMALLEST),
    help="Items of a page, from 5; --query with --output text is applied to each page.",
)
@click.option("--query", metavar="JMESPATH", help="Print what this JMESPath expression selects.")
@click.option(
    "--output",
    "-o",
    metavar="FORM",
    type=click.Choice(cli_output.OUTPUTS),
    default="json",
    help=", ".join(cli_output.OUTPUTS) + ".",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@click.option("--at", metavar="TIME", help="What was associated at that time; to the second: at any moment of it.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    association_ids: tuple[str, ...],
    filters: tuple[str, ...],
    max_items: int | None,
    starting_token: str | None,
    page_size: int | None,
    query: str | None,
    output: str,
    as_json: bool,
    at: str | None,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Print what `aws ec2 describe-trunk-interface-associations` would, which AWS answers to its own services only.

    Filters are interface-protocol and gre-key, as EC2 has them, and vlan-id, branch-interface-id, trunk-interface-id,
    mac-address, private-ip-address, task-arn and tag:KEY. In a value * stands for any text, ? for one character, and
    a backslash before them for themselves; upper and lower case differ.

    What the ledger does not know, such as the ID of the trunk ENI, is absent; an ENI that a task has whole is in no
    trunk. AssociationId is the ledger's, assoc-..., where EC2's begin with trunk-assoc-. Facts of the task are tags:
    eni-ledger:task-arn, task-family, task-revision, service, cluster, container-id, instance-id, since, until.

    Exit status as of the AWS CLI 2: 0, also for no association; 252 for a command line that cannot be understood; 253
    when there is no ledger; 254 for what EC2 would refuse, such as a filter that does not exist, and for a damaged
    ledger, of which what is proven has been printed; 255 for other errors.
    """
    session = session_of(ctx, state_dir, no_color)
    wanted, select = shorthand.filters(filters), cli_output.selection(query)
    answer, missing = _ask(session, at)
    chosen = associations.choose(answer.associations, association_ids, wanted)
    pages = Pages(
        lambda token, size: page_of(chosen, token, size),
        max_items=max_items,
        starting_token=starting_token,
        page_size=page_size,
    )
    session.introduce(as_json=True)
    session.screen.utf8()
    for text in cli_output.printed(
        pages,
        associations.item_of,
        operation=associations.OPERATION,
        result=associations.RESULT,
        output="json" if as_json else output,
        select=select,
        width=session.screen.width or _WIDTH,
    ):
        session.screen.write(text)
    if error := answer.damage or missing:
        raise error


def _ask(session: Session, at: str | None) -> tuple[Answer, EniLedgerError | None]:
    """Return what was live, and the error for a time before the ledger begins."""
    times = session.times(at, "--at")
    with session.history() as history:
        if times is None:
            return ask(history, history.live, is_live), None
        answer = ask(history, lambda: history.find(first=times[0], last=times[1]), was_live(*times))
        nothing = not answer.associations and not answer.damage
        return answer, coverage.unknown(history, times[1], session.zone) if nothing else None
