"""`install ecs`: interpose eni-ledger before the plugins of an ECS agent. The host works if a run ends after any step.

The line in `ecs.config`, with which the agent starts to use them, is written after everything that it names.
`layout.py` lists the files.
"""

from __future__ import annotations

import json
import os
from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install import env_file, json_merge, layout, path_link
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.plan import Plan
from eni_ledger.install.tree import UNFINISHED, Tree

# Files outside of BASE that an interrupted run may have left half-written.
OUTSIDE = (layout.ECS_CONFIG, layout.HOST_CONFIG, path_link.PATH)


def plan_ecs(tree: Tree, bundle: Bundle, agent: Agent) -> Plan:
    """Return the steps that remain. Raises InstallError if the host's settings allow no installation."""
    plan = Plan()
    for path in (layout.PLUGINS, layout.STATE):
        check_no_link(tree, path)
    manifest = layout.read_manifest(tree, layout.MANIFEST) or {"created": []}
    delegate_dir = _delegate_dir(tree, manifest)
    linking = Plan()
    if path_link.plan_link(linking, tree, f"{layout.BUNDLE}/{layout.FRONT}"):
        manifest["command"] = path_link.PATH
    changes = _Changes(tree, manifest, delegate_dir)
    running = agent.plugins(delegate_dir) if tree.is_host else None
    if running is not None:
        for name in layout.lacking(running.__contains__):
            plan.note(f"the running agent's image has no {delegate_dir}/{name}; tasks that need it will not start")

    _clear_up(plan, tree)
    if not tree.exists(layout.BASE):
        plan.add("make the directory", layout.BASE, tree.make_dir, layout.BASE)
    if changes.manifest is not None:
        words = "write down what is there now, for uninstall"
        plan.add(words, layout.MANIFEST, tree.write, layout.MANIFEST, changes.manifest, 0o640)
    replaced = put_bundle(plan, tree, bundle, layout.BASE)
    _links(plan, tree, layout.plugin_links(delegate_dir, running or []))
    if not tree.exists(layout.STATE):
        plan.add("make the state directory", layout.STATE, tree.make_dir, layout.STATE, 0o750)
    if changes.call_config is not None:
        words = "set where calls find the ledger and the real plugins"
        plan.add(words, layout.CONFIG, tree.write, layout.CONFIG, changes.call_config)
    if changes.host_config is not None:
        if not tree.exists(layout.HOST_CONFIG_DIR):
            plan.add("make the directory", layout.HOST_CONFIG_DIR, tree.make_dir, layout.HOST_CONFIG_DIR)
        words = "set where commands on this host find the ledger"
        plan.add(words, layout.HOST_CONFIG, tree.write, layout.HOST_CONFIG, changes.host_config)
    plan.steps += linking.steps
    plan.notes += linking.notes
    if changes.ecs_config is not None:
        words = f"set {layout.KEY}={layout.PLUGIN_PATH}"
        plan.add(words, layout.ECS_CONFIG, tree.write, layout.ECS_CONFIG, changes.ecs_config)
    remove_older(plan, tree, layout.BASE, bundle, replaced)
    _notes(plan, tree, delegate_dir)
    return plan


def check_no_link(tree: Tree, path: str) -> None:
    """Raise InstallError if `path`, a directory of eni-ledger, is a symbolic link: its target is not ours to change."""
    if (target := tree.target(path)) is not None:
        raise InstallError(
            "a symbolic link stands where eni-ledger has a directory of its own",
            f"{path} -> {target}",
            "remove the link; what it points to stays",
        )


def put_bundle(plan: Plan, tree: Tree, bundle: Bundle, base: str) -> str | None:
    """Add the steps that put the bundle under `base` and make it current; return the name of the previous one."""
    versions, current = f"{base}/versions", f"{base}/bundle"
    check_no_link(tree, versions)
    path = f"{versions}/{bundle.name}"
    if not tree.exists(versions):
        plan.add("make the directory", versions, tree.make_dir, versions)
    for name in tree.names(versions):
        if name.endswith(UNFINISHED):
            left = f"{versions}/{name}"
            plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    if not tree.exists(path):
        plan.add(f"copy the bundle, {bundle.size >> 20} MiB", path, tree.copy_dir, bundle.directory, path)
    target = tree.target(current)
    if target != f"versions/{bundle.name}":
        plan.add(f"make {bundle.name} the current bundle", current, tree.link, current, f"versions/{bundle.name}")
        return os.path.basename(target) if target else None
    return None


def remove_older(plan: Plan, tree: Tree, base: str, bundle: Bundle, replaced: str | None) -> None:
    """Add the removal of all versions but this one and `replaced`, from which calls may still run."""
    if replaced is None:
        return
    versions = f"{base}/versions"
    for name in tree.unknown_entries(versions, {bundle.name, replaced}):
        plan.add("remove an older version", f"{versions}/{name}", tree.remove_all, f"{versions}/{name}")


class _Changes:
    """The new content of each file, None if it needs no change, and the record of the old content."""

    def __init__(self, tree: Tree, manifest: dict[str, Any], delegate_dir: str) -> None:
        record: dict[str, Any] = dict(manifest)
        self.call_config = self._call_config(tree, record, delegate_dir)
        self.host_config = self._host_config(tree, record)
        self.ecs_config = self._ecs_config(tree, record)
        if not tree.exists(layout.HOST_CONFIG_DIR):
            record["created"] = [layout.HOST_CONFIG_DIR]
        written = layout.dump_manifest(record)
        self.manifest = written if written != tree.read(layout.MANIFEST) else None

    @staticmethod
    def _call_config(tree: Tree, record: dict[str, Any], delegate_dir: str) -> bytes | None:
        now = tree.read(layout.CONFIG)
        after, merged = json_merge.merge(
            now, layout.CONFIG, layout.call_settings(delegate_dir), {}, record.get("call_config")
        )
        record["call_config"] = merged
        return after

    @staticmethod
    def _host_config(tree: Tree, record: dict[str, Any]) -> bytes | None:
        now = tree.read(layout.HOST_CONFIG)
        wanted, unset = layout.host_settings(), layout.default_settings()
        after, merged = json_merge.merge(now, layout.HOST_CONFIG, wanted, unset, record.get("host_config"))
        record["host_config"] = merged
        return after

    @staticmethod
    def _ecs_config(tree: Tree, record: dict[str, Any]) -> bytes | None:
        now = tree.read(layout.ECS_CONFIG)
        if now is not None and layout.is_ours(env_file.effective(now, layout.KEY)):
            # The record may be lost with the agent's data directory: what is known then is only that it is ours.
            record.setdefault("ecs_config", {"value": env_file.effective(now, layout.KEY), "absent": False})
            return None
        after, undo = env_file.assign(now or b"", layout.KEY, layout.PLUGIN_PATH)
        record["ecs_config"] = {**undo, "absent": now is None}
        return after


def _delegate_dir(tree: Tree, manifest: dict[str, Any]) -> str:
    """Return the directory of the real plugins in the agent's container.

    Sources in this order: our config.json, the directory that the operator had set, the agent's default.
    Raises InstallError for an operator's setting that is no absolute path.
    """
    now = tree.read(layout.CONFIG)
    configured = json_merge.parse(now, layout.CONFIG).get("delegateDir") if now is not None else None
    if isinstance(configured, str) and configured.startswith("/"):
        return configured
    if configured is not None:
        raise InstallError("delegateDir is not an absolute path", f"{layout.CONFIG}: {configured!r:.200}")
    replaced = (manifest.get("ecs_config") or {}).get("replaced", "")
    for path, data in (
        (layout.ECS_CONFIG, tree.read(layout.ECS_CONFIG) or b""),
        (layout.MANIFEST, env_file.bytes_of(replaced)),
        (layout.INSTANCE_CONFIG, tree.read(layout.INSTANCE_CONFIG) or b""),
    ):
        value = env_file.effective(data, layout.KEY)
        if value is None or layout.is_ours(value):
            continue
        if value == "":
            break  # the agent treats an empty value as not set, even if the other file sets it
        if not value.startswith("/"):
            raise InstallError(
                f"{layout.KEY} is set to something that is no absolute path",
                f"{path}: {value!r:.200}",
                "the agent takes the value as it stands, quotes and spaces too: correct or remove that line",
            )
        return os.path.normpath(value)
    return layout.default_delegate_dir()


def _links(plan: Plan, tree: Tree, links: dict[str, str]) -> None:
    if not tree.exists(layout.PLUGINS):
        plan.add("make the directory", layout.PLUGINS, tree.make_dir, layout.PLUGINS)
    for name, target in links.items():
        path = f"{layout.PLUGINS}/{name}"
        if tree.target(path) != target:
            plan.add(f"link to {target}", path, tree.link, path, target)


def _clear_up(plan: Plan, tree: Tree) -> None:
    """Add the removal of what an interrupted run left outside of BASE."""
    for path in OUTSIDE:
        if left := tree.unfinished(path):
            plan.add("remove what an interrupted run left", left, tree.remove_all, left)


def _notes(plan: Plan, tree: Tree, delegate_dir: str) -> None:
    if delegate_dir != layout.default_delegate_dir():
        plan.note(f"the real plugins are expected in {delegate_dir} of the agent's container, as set on this host")
    data = tree.read(layout.HOST_CONFIG)
    state = json_merge.parse(data, layout.HOST_CONFIG).get("stateDir") if data is not None else None
    if state not in (None, layout.STATE, layout.default_settings()["stateDir"]):
        plan.note(
            f"{layout.HOST_CONFIG} names another state directory; eni-ledger --state-dir {layout.STATE} is this one"
        )
    called = tree.read(layout.CONFIG)
    kept = json.loads(called).get("stateDir") if called is not None else None
    if kept not in (None, layout.call_settings(delegate_dir)["stateDir"]):
        plan.note(f"{layout.CONFIG} names another state directory, {kept}; it stays as it is")
