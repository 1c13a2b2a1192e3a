"""Find the network configurations of a host that call eni-ledger, and the plugins before it.

Source: containernetworking/cni, `libcni/conf.go`: runtimes read the files `*.conflist`, `*.conf` and `*.json`.
Only `*.conflist` is read as a list, `plugins`; the others are a single configuration, which runtimes refuse without a
top-level `type`. A plugin may call others itself: multus those in `delegates`, flannel the one in `delegate`.
podman and CRI-O read `/etc/cni/net.d` too; nerdctl has a directory for each namespace in it. Cilium renames the files
of other plugins to `*.cilium_bak`, and back when it is removed.
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

    `chains` are the lists of plugins with it, each in order, at any depth of the file; None if the file is not
    JSON. `needs` are all other plugins that the file names. `is_list` tells whether it has `plugins` at its top.
    """

    path: str
    chains: list[list[str]] | None
    needs: list[str]
    is_list: bool = False

    @property
    def before(self) -> list[str]:
        """Return the plugins that are called before eni-ledger; of several chains, the fewest."""
        return min((chain[: chain.index(TYPE)] for chain in self.chains or ()), key=len, default=[])

    @property
    def is_read(self) -> bool:
        """Return whether runtimes read a file of this name."""
        return self.path.endswith(_SUFFIXES)

    @property
    def is_misnamed(self) -> bool:
        """Return whether runtimes take this list for a single configuration, and refuse it."""
        return self.is_list and self.is_read and not self.path.endswith(SUFFIX)


def find(tree: Tree, directories: Iterable[str] = (CONF_DIR,)) -> list[Caller]:
    """Return the files in `directories` that call eni-ledger. Raises OSError for a path that may not be read."""
    return [caller for caller in mentions(tree, directories) if caller.is_read]


def mentions(tree: Tree, directories: Iterable[str] = (CONF_DIR,)) -> list[Caller]:
    """Return every file in `directories` that has a call of eni-ledger in it, also those that no runtime reads.

    Raises OSError for a path that may not be read.
    """
    return [caller for path in _files(tree, directories) if (caller := of_data(path, tree.read(path) or b""))]


def of_data(path: str, data: bytes) -> Caller | None:
    """Return the caller that a file with this content is, None if it does not call eni-ledger."""
    if TYPE.encode() not in data:
        return None
    try:
        value = json.loads(data)
        chains = [chain for chain in _chains(value) if TYPE in chain]
        plugins = list(dict.fromkeys(_types(value)))
    except (ValueError, RecursionError):
        return Caller(path, None, [])
    is_list = isinstance(value, dict) and isinstance(value.get("plugins"), list)
    return Caller(path, chains, [plugin for plugin in plugins if plugin != TYPE], is_list) if chains else None


def needs(data: bytes) -> list[str]:
    """Return the plugins that a configuration names, without eni-ledger; none if it is not JSON."""
    try:
        return [plugin for plugin in dict.fromkeys(_types(json.loads(data))) if plugin != TYPE]
    except (ValueError, RecursionError):
        return []


def _chains(value: Any) -> Iterator[list[str]]:
    """Yield the plugins of each list in a configuration, and each single one that is not in a list."""
    if isinstance(value, list):
        for member in value:
            yield from _chains(member)
    elif isinstance(value, dict):
        plugins = value.get("plugins")
        if isinstance(plugins, list):
            members = [plugin for plugin in plugins if isinstance(plugin, dict)]
            yield [str(plugin.get("type")) for plugin in members]
            for plugin in members:
                yield from _chains(list(plugin.values()))
        elif "type" in value:
            yield [str(value["type"])]
        yield from _chains([inner for key, inner in value.items() if key != "plugins"])


def _types(value: Any) -> Iterator[str]:
    """Yield the plugins that a configuration calls, its delegates and IPAM plugins among them."""
    if isinstance(value, list):
        for member in value:
            yield from _types(member)
    elif isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind:
            yield kind
        for key in ("plugins", "ipam", "delegate", "delegates"):
            yield from _types(value.get(key))


def _files(tree: Tree, directories: Iterable[str]) -> Iterator[str]:
    for directory in dict.fromkeys(directories):
        for name in tree.names(directory):
            path = f"{directory}/{name}"
            inner = [f"{path}/{name}" for name in tree.names(path)] if tree.is_dir(path) else [path]
            yield from (file for file in inner if not tree.is_dir(file))
