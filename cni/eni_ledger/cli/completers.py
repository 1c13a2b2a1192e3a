"""What a shell is offered for an argument: what is live now. Nothing at all when that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.cli.options import Defaults
from eni_ledger.render.text import SHORT, addresses, family, safe, short_id, task_id

Association = dict[str, Any]


def live_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the addresses, VLAN IDs, ENIs, MACs, containers and tasks that are live and begin like `incomplete`."""
    return _items(ctx, _names, incomplete)


def live_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the IDs of the live associations that begin like `incomplete`, whole or as the tables print them."""

    def names(one: Association) -> Iterator[str]:
        yield short_id(one["association_id"])
        if incomplete.startswith("as"):  # no ID as the tables print it does
            yield safe(one["association_id"])

    return _items(ctx, names, incomplete)


def _items(ctx: click.Context, names: Callable[[Association], Iterator[str]], incomplete: str) -> list[CompletionItem]:
    found: dict[str, str] = {}
    for one in _live(ctx):
        about = family(one) or safe(one.get("container_id"))[:SHORT]
        found |= {name: about for name in names(one) if name and name.startswith(incomplete)}
    return [CompletionItem(name, help=about) for name, about in sorted(found.items())]


def _names(one: Association) -> Iterator[str]:
    yield from addresses(one)
    for key in ("vlan_id", "eni_id", "branch_mac", "observed_mac", "netns_inode"):
        yield safe(one.get(key))
    yield safe(one.get("container_id"))
    yield task_id(one.get("task_arn"))


def _live(ctx: click.Context) -> list[Association]:
    from eni_ledger.base.config import load
    from eni_ledger.ledger.query.questions import History

    defaults = ctx.find_object(Defaults) or Defaults()
    before = ctx.parent.params.get("state_dir") if ctx.parent else None
    try:
        state_dir = load(None, os.environ, ctx.params.get("state_dir") or before or defaults.state_dir).state_dir
        return History(state_dir).live()
    except (EniLedgerError, OSError):
        return []
