"""How long a test waits for what has to come.

Nothing is said about time by these: they only end a test whose program never answers. A busy machine, or the virtual
one that is emulated on it, takes twenty times as long as an idle one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 600.0
"""Seconds for one program to end, or one thing to come to pass."""


def until(condition: Callable[[], object], what: Callable[[], str] | str, every_s: float = 0.01) -> None:
    """Wait until `condition` holds, looking every `every_s` seconds; else the test fails with `what` did not happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(every_s)
