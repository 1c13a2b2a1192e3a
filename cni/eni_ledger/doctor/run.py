"""Run the checks of this host: one finding for each. Changes nothing.

Checks are independent: an error in one becomes its finding, and the others run. On a host without the ECS agent its
checks are skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.doctor.host import FAIL, WARN, Check, Finding, Host, Paths, hidden
from eni_ledger.identity import bolt


def run_checks(
    settings: Settings,
    paths: Paths | None = None,
    conf_dirs: Sequence[str] | None = None,
    configured: str | None = None,
) -> list[Finding]:
    """Return the findings, prerequisites first. A fault of the host is a finding, not an exception.

    `conf_dirs` are the directories of network configurations, by default those that the runtimes of this host read.
    `configured` is the state directory of this host's configuration, if `settings` name another one.
    """
    # They import pyroute2, which `doctor --help` does without.
    from eni_ledger.doctor import agent_checks, chain_checks, ledger_checks, place_checks, timer_checks

    host = Host(settings, paths or Paths(), conf_dirs, configured)
    checks = (
        *agent_checks.CHECKS,
        *chain_checks.CHECKS,
        *place_checks.CHECKS,
        *ledger_checks.CHECKS,
        *timer_checks.CHECKS,
    )
    return [_run(check, host) for check in checks]


def _run(check: Check, host: Host) -> Finding:
    name = check.__name__.replace("_", "-")
    try:
        return check(host)
    except PermissionError as exc:
        return hidden(name, str(exc.filename or "a file that it reads"))
    except EniLedgerError as exc:
        return Finding(name, FAIL, str(exc), exc.hint)
    except (OSError, ValueError, bolt.Unreadable) as exc:
        return Finding(name, WARN, f"cannot be found out: {exc}")
