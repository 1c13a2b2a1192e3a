"""What can be told of a line without parsing it: most lines of a segment have nothing to do with what is asked for.

A writer begins every line in the same way (`line.KEYS` is the order), so the kind of an event and its association
can be read off at fixed places. A line that begins in any other way, or that has a backslash in it, is parsed.
"""

from __future__ import annotations

from eni_ledger.base.bulk_json import loads as parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from eni_ledger.base.events import Event

    Loads = Callable[[bytes], Event]
    Line = tuple[bytes, str | None]  # and what `association` says of it

_KINDS = frozenset((b"add", b"adopt", b"identify", b"del", b"lost", b"add_failed", b"import"))
BOOT, CHECKPOINT = b'"event":"boot"', b'"event":"checkpoint"'
BEGINNING = len('{"ts":"0000-00-00T00:00:00.000000Z","seq":0000000000000000,"v":1,"event":"checkpoint"')
"""Bytes of a line within which its kind is."""

_LIVE, _BETWEEN = b'"live":[', b"},"
_CONTAINER = b'{"id":'
_TS, _SEQ_AT = slice(7, 34), 42  # where such a line has them
_EVENT, _ABOUT = b',"v":1,"event":"', b'","association_id":"'
_DEL = b',"v":1,"event":"del","association_id":"'
_NOT_PLAIN = (b"\\", b'"spooled_ts"', b'"reason"')
BEGINS, ENDS = (b"add", b"adopt"), (b"del", b"lost")
_TELLING = (*BEGINS, b"identify")


def _kind(line: bytes) -> tuple[bytes, int] | None:
    """Return the kind of an event and where it ends in its line; None for one that does not begin as usual."""
    at = line.find(_EVENT, _SEQ_AT, _SEQ_AT + 18 + len(_EVENT))
    begins = at + len(_EVENT)
    ends = line.find(b'"', begins, begins + 12)
    kind, digits = line[begins:ends], line[_SEQ_AT:at]
    if (
        at < 0
        or kind not in _KINDS
        or not digits.isdigit()
        or digits[:1] == b"0"
        or line[:7] != b'{"ts":"'
        or line[34:_SEQ_AT] != b'","seq":'
        or b'"' in line[_TS]
        or b"\\" in line
    ):
        return None
    return kind, ends


def association(line: bytes) -> str | None:
    """Return the association that the event of a line is about; empty for none, None when that takes parsing.

    None, too, for an event that has to do with others: a boot, a checkpoint, an add that superseded associations.
    """
    found = _kind(line)
    if found is None or (found[0] in BEGINS and b'"supersedes":' in line):
        return None
    at = found[1] + len(_ABOUT)
    if line[found[1] : at] != _ABOUT:
        return None if b'"association_id":' in line else ""
    about = line[at : line.find(b'"', at)]
    return about.decode() if about.isascii() else None


def kind(line: bytes) -> bytes:
    """Return the kind of the event of a line that begins as usual."""
    found = _kind(line)
    return found[0] if found is not None else b""


def end(line: bytes) -> Event | None:
    """Return time, seq, kind and association of a `del` that says no more that matters; None for any other line."""
    at = line.find(_DEL, _SEQ_AT, _SEQ_AT + 18 + len(_DEL))
    if at < 0 or not has_canonical_prefix(line) or any(text in line for text in _NOT_PLAIN):
        return None
    begins = at + len(_DEL)
    try:
        about = line[begins : line.index(b'"', begins)].decode()
        return {"ts": line[_TS].decode(), "seq": int(line[_SEQ_AT:at]), "event": "del", "association_id": about}
    except ValueError:
        return None


def ts(line: bytes) -> bytes:
    """Return the time of a line that begins as usual."""
    return line[_TS]


def kind_at(line: bytes) -> int:
    """Return where the kind of a line's event stands; 0 if what is before it is not where a writer writes it."""
    at = line.find(_EVENT, _SEQ_AT, _SEQ_AT + 18 + len(_EVENT)) if line[34:_SEQ_AT] == b'","seq":' else -1
    return at + len(_EVENT) if at > 0 else 0


def has_canonical_prefix(line: bytes) -> bool:
    """Tell whether `ts` and `seq` are where a writer writes them, whatever follows."""
    return line[:7] == b'{"ts":"' and line[34:_SEQ_AT] == b'","seq":'


def seq(line: bytes) -> int:
    """Return the seq of a line as a writer begins it. Raises ValueError for one that begins in another way."""
    return int(line[_SEQ_AT : line.index(b",", _SEQ_AT)])


def checkpoint(line: bytes, texts: Iterable[bytes]) -> Event:
    """Return the event of a checkpoint; of what is live those in which one of `texts` is, as far as that can be told.

    Raises ValueError as `parse` does.
    """
    begins, ends = line.find(_LIVE) + len(_LIVE), line.rfind(b"]")
    # Each of them begins with the same key, and the containers within them with another one.
    start = line[begins : line.find(b":", begins) + 1]
    if len(_LIVE) <= begins < ends and start != _CONTAINER and b"\\" not in line:
        each = line[begins + len(start) : ends - 1].split(_BETWEEN + start)
        wanted = [start + one for one in each if any(text in start + one for text in texts)]
        kept = b"%b}" % _BETWEEN.join(wanted) if wanted else b""
        try:
            return parse(line[:begins] + kept + line[ends:])  # type: ignore[no-any-return]  # the same
        except ValueError:
            pass  # what stands between two of them stands in a name, too
    return parse(line)  # type: ignore[no-any-return]  # a line of a ledger is an object


def loads_about(texts: Sequence[bytes] | None, ids: Container[str]) -> Loads:
    """Return a `loads` that passes over the lines that neither have one of `texts` in them nor are about one of `ids`.

    An event that tells of what is asked for must have one of `texts` in it, see `Query.literals`; without them, it only
    must be of a kind that tells what an association has. `ids` may grow meanwhile. What it returns for a line that it
    passes over has nothing but the `seq`. Raises ValueError as orjson does, for a line that it has to parse.
    """

    def loads(line: bytes) -> Event:
        about = association(line)
        if (
            about is None
            or about in ids
            or (any(text in line for text in texts) if texts is not None else _tells(line))
        ):
            found: Event = parse(line)
            return found
        return _passed_over(line)

    return loads


def _tells(line: bytes) -> bool:
    """Tell whether the event of a line that begins as usual says what an association has."""
    found = _kind(line)
    return found is not None and found[0] in _TELLING


def loads_of(kinds: frozenset[bytes]) -> Loads:
    """Return a `loads` that passes over events of other kinds than these; boots and checkpoints it parses always."""

    def loads(line: bytes) -> Event:
        found = _kind(line)
        if found and found[0] not in kinds:
            return _passed_over(line)
        return parse(line)  # type: ignore[no-any-return]  # the same

    return loads


def loads_since(since: str) -> Loads:
    """Return a `loads` that passes over events of before `since`, a time of the ledger."""
    earliest = since.encode()

    def loads(line: bytes) -> Event:
        if line[_TS] < earliest and _kind(line):
            return _passed_over(line)
        found: Event = parse(line)
        return found

    return loads


def _passed_over(line: bytes) -> Event:
    return {"ts": "", "seq": seq(line), "event": ""}
