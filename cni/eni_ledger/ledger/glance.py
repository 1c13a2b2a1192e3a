"""What can be told of a line without parsing it: most lines of a segment have nothing to do with what is asked for.

A writer begins every line in the same way (`codec.KEYS` is the order), so the kind of an event and its association
can be read off at fixed places. A line that begins in any other way, or that has a backslash in it, is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Any

import orjson

Event = dict[str, Any]
Loads = Callable[[bytes], Event]

_HEAD = re.compile(
    rb'\{"ts":"[^"\\]{27}","seq":([1-9][0-9]{0,17}),"v":1,"event":"(add|adopt|identify|del|lost|add_failed|import)",'
    rb'(?:"association_id":"([ -!#-\[\]-~]+)",)?'
)
_TS, _SEQ_AT = slice(7, 34), 42  # where such a line has them


def association(line: bytes) -> str | None:
    """Return the association that the event of a line is about; empty for none, None when that takes parsing.

    None, too, for an event that has to do with others: a boot, a checkpoint, one that superseded associations.
    """
    head = _HEAD.match(line)
    if head is None or b"\\" in line or b'"supersedes":' in line:
        return None
    found: bytes | None = head[3]
    if found is not None:
        return found.decode()
    return None if b'"association_id":' in line else ""


def loads_about(text: bytes, ids: Container[str]) -> Loads:
    """Return a `loads` that passes over the lines that neither have `text` in them nor are about one of `ids`.

    `text` is what an event that tells of what is asked for must have in it, see `Query.literal`; `ids` may grow
    meanwhile. What it returns for a line that it passes over has nothing but the `seq`. Raises ValueError as orjson
    does, for a line that it has to parse.
    """

    def loads(line: bytes) -> Event:
        about = association(line)
        if about is None or about in ids or text in line:
            found: Event = orjson.loads(line)
            return found
        return _passed_over(line)

    return loads


def loads_of(kinds: frozenset[bytes]) -> Loads:
    """Return a `loads` that passes over events of other kinds than these; boots and checkpoints it parses always."""

    def loads(line: bytes) -> Event:
        head = _HEAD.match(line)
        if head and head[2] not in kinds and b"\\" not in line:
            return _passed_over(line)
        found: Event = orjson.loads(line)
        return found

    return loads


def loads_since(since: str) -> Loads:
    """Return a `loads` that passes over events of before `since`, a time of the ledger."""
    earliest = since.encode()

    def loads(line: bytes) -> Event:
        if line[_TS] < earliest and _HEAD.match(line) and b"\\" not in line:
            return _passed_over(line)
        found: Event = orjson.loads(line)
        return found

    return loads


def _passed_over(line: bytes) -> Event:
    return {"ts": "", "seq": int(line[_SEQ_AT : line.index(b",", _SEQ_AT)]), "event": ""}
