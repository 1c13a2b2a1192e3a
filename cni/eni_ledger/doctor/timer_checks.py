"""The doctor's question about the timers: what is promised of the ledger over days rests on them."""

from __future__ import annotations

import os

from eni_ledger.base.errors import InstallError
from eni_ledger.doctor.host import OK, SKIPPED, WARN, Check, Finding, Host
from eni_ledger.install.timers import PURPOSE, SYSTEMD, disabled, enabling, expected


def timers(host: Host) -> Finding:
    """Are the timers on that complete, prove and pack the ledger?"""
    name = "timers"
    if not os.path.isdir(host.paths.of(SYSTEMD)):
        return Finding(name, SKIPPED, "systemd does not run here")
    if (unseen := host.no_ledger(name)) and not host.has_ecs:
        return unseen
    wanted = expected(ecs=host.has_ecs)
    tree = host.paths.tree
    off = disabled(tree, wanted)
    stopped = [one for one in wanted if one not in off and tree.is_host and not _active(host, one)]
    if not off and not stopped:
        return Finding(name, OK, f"{', '.join(wanted)} are on")
    words = [f"{one} is off: {PURPOSE[one]}" for one in off]
    words += [f"{one} is enabled and not started" for one in stopped]
    return Finding(name, WARN, "; ".join(words), enabling(tree, [*off, *stopped]))


def _active(host: Host, unit: str) -> bool:
    try:
        return host.agents.is_active(unit)
    except InstallError:
        return True  # systemd cannot be asked, and the unit is enabled


CHECKS: tuple[Check, ...] = (timers,)
