"""eni-ledger: who had this VLAN, IP or branch ENI, and when.

The public Python API. `open_ledger` gives a `Ledger`; what it returns are `Association` and `Event` models; errors
are `EniLedgerError`.

    >>> import eni_ledger
    >>> ledger = eni_ledger.open_ledger()                                    # doctest: +SKIP
    >>> for association in ledger.who("10.0.32.4", at="2026-11-17T03:12:00Z"):  # doctest: +SKIP
    ...     print(association.eni_id, association.vlan_id, association.task_arn)

Importing this package loads nothing but this file: the plugin, for which every import counts, lives beside it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.api import Ledger, open_ledger
    from eni_ledger.base.errors import (
        ConfigError,
        EniLedgerError,
        FutureFormat,
        LedgerDamaged,
        LedgerError,
        NotFound,
        StateDirError,
        UsageError,
    )
    from eni_ledger.base.version import __version__
    from eni_ledger.ledger.format.schema import Association, Event

_ERRORS = "eni_ledger.base.errors"
_HOME = {
    "Association": "eni_ledger.ledger.format.schema",
    "ConfigError": _ERRORS,
    "EniLedgerError": _ERRORS,
    "Event": "eni_ledger.ledger.format.schema",
    "FutureFormat": _ERRORS,
    "Ledger": "eni_ledger.api",
    "LedgerDamaged": _ERRORS,
    "LedgerError": _ERRORS,
    "NotFound": _ERRORS,
    "StateDirError": _ERRORS,
    "UsageError": _ERRORS,
    "__version__": "eni_ledger.base.version",
    "open_ledger": "eni_ledger.api",
}

__all__ = [
    "Association",
    "ConfigError",
    "EniLedgerError",
    "Event",
    "FutureFormat",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "NotFound",
    "StateDirError",
    "UsageError",
    "__version__",
    "open_ledger",
]


def __getattr__(name: str) -> object:
    """Import the module of `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'eni_ledger' has no attribute {name!r}")
    from importlib import import_module  # not on the ADD path

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
