"""`install cni` and `uninstall cni`: a chained plugin, for runtimes that read a conflist.

::

    /opt/eni-ledger/versions/, bundle       as on an ECS host, unless a package put the bundle into this directory
    /opt/cni/bin/eni-ledger -> /opt/eni-ledger/bundle/eni-ledger      or where else plugins are, `plugin_dir.py`
    /usr/local/bin/eni-ledger               the command, the same link, unless the file exists
    /opt/eni-ledger/installed.json          what was there before, for `uninstall`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install import conflist, conflist_search, json_merge, layout, path_link
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.ecs import put_bundle, remove_older
from eni_ledger.install.ecs_uninstall import removal
from eni_ledger.install.env_file import bytes_of, sha256, text_of
from eni_ledger.install.plan import Plan
from eni_ledger.install.tree import Tree

OPT = "/opt"
BASE = f"{OPT}/eni-ledger"
MANIFEST = f"{BASE}/installed.json"
_LEDGER = re.compile(
    r"ledger(-\d+-\d+)?\.(jsonl(\.gz)?|index)|failures\.jsonl|state\.json|identified\.json|lock|spool|quarantine"
)


def plan_install(tree: Tree, bundle: Bundle, bin_dir: str, path: str | None) -> Plan:
    """Return the steps that remain; `path` is the conflist to change, if any. Raises InstallError."""
    plan = Plan()
    manifest = layout.read_manifest(tree, MANIFEST) or {"created": [], "links": {}, "conflists": {}}
    steps = Plan()
    replaced = None
    in_place = bundle.directory == tree.real(BASE)
    program = f"{BASE}/{layout.FRONT}" if in_place else f"{BASE}/bundle/{layout.FRONT}"
    if not in_place:
        if tree.exists(f"{BASE}/{layout.FRONT}"):
            raise InstallError("a package has put eni-ledger into this directory", BASE, f"run {BASE}/{layout.FRONT}")
        replaced = put_bundle(steps, tree, bundle, BASE)
    above = [directory for directory in _missing(tree, BASE) if directory != BASE]
    created = [directory for directory in _missing(tree, bin_dir) if directory not in above]
    for directory in created:
        steps.add("make the directory", directory, tree.make_dir, directory)
    recorded = manifest["created"]
    recorded += [directory for directory in (*above, *created) if directory not in recorded]
    link = f"{bin_dir}/{layout.FRONT}"
    if tree.target(link) != program:
        if tree.exists(link) and tree.target(link) is None:
            raise InstallError("there is a file already", link, "move it away, it is not a link that could be put back")
        manifest["links"].setdefault(link, tree.target(link))
        steps.add(f"link to {program}", link, tree.link, link, program)
    if path_link.plan_link(steps, tree, program):
        manifest["links"].setdefault(path_link.PATH, None)
    plan.notes += steps.notes
    if path is not None:
        _add_to_conflist(steps, tree, manifest, path)
    if not in_place:
        remove_older(steps, tree, BASE, bundle, replaced)
    for directory in _missing(tree, BASE):
        plan.add("make the directory", directory, tree.make_dir, directory)
    written = layout.dump_manifest(manifest)
    if written != tree.read(MANIFEST):
        plan.add("write down what is there now, for uninstall", MANIFEST, tree.write, MANIFEST, written)
    plan.steps += steps.steps
    return plan


def read_conflist(tree: Tree, path: str) -> bytes:
    """Return the file's content. Raises InstallError if it does not exist or no runtime reads it as a conflist."""
    data = tree.read(path)
    if data is None:
        raise InstallError("there is no such conflist", path, "ls /etc/cni/net.d shows those of this host")
    conflist.has_plugin(text_of(data), path)
    conflist.read_as_list(path)
    return data


def _add_to_conflist(plan: Plan, tree: Tree, manifest: dict[str, Any], path: str) -> None:
    before = read_conflist(tree, path)
    if conflist.has_plugin(text_of(before), path):
        return
    after = bytes_of(conflist.add(text_of(before), path))
    manifest["conflists"][path] = {"before": text_of(before), "after": sha256(after)}
    plan.add("add eni-ledger to its plugins", path, tree.write, path, after)


def plan_uninstall(
    tree: Tree, *, purge: bool, conf_dirs: Sequence[str] = (conflist_search.CONF_DIR,), force: bool = False
) -> Plan:
    """Return the steps that undo the installation; the ledger stays unless `purge`.

    Raises InstallError, among others if a network configuration in `conf_dirs` that `install` did not change calls the
    plugin; with `force` the plan has a note instead.
    """
    plan = Plan()
    manifest = layout.read_manifest(tree, MANIFEST) or {"created": [], "links": {}, "conflists": {}}
    _ledger(plan, tree, purge=purge)
    callers = conflist_search.mentions(tree, _directories(manifest, conf_dirs))
    mended = _put_back_conflists(plan, tree, manifest, callers)
    others = [caller for caller in callers if caller.path not in mended]
    if any(_goes(tree, link, before) for link, before in manifest["links"].items() if link != path_link.PATH):
        _check_uncalled(plan, [caller.path for caller in others if caller.is_read], force=force)
        for caller in others:
            if not caller.is_read:
                plan.note(
                    f"{caller.path} has eni-ledger in it; no runtime reads a file of this name, until it is renamed"
                )
    for link, before in manifest["links"].items():
        _put_back_link(plan, tree, link, before)
    recorded = manifest["created"]
    created = [
        directory
        for directory in reversed(recorded)
        if tree.exists(directory) and not tree.unknown_entries(directory, {layout.FRONT} | _inside(directory, recorded))
    ]
    above = [directory for directory in created if BASE.startswith(f"{directory}/")]
    for directory in created:
        if directory not in above:
            plan.add("remove", directory, tree.remove_dir, directory)
    _remove_base(plan, tree)
    for directory in above:
        plan.add("remove", directory, tree.remove_dir, directory)
    return plan


def _ledger(plan: Plan, tree: Tree, *, purge: bool) -> None:
    """Add the removal of the ledger of chained calls, or a note on where it stays; unknown files are never removed."""
    data = tree.read(layout.HOST_CONFIG)
    default = layout.default_settings()["stateDir"]
    path = json_merge.parse(data, layout.HOST_CONFIG).get("stateDir", default) if data is not None else default
    ours = [name for name in tree.names(path) if _LEDGER.fullmatch(name)]
    if path == layout.STATE or not ours:
        return
    if not purge:
        plan.note(f"the ledger stays in {path}; uninstall cni --purge removes it")
        return
    if tree.target(path) is not None:
        plan.add(removal(tree, path), path, tree.remove, path)
        return
    for name in ours:
        inner = f"{path}/{name}"
        plan.add("remove, a part of the ledger", inner, tree.remove_all, inner)
    if not tree.unknown_entries(path, set(ours)):
        plan.add("remove", path, tree.remove_dir, path)


def _directories(manifest: dict[str, Any], conf_dirs: Sequence[str]) -> list[str]:
    """Return `conf_dirs` and the directories of the conflists that `install` changed."""
    return [*conf_dirs, *(path.rpartition("/")[0] or "/" for path in manifest["conflists"])]


def _put_back_conflists(
    plan: Plan, tree: Tree, manifest: dict[str, Any], callers: list[conflist_search.Caller]
) -> set[str]:
    """Add the steps that restore the conflists that `install` changed; return their present paths.

    `callers` are the files with eni-ledger in them. Cilium renames the conflists of other plugins while it is
    installed, so a conflist is also recognized by its content.
    """
    mended = set()
    for recorded, record in manifest["conflists"].items():
        path = recorded
        if tree.read(path) is None:
            renamed = [caller.path for caller in callers if sha256(tree.read(caller.path) or b"") == record["after"]]
            if not renamed:
                plan.note(f"{recorded}, to which eni-ledger was added, is not there any more")
            path = renamed[0] if renamed else recorded
        _put_back_conflist(plan, tree, path, record)
        mended.add(path)
    return mended


def _check_uncalled(plan: Plan, paths: list[str], *, force: bool) -> None:
    """Raise InstallError if configurations, `paths`, still call the plugin; with `force` add a note instead."""
    names = ", ".join(paths)
    if not names:
        return
    if not force:
        raise InstallError(
            "a network configuration still calls eni-ledger; without the plugin every ADD and DEL with it would fail",
            names,
            'take {"type": "eni-ledger"} out of it first (multus copies it into "delegates"), or go on with --force',
        )
    plan.note(f"every ADD and DEL with {names} will fail: it still calls eni-ledger")


def _goes(tree: Tree, link: str, before: str | None) -> bool:
    """Tell whether `link` points into BASE and uninstalling removes it without a replacement."""
    return before is None and (tree.target(link) or "").startswith(f"{BASE}/")


def _put_back_conflist(plan: Plan, tree: Tree, path: str, record: dict[str, Any]) -> None:
    if left := tree.unfinished(path):
        plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    now = tree.read(path)
    if now is None:
        return
    if sha256(now) == record["after"]:
        plan.add("put back what was there", path, tree.write, path, bytes_of(record["before"]))
        return
    if conflist.has_plugin(text_of(now), path):
        after = bytes_of(conflist.take_out(text_of(now), path))
        plan.add("take eni-ledger out of its plugins", path, tree.write, path, after)


def _put_back_link(plan: Plan, tree: Tree, link: str, before: str | None) -> None:
    if left := tree.unfinished(link):
        plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    target = tree.target(link)
    if target is None or not target.startswith(f"{BASE}/") or target == before:
        return
    if before is None:
        plan.add("remove", link, tree.remove, link)
    else:
        plan.add(f"link to {before} again", link, tree.link, link, before)


def _remove_base(plan: Plan, tree: Tree) -> None:
    """Add the removal of what `install` put into BASE; files of a package stay."""
    if tree.exists(f"{BASE}/bundle"):
        plan.add("remove the link to the bundle", f"{BASE}/bundle", tree.remove_all, f"{BASE}/bundle")
    if tree.exists(f"{BASE}/versions"):
        plan.add(removal(tree, f"{BASE}/versions"), f"{BASE}/versions", tree.remove_all, f"{BASE}/versions")
    for path in (f"{BASE}/bundle", MANIFEST):
        if left := tree.unfinished(path):
            plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    if tree.exists(MANIFEST):
        plan.add("remove the record of what was there", MANIFEST, tree.remove, MANIFEST)
    if tree.exists(BASE) and not tree.unknown_entries(BASE, {"bundle", "versions", "installed.json"}):
        plan.add("remove", BASE, tree.remove_dir, BASE)


def _missing(tree: Tree, path: str) -> list[str]:
    """Return the directories on the way to `path`, and `path`, that do not exist, the outermost first."""
    directories: list[str] = []
    while path != "/" and not tree.exists(path):
        directories.insert(0, path)
        path = path.rpartition("/")[0] or "/"
    return directories


def _inside(path: str, created: list[str]) -> set[str]:
    """Return the names in `path` of directories that `install` created."""
    return {directory.rpartition("/")[2] for directory in created if directory.rpartition("/")[0] == path}
