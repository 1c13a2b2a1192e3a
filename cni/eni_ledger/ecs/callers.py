"""Which network configurations of a host call eni-ledger, and after what.

Source: containernetworking/cni, `libcni/conf.go`: of a directory the files `*.conflist`, `*.conf` and `*.json` count; a
list has `plugins`, a single configuration its own `type`. podman and CRI-O read `/etc/cni/net.d` too; nerdctl has a
directory for each namespace in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eni_ledger.ecs.conflist import TYPE
from eni_ledger.ecs.files import Tree

CONF_DIR = "/etc/cni/net.d"
_SUFFIXES = (".conflist", ".conf", ".json")


@dataclass(slots=True)
class Caller:
    """A file that calls eni-ledger. `types` are its plugins in order; None when it has the name in it and is no JSON
    that a runtime could read.
    """

    path: str
    types: list[str] | None

    @property
    def before(self) -> list[str]:
        """Return the plugins that are called before eni-ledger."""
        return self.types[: self.types.index(TYPE)] if self.types else []


def find(tree: Tree, directories: Iterable[str] = (CONF_DIR,)) -> list[Caller]:
    """Return the files in `directories` that call eni-ledger. Raises OSError for what may not be read."""
    return [one for path in _files(tree, directories) if (one := of_data(path, tree.read(path) or b""))]


def of_data(path: str, data: bytes) -> Caller | None:
    """Return what a file with this content is, None when it does not call eni-ledger."""
    if TYPE.encode() not in data:
        return None
    try:
        found = json.loads(data)
        plugins = found.get("plugins", [found])
        types = [str(one.get("type")) for one in plugins]
    except (ValueError, AttributeError, TypeError):
        return Caller(path, None)
    return Caller(path, types) if TYPE in types else None


def _files(tree: Tree, directories: Iterable[str]) -> Iterator[str]:
    for directory in dict.fromkeys(directories):
        for name in tree.names(directory):
            path = f"{directory}/{name}"
            inner = [f"{path}/{one}" for one in tree.names(path)] if tree.is_dir(path) else [path]
            yield from (one for one in inner if one.endswith(_SUFFIXES) and not tree.is_dir(one))
