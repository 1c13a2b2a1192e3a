"""Encodes and decodes one event as one line: order of the keys, time stamp, CRC chain.

The format is specified in the docstring of `eni_ledger.ledger`. Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import time
from binascii import crc32

from eni_ledger.base.minijson import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from eni_ledger.base.events import Event, Fields

VERSION = 1
"""The format version that this code writes, and the highest that it reads."""

KEYS = (
    "ts", "seq", "v", "event", "association_id", "instance_id", "boot_id", "agent_version",
    "container_id", "ifname", "network",
    "eni_id", "branch_mac", "vlan_id", "addresses", "gateways", "protocol",
    "trunk_eni_id", "trunk_mac", "trunk_ifname", "trunk_ifindex", "trunk_netns_inode", "vlan_protocol",
    "netns", "netns_inode", "netns_dev", "pid", "pid_start",
    "observed_vlan_id", "observed_mac", "observed_addresses", "observed_gateways",
    "declared_mac", "declared_ifname", "mismatch",
    "task_arn", "cluster", "task_family", "task_revision", "service",
    "private_dns_name", "pause_name", "containers",
    "via", "plugin", "cni_version", "took_ms", "error_code", "error_msg",
)  # fmt: skip
"""The keys of an event in the order in which they are written. Other keys follow, then `crc`."""

EVENTS = ("add", "add_failed", "del", "identify", "adopt", "lost", "boot", "checkpoint", "import")

MARKS = ("boot", "identify", "late", "spooled", "step", "damage")
"""Kinds of events that matter to questions that do not name them; see `marks_of`."""

_END = b',"crc":"%08x"}\n'
TRAILER = len(_END % 0)
"""Bytes at the end of a line that its CRC does not cover."""

_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def now_us() -> int:
    """Return the wall clock in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def format_ts(us: int) -> str:
    """Return `us` (microseconds since 1970) as RFC 3339 in UTC: always 27 characters, text order is time order."""
    seconds, micro = divmod(us, 1_000_000)
    t = time.gmtime(seconds)
    return f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}.{micro:06}Z"


def parse_ts(ts: str) -> int:
    """Return the microseconds since 1970 of a `ts` in the format of `format_ts`. Raises ValueError.

    Computes the days of the proleptic Gregorian calendar itself: importing `calendar` or `datetime` costs an ADD 2 ms.
    """
    if len(ts) != 27 or ts[4] + ts[7] + ts[10] + ts[13] + ts[16] + ts[19] + ts[26] != "--T::.Z":
        raise ValueError(f"not a ledger time stamp: {ts!r:.40}")
    digits = ts[:4] + ts[5:7] + ts[8:10] + ts[11:13] + ts[14:16] + ts[17:19] + ts[20:26]
    if not (digits.isascii() and digits.isdigit()):  # int() would take signs, spaces and underscores too
        raise ValueError(f"not a ledger time stamp: {ts!r:.40}")
    year, month, day = int(ts[:4]), int(ts[5:7]), int(ts[8:10])
    hour, minute, second, micro = int(ts[11:13]), int(ts[14:16]), int(ts[17:19]), int(ts[20:26])
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ValueError(f"not a ledger time stamp: {ts!r:.40}")
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 719162 + _DAYS_BEFORE[month - 1] + day - 1
    if month > 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        days += 1
    return ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micro


def encode(event: Fields, previous_crc: int) -> tuple[bytes, int]:
    """Return the line (with its newline) of `event` and its CRC, chained to `previous_crc`.

    Leaves out null values: absent and null mean the same. Replaces lone surrogates, which UTF-8 cannot encode, by
    ``?``. Raises TypeError or ValueError for a value that JSON cannot represent.
    """
    ordered = {key: event[key] for key in KEYS if event.get(key) is not None}
    for key, value in event.items():
        if key not in ordered and value is not None and key != "crc":
            ordered[key] = value
    body = dumps(ordered)[:-1].encode("utf-8", "replace")
    crc = crc32(body, previous_crc)
    return body + _END % crc, crc


def verified_crc(line: bytes, previous_crc: int) -> int:
    """Return the CRC of `line` (with its newline) after a line with the CRC `previous_crc`; -1 if it states another."""
    crc = crc32(line[:-TRAILER], previous_crc)
    return crc if line[-TRAILER:] == _END % crc else -1


def trailer(crc: int) -> bytes:
    """Return the end of a line with this CRC, which the CRC does not cover."""
    return _END % crc


def stated_crc(line: bytes) -> int:
    """Return the CRC that a line (with its newline) states. Raises ValueError if it does not end like a line."""
    tail = line[-TRAILER:]
    digits = tail[8:16]
    if tail[:8] != b',"crc":"' or tail[16:] != b'"}\n' or len(digits) != 8:
        raise ValueError("the line does not end with its crc")
    crc = int(digits, 16)
    if b"%08x" % crc != digits:  # int() takes signs, spaces and underscores too: a flipped bit makes " " of a leading 0
        raise ValueError("the line does not end with its crc")
    return crc


def decode(line: bytes) -> Event:
    """Return the event of a line, including `crc`. Raises ValueError if the line is not a JSON object."""
    event: Event = loads(line)
    if not isinstance(event, dict):
        raise ValueError("the line holds no JSON object")
    return event


def marks_of(event: Fields) -> Iterator[str]:
    """Yield the `MARKS` of an event; `import` for one of version 0.1.0."""
    kind = event["event"]
    if kind in ("boot", "import", "identify"):
        yield kind
    if kind == "identify" and event.get("late"):
        yield "late"
    if event.get("spooled_ts"):
        yield "spooled"
    if event.get("clock_step_us"):
        yield "step"
    if kind == "checkpoint" and event.get("damage"):
        yield "damage"
