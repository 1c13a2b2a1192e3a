"""Shell completion of arguments from the live associations; no suggestion when the ledger cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from eni_ledger.base.config import load
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.cli.options import Defaults
from eni_ledger.ledger.query.questions import History
from eni_ledger.render.text import SHORT, addresses, family, safe, short_id, task_id

Association = dict[str, Any]


def live_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the live addresses, VLAN IDs, ENIs, MACs, containers and tasks that start with `incomplete`."""
    return _items(ctx, _names, incomplete)


def live_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the IDs of live associations that start with `incomplete`, in full or shortened as in the tables."""

    def names(association: Association) -> Iterator[str]:
        yield short_id(association["association_id"])
        if incomplete.startswith("as"):  # a shortened ID never does
            yield safe(association["association_id"])

    return _items(ctx, names, incomplete)


def _items(ctx: click.Context, names: Callable[[Association], Iterator[str]], incomplete: str) -> list[CompletionItem]:
    owners: dict[str, str] = {}
    for association in _live(ctx):
        owner = family(association) or safe(association.get("container_id"))[:SHORT]
        owners |= {name: owner for name in names(association) if name and name.startswith(incomplete)}
    return [CompletionItem(name, help=owner) for name, owner in sorted(owners.items())]


def _names(association: Association) -> Iterator[str]:
    yield from addresses(association)
    for key in ("vlan_id", "eni_id", "branch_mac", "observed_mac", "netns_inode"):
        yield safe(association.get(key))
    yield safe(association.get("container_id"))
    yield task_id(association.get("task_arn"))


def _live(ctx: click.Context) -> list[Association]:
    defaults = ctx.find_object(Defaults) or Defaults()
    of_parent = ctx.parent.params.get("state_dir") if ctx.parent else None
    try:
        state_dir = load(None, os.environ, ctx.params.get("state_dir") or of_parent or defaults.state_dir).state_dir
        return History(state_dir).live()
    except (EniLedgerError, OSError):
        return []
