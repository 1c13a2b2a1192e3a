"""What can be told of a line without parsing it: most lines of a segment have nothing to do with what is asked for.

A writer begins every line in the same way (`codec.KEYS` is the order), so the kind of an event and its association
can be read off at fixed places. A line that begins in any other way, or that has a backslash in it, is parsed.
"""

from __future__ import annotations

from eni_ledger.ledger.parse import loads as parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from typing import Any

    Event = dict[str, Any]
    Loads = Callable[[bytes], Event]
    Line = tuple[bytes, str | None]  # and what `association` says of it

_HEAD = [b"{", b"ts", b":", b",", b"seq", b"v", b":1,", b"event", b":", b","]
"""What stands between the quotes of such a line, up to the comma behind its kind; less the values."""

_KINDS = frozenset((b"add", b"adopt", b"identify", b"del", b"lost", b"add_failed", b"import"))
BOOT, CHECKPOINT = b'"event":"boot"', b'"event":"checkpoint"'
BEGINNING = len('{"ts":"0000-00-00T00:00:00.000000Z","seq":0000000000000000,"v":1,"event":"checkpoint"')
"""Bytes of a line within which its kind is."""

_LIVE, _BETWEEN = b'"live":[', b"},{"
_TS, _SEQ_AT = slice(7, 34), 42  # where such a line has them
_KIND, _NEXT_KEY, _NEXT_VALUE = 11, 13, 15
_ZERO = ord("0")


def _head(line: bytes) -> list[bytes] | None:
    """Return what stands between the first quotes of a line; None when it does not begin as a writer begins it."""
    head = line.split(b'"', _NEXT_VALUE + 1)
    if (
        head[:3] + head[4:6] + head[7:_KIND] + head[_KIND + 1 : _NEXT_KEY] != _HEAD
        or len(head) <= _NEXT_VALUE
        or b"\\" in line
    ):
        return None
    seq = head[6]
    if len(head[3]) != 27 or seq[:1] != b":" or seq[-1:] != b"," or not seq[1:-1].isdigit() or seq[1] == _ZERO:
        return None
    return head if head[_KIND] in _KINDS else None


def association(line: bytes) -> str | None:
    """Return the association that the event of a line is about; empty for none, None when that takes parsing.

    None, too, for an event that has to do with others: a boot, a checkpoint, one that superseded associations.
    """
    head = _head(line)
    if head is None or b'"supersedes":' in line:
        return None
    if head[_NEXT_KEY] == b"association_id" and head[_NEXT_VALUE - 1] == b":":
        found = head[_NEXT_VALUE]
        return found.decode() if found.isascii() else None
    return None if b'"association_id":' in line else ""


def ts(line: bytes) -> bytes:
    """Return the time of a line that begins as usual."""
    return line[_TS]


def begins_as_usual(line: bytes) -> bool:
    """Tell whether `ts` and `seq` are where a writer writes them, whatever follows."""
    return line[:7] == b'{"ts":"' and line[34:_SEQ_AT] == b'","seq":'


def seq(line: bytes) -> int:
    """Return the seq of a line as a writer begins it. Raises ValueError for one that begins in another way."""
    return int(line[_SEQ_AT : line.index(b",", _SEQ_AT)])


def checkpoint(line: bytes, texts: Iterable[bytes | None]) -> Event:
    """Return the event of a checkpoint; of what is live those in which one of `texts` is, as far as that can be told.

    Raises ValueError as `parse` does.
    """
    begins, ends = line.find(_LIVE) + len(_LIVE), line.rfind(b"]")
    if len(_LIVE) <= begins < ends and b"\\" not in line:
        each = line[begins + 1 : ends - 1].split(_BETWEEN)
        wanted = [one for one in each if any(text in one for text in texts if text)]
        kept = b"{%b}" % _BETWEEN.join(wanted) if wanted else b""
        try:
            return parse(line[:begins] + kept + line[ends:])  # type: ignore[no-any-return]  # the same
        except ValueError:
            pass  # what stands between two of them stands in a name, too
    return parse(line)  # type: ignore[no-any-return]  # a line of a ledger is an object


def loads_about(text: bytes, ids: Container[str]) -> Loads:
    """Return a `loads` that passes over the lines that neither have `text` in them nor are about one of `ids`.

    `text` is what an event that tells of what is asked for must have in it, see `Query.literal`; `ids` may grow
    meanwhile. What it returns for a line that it passes over has nothing but the `seq`. Raises ValueError as orjson
    does, for a line that it has to parse.
    """

    def loads(line: bytes) -> Event:
        about = association(line)
        if about is None or about in ids or text in line:
            found: Event = parse(line)
            return found
        return _passed_over(line)

    return loads


def loads_of(kinds: frozenset[bytes]) -> Loads:
    """Return a `loads` that passes over events of other kinds than these; boots and checkpoints it parses always."""

    def loads(line: bytes) -> Event:
        head = _head(line)
        if head and head[_KIND] not in kinds:
            return _passed_over(line)
        found: Event = parse(line)
        return found

    return loads


def loads_since(since: str) -> Loads:
    """Return a `loads` that passes over events of before `since`, a time of the ledger."""
    earliest = since.encode()

    def loads(line: bytes) -> Event:
        if line[_TS] < earliest and _head(line):
            return _passed_over(line)
        found: Event = parse(line)
        return found

    return loads


def _passed_over(line: bytes) -> Event:
    return {"ts": "", "seq": int(line[_SEQ_AT : line.index(b",", _SEQ_AT)]), "event": ""}
