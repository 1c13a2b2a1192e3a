"""`eni-ledger install`: in front of the ECS agent's plugins, or into a CNI conflist."""

from __future__ import annotations

import json
from typing import Any

import click

from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.installing import Group, absolute, print_report, screen_of, tree_at
from eni_ledger.cli.options import Command, colour_option
from eni_ledger.install import conflist
from eni_ledger.install.bundle import find
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.service import InstallReport, install_cni, install_ecs
from eni_ledger.install.trial_docker import DockerEngine

EXAMPLES = [
    ("eni-ledger install ecs --dry-run", "the steps on this host of the ECS agent, and whether the bundle runs there"),
    ("eni-ledger install ecs --restart", "do it, and restart the agent so that it takes effect"),
    ("eni-ledger install cni --conflist /etc/cni/net.d/10-net.conflist", "record what a containerd or CRI-O host does"),
]
ECS_EXAMPLES = [
    ("eni-ledger install ecs --dry-run", "every step, and none of them taken"),
    ("eni-ledger install ecs --restart", "install or upgrade; tasks go on running, and so do those that start"),
    ("eni-ledger install ecs --root /mnt/image", "in the tree of an image"),
]
CNI_EXAMPLES = [
    ("eni-ledger install cni", "where the runtime finds it; prints the entry for the conflist"),
    (
        "eni-ledger install cni --conflist /etc/cni/net.d/10-net.conflist",
        "also adds the entry, after the other plugins",
    ),
]

bundle_option = click.option(
    "--bundle", "bundle_dir", metavar="DIR", help="The bundle to install. Default: the one that this program is from."
)


@click.group(cls=Group, examples=EXAMPLES, invoke_without_command=True, short_help="Put eni-ledger to work here.")
@click.option("--json", "as_json", is_flag=True, help="Print the names of the subcommands as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Put eni-ledger where the container runtime calls it.

    install does only what is missing: run it again after an interruption, or to upgrade. `eni-ledger uninstall`
    restores what was there before.
    """
    if ctx.invoked_subcommand is None:
        command.print_help(ctx, as_json=as_json)


@command.command("ecs", cls=Command, examples=ECS_EXAMPLES, short_help="In front of the ECS agent's plugins.")
@click.option("--root", metavar="DIR", default="/", help="Work on the tree in DIR, for an image, not on this host.")
@click.option("--dry-run", is_flag=True, help="Print the steps and take none.")
@click.option("--restart", is_flag=True, help="Restart the agent if it runs, so that it takes effect now.")
@click.option("--no-proof", is_flag=True, help="Go on without showing that the bundle runs in the agent's container.")
@form_options
@bundle_option
@colour_option
@click.pass_context
def ecs(
    ctx: click.Context,
    /,
    root: str,
    dry_run: bool,
    restart: bool,
    no_proof: bool,
    bundle_dir: str | None,
    no_color: bool,
    **options: Any,
) -> None:
    """Stand in front of vpc-branch-eni, vpc-eni and ecs-eni, which the ECS agent calls by file name.

    The bundle goes to /var/lib/ecs/data/eni-ledger, mounted in the agent's container at /data/eni-ledger;
    ECS_CNI_PLUGINS_PATH in /etc/ecs/ecs.config names its directory of plugins. Before it changes anything,
    install runs the bundle as that container would: in a mount namespace, and if Docker answers also in a container.
    A dry run that cannot run this trial says so and prints the steps all the same.
    If ecs.config already names a plugin directory, eni-ledger calls the plugins there.
    """
    tree = tree_at(root)
    report = InstallReport(dry_run=dry_run, root=tree.root)
    install_ecs(tree, find(bundle_dir), Agent(), DockerEngine(), report, prove=not no_proof, restart=restart)
    print_report(screen_of(ctx, no_color), report, "installed", form=form_of(options))


@command.command("cni", cls=Command, examples=CNI_EXAMPLES, short_help="Among a CNI runtime's plugins.")
@click.option(
    "--bin-dir",
    metavar="DIR",
    help="Where the runtime looks for plugins. Default: where the conflist's others are, if that is one directory.",
)
@click.option("--conflist", "path", metavar="FILE", help="Add eni-ledger to the plugins of this conflist.")
@click.option("--root", metavar="DIR", default="/", help="Work on the tree in DIR, for an image, not on this host.")
@click.option("--dry-run", is_flag=True, help="Print the steps and take none.")
@form_options
@bundle_option
@colour_option
@click.pass_context
def chained(
    ctx: click.Context,
    /,
    bin_dir: str | None,
    path: str | None,
    root: str,
    dry_run: bool,
    bundle_dir: str | None,
    no_color: bool,
    **options: Any,
) -> None:
    """Put the bundle into /opt/eni-ledger and a link to it where the runtime looks for plugins.

    A package has already put the bundle there. With --conflist, install adds {"type": "eni-ledger"} to the end of the
    file's plugins; without it, install prints that entry. The runtime reads the file for the next container. The plugin
    directory comes from the configuration of containerd, CRI-O, podman and nerdctl; a directory that none of them uses
    is created only when --bin-dir names it.
    """
    tree = tree_at(root)
    report = InstallReport(dry_run=dry_run, root=tree.root)
    inside = absolute(path, "--conflist") if path is not None else None
    directory = absolute(bin_dir, "--bin-dir") if bin_dir is not None else None
    install_cni(tree, find(bundle_dir), report, bin_dir=directory, path=inside)
    if path is None:
        report.notes.append(f'the last of a conflist\'s "plugins" has to be: {json.dumps(conflist.FRAGMENT)}')
    print_report(screen_of(ctx, no_color), report, "installed", form=form_of(options))
