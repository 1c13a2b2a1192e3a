"""Formats single values for people. Every returned text is safe to print on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from eni_ledger import timespec
from eni_ledger.base.minijson import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    from eni_ledger.base.events import Fields

SHORT = 12  # what docker and the ECS console show of a 64-digit ID
TASK_SHORT = 8  # of a task ID beside the family; 32 bits tell the tasks of one family apart


def safe(value: object) -> str:
    """Return `value` as one line in which every character can be seen.

    Control characters, line ends, bidirectional overrides and lone surrogates become escapes: a name that a
    plugin or an image chose must not control the reader's terminal.
    """
    text = value if isinstance(value, str) else _words(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _words(value: object) -> str:
    """Return a value other than a string as text: a list with commas, an object as JSON."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_words(item) if not isinstance(item, str) else item for item in value)
    if isinstance(value, dict):
        return dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def moment(text: object) -> datetime | None:
    """Return a `ts` of the ledger as a time, None if it is not one; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def clock(ts: object, zone: tzinfo = UTC, *, milli: bool = False, named: bool = False) -> str:
    """Return a `ts` as ``2026-11-23 14:00:00`` in `zone`, with `named` and the zone behind it.

    A value that is not a time is returned unchanged. Behind a time that the zone's clock shows twice the zone stands in
    any case.
    """
    if not isinstance(ts, str):
        return safe(ts)
    return safe(timespec.clock(ts, zone, unit="milliseconds" if milli else "seconds", named=named))


def zone_name(zone: tzinfo) -> str:
    """Return a zone as the header of a column names it: ``UTC``, ``Europe/Berlin``, ``CET``, ``local``."""
    return "UTC" if zone is UTC else safe(str(zone))


def age(seconds: float) -> str:
    """Return a duration in its two largest units: ``42s`` ``5m10s`` ``3h12m`` ``2d4h`` ``40d``."""
    left = max(0, int(seconds))
    for unit, size, lesser, small in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if left >= size:
            whole, rest = left // size, left % size // small
            return f"{whole}{unit}{rest}{lesser}" if rest and whole < 30 else f"{whole}{unit}"
    return f"{left}s"


def since(ts: object, now: datetime) -> str:
    """Return how long before `now` a `ts` was."""
    time = moment(ts)
    return age((now - time).total_seconds()) if time else safe(ts)


def task_id(arn: object) -> str:
    """Return the ID at the end of a task ARN (``.../task/ID``, ``.../task/cluster/ID``); else the whole text."""
    return safe(arn).rsplit("/", 1)[-1]


def short_id(association_id: object) -> str:
    """Return the first digits of an association ID, which `eni-ledger show` accepts; 32 bits suffice for one host."""
    return safe(association_id).removeprefix("assoc-")[:8]


def family(record: Fields) -> str:
    """Return ``family:revision`` of the task, ``family`` without a revision, empty when unknown."""
    name, revision = record.get("task_family"), record.get("task_revision")
    if not name:
        return ""
    return safe(name) if revision is None else f"{safe(name)}:{safe(revision)}"


def label(record: Fields) -> str:
    """Return the name of the task in one word: ``api:17/5f8a2b3d``, family, revision and the start of the task ID.

    Without a family it is the start of the task ID; without a task that of the container ID; empty when neither is
    known.
    """
    name, arn = family(record), record.get("task_arn")
    if name:
        return f"{name}/{task_id(arn)[:TASK_SHORT]}" if arn else name
    return task_id(arn)[:SHORT] if arn else safe(record.get("container_id"))[:SHORT]


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes: two for each wide character of East Asian scripts."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # only for what is not ASCII

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def fold(text: str, width: int | None, room: int | None = None) -> list[str]:
    """Return `text` in lines of at most `width` columns, broken at blanks.

    A word of more than `room` columns (default: `width`) is broken behind a ``/``, and behind a ``:`` where that is not
    enough; nothing is broken elsewhere, so a line may be longer. A `width` of None is no limit.
    """
    if width is None or columns(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        for number, piece in enumerate(_pieces(word, room or width)):
            joined = f"{line}{'' if number or not line else ' '}{piece}"
            if line.strip() and columns(joined.rstrip()) > width:
                lines.append(line.rstrip())
                line = piece
            else:
                line = joined
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(word: str, room: int) -> list[str]:
    """Return the parts that a word of more than `room` columns is broken into; the word if none helps."""
    pieces = [word]
    for mark in "/:":
        if all(columns(piece) <= room for piece in pieces):
            return pieces
        pieces = [part for piece in pieces for part in piece.replace(mark, f"{mark}\0").split("\0") if part]
    return pieces if all(columns(piece) <= room for piece in pieces) else [word]


def beside(name: str, text: str, width: int | None) -> list[str]:
    """Return `text` beside its `name`, which ends with blanks, in lines of at most `width` columns.

    A word for which there is no room beside the name stands below it, further to the left.
    """
    margin = len(name)
    lines: list[str] = []
    for part in fold(text, None if width is None else max(1, width - margin), width):
        if width is None or columns(part) + margin <= width:
            lines.append((" " * margin if lines else name) + part)
            continue
        if not lines and name.strip():
            lines.append(name.rstrip())
        lines.append(" " * max(0, min(2, width - columns(part))) + part)
    return lines


def addresses(record: Fields, *, prefix: bool = False) -> list[str]:
    """Return the IP addresses of an association, with their prefix lengths if `prefix`."""
    value = record.get("addresses")
    values = value if isinstance(value, list) else [value] if value else []
    return [safe(address) if prefix else safe(address).partition("/")[0] for address in values]


def containers(record: Fields) -> list[str]:
    """Return each container of the task as ``name  short ID  Docker name``, as far as these are known."""
    value = record.get("containers")
    each = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return ["  ".join(part for part in _container(one) if part) for one in each]


def container_names(record: Fields) -> str:
    """Return the containers of the task in a few words: their names, an ID for one without a name."""
    return ", ".join(text.partition("  ")[0] for text in containers(record))


def _container(one: dict[str, Any]) -> tuple[str, str, str]:
    return safe(one.get("name")), safe(one.get("id"))[:SHORT], safe(one.get("docker_name"))


def mismatches(record: Fields) -> list[str]:
    """Return the names of the fields in which the kernel differs from what was declared."""
    value = record.get("mismatch")
    if isinstance(value, list):
        return [safe(name) for name in value]
    return [safe(value)] if value else []


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: ``1 event``, ``2 events``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def size(count: int) -> str:
    """Return a number of bytes in the largest unit that fits: ``712 B``, ``16.0 MiB``."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def instance(record: Fields) -> str:
    """Return the instance of an association or event of several ledgers, else the name of its `ledger`."""
    if record.get("instance_id"):
        return safe(record["instance_id"])
    parts = [part for part in str(record.get("ledger", "")).split("/") if part]
    return safe("/".join(parts[-2:] if parts[-1:] in (["state"], ["eni-ledger"]) else parts[-1:]))
