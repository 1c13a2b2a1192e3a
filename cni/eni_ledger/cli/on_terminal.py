"""What stands for standard output while it is a terminal and its text goes elsewhere first."""

from __future__ import annotations

from typing import Any


class OnTerminal:
    """A terminal as far as width and colour go: that of `out`."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def isatty(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        descriptor: int = self._out.fileno()
        return descriptor

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: the terminal gets what it always gets."""
