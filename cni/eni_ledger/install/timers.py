"""The timers of `conf/systemd`: which of them are enabled, and the command that enables them."""

from __future__ import annotations

from collections.abc import Sequence

from eni_ledger.install.tree import Tree

# Each with what is missing while it is disabled. Only an ECS host has a database to identify branches with.
IDENTIFY, FSCK, PRUNE = (f"eni-ledger-{name}.timer" for name in ("identify", "fsck", "prune"))
PURPOSE = {
    IDENTIFY: "ENI ID and task that are not known at a task's start are not looked up again",
    FSCK: "the ledger is not proven every night",
    PRUNE: "old segments are not packed and indexed",
}
SYSTEMD = "/run/systemd/system"  # exists while systemd is process 1, sd_booted(3)
# systemd.unit(5); on some distributions /lib is not a link to /usr/lib.
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_WANTED = "timers.target.wants"


def expected(*, ecs: bool) -> list[str]:
    """Return the timers that a host should have enabled."""
    return [unit for unit in PURPOSE if ecs or unit != IDENTIFY]


def disabled(tree: Tree, units: Sequence[str]) -> list[str]:
    """Return those of `units` that systemd does not start at boot."""
    return [unit for unit in units if not any(tree.exists(f"{place}/{_WANTED}/{unit}") for place in _UNITS)]


def enabling(tree: Tree, units: Sequence[str]) -> str:
    """Return the command that enables `units`, after a hint to install the package if a unit does not exist."""
    missing = [
        unit for unit in units if not any(tree.exists(f"{place}/{unit}") for place in (*_UNITS, "/lib/systemd/system"))
    ]
    if missing:
        return "install the package of eni-ledger, which has them; then " + _command(tree, units)
    return _command(tree, units)


def _command(tree: Tree, units: Sequence[str]) -> str:
    where = "--now" if tree.is_host else f"--root={tree.root}"
    return f"systemctl enable {where} {' '.join(units)}"
