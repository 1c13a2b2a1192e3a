"""`uninstall ecs`: restore the host as it was before. The host works if a run ends after any step.

`ecs.config` is restored first; the plugin directory is removed only when no running agent uses it any more, because a
task start without its plugins fails.
"""

from __future__ import annotations

from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install import env_file, json_merge, layout
from eni_ledger.install.ecs import OUTSIDE
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.plan import Plan
from eni_ledger.install.tree import Tree


def plan_setting(tree: Tree) -> Plan:
    """Return the steps that restore the agent's configuration."""
    plan = Plan()
    manifest = layout.read_manifest(tree, layout.MANIFEST) or {}
    for path in OUTSIDE:
        if left := tree.unfinished(path):
            plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    now = tree.read(layout.ECS_CONFIG)
    value = env_file.effective(now or b"", layout.KEY)
    if now is None or value is None:
        return plan
    if not layout.is_ours(value):
        if "ecs_config" in manifest:
            plan.note(f"{layout.KEY} in {layout.ECS_CONFIG} is {value} by now, which is not ours; it stays")
        return plan
    record: dict[str, Any] = {**(manifest.get("ecs_config") or {}), "value": value}
    before = env_file.withdraw(now, layout.KEY, record)
    if not before and record.get("absent"):
        plan.add("remove it, as there was none", layout.ECS_CONFIG, tree.remove, layout.ECS_CONFIG)
    else:
        words = f"put back {record['replaced'].strip()}" if "replaced" in record else f"take {layout.KEY} out"
        plan.add(words, layout.ECS_CONFIG, tree.write, layout.ECS_CONFIG, before)
    return plan


def check_unused(tree: Tree, agent: Agent) -> None:
    """Raise InstallError if the running agent still calls our plugins: without them its tasks would fail."""
    using = agent.using(layout.PLUGIN_PATH) if tree.is_host else []
    if using:
        raise InstallError(
            "the running agent still calls eni-ledger, so its files stay for now",
            ", ".join(f"{process.name} (PID {process.pid})" for process in using[:3]),
            f"{' '.join(layout.RESTART)}, then eni-ledger uninstall ecs once more; or --restart, which does both",
        )


def plan_files(tree: Tree, *, purge: bool) -> Plan:
    """Return the removal of our files; the ledger and a configuration changed by hand stay unless `purge`."""
    plan = Plan()
    manifest = layout.read_manifest(tree, layout.MANIFEST) or {}
    _put_back_host_config(plan, tree, manifest)
    link = manifest.get("command")
    if link is not None and (tree.target(link) or "").startswith(f"{layout.BASE}/"):
        plan.add("remove the command", link, tree.remove, link)
    kept = _keep(plan, tree, manifest, purge=purge)
    for path in (layout.PLUGINS, layout.VERSIONS):
        if tree.exists(path):
            if path == layout.VERSIONS and tree.exists(layout.BUNDLE):
                plan.add("remove the link to the bundle", layout.BUNDLE, tree.remove_all, layout.BUNDLE)
            plan.add(removal(tree, path), path, tree.remove_all, path)
    if layout.CONFIG not in kept and tree.exists(layout.CONFIG):
        plan.add("remove", layout.CONFIG, tree.remove, layout.CONFIG)
    if layout.STATE not in kept and tree.exists(layout.STATE):
        words = removal(tree, layout.STATE, "remove the ledger" if tree.names(layout.STATE) else "remove")
        plan.add(words, layout.STATE, tree.remove_all, layout.STATE)
    for path in (layout.BUNDLE, layout.CONFIG):
        if left := tree.unfinished(path):
            plan.add("remove what an interrupted run left", left, tree.remove_all, left)
    # The record goes last: without it another run could not finish.
    for record in (tree.unfinished(layout.MANIFEST), layout.MANIFEST):
        if record is not None and tree.exists(record):
            plan.add("remove the record of what was there", record, tree.remove_all, record)
    known = {"plugins", "versions", "bundle", "config.json", "state", "installed.json"}
    foreign = tree.unknown_entries(layout.BASE, known)
    if foreign:
        plan.note(f"{layout.BASE} stays, for it has files that are not ours: {', '.join(foreign[:5])}")
    if tree.exists(layout.BASE) and not kept and not foreign:
        plan.add("remove", layout.BASE, tree.remove_dir, layout.BASE)
    return plan


def removal(tree: Tree, path: str, words: str = "remove") -> str:
    """Return the description of the step that removes `path`: `words`, or for a link that its target stays."""
    return words if tree.target(path) is None else f"remove the link; what is in {tree.target(path)} stays"


def _put_back_host_config(plan: Plan, tree: Tree, manifest: dict[str, Any]) -> None:
    record = manifest.get("host_config")
    now = tree.read(layout.HOST_CONFIG)
    before = now
    if record is not None and now is not None:
        before = json_merge.unmerge(now, record)
        if before is None:
            plan.add("remove it, as there was none", layout.HOST_CONFIG, tree.remove, layout.HOST_CONFIG)
        elif before != now:
            plan.add("put back what was there", layout.HOST_CONFIG, tree.write, layout.HOST_CONFIG, before)
    others = tree.unknown_entries(layout.HOST_CONFIG_DIR, {"config.json"})
    ours = layout.HOST_CONFIG_DIR in manifest.get("created", [])
    if ours and before is None and not others and tree.exists(layout.HOST_CONFIG_DIR):
        plan.add("remove", layout.HOST_CONFIG_DIR, tree.remove_dir, layout.HOST_CONFIG_DIR)


def _keep(plan: Plan, tree: Tree, manifest: dict[str, Any], *, purge: bool) -> set[str]:
    """Return which of ledger and configuration stay; add a note for each."""
    kept: set[str] = set()
    if purge:
        return kept
    if tree.names(layout.STATE):
        kept.add(layout.STATE)
        words = f"eni-ledger --state-dir {layout.STATE} list reads it, uninstall ecs --purge removes it"
        plan.note(f"the ledger stays in {layout.STATE}: {words}")
    if not _is_our_config(tree.read(layout.CONFIG), manifest.get("call_config")):
        kept.add(layout.CONFIG)
        plan.note(f"{layout.CONFIG} was changed by hand and stays; uninstall ecs --purge removes it")
    return kept


def _is_our_config(now: bytes | None, record: dict[str, Any] | None) -> bool:
    """Tell whether config.json does not exist or holds only what `install` wrote."""
    if now is None:
        return True
    if record is not None:
        return json_merge.unmerge(now, record) is None
    settings = json_merge.parse(now, layout.CONFIG)
    return settings == layout.call_settings(settings.get("delegateDir", ""))
