"""The timers of `conf/systemd` that keep a ledger complete, proven and small: are they on, and what turns them on."""

from __future__ import annotations

from collections.abc import Sequence

from eni_ledger.install.tree import Tree

# Each with what is not done while it is off. Only on an ECS host is there a database to identify branches with.
IDENTIFY, FSCK, PRUNE = (f"eni-ledger-{name}.timer" for name in ("identify", "fsck", "prune"))
PURPOSE = {
    IDENTIFY: "ENI ID and task that are not known at a task's start are not looked up again",
    FSCK: "the ledger is not proven every night",
    PRUNE: "old segments are not packed and indexed",
}
SYSTEMD = "/run/systemd/system"  # there while systemd is process 1, sd_booted(3)
# systemd.unit(5); a distribution may have /lib apart from /usr/lib.
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_WANTED = "timers.target.wants"


def expected(*, ecs: bool) -> list[str]:
    """Return the timers that a host should have on."""
    return [one for one in PURPOSE if ecs or one != IDENTIFY]


def disabled(tree: Tree, units: Sequence[str]) -> list[str]:
    """Return those of `units` that systemd does not start at boot."""
    return [one for one in units if not any(tree.exists(f"{place}/{_WANTED}/{one}") for place in _UNITS)]


def enabling(tree: Tree, units: Sequence[str]) -> str:
    """Return what turns `units` on: a command, or where to get them when they are not there."""
    missing = [
        one for one in units if not any(tree.exists(f"{place}/{one}") for place in (*_UNITS, "/lib/systemd/system"))
    ]
    if missing:
        return "install the package of eni-ledger, which has them; then " + _command(tree, units)
    return _command(tree, units)


def _command(tree: Tree, units: Sequence[str]) -> str:
    where = "--now" if tree.is_host else f"--root={tree.root}"
    return f"systemctl enable {where} {' '.join(units)}"
