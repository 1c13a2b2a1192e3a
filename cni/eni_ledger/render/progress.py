"""A progress bar on standard error, for what takes longer than a second. Never on anything but a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from eni_ledger.render.screen import Screen

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PATIENCE = 1.0  # seconds; a bar that flashes by is a nuisance


class Progress:
    """Called with bytes done and bytes in all; draws nothing before a second has gone by."""

    def __init__(self, screen: Screen, words: str, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._wanted = screen.err_is_terminal
        self._colour = screen.colour_err
        self._words = words
        self._began = time.monotonic()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note of how far it is; the last call takes the bar away."""
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._began < self._patience or done >= total:
                return
            self._bar = self._start(total)
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._wanted = False

    def _start(self, total: int) -> RichProgress:
        from rich.console import Console  # rich is loaded only when the bar appears
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=sys.stderr, force_terminal=True, color_system="standard" if self._colour else None)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        bar = RichProgress(*columns, console=console, transient=True)
        self._task = bar.add_task(self._words, total=total)
        bar.start()
        return bar
