"""The doctor's question about chained mode: which network configurations call eni-ledger, after what, and can they?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eni_ledger.base.host import is_executable
from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Check, Finding, Host
from eni_ledger.install import cni, conflist_search, layout, path_link, plugin_dir, runtimes
from eni_ledger.install.conflist_search import Caller
from eni_ledger.install.runtimes import Runtime
from eni_ledger.install.tree import Tree

# Plugins of containernetworking/plugins (meta) that change what another made, and so leave nothing to be recorded.
_MAKE_NOTHING = frozenset(("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf", "dnsname", layout.FRONT))
_WORST_FIRST = (FAIL, WARN, OK)


def chained(host: Host) -> Finding:
    """Do network configurations call eni-ledger, behind what they call it for, and is it where they look?"""
    tree = host.paths.tree
    callers = conflist_search.mentions(tree, host.conf_dirs)
    if not callers:
        return _uncalled(host)
    known = runtimes.find(tree)
    searched = [*runtimes.NERDCTL_DIRS, *_installed_in(host)]
    parts = [part for caller in callers for part in _parts(tree, caller, known, searched)]
    parts += _alone(tree)
    parts.sort(key=lambda part: _WORST_FIRST.index(part.status))
    return Finding("chained", parts[0].status, "; ".join(part.message for part in parts), parts[0].hint)


def _uncalled(host: Host) -> Finding:
    where = ", ".join(host.conf_dirs)
    if host.has_ecs:
        return Finding("chained", SKIPPED, f"no network configuration in {where} calls eni-ledger; the ECS agent may")
    words = f"no network configuration in {where} calls eni-ledger, and there is no ECS agent: nothing is recorded"
    return Finding("chained", WARN, words, "eni-ledger install cni --conflist FILE; or install ecs on an ECS host")


def _parts(tree: Tree, caller: Caller, known: list[Runtime], searched: Sequence[str]) -> Iterator[Finding]:
    """Yield the findings of one file: its faults, or one sentence if it has none."""
    if caller.chains is None:
        yield _finding(WARN, f"{caller.path} has eni-ledger in it and cannot be read", "repair it")
    elif not caller.is_read:
        words = (
            f"{caller.path} has eni-ledger in it, and no runtime reads a file of this name: nothing is recorded by it"
        )
        yield _finding(WARN, words, "add eni-ledger to the configuration that took its place")
    elif caller.is_misnamed:
        words = (
            f"{caller.path} is a list of plugins, which runtimes read from *.conflist only: nothing is recorded by it"
        )
        yield _finding(WARN, words, "rename it to .conflist")
    elif not set(caller.before) - _MAKE_NOTHING:
        words = f"{caller.path} calls eni-ledger before any plugin that makes an interface: nothing is recorded"
        yield _finding(WARN, words, 'put it at the end of "plugins"')
    else:
        amiss = [*_unfound(tree, caller, known, searched)]
        yield from amiss or [_finding(OK, f"{caller.path} calls eni-ledger after {', '.join(caller.before)}")]


def _unfound(tree: Tree, caller: Caller, known: list[Runtime], searched: Sequence[str]) -> Iterator[Finding]:
    """Yield why a runtime that reads the file will not find what it calls."""
    for runtime in known:
        if runtime.problem:
            yield _finding(WARN, f"where {runtime.name} looks for plugins is not known: {runtime.problem}", "repair it")
    readers = [runtime for runtime in known if runtime.reads(caller.path)]
    able = [runtime for runtime in readers if not plugin_dir.missing(tree, runtime.bin_dirs, caller.needs)]
    if readers and not able:
        lacking = ", ".join(plugin_dir.missing(tree, readers[0].bin_dirs, caller.needs))
        hint = f"put {lacking} there, or the directory that has it into the configuration of {readers[0].name}"
        yield _finding(FAIL, f"{caller.path} calls {lacking}, and {readers[0]}, which has none: every ADD fails", hint)
    for runtime in able:
        if not _has_front(tree, runtime.bin_dirs):
            place = next(iter(plugin_dir.holding(tree, runtime.bin_dirs, caller.needs)), runtime.bin_dirs[0])
            words = f"{caller.path} calls eni-ledger, and {runtime}, which has none: every ADD with it fails"
            yield _finding(FAIL, words, f"eni-ledger install cni --bin-dir {place}")
    if not readers:
        yield from _unfound_anywhere(tree, caller, searched)


def _unfound_anywhere(tree: Tree, caller: Caller, searched: Sequence[str]) -> Iterator[Finding]:
    """Yield the same where no runtime is known: then it looks where the other plugins of the file are."""
    install = "eni-ledger install cni"
    if not _has_front(tree, searched):
        words = f"{caller.path} calls eni-ledger, and no executable eni-ledger is in {', '.join(searched)}"
        yield _finding(FAIL, f"{words}: every ADD with it fails", install)
        return
    places = plugin_dir.holding(tree, searched, caller.needs)
    without = [place for place in places if not _has_front(tree, [place])]
    if not places:
        lacking = ", ".join(plugin_dir.missing(tree, searched, caller.needs)) or ", ".join(caller.needs)
        yield _finding(WARN, f"{caller.path} calls {lacking}, and which directory has it is not known", "see --bin-dir")
    elif len(without) == len(places):
        words = f"{caller.path} calls eni-ledger, which is not in {', '.join(places)}, where its other plugins are"
        yield _finding(FAIL, f"{words}: every ADD with it fails", f"{install} --bin-dir {places[0]}")
    elif without:
        words = (
            f"{caller.path} has its other plugins in {', '.join(places)}, and eni-ledger is not in {', '.join(without)}"
        )
        hint = f"{install} --bin-dir {without[0]}, if the runtime looks there"
        yield _finding(WARN, f"{words}: which of them the runtime looks into is not known", hint)


def _alone(tree: Tree) -> Iterator[Finding]:
    """Yield the directory that has only eni-ledger in it and keeps nerdctl from the one with the other plugins."""
    there = [directory for directory in runtimes.NERDCTL_DIRS if tree.exists(directory)]
    if len(there) > 1 and tree.names(there[0]) == [layout.FRONT] and plugin_dir.holding(tree, there[1:], ()):
        words = f"{there[0]} has nothing but eni-ledger in it, and nerdctl looks into no directory after it"
        hint = "eni-ledger uninstall cni, then eni-ledger install cni: it goes where the other plugins are"
        yield _finding(WARN, words, hint)


def _finding(status: str, words: str, hint: str = "") -> Finding:
    return Finding("chained", status, words, hint)


def _installed_in(host: Host) -> list[str]:
    """Return the directories into which `install cni` has put links."""
    manifest = layout.read_manifest(host.paths.tree, cni.MANIFEST) or {}
    places = [link.rpartition("/")[0] for link in manifest.get("links", {}) if link != path_link.PATH]
    return [place for place in places if place not in runtimes.NERDCTL_DIRS]


def _has_front(tree: Tree, directories: Iterable[str]) -> bool:
    return any(is_executable(tree.real(f"{directory}/{layout.FRONT}")) for directory in directories)


CHECKS: tuple[Check, ...] = (chained,)
