"""Find a line whose CRC matches and whose values have the wrong type: a text for a list, an object for a number.

Root can write such a line with a matching CRC. Readers do not check the type of each value, which would cost a question
more than all else; after one failed on such a value, this module finds the line.
"""

from __future__ import annotations

import os

import orjson
from pydantic import ValidationError

from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.schema import Event
from eni_ledger.ledger.query.imported import ledgers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields
    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.query.reader import LedgerReader


def find(history: LedgerReader) -> LedgerError | None:
    """Return the error for the first such line, None when there is none. Raises LedgerError, OSError."""
    return next(filter(None, map(_find, history.apart())), None)


def _find(history: History) -> LedgerError | None:
    with history.snapshot() as snapshot:
        for part in [part for ledger in ledgers(snapshot) for part in ledger.segments]:
            fd = part.open()
            try:
                lines = segment.walk(fd, part.name, part.size, damage=[], loads=orjson.loads)
                for number, offset, event, _ in lines:
                    if problem := _problem(event):
                        where = f"{history.path(part.name)} line {number}, offset {offset}: {problem}"
                        hint = "keep the file, it is evidence; eni-ledger log shows the lines before"
                        return LedgerError("a line of the ledger holds what no eni-ledger writes", where, hint)
            finally:
                os.close(fd)
    return None


def _problem(event: Fields) -> str:
    """Return which value of an event has the wrong type, empty if none has."""
    try:
        Event.model_validate(event)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'event'}: {first['msg']}"
    return ""
