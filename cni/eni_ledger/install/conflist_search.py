"""Which network configurations of a host call eni-ledger, and after what.

Source: containernetworking/cni, `libcni/conf.go`: of a directory the files `*.conflist`, `*.conf` and `*.json` count.
Only `*.conflist` is read as a list, `plugins`; the others are a single configuration, and without a `type` of their own
runtimes refuse them. A plugin may call others itself: multus those in `delegates`, flannel the one in `delegate`.
podman and CRI-O read `/etc/cni/net.d` too; nerdctl has a directory for each namespace in it. Cilium renames the files
of others in it to `*.cilium_bak`, and back when it is removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eni_ledger.install.conflist import SUFFIX, TYPE
from eni_ledger.install.tree import Tree

CONF_DIR = "/etc/cni/net.d"
_SUFFIXES = (SUFFIX, ".conf", ".json")


@dataclass(slots=True)
class Caller:
    """A file that has eni-ledger in it.

    `chains` are the lists of plugins with it, each in order, wherever in the file; None when the file cannot be read as
    JSON. `needs` are all plugins that the file names besides. `is_list` tells whether it has `plugins` at its top.
    """

    path: str
    chains: list[list[str]] | None
    needs: list[str]
    is_list: bool = False

    @property
    def before(self) -> list[str]:
        """Return the plugins that are called before eni-ledger; of several chains, the fewest."""
        return min((one[: one.index(TYPE)] for one in self.chains or ()), key=len, default=[])

    @property
    def is_read(self) -> bool:
        """Return whether runtimes read a file of this name."""
        return self.path.endswith(_SUFFIXES)

    @property
    def is_misnamed(self) -> bool:
        """Return whether runtimes take this list for a single configuration, and refuse it."""
        return self.is_list and self.is_read and not self.path.endswith(SUFFIX)


def find(tree: Tree, directories: Iterable[str] = (CONF_DIR,)) -> list[Caller]:
    """Return the files in `directories` that call eni-ledger. Raises OSError for what may not be read."""
    return [one for one in mentions(tree, directories) if one.is_read]


def mentions(tree: Tree, directories: Iterable[str] = (CONF_DIR,)) -> list[Caller]:
    """Return every file in `directories` that has a call of eni-ledger in it, also those that no runtime reads.

    Raises OSError for what may not be read.
    """
    return [one for path in _files(tree, directories) if (one := of_data(path, tree.read(path) or b""))]


def of_data(path: str, data: bytes) -> Caller | None:
    """Return what a file with this content is, None when it does not call eni-ledger."""
    if TYPE.encode() not in data:
        return None
    try:
        found = json.loads(data)
        chains = [one for one in _chains(found) if TYPE in one]
        needs = list(dict.fromkeys(_types(found)))
    except (ValueError, RecursionError):
        return Caller(path, None, [])
    is_list = isinstance(found, dict) and isinstance(found.get("plugins"), list)
    return Caller(path, chains, [one for one in needs if one != TYPE], is_list) if chains else None


def needs(data: bytes) -> list[str]:
    """Return the plugins that a configuration names, eni-ledger apart; none when it is no JSON."""
    try:
        return [one for one in dict.fromkeys(_types(json.loads(data))) if one != TYPE]
    except (ValueError, RecursionError):
        return []


def _chains(found: Any) -> Iterator[list[str]]:
    """Yield the plugins of each list in a configuration, and each single one that is not in a list."""
    if isinstance(found, list):
        for one in found:
            yield from _chains(one)
    elif isinstance(found, dict):
        plugins = found.get("plugins")
        if isinstance(plugins, list):
            members = [one for one in plugins if isinstance(one, dict)]
            yield [str(one.get("type")) for one in members]
            for one in members:
                yield from _chains(list(one.values()))
        elif "type" in found:
            yield [str(found["type"])]
        yield from _chains([inner for key, inner in found.items() if key != "plugins"])


def _types(found: Any) -> Iterator[str]:
    """Yield the plugins that a configuration has called, those of its delegates and for addresses too."""
    if isinstance(found, list):
        for one in found:
            yield from _types(one)
    elif isinstance(found, dict):
        kind = found.get("type")
        if isinstance(kind, str) and kind:
            yield kind
        for key in ("plugins", "ipam", "delegate", "delegates"):
            yield from _types(found.get(key))


def _files(tree: Tree, directories: Iterable[str]) -> Iterator[str]:
    for directory in dict.fromkeys(directories):
        for name in tree.names(directory):
            path = f"{directory}/{name}"
            inner = [f"{path}/{one}" for one in tree.names(path)] if tree.is_dir(path) else [path]
            yield from (one for one in inner if not tree.is_dir(one))
