"""Shell completion of values: from the live associations, none when the ledger cannot be read, and of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import click
from click.shell_completion import CompletionItem

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.cli.options import session_of
from eni_ledger.cli.words import Completer, comma_list
from eni_ledger.render.text import SHORT, addresses, family, label, safe, short_id, task_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

_OF_KINDS = {
    "vlan": ("vlan_id", "observed_vlan_id"),
    "eni": ("eni_id",),
    "mac": ("branch_mac", "observed_mac"),
    "container": ("container_id",),
    "family": ("task_family",),
    "service": ("service",),
    "cluster": ("cluster",),
    "trunk": ("trunk_ifname", "trunk_mac", "trunk_eni_id"),
    "instance": ("instance_id",),
    "netns": ("netns_inode",),
    "pid": ("pid",),
}
"""Kinds that may stand before a colon in WHAT, and the keys of what may stand behind it."""


def live_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return what WHAT may be of live associations and starts with `incomplete`: addresses, VLAN IDs, tasks ...

    With a kind as in `family:api` if `incomplete` begins with one, or with a part of one.
    """

    def names(association: Fields) -> Iterator[str]:
        yield from _names(association)
        word = incomplete.partition(":")[0]
        for kind, keys in _OF_KINDS.items() if word else ():
            if kind.startswith(word):
                yield from (f"{kind}:{safe(association[key])}" for key in keys if association.get(key))
        if word and "ip".startswith(word):
            yield from (f"ip:{address}" for address in addresses(association))
        if word and "task".startswith(word) and association.get("task_arn"):
            yield f"task:{task_id(association['task_arn'])}"

    return _items(ctx, names, incomplete)


def live_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the IDs of live associations that start with `incomplete`, in full or shortened as in the tables."""

    def names(association: Fields) -> Iterator[str]:
        yield short_id(association["association_id"])
        if incomplete.startswith("as"):  # a shortened ID never does
            yield safe(association["association_id"])

    return _items(ctx, names, incomplete)


def live_tasks(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the IDs of tasks of live associations that start with `incomplete`, their ARNs if it starts with arn."""

    def names(association: Fields) -> Iterator[str]:
        yield task_id(association.get("task_arn"))
        if incomplete.startswith("arn"):
            yield safe(association.get("task_arn"))

    return _items(ctx, names, incomplete)


def live_values(*keys: str) -> Completer:
    """Return the completer of the values that live associations have under `keys`."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        values = {safe(association[key]) for association in _live(ctx) for key in keys if association.get(key)}
        return [CompletionItem(value) for value in sorted(values) if value.startswith(incomplete)]

    return complete


def column_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the columns of the command's answer that start with `incomplete`."""
    return [CompletionItem(name) for name in _columns(ctx) if name.startswith(incomplete)]


def column_lists(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the lists of columns of the command's answer that begin as `incomplete` does."""
    return comma_list(_columns(ctx), incomplete)


def sort_keys(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the columns of the command's answer, each also with - for descending, that start with `incomplete`."""
    names = [*_columns(ctx), *(f"-{name}" for name in _columns(ctx))]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def command_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the commands that start with `incomplete`."""
    group = ctx.find_root().command
    names = group.list_commands(ctx) if isinstance(group, click.Group) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _items(ctx: click.Context, names: Callable[[Fields], Iterator[str]], incomplete: str) -> list[CompletionItem[str]]:
    owners: dict[str, str] = {}
    for association in _live(ctx):
        owner = family(association) or safe(association.get("container_id"))[:SHORT]
        owners |= {name: owner for name in names(association) if name and name.startswith(incomplete)}
    return [CompletionItem(name, help=owner) for name, owner in sorted(owners.items())]


def _names(association: Fields) -> Iterator[str]:
    """Yield what names an association in WHAT, as it is and as tables print it."""
    yield from addresses(association)
    for keys in _OF_KINDS.values():
        yield from (safe(association[key]) for key in keys if association.get(key))
    yield task_id(association.get("task_arn"))
    yield from (family(association), label(association))
    yield from (safe(association.get(key)) for key in ("private_dns_name", "pause_name"))
    for container in association.get("containers") or ():
        if isinstance(container, dict):
            yield safe(container.get("name"))


def _columns(ctx: click.Context) -> tuple[str, ...]:
    """Return the keys of the rows of a command's answer; none where they depend on the answer."""
    from eni_ledger.cli import present  # start-up: loaded by commands that have columns, but not by all that complete

    return present.COLUMNS.get(ctx.info_name or "", ())


def _live(ctx: click.Context) -> Sequence[Fields]:
    try:
        return session_of(ctx, None, no_color=True).ask().live()
    except (EniLedgerError, OSError):
        return []
