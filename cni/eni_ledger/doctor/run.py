"""Is everything as it should be? One finding for each question, from what this host shows. Changes nothing.

Every check stands alone: what keeps one from looking is its finding, and the others go on. On a host without the ECS
agent the questions about it are skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.doctor.host import FAIL, WARN, Check, Finding, Host, Paths, hidden
from eni_ledger.identity import bolt

if TYPE_CHECKING:
    pass


def run_checks(
    settings: Settings,
    paths: Paths | None = None,
    conf_dirs: Sequence[str] | None = None,
    configured: str | None = None,
) -> list[Finding]:
    """Return the findings, in the order in which one thing rests on another. Raises nothing for what is amiss.

    `conf_dirs` is where network configurations are, by default where the runtimes of this host read them; `configured`
    the state directory of this host's configuration, if another one is asked for.
    """
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
        return hidden(name, str(exc.filename or "what it asks"))
    except EniLedgerError as exc:
        return Finding(name, FAIL, str(exc), exc.hint)
    except (OSError, ValueError, bolt.Unreadable) as exc:
        return Finding(name, WARN, f"cannot be found out: {exc}")
