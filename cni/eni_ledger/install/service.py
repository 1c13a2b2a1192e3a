"""Install and uninstall, from the checks to the report: called by the commands, and usable as a library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eni_ledger.base.errors import InstallError, UsageError
from eni_ledger.install import cni, conflist_search, ecs_uninstall, layout, plugin_dir, preflight, runtimes, timers
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.ecs import plan_ecs
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.plan import Plan, Step
from eni_ledger.install.preflight import Unproven
from eni_ledger.install.tree import Tree
from eni_ledger.install.trial_docker import DockerEngine

RESTART = " ".join(layout.RESTART)


class InstallReport:
    """The changes made, or planned: `steps` in order, `shown` the proofs of the bundle, `notes` for the operator.

    `unproven` is why a dry run could not prove the bundle; an install without --no-proof would stop there. `timers` is
    the command that enables the disabled timers, None if all are enabled. `restarted` is None if no restart was
    requested. `effective` is the command that makes the change effective, None if none is needed. `root` is prefixed
    to the paths of steps: the root of a tree that is not this host.
    """

    def __init__(self, *, dry_run: bool, done: Callable[[Step], None] | None = None, root: str = "/") -> None:
        self.dry_run = dry_run
        self.root = root.rstrip("/")
        self.steps: list[Step] = []
        self.shown: list[str] = []
        self.unproven: Unproven | None = None
        self.timers: str | None = None
        self.notes: list[str] = []
        self.bundle: Bundle | None = None
        self.restarted: bool | None = None
        self.effective: str | None = None
        self._done = done or (lambda _: None)

    def carry_out(self, plan: Plan) -> None:
        """Execute `plan`, or in a dry run only list its steps."""
        self.notes += [note for note in plan.notes if note not in self.notes]
        if self.dry_run:
            self.steps += map(self._shown, plan.steps)
            return
        plan.run(self._one_done)

    def _shown(self, step: Step) -> Step:
        return Step(step.what, self.root + step.path, step.do)

    def _one_done(self, step: Step) -> None:
        self.steps.append(self._shown(step))
        self._done(step)

    def document(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        return {
            "dry_run": self.dry_run,
            "bundle": self.bundle and {"name": self.bundle.name, "directory": self.bundle.directory},
            "proof": self.shown,
            "unproven": self.unproven and {"message": str(self.unproven), "hint": self.unproven.hint},
            "steps": [{"path": step.path, "what": step.what} for step in self.steps],
            "notes": self.notes,
            "effective_with": self.effective,
            "restarted": self.restarted,
            "timers_on_with": self.timers,
        }


def install_ecs(
    tree: Tree,
    bundle: Bundle,
    agent: Agent,
    docker: DockerEngine,
    report: InstallReport,
    *,
    prove: bool = True,
    restart: bool = False,
) -> None:
    """Put the bundle in front of the agent's plugins; fill `report`. Raises InstallError, before any change.

    Only a failed restart comes after the changes: the configuration then takes effect at the agent's next start.
    """
    if restart and not tree.is_host:
        raise UsageError("--restart is for this host, --root for another one", hint="leave one of them out")
    report.bundle = bundle
    preflight.check_agent(tree, agent)
    preflight.check_ecs_host(tree)
    preflight.check_place(tree, layout.AGENT_DATA, bundle)
    preflight.check_machine(tree, bundle)
    report.notes += preflight.notes(tree)
    if not prove:
        report.notes.append("not proven: that the bundle runs in the agent's container (--no-proof)")
    elif plan_ecs(tree, bundle, agent).steps:
        try:
            report.shown = preflight.prove(tree, bundle, docker)
        except Unproven as exc:
            if not report.dry_run:
                raise
            report.unproven = exc
    with tree.lock(layout.AGENT_DATA):
        report.carry_out(plan_ecs(tree, bundle, agent))
    if off := timers.disabled(tree, timers.expected(ecs=True)):
        report.timers = timers.enabling(tree, off)
    if not tree.is_host:
        report.notes.append("the agent of this image reads it at its first start")
        return
    _make_effective(agent, report, restart=restart)


def _make_effective(agent: Agent, report: InstallReport, *, restart: bool) -> None:
    """Restart the agent if requested and needed; else put the command into `report`."""
    is_effective = agent.is_effective(layout.PLUGIN_PATH)
    if is_effective:
        report.notes.append("the running agent calls its plugins through eni-ledger")
        return
    report.effective = RESTART
    if is_effective is None:
        report.notes.append("no running agent was seen; one reads this at its start")
    if not restart or report.dry_run:
        return
    report.restarted = agent.restart()
    if report.restarted and not agent.wait_for(layout.PLUGIN_PATH):
        raise InstallError(
            "the agent was restarted and does not run with the new setting yet",
            f"{layout.KEY} in {layout.ECS_CONFIG}",
            "journalctl -u ecs says why; eni-ledger uninstall ecs --restart puts everything back",
        )
    report.effective = None


def uninstall_ecs(
    tree: Tree, agent: Agent, report: InstallReport, *, purge: bool = False, restart: bool = False
) -> None:
    """Restore the state before `install_ecs`; fill `report`. Raises InstallError while the agent needs our files."""
    if restart and not tree.is_host:
        raise UsageError("--restart is for this host, --root for another one", hint="leave one of them out")
    if (
        not tree.is_dir(layout.AGENT_DATA)
        and not tree.exists(layout.HOST_CONFIG)
        and not tree.exists(layout.ECS_CONFIG)
    ):
        return  # not an ECS host
    preflight.check_writable(tree, layout.ECS_DIR, layout.AGENT_DATA)
    with tree.lock(layout.AGENT_DATA if tree.is_dir(layout.AGENT_DATA) else layout.ECS_DIR):
        report.carry_out(ecs_uninstall.plan_setting(tree))
        if tree.is_host and agent.using(layout.PLUGIN_PATH):
            report.effective = RESTART
            if restart and not report.dry_run:
                report.restarted = agent.restart()
                report.effective = None
        if not report.dry_run:
            ecs_uninstall.check_unused(tree, agent)
        report.carry_out(ecs_uninstall.plan_files(tree, purge=purge))


def install_cni(
    tree: Tree, bundle: Bundle, report: InstallReport, *, bin_dir: str | None = None, path: str | None = None
) -> None:
    """Put the bundle into a runtime's plugin directory, and into the conflist `path` if given.

    Without `bin_dir` the plugin directory is that of the conflist's other plugins and of the runtimes' configuration.
    Raises InstallError, also when that is not exactly one.
    """
    report.bundle = bundle
    types = conflist_search.needs(cni.read_conflist(tree, path)) if path is not None else []
    if bin_dir is None:
        bin_dir = plugin_dir.choose(tree, path, types)
    else:
        report.notes += plugin_dir.notes(tree, bin_dir, types)
    preflight.check_machine(tree, bundle)
    preflight.check_writable(tree, bin_dir, cni.BASE, *([path.rpartition("/")[0] or "/"] if path else []))
    preflight.check_place(tree, tree.nearest(cni.BASE), bundle)
    with tree.lock(tree.nearest(cni.BASE)):
        report.carry_out(cni.plan_install(tree, bundle, bin_dir, path))


def uninstall_cni(
    tree: Tree,
    report: InstallReport,
    *,
    purge: bool = False,
    conf_dirs: Sequence[str] | None = None,
    force: bool = False,
) -> None:
    """Restore the state before `install_cni`; fill `report`.

    Raises InstallError, also when a configuration in `conf_dirs` (default: where the runtimes read them) would call a
    plugin that is gone, unless `force`.
    """
    if conf_dirs is None:
        conf_dirs = runtimes.conf_dirs(tree)
    preflight.check_writable(tree, cni.BASE)
    with tree.lock(tree.nearest(cni.BASE)):
        report.carry_out(cni.plan_uninstall(tree, purge=purge, conf_dirs=conf_dirs, force=force))
