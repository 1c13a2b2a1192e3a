"""`eni-ledger uninstall`: restore what `eni-ledger install` changed."""

from __future__ import annotations

from typing import Any

import click

from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.installing import Group, absolute, print_report, screen_of, tree_at
from eni_ledger.cli.options import Command, colour_option
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.service import InstallReport, uninstall_cni, uninstall_ecs

EXAMPLES = [
    ("eni-ledger uninstall ecs --restart", "out of the ECS agent's way; the ledger stays"),
    ("eni-ledger uninstall cni", "out of the directory of plugins and the conflist"),
]
ECS_EXAMPLES = [
    ("eni-ledger uninstall ecs --restart", "in one go; the ledger stays"),
    ("eni-ledger uninstall ecs --purge --restart", "the ledger too"),
]
CNI_EXAMPLES = [
    ("eni-ledger uninstall cni --dry-run", "every step, and none of them taken"),
    ("eni-ledger uninstall cni --purge", "the ledger too"),
]


@click.group(cls=Group, examples=EXAMPLES, invoke_without_command=True, short_help="Put everything back.")
@click.option("--json", "as_json", is_flag=True, help="Print the names of the subcommands as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Restore what `eni-ledger install` changed: lines, links and files, byte for byte."""
    if ctx.invoked_subcommand is None:
        command.print_help(ctx, as_json=as_json)


@command.command("ecs", cls=Command, examples=ECS_EXAMPLES, short_help="Out of the ECS agent's way.")
@click.option("--purge", is_flag=True, help="Remove the ledger too, and configuration that was changed by hand.")
@click.option("--root", metavar="DIR", default="/", help="Work on the tree in DIR, for an image, not on this host.")
@click.option("--dry-run", is_flag=True, help="Print the steps and take none.")
@click.option("--restart", is_flag=True, help="Restart the agent if it still calls eni-ledger.")
@form_options
@colour_option
@click.pass_context
def ecs(
    ctx: click.Context, /, purge: bool, root: str, dry_run: bool, restart: bool, no_color: bool, **options: Any
) -> None:
    """Restore /etc/ecs/ecs.config, and remove eni-ledger once the running agent no longer needs it.

    The agent reads its configuration only when it starts. Until its restart it calls eni-ledger's plugins, so they
    stay; use --restart, or run this again later. The ledger stays in /var/lib/ecs/data/eni-ledger/state.
    """
    tree = tree_at(root)
    report = InstallReport(dry_run=dry_run, root=tree.root)
    uninstall_ecs(tree, Agent(), report, purge=purge, restart=restart)
    print_report(screen_of(ctx, no_color), report, "uninstalled", form=form_of(options))


@command.command("cni", cls=Command, examples=CNI_EXAMPLES, short_help="Out of a CNI runtime's way.")
@click.option("--purge", is_flag=True, help="Remove the ledger in the state directory too.")
@click.option("--root", metavar="DIR", default="/", help="Work on the tree in DIR, for an image, not on this host.")
@click.option("--dry-run", is_flag=True, help="Print the steps and take none.")
@click.option(
    "--conf-dir", "conf_dirs", metavar="DIR", multiple=True, help="Look for callers here, not where the runtimes read."
)
@click.option("--force", is_flag=True, help="Go on when a network configuration still calls eni-ledger.")
@form_options
@colour_option
@click.pass_context
def chained(
    ctx: click.Context,
    /,
    purge: bool,
    root: str,
    dry_run: bool,
    conf_dirs: tuple[str, ...],
    force: bool,
    no_color: bool,
    **options: Any,
) -> None:
    """Restore the conflists and the plugin directory. The ledger stays where it is.

    A network configuration that calls eni-ledger and was not changed by `install cni` would fail afterwards: uninstall
    then does nothing, unless --force is given. --conf-dir can be given several times.
    """
    tree = tree_at(root)
    report = InstallReport(dry_run=dry_run, root=tree.root)
    directories = [absolute(directory, "--conf-dir") for directory in conf_dirs] or None
    uninstall_cni(tree, report, purge=purge, conf_dirs=directories, force=force)
    print_report(screen_of(ctx, no_color), report, "uninstalled", form=form_of(options))
