"""Shell completion of values: from the live associations, none when the ledger cannot be read, and of fixed words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.cli.options import session_of
from eni_ledger.render.text import SHORT, addresses, family, safe, short_id, task_id

Association = dict[str, Any]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

TIMES = {
    "now": "",
    "today": "midnight, UTC unless --tz",
    "yesterday": "its first moment",
    "-15m": "a quarter of an hour ago",
    "-1h": "an hour ago",
    "-1d": "a day ago",
    "03:12": "the latest that is past",
    "noon": "",
    "midnight": "",
    "last night 03:12": "",
    "monday": "the latest that is past",
}


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


def live_values(*keys: str) -> Completer:
    """Return the completer of the values that live associations have under `keys`."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        values = {safe(association[key]) for association in _live(ctx) for key in keys if association.get(key)}
        return [CompletionItem(value) for value in sorted(values) if value.startswith(incomplete)]

    return complete


def times(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return words for times that start with `incomplete`."""
    return [CompletionItem(word, help=what) for word, what in TIMES.items() if word.startswith(incomplete)]


def listed(*words: str) -> Completer:
    """Return the completer of a list of `words` with commas."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        used = before.split(",")
        return [CompletionItem(before + comma + word) for word in words if word.startswith(last) and word not in used]

    return complete


def command_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the commands that start with `incomplete`."""
    group = ctx.find_root().command
    names = group.list_commands(ctx) if isinstance(group, click.Group) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


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
    try:
        return session_of(ctx, None, no_color=True).ask().live()
    except (EniLedgerError, OSError):
        return []
