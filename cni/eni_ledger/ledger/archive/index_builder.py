"""Makes the index of a packed segment (`index`) while the segment is packed."""

from __future__ import annotations

from _struct import pack
from binascii import crc32
from typing import Any

from eni_ledger.base.minijson import dumps
from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.archive.index import OPEN, PAGE, SUM, VERSION
from eni_ledger.ledger.format.line import marks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event


class Builder:
    """Collects what the index of a packed segment has to say while the segment is written."""

    def __init__(self) -> None:
        self._entries: set[tuple[int, int, int]] = set()
        self._open: dict[str, set[tuple[int, int]]] = {}  # by association: entries of which the end is not known yet
        self._members: list[tuple[int, int, str]] = []
        self._marked: dict[str, list[int]] = {}
        self._begins = self._ends = ""
        self._before = self._crc = 0

    def event(self, event: Event, crc: int) -> None:
        """Take one event of the member that `member` will be told of next, and the CRC of its line."""
        number = len(self._members)
        if not self._begins:
            self._begins, self._before = event["ts"], int(event["prev_crc"], 16)
        self._ends, self._crc = event["ts"], crc
        if event["event"] != "checkpoint":  # a reader of a segment reads its checkpoint in any case
            self._keys(event, number)
        for mark in marks_of(event):
            if number not in self._marked.setdefault(mark, [])[-1:]:
                self._marked[mark].append(number)

    def _keys(self, event: Event, number: int) -> None:
        """Take in what an event in the member `number` can be found by, and what it ends."""
        kind, about, supersedes = event["event"], event.get("association_id"), event.get("supersedes") or ()
        for gone in (about,) if kind in ("del", "lost") else supersedes:
            self._entries.update((key, place, number) for key, place in self._open.pop(str(gone), ()))
        ids = [index_keys.association(str(one))[0] for one in (about, *supersedes) if one]
        tells = kind in ("add", "adopt", "identify")
        fields = list(index_keys.of_fields(event)) if tells else []
        # Whose end they tell of is not noted: a busy family would have an entry for every association that it had.
        shared = list(index_keys.of_owners(event)) if tells else []
        self._entries.update((key, number, OPEN) for key in (*ids, *shared))
        self._open.setdefault(str(about), set()).update((key, number) for key in fields)
        if kind == "identify":
            own = [(key, key) for key in (*ids, *fields, *shared)]
            self._entries.update((key, number, OPEN) for key, _ in index_keys.identified(own))

    def member(self, at: int, length: int, begins: str) -> None:
        """Take note that the events so far are in the member of `length` bytes at `at`.

        Raises ValueError for more of them than 16 bits count: that is a segment of 4 GiB.
        """
        if len(self._members) >= OPEN:
            raise ValueError("the segment is too large for an index")
        self._members.append((at, length, begins))

    def encode(self, segment_name: str, size: int) -> bytes:
        """Return the bytes of the index of the packed segment, which has `size` bytes."""
        still = {(key, number, OPEN) for entries in self._open.values() for key, number in entries}
        entries = sorted(self._entries | still)
        pages, directory = [], []
        for start in range(0, len(entries), PAGE):
            part = entries[start : start + PAGE]
            every, numbers, ends = zip(*part, strict=True)
            pages.append(pack(f"<{len(part)}Q{2 * len(part)}H", *every, *numbers, *ends))
            directory.append((part[0][0], crc32(pages[-1])))
        tables = _summed({"members": self._members, **self._marked, "entries": len(entries), "pages": directory})
        summary = _summed(
            {
                "v": VERSION,
                "segment": segment_name,
                "size": size,
                "begins": self._begins,
                "ends": self._ends,
                "before": self._before,
                "crc": self._crc,
                "has": sorted(self._marked),
                "tables": len(tables),
            }
        )
        return summary + tables + b"".join(pages)


def _summed(document: dict[str, Any]) -> bytes:
    """Return the line of a document, with the CRC-32 of what is before it as `sum`."""
    body = dumps(document).encode()[:-1]
    return b'%b%b%08x"}\n' % (body, SUM, crc32(body))
