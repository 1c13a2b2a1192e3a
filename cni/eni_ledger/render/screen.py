"""Where output goes: a terminal of some width, or a pipe."""

from __future__ import annotations

import os
import sys
from datetime import UTC

from eni_ledger.base.minijson import dumps, escaped
from eni_ledger.render.text import fold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from typing import Any

    from eni_ledger.base.events import Fields

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def one_line(value: object) -> str:
    """Return `value` as JSON on one line; what cannot be seen on a terminal is written ``\\uXXXX``."""
    text = dumps(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else escaped(c) for c in text)  # lone surrogates


class Screen:
    """Standard output and error of one command.

    `width` is the number of columns, None when standard output is no terminal: then nothing is dropped
    or coloured. `colour` says whether escape sequences may be used: on a terminal, unless NO_COLOR,
    TERM=dumb or `--no-color` forbid it. Times are shown in `zone`; JSON is always in UTC.
    Tables have a line of `headers`.
    """

    def __init__(self, *, no_color: bool = False, zone: tzinfo = UTC) -> None:
        self.zone = zone
        self.headers = True
        self.width = _columns() if _is_terminal(sys.stdout) else None
        forbidden = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.colour = self.width is not None and not forbidden
        self.err_is_terminal = _is_terminal(sys.stderr)
        self.colour_err = self.err_is_terminal and not forbidden

    def paint(self, text: str, style: str) -> str:
        """Return `text` in a style such as ``bold red`` when there is colour."""
        return _paint(text, style) if self.colour else text

    def line(self, text: str = "") -> None:
        """Print one line."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Print text as it is."""
        if sys.stdout is not None:
            sys.stdout.write(text)

    def utf8(self) -> None:
        """Print in UTF-8 from here on, whatever the locale says; JSON is UTF-8 (RFC 8259, section 8.1)."""
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8")

    def prose(self, text: str, style: str = "", indent: int = 0) -> None:
        """Print a sentence, on a terminal in lines broken at blanks; all but the first begin with `indent` blanks."""
        for number, line in enumerate(fold(text, self.width and max(1, self.width - indent))):
            self.line(" " * (indent if number else 0) + self.paint(line, style))

    def note(self, text: str) -> None:
        """Say something beside the answer, on standard error."""
        for line in fold(text, _columns() if self.err_is_terminal else None):
            complain(line)

    def flush(self) -> None:
        """Hand over what was printed so far; needed before standard error says something about it."""
        if sys.stdout is not None:
            sys.stdout.flush()

    def json_lines(self, values: Iterable[Fields]) -> Iterator[None]:
        """Print one JSON object a line, as they come; yields after each, for the caller to count or flush."""
        self.utf8()
        for value in values:
            self.line(one_line(value))
            yield

    def json_document(self, document: dict[str, Any], keys: dict[str, tuple[str, ...]] | None = None) -> None:
        """Print one JSON object whose lists have one member a line, so that it can be grepped too.

        `keys` are, by the name of a list, the keys that each of its objects has: null if the object does not say.
        """
        self.utf8()
        parts = []
        for key, value in document.items():
            if isinstance(value, list) and value:
                every = keys.get(key, ()) if keys else ()
                inside = ",\n".join(_object(item, every) if every else one_line(item) for item in value)
                parts.append(f"{one_line(key)}:[\n{inside}\n]")
            else:
                parts.append(f"{one_line(key)}:{one_line(value)}")
        self.line("{" + ",\n".join(parts) + "}")


def _object(value: Fields, keys: tuple[str, ...]) -> str:
    """Return an object as JSON, with null for those of `keys` that it lacks: quicker than to encode them all."""
    nulls = "".join([f',"{key}":null' for key in keys if key not in value])
    return f"{one_line(value)[:-1]}{nulls}}}"


def complain(text: str) -> None:
    """Print one line on standard error, if there is one; among the answer while a pager has the terminal."""
    beside = getattr(sys.stdout, "note", None)
    if beside is not None and _is_terminal(sys.stderr) and beside(text + "\n"):
        return
    if sys.stderr is not None:
        sys.stderr.write(text + "\n")


def error_lines(msg: str, hint: str, *, colour: bool) -> list[str]:
    """Return what is printed for an error: ``error: ...`` and, with a hint, ``try: ...``."""
    head = _paint("error:", "bold red") if colour else "error:"
    lines = [f"{head} {msg}"]
    if hint:
        lines.append(f"{_paint('try:', 'bold') if colour else 'try:'} {hint}")
    return lines


def _paint(text: str, style: str) -> str:
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _columns() -> int:
    """Return the terminal's width: COLUMNS when set, else what the terminal says, else 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
