"""Reading without a lock, while writers write and rotate.

A `Snapshot` is a list of segments that fit together and the active one held open up to its last newline: it stays the
same whatever writers do, and sealed segments never change. Standard library only: CHECK uses `live_lines`.
"""

from __future__ import annotations

import os
import time

from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.source import Directory, read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from eni_ledger.ledger.archive.index import Index
    from eni_ledger.ledger.format.source import Source
    from eni_ledger.ledger.format.state_file import StateFile
    from eni_ledger.ledger.read.cached_segment import Whole

_TRIES = 50
_PATIENCE = 10
"""Tries for a next segment to take its place; then its writer has died between two renames, and all is sealed."""
PAUSE_S = 0.002
"""Seconds between two looks at a directory in which a writer is between two steps."""


class Segment:
    """One segment of a snapshot, and what has been read of it so far.

    `index` counts once `index_read` is true (`segment_index`), `whole` once `whole_read` is (the same);
    `begins` is the time of the first event, None before the first look (`as_of`). `state_marks` are the marks in
    `state.json` and the bytes that they cover. `marks` says of each mark looked for whether the segment has it
    (`continuity`).
    """

    __slots__ = (
        "_fd", "_size", "begins", "index", "index_read", "marks", "name", "snapshot", "state_marks", "whole",
        "whole_read",
    )  # fmt: skip

    def __init__(self, snapshot: Snapshot, name: str, fd: int | None = None, size: int = -1) -> None:
        self.snapshot = snapshot
        self.name = name
        self._fd = fd
        self._size = size
        self.index: Index | None = None
        self.index_read = False
        self.whole: Whole | None = None
        self.whole_read = False
        self.begins: str | None = None
        self.state_marks: tuple[set[str], int] | None = None
        self.marks: dict[str, bool] = {}

    @property
    def size(self) -> int:
        """The bytes up to the last newline; of a packed one, all bytes; 0 of one that is not there any more."""
        if self._size < 0:
            plain, packed, _ = segment.forms(self.name)
            self._size = self.source.size(self.name) or (
                self.source.size(packed) if self.name == plain else 0  # it has been packed meanwhile
            )
        return self._size

    @property
    def source(self) -> Source:
        """Where the segment's file is, and its index."""
        return self.snapshot.source

    @property
    def sealed(self) -> bool:
        """Whether it will never change again."""
        return self._fd is None

    @property
    def packed(self) -> bool:
        """Whether it is a packed one, in which offsets are those of what it inflates to."""
        return self.name.endswith(segment.PACKED)

    def open(self) -> int:
        """Return a descriptor to read it by; the caller closes it. Raises OSError.

        One that has been packed since the snapshot was taken is read as what it has become.
        """
        if self._fd is not None:
            return os.dup(self._fd)
        try:
            return self.source.open(self.name)
        except FileNotFoundError:
            _, packed, _ = segment.forms(self.name)
            fd = self.source.open(packed)
            self.name = packed
            return fd

    def end(self) -> int:
        """Return the offset behind its last line. Raises OSError."""
        if not self.packed:
            return self.size
        from eni_ledger.ledger.format import gzip_members  # only for packed segments

        fd = self.open()
        try:
            return gzip_members.inflated_size(fd)
        finally:
            os.close(fd)


class Snapshot:
    """The segments of a ledger at one moment, oldest first; the last one is the active one, if there is one.

    They are those in `source`, which `close` closes; without one, in the state directory `state_dir`.

    `known_seq` is the last event that `state.json` knew of before that moment, 0 when it is not usable: a ledger that
    ends earlier has been cut. Raises StateDirError, LedgerError when the segments change faster than they can be
    listed, OSError.
    """

    def __init__(self, state_dir: str, source: Source | None = None) -> None:
        self.state_dir = state_dir
        self.source = source or Directory(open_state_dir(state_dir, reading=True))
        self._active = -1
        self._users = 0
        self.heads: dict[bytes, bytes] | None = None  # lines of `ledger.index` by segment, see `segment_index`
        self.imported: Snapshot | None = None  # counts once `imported_read` is true, see `query.imported`
        self.imported_read = False
        self.segments: list[Segment] = []
        try:
            known = read_state(self.source)
            self.known_seq: int = known.head["seq"] if known is not None else 0
            self.segments = self._take()
            if known is not None and self._active >= 0:
                self._marks(known)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Snapshot:
        """Use it; what is entered several times is closed by the last one that leaves."""
        self._users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users:
            self.close()

    def close(self) -> None:
        """Close what is held open."""
        for part in self.segments:
            if part.index is not None:
                part.index.close()
                part.index = None
        if self.imported is not None:
            self.imported.close()
            self.imported = None
        if self._active >= 0:
            os.close(self._active)
        self._active = -1
        self.source.close()

    def path(self, name: str) -> str:
        """Return the path of one of the ledger's files, for messages."""
        return self.source.path or os.path.join(self.state_dir, name)

    def _take(self) -> list[Segment]:
        """List, open, list again: a rotation in between shows, and then it is done anew."""
        for attempt in range(_TRIES):
            names = self.source.names()
            before = segment.sealed_among(names)
            try:
                self._active = self.source.open(segment.ACTIVE)
            except FileNotFoundError:
                pass  # between the two renames of a rotation, or a crash there, or no ledger yet
            after = self.source.names()
            if (after == names or before == segment.sealed_among(after)) and (
                self._active >= 0 or not self._rotating() or attempt >= _PATIENCE
            ):
                return self._segments(before)
            if self._active >= 0:
                os.close(self._active)
                self._active = -1
            time.sleep(PAUSE_S)
        raise LedgerError("the ledger keeps rotating while it is read", self.state_dir, "try again")

    def _marks(self, known: StateFile) -> None:
        """Note with the active segment what `state.json` knows of its events, if it is that segment that it is of."""
        active, found = self.segments[-1], known.marks()
        if found and found[1] <= active.size and 0 < _first_seq(self._active) <= known.head["seq"]:
            active.state_marks = found

    def _rotating(self) -> bool:
        """Whether a next segment lies ready, so that the active one will be there in a moment."""
        return ".next" in self.source.names()

    def _segments(self, sealed: list[str]) -> list[Segment]:
        found = [Segment(self, name) for name in sealed]
        if self._active >= 0:
            found.append(Segment(self, segment.ACTIVE, self._active, complete_size(self._active)))
        return found


def complete_size(fd: int) -> int:
    """Return the size of a segment up to and with its last newline."""
    size = os.fstat(fd).st_size
    while size > 0:
        start = max(0, size - 65536)
        at = os.pread(fd, size - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        size = start
    return 0


def _first_seq(fd: int) -> int:
    """Return the seq of a segment's first line, 0 when that does not begin as a writer begins it."""
    _, mark, text = os.pread(fd, 64, 0).partition(b'","seq":')
    digits, mark, _ = text.partition(b",")
    return int(digits) if mark and digits.isdigit() else 0
