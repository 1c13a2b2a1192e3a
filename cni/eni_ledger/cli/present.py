"""Print an answer in any form but the plain ones, which `answers` prints without a library."""

from __future__ import annotations

from typing import Any

from eni_ledger.base.errors import UsageError
from eni_ledger.cli.session import Session
from eni_ledger.render.form import Form


def present(session: Session, form: Form, document: dict[str, Any]) -> None:
    """Print `document`, as `--json` prints it, in `form`. Raises UsageError."""
    hint = f"{session.command('list')} --json, of {len(document)} keys"
    raise UsageError("this form is not there yet", form.output, hint)
