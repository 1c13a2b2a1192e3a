"""What a test needs from the machine and cannot make itself."""

from __future__ import annotations

import os

import pytest


def need(condition: object, reason: str) -> None:
    """Go on when `condition` holds; else fail in CI, where everything is to be there, and skip elsewhere."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)
