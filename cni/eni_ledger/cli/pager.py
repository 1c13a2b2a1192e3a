"""A pager for what is longer than the screen. Only on a terminal; never for output that goes on, nor in a pipe."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from eni_ledger.base.runtime import original_environment
from eni_ledger.cli.on_terminal import OnTerminal

_LESS = "FRX"  # quit on a single screen, pass colours through, leave the text on the screen
_OFF = ("", "cat")


def command() -> list[str]:
    """Return the pager's command line: ENI_LEDGER_PAGER, else PAGER, else less; empty for none.

    Under sudo it is less, without commands that start a shell (LESSSECURE): sudo may have allowed no more than this
    program.
    """
    chosen = os.environ.get("ENI_LEDGER_PAGER", os.environ.get("PAGER"))
    if chosen is not None and chosen.strip() in _OFF:
        return []
    if chosen is None or "SUDO_UID" in os.environ:
        chosen = "less"
    try:
        words = shlex.split(chosen)
    except ValueError:
        return []
    return words if words and shutil.which(words[0]) else []


class PagedOutput(OnTerminal):
    """Stands for standard output on a terminal: keeps what is printed until it is longer than the screen.

    Then it starts the pager and hands everything to it. `note` is for what is said beside the answer.
    """

    def __init__(self, out: Any, words: list[str]) -> None:
        super().__init__(out)
        self._words = words
        self._size = os.terminal_size(_screen(out))
        self._kept: list[str] = []
        self._rows = 0
        self._through = False
        self.pager: subprocess.Popen[str] | None = None

    def write(self, text: str) -> int:
        """Keep the text, or pass it on."""
        if self.pager is not None and self.pager.stdin is not None:
            self.pager.stdin.write(text)
        elif self._through:
            self._out.write(text)
        else:
            self._kept.append(text)
            self._rows += text.count("\n") + len(text) // (self._size.columns + 1)
            if self._rows >= self._size.lines:
                self._start()
        return len(text)

    def note(self, text: str) -> bool:
        """Pass on what standard error is for, if the pager has the screen; else return False."""
        if self.pager is None:
            self.release()
            return False
        self.write(text)
        return True

    def flush(self) -> None:
        """Flush what has been passed on; what is kept stays."""
        if self.pager is not None and self.pager.stdin is not None:
            self.pager.stdin.flush()
        elif self._through:
            self._out.flush()

    def release(self) -> None:
        """Print what is kept; from here on nothing is, unless nothing was."""
        if self.pager is None and self._kept:
            self._through = True
            self._out.write("".join(self._kept))
            self._kept = []
            self._out.flush()

    def close(self) -> None:
        """Print what is kept, or wait until the reader has left the pager."""
        if self.pager is None:
            self.release()
            return
        with contextlib.suppress(BrokenPipeError):
            if self.pager.stdin is not None:
                self.pager.stdin.close()
        while True:
            try:
                self.pager.wait()
            except KeyboardInterrupt:  # for the pager, which stops what it does
                continue
            return

    @property
    def encoding(self) -> str:
        """The encoding of the terminal."""
        return str(self._out.encoding)

    def _start(self) -> None:
        env = {**original_environment(os.environ), "LESS": os.environ.get("LESS", _LESS)}
        if "SUDO_UID" in os.environ:
            env |= {"LESSSECURE": "1", "LESS": _LESS}
        try:
            self.pager = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, text=True, encoding="utf-8", errors="backslashreplace", env=env
            )
        except OSError:
            self.release()
            return
        kept, self._kept = "".join(self._kept), []
        self.write(kept)


def _screen(out: Any) -> tuple[int, int]:
    """Return columns and lines of the terminal: COLUMNS and LINES when set, else what it says."""
    try:
        size = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((80, 24))
    given = [os.environ.get(name, "") for name in ("COLUMNS", "LINES")]
    columns, lines = (int(text) if text.isdecimal() else 0 for text in given)
    return columns or size.columns or 80, lines or size.lines or 24


@contextlib.contextmanager
def paged(*, wanted: bool = True) -> Iterator[None]:
    """Page what is printed within, if it is `wanted` and standard output is a terminal.

    A reader who leaves the pager before the end has seen enough: what runs within is ended quietly.
    """
    out = sys.stdout
    words = command() if wanted and out is not None and out.isatty() and os.environ.get("TERM") != "dumb" else []
    if not words:
        yield
        return
    output = PagedOutput(out, words)
    sys.stdout = output  # as much of a stream as is used
    try:
        yield
    except BrokenPipeError:
        if output.pager is None:
            raise
    finally:
        sys.stdout = out
        output.close()
