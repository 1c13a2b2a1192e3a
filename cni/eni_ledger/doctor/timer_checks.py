"""Doctor check of the timers, which complete, verify and pack the ledger."""

from __future__ import annotations

import os

from eni_ledger.base.errors import InstallError
from eni_ledger.doctor.host import OK, SKIPPED, WARN, Check, Finding, Host
from eni_ledger.install.timers import PURPOSE, SYSTEMD, disabled, enabling, expected


def timers(host: Host) -> Finding:
    """Are the timers enabled that complete, verify and pack the ledger?"""
    name = "timers"
    if not os.path.isdir(host.paths.of(SYSTEMD)):
        return Finding(name, SKIPPED, "systemd does not run here")
    if (unseen := host.no_ledger(name)) and not host.has_ecs:
        return unseen
    wanted = expected(ecs=host.has_ecs)
    tree = host.paths.tree
    off = disabled(tree, wanted)
    stopped = [timer for timer in wanted if timer not in off and tree.is_host and not _active(host, timer)]
    if not off and not stopped:
        return Finding(name, OK, f"{', '.join(wanted)} are on")
    words = [f"{timer} is off: {PURPOSE[timer]}" for timer in off]
    words += [f"{timer} is enabled and not started" for timer in stopped]
    return Finding(name, WARN, "; ".join(words), enabling(tree, [*off, *stopped]))


def _active(host: Host, unit: str) -> bool:
    try:
        return host.agents.is_active(unit)
    except InstallError:
        return True  # systemd cannot be asked, and the unit is enabled


CHECKS: tuple[Check, ...] = (timers,)
