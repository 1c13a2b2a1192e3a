"""An answer that is drawn again and again, with what has changed marked; in a pipe one document after the other."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from eni_ledger.cli.on_terminal import OnTerminal
from eni_ledger.render.text import columns

SECONDS = 2.0
_CODES = re.compile(r"\x1b\[[0-9;]*m")
_AGE = re.compile(r"\s+|\b\d+[smhd](?:\d+[smh])?\b")
_HOME, _LINE_END, _BELOW, _CLEAR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"
_CHANGED, _PLAIN = "\x1b[1m", "\x1b[0m"


class _Frame(OnTerminal, io.StringIO):
    """Standard output for one picture."""

    def __init__(self, out: Any) -> None:
        io.StringIO.__init__(self)
        OnTerminal.__init__(self, out)


def watch(draw: Callable[[], None], seconds: float = SECONDS) -> None:
    """Call `draw`, which prints an answer, every so many seconds; ends only by an exception, such as KeyboardInterrupt.

    On a terminal each picture takes the place of the one before, lines that are new or have changed in more than an
    age are bold. In a pipe the answers follow each other.
    """
    out = sys.stdout
    if out is None or not out.isatty() or os.environ.get("TERM") == "dumb":
        while True:
            draw()
            if out is not None:
                out.flush()
            time.sleep(seconds)
    before: set[str] | None = None
    while True:
        sys.stdout = frame = _Frame(out)
        try:
            draw()
        finally:
            sys.stdout = out
        lines = frame.getvalue().splitlines()
        out.write(_picture(lines, before, seconds, os.get_terminal_size(out.fileno())))
        out.flush()
        before = {_kept(line) for line in lines}
        time.sleep(seconds)


def _kept(line: str) -> str:
    """Return a line without what changes by itself: colours, blanks, ages."""
    return _AGE.sub("", _CODES.sub("", line))


def _picture(lines: list[str], before: set[str] | None, seconds: float, size: os.terminal_size) -> str:
    """Return what draws the lines over those of the picture `before`; more than the screen has are left out."""
    head = f"every {seconds:g} s, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; ^C ends"
    parts = [(_CLEAR if before is None else "") + _HOME + head + _LINE_END]
    room = max(1, (size.lines or 24) - 2)
    width = max(1, size.columns or 80)
    for number, line in enumerate(lines):
        room -= max(1, -(-columns(_CODES.sub("", line)) // width))
        if room < 1 and number + 1 < len(lines):
            parts.append(f"... {len(lines) - number} more lines{_LINE_END}")
            break
        new = before is not None and _kept(line) not in before and _kept(line)
        parts.append(f"{_CHANGED}{_CODES.sub('', line)}{_PLAIN}{_LINE_END}" if new else line + _LINE_END)
    return "\n".join(parts) + "\n" + _BELOW
