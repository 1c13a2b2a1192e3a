"""Which directory `install cni` puts the plugin into: one in which the runtimes find it together with the others.

A directory made where there was none, or a plugin without the others beside it, takes a runtime's network away: nerdctl
takes the first of its directories that exists, containerd looks only where its configuration says.
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

    Raises InstallError when that is not exactly one directory, OSError for what may not be read.
    """
    found = runtimes.find(tree)
    for one in found:
        if one.problem:
            raise InstallError(f"it is not known where {one.name} looks for plugins", one.problem, _HINT)
    readers = [one for one in found if path is None or one.reads(path)]
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
    return _unless_there_are_others(tree, runtimes.BIN_DIR)


def holding(tree: Tree, directories: Iterable[str], types: Sequence[str]) -> list[str]:
    """Return those of the directories that have all plugins `types`; without any, those that have a plugin at all.

    Of two names of one directory the first is returned. Raises OSError for a directory that may not be read.
    """
    found: dict[str, str] = {}
    for one in directories:
        names = set(tree.names(one)) - {FRONT}
        if names and names.issuperset(types):
            found.setdefault(tree.real(one), one)
    return list(found.values())


def missing(tree: Tree, directories: Iterable[str], types: Iterable[str]) -> list[str]:
    """Return the plugins of `types` that none of the directories has. Raises OSError."""
    there = {name for one in directories for name in tree.names(one)}
    return [one for one in dict.fromkeys(types) if one not in there]


def notes(tree: Tree, directory: str, types: Iterable[str]) -> list[str]:
    """Return what the operator should know of a plugin directory that was named. Raises OSError."""
    found = []
    if lacking := missing(tree, [directory], types):
        found.append(f"{directory} has no {_words(lacking)}, which the conflist calls as well")
    order = runtimes.NERDCTL_DIRS
    after = [one for one in order[order.index(directory) + 1 :] if tree.exists(one)] if directory in order else []
    if after and not tree.exists(directory) and not any(map(tree.exists, order[: order.index(directory)])):
        found.append(f"{directory} was not there: a nerdctl that has taken {after[0]} takes it from now on")
    return found


def _common(tree: Tree, readers: list[Runtime], types: Sequence[str]) -> str:
    """Return the first directory that all runtimes look into that can run the conflist. Raises InstallError."""
    able = [one for one in readers if not missing(tree, one.bin_dirs, types)]
    if not able:
        lacking = "; ".join(f"{one}, which lacks {_words(missing(tree, one.bin_dirs, types))}" for one in readers)
        raise InstallError("the runtime does not find the plugins that the conflist calls", lacking, _HINT)
    fitting = [holding(tree, one.bin_dirs, types) or holding(tree, one.bin_dirs, ()) for one in able]
    if not types and not any(fitting):
        return _unless_there_are_others(tree, able[0].bin_dirs[0])
    for place in fitting[0]:
        if all(tree.real(place) in map(tree.real, one.bin_dirs) for one in able):
            return place
    details = "; ".join(map(str, able))
    if len(able) > 1:
        raise InstallError("the runtimes of this host look for plugins in different directories", details, _HINT)
    raise InstallError("the directory in which the runtime looks for plugins is not there", details, _HINT)


def _unless_there_are_others(tree: Tree, directory: str) -> str:
    """Return a directory that may have to be made. Raises InstallError when plugins are elsewhere."""
    others = [one for one in runtimes.NERDCTL_DIRS if one != directory and tree.exists(one)]
    if others and not tree.exists(directory):
        details = f"{directory} is not there, {', '.join(others)} is"
        raise InstallError("it is not known where the runtime looks for plugins", details, _HINT)
    return directory


def _words(types: Iterable[str]) -> str:
    return ", ".join(types)
