"""WHATs from standard input: the first word of each line, as in a column cut out of a flow log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO

from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.read.terms import readings
from eni_ledger.render.screen import complain
from eni_ledger.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STDIN = "-"
_NOTHING = ("-",)  # what flow logs have for an address that there is not
_LONGEST = 4096  # bytes of a line


def whats_of(words: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return the WHATs that `words` ask for, each once, and the number of lines that can be none.

    A word `-` stands for those on standard input. A line there that can be no WHAT is reported on standard error with
    its number. Raises UsageError if nothing is asked for.
    """
    whats: dict[str, None] = {}
    not_understood = 0
    for word in words:
        if word != STDIN:
            whats[word] = None
            continue
        if sys.stdin is None:
            raise UsageError("there is no standard input to read from", hint="give WHAT as an argument")
        for number, what in _lines(sys.stdin.buffer):
            try:
                if what is None:
                    raise UsageError("the line is too long", f"more than {_LONGEST} bytes")
                if what not in whats:
                    readings(what)
                    whats[what] = None
            except UsageError as exc:
                not_understood += 1
                complain(f"line {number}: {safe(str(exc))}")
    if STDIN in words and not whats:
        hint = "one WHAT a line: cut -d' ' -f4 flow.log | eni-ledger who -"
        if not_understood:
            raise UsageError("no line of standard input is understood", f"{not_understood} of {not_understood}", hint)
        raise UsageError("standard input is empty", hint=hint)
    return tuple(whats), not_understood


def _lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Yield number and first word of each line that is neither empty nor a comment; None for one that is too long."""
    number = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        if len(line) > _LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield number, None
            continue
        words = line.decode("utf-8", "backslashreplace").partition("#")[0].split(None, 1)
        if words and words[0] not in _NOTHING:
            yield number, words[0]
