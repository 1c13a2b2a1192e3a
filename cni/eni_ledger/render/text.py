"""Single values as people read them. Everything returned here is safe to print on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHORT = 12  # what docker and the ECS console show of a 64-digit ID


def safe(value: object) -> str:
    """Return `value` as one line in which every character can be seen.

    Control characters, line ends, bidirectional overrides and lone surrogates come out as escapes: what a
    plugin or an image wrote into a name must not move the cursor of whoever reads the ledger.
    """
    text = value if isinstance(value, str) else _words(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _words(value: object) -> str:
    """Return a value that is no text as words: a list with commas, an object as JSON."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_words(one) if not isinstance(one, str) else one for one in value)
    if isinstance(value, dict):
        from eni_ledger.base.minijson import dumps

        return dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def moment(text: object) -> datetime | None:
    """Return the time that a `ts` of the ledger means, None when it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def clock(ts: object, *, milli: bool = False) -> str:
    """Return a `ts` as ``2026-11-23 14:00:00``, UTC; what is no time comes back as it is."""
    found = moment(ts)
    if found is None:
        return safe(ts)
    naive = found.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(" ", "milliseconds" if milli else "seconds")


def age(seconds: float) -> str:
    """Return a duration in its two greatest units: ``42s`` ``5m10s`` ``3h12m`` ``2d4h`` ``40d``."""
    left = max(0, int(seconds))
    for unit, size, lesser, small in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if left >= size:
            whole, rest = left // size, left % size // small
            return f"{whole}{unit}{rest}{lesser}" if rest and whole < 30 else f"{whole}{unit}"
    return f"{left}s"


def since(ts: object, now: datetime) -> str:
    """Return how long before `now` a `ts` was."""
    found = moment(ts)
    return age((now - found).total_seconds()) if found else safe(ts)


def task_id(arn: object) -> str:
    """Return the ID at the end of a task ARN (``.../task/ID``, ``.../task/cluster/ID``); else all of it."""
    return safe(arn).rsplit("/", 1)[-1]


def short_id(association_id: object) -> str:
    """Return the first digits of an association ID, as `eni-ledger show` takes them; 32 bits do for one host."""
    return safe(association_id).removeprefix("assoc-")[:8]


def family(record: dict[str, Any]) -> str:
    """Return ``family:revision`` of the task, ``family`` without a revision, empty when unknown."""
    name, revision = record.get("task_family"), record.get("task_revision")
    if not name:
        return ""
    return safe(name) if revision is None else f"{safe(name)}:{safe(revision)}"


def addresses(record: dict[str, Any], *, prefix: bool = False) -> list[str]:
    """Return the IP addresses of an association, with their prefix lengths if wanted."""
    found = record.get("addresses")
    many = found if isinstance(found, list) else [found] if found else []
    return [safe(one) if prefix else safe(one).partition("/")[0] for one in many]


def mismatches(record: dict[str, Any]) -> list[str]:
    """Return the names of the fields in which the kernel differs from what was declared."""
    found = record.get("mismatch")
    if isinstance(found, list):
        return [safe(one) for one in found]
    return [safe(found)] if found else []


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: ``1 event``, ``2 events``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it: ``712 B``, ``16.0 MiB``."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
