"""Choose the directory for `install cni`: one in which the runtimes find the plugin together with the others.

A new directory, or one without the other plugins, breaks a runtime's network: nerdctl uses the first of its directories
that exists, containerd only those of its configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eni_ledger.base.errors import InstallError
from eni_ledger.install import runtimes
from eni_ledger.install.layout import FRONT
from eni_ledger.install.runtimes import Runtime
from eni_ledger.install.tree import Tree

_HINT = "name the directory with --bin-dir; where there are several, run it once for each"


def choose(tree: Tree, path: str | None, types: Sequence[str]) -> str:
    """Return the plugin directory for the conflist at `path`, whose other plugins are `types`; without one, the host's.

    Raises InstallError if that is not exactly one directory, OSError for a path that may not be read.
    """
    installed = runtimes.find(tree)
    for runtime in installed:
        if runtime.problem:
            raise InstallError(f"it is not known where {runtime.name} looks for plugins", runtime.problem, _HINT)
    readers = [runtime for runtime in installed if path is None or runtime.reads(path)]
    if readers:
        return _common(tree, readers, types)
    places = holding(tree, runtimes.NERDCTL_DIRS, types)
    if len(places) == 1:
        return places[0]
    if places:
        raise InstallError("there are several directories of plugins", ", ".join(places), _HINT)
    if types:
        where = ", ".join(runtimes.NERDCTL_DIRS)
        raise InstallError("no directory of plugins holds what the conflist calls", f"{_words(types)}: {where}", _HINT)
    return _unless_others_exist(tree, runtimes.BIN_DIR)


def holding(tree: Tree, directories: Iterable[str], types: Sequence[str]) -> list[str]:
    """Return those of the directories that have all plugins `types`; for empty `types`, those that have any plugin.

    Of two paths of the same directory the first is returned. Raises OSError for a directory that may not be read.
    """
    first_names: dict[str, str] = {}
    for directory in directories:
        names = set(tree.names(directory)) - {FRONT}
        if names and names.issuperset(types):
            first_names.setdefault(tree.real(directory), directory)
    return list(first_names.values())


def missing(tree: Tree, directories: Iterable[str], types: Iterable[str]) -> list[str]:
    """Return the plugins of `types` that none of the directories has. Raises OSError."""
    there = {name for directory in directories for name in tree.names(directory)}
    return [plugin for plugin in dict.fromkeys(types) if plugin not in there]


def notes(tree: Tree, directory: str, types: Iterable[str]) -> list[str]:
    """Return notes on the plugin directory that the operator named. Raises OSError."""
    words = []
    if lacking := missing(tree, [directory], types):
        words.append(f"{directory} has no {_words(lacking)}, which the conflist calls as well")
    order = runtimes.NERDCTL_DIRS
    after = [other for other in order[order.index(directory) + 1 :] if tree.exists(other)] if directory in order else []
    if after and not tree.exists(directory) and not any(map(tree.exists, order[: order.index(directory)])):
        words.append(f"{directory} was not there: a nerdctl that has taken {after[0]} takes it from now on")
    return words


def _common(tree: Tree, readers: list[Runtime], types: Sequence[str]) -> str:
    """Return the first directory that is searched by every runtime that can run the conflist. Raises InstallError."""
    able = [runtime for runtime in readers if not missing(tree, runtime.bin_dirs, types)]
    if not able:
        lacking = "; ".join(
            f"{runtime}, which lacks {_words(missing(tree, runtime.bin_dirs, types))}" for runtime in readers
        )
        raise InstallError("the runtime does not find the plugins that the conflist calls", lacking, _HINT)
    fitting = [holding(tree, runtime.bin_dirs, types) or holding(tree, runtime.bin_dirs, ()) for runtime in able]
    if not types and not any(fitting):
        return _unless_others_exist(tree, able[0].bin_dirs[0])
    for place in fitting[0]:
        if all(tree.real(place) in map(tree.real, runtime.bin_dirs) for runtime in able):
            return place
    details = "; ".join(map(str, able))
    if len(able) > 1:
        raise InstallError("the runtimes of this host look for plugins in different directories", details, _HINT)
    raise InstallError("the directory in which the runtime looks for plugins is not there", details, _HINT)


def _unless_others_exist(tree: Tree, directory: str) -> str:
    """Return `directory`, which may not exist yet. Raises InstallError if only another plugin directory exists."""
    others = [other for other in runtimes.NERDCTL_DIRS if other != directory and tree.exists(other)]
    if others and not tree.exists(directory):
        details = f"{directory} is not there, {', '.join(others)} is"
        raise InstallError("it is not known where the runtime looks for plugins", details, _HINT)
    return directory


def _words(types: Iterable[str]) -> str:
    return ", ".join(types)
