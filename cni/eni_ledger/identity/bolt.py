"""Read a bbolt database that another process keeps open, locked and writes to. Takes no lock, never maps the file.

Source of the format: etcd-io/bbolt, `internal/common` (`page.go`, `meta.go`, `inode.go`), `tx.go`, and
`internal/freelist/shared.go`. Little-endian, as written on amd64 and arm64.

* Page header, 16 bytes: own id u64, flags u16 (1 branch, 2 leaf, 4 meta, 0x10 freelist), count u16, overflow u32
  (further pages that belong to it).
* Meta, behind the header of pages 0 and 1, 64 bytes: magic, version 2, page size, flags (u32 each); root bucket's page,
  its sequence, freelist's page, high-water mark, txid, FNV-1a 64 of the 56 bytes before (u64 each).
* Branch element, 16 bytes: pos u32, key size u32, page u64. Leaf element, 16 bytes: flags u32 (1 = bucket), pos, key
  size, value size (u32 each). `pos` counts from the element's own start, the value follows its key, and the data of
  the elements lie one behind the other without a gap.
* A bucket is a leaf value: root page u64, sequence u64; root 0 means that an inline leaf page follows.
* Freelist: page ids (u64), ascending; with count 0xFFFF the first of them is the count.

A reader without a lock gets a consistent tree: a commit writes its new pages into pages that are free in the newest
committed transaction T, syncs, and then writes the meta of T+1 over the older of the two metas. If both metas are the
same before and after the pages were read, no page of the tree of T was written in between; otherwise the reader starts
again. Both metas have to be valid: bbolt falls back to the older one, but that would be the past, and a half-written
meta is whole a moment later.

The shorter the read, the more often both metas are the same. A search for a text (`ReadTransaction.containing`)
therefore reads the file in large pieces, and parses only the branches of the bucket and the leaves with the text. Text
on a page that is not a leaf of the tree belongs to an older transaction.

Only metas have checksums. Of other pages the reader checks everything that the format fixes: ids, flags, bounds, keys
ascending and within the range of the branch above, data without gaps, no page used twice, no page free.

The file is read with pread: reading a mapping of a file that is truncated meanwhile raises SIGBUS and ends the call.

Standard library only: this module is loaded on ADD.
"""

from __future__ import annotations

import os
from _bisect import bisect_right
from _struct import Struct, unpack_from
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    T = TypeVar("T")
    Bucket = tuple[int, bytes]
    Child = tuple[int, bytes, bytes | None]
    Over = Callable[[], bool]

_HEADER = Struct("<QHHI")
_META = Struct("<IIIIQQQQQQ")
_LEAF_ELEMENT = Struct("<IIII")
_BRANCH_ELEMENT = Struct("<IIQ")
_BUCKET = Struct("<QQ")

_MAGIC = 0xED0CDAED
_VERSION = 2
_BRANCH, _LEAF, _META_FLAG, _FREELIST = 0x01, 0x02, 0x04, 0x10
_NO_FREELIST = 0xFFFF_FFFF_FFFF_FFFF
_PAGE_SIZES = frozenset(1024 << shift for shift in range(7))  # Go's page size: 4 KiB, on some arm64 64 KiB

#: Largest file that can be an agent's database; largest page with its overflow that can hold a task.
FILE_MAX = 1 << 30
RUN_MAX = 16 << 20
# Read with every page: most pages with overflow are then complete at once.
_AHEAD = 16384
# Of the file at a time: larger pieces do not stay in the processor's cache, and the allocator maps them anew.
_PIECE = 65536
_HALF_WRITTEN_S = 0.001


class Unreadable(Exception):
    """The database cannot be read, or not in time; the text says why. Callers turn it into "not known"."""


class ReadTransaction:
    """The tree of one transaction. Its results are valid only once `view` has returned."""

    __slots__ = ("_buckets", "_fd", "_freelist", "_high", "_over", "_page_size", "_root", "_seen", "txid")

    def __init__(self, fd: int, meta: bytes, over: Over) -> None:
        _, _, self._page_size, _, self._root, _, self._freelist, self._high, txid, _ = _META.unpack(meta)
        self.txid: int = txid
        self._fd = fd
        self._over = over
        self._seen: set[int] = set()
        self._buckets: dict[bytes, Bucket] | None = None
        if os.fstat(fd).st_size < self._high * self._page_size:
            raise Unreadable("the file is shorter than it says")

    def buckets(self) -> dict[bytes, Bucket]:
        """Return the top-level buckets, for `items`. Raises Unreadable."""
        if self._buckets is None:
            tree = self._elements((self._root, b""))
            self._buckets = {key: self._bucket(value) for key, value, is_bucket in tree if is_bucket}
        return self._buckets

    def items(self, bucket: Bucket) -> Iterator[tuple[bytes, bytes]]:
        """Yield each key and value of a bucket. Raises Unreadable."""
        for key, value, is_bucket in self._elements(bucket):
            if not is_bucket:
                yield key, value

    def containing(self, bucket: Bucket, needle: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield each key and value of a bucket of which either contains `needle`. Raises Unreadable."""
        elements = self._elements(bucket, needle) if not bucket[0] else self._on_pages(bucket[0], needle)
        for key, value, is_bucket in elements:
            if not is_bucket:
                yield key, value

    def finish(self) -> None:
        """Raise Unreadable if a page that was read is free: then a pointer led to an older transaction."""
        if self._freelist == _NO_FREELIST:  # the writer does not keep one
            return
        page = self._page(self._freelist, _FREELIST)
        count = _HEADER.unpack_from(page)[2]
        start = 16
        if count == 0xFFFF:
            count, start = unpack_from("<Q", page, 16)[0], 24
        if start + 8 * count > len(page):
            raise Unreadable(f"page {self._freelist}: the freelist does not fit in")
        free = memoryview(page)[start : start + 8 * count].cast("Q")
        if not self._seen.isdisjoint(free):
            raise Unreadable("a page in use is on the freelist")

    def _bucket(self, value: bytes) -> Bucket:
        if len(value) < 16:
            raise Unreadable("a bucket is too short")
        root = _BUCKET.unpack_from(value)[0]
        if root and len(value) != 16:
            raise Unreadable("a bucket is too long")
        return root, value[16:]

    def _elements(self, bucket: Bucket, needle: bytes = b"") -> Iterator[tuple[bytes, bytes, bool]]:
        """Walk a bucket's tree from left to right; yield key, value and whether the value is a bucket."""
        root, inline = bucket
        if not root:
            if len(inline) < 16 or _HEADER.unpack_from(inline)[::3] != (0, 0):
                raise Unreadable("an inline bucket is damaged")
            yield from _leaf(inline, b"", None, needle)
            return
        todo: list[Child] = [(root, b"", None)]
        while todo:
            pgid, low, high = todo.pop()
            page = self._page(pgid, _BRANCH | _LEAF)
            if page[8] == _LEAF:
                yield from _leaf(page, low, high, needle)
            else:
                todo.extend(reversed(_children(page, low, high)))

    def _on_pages(self, root: int, needle: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
        """Yield the elements with `needle` of the leaves below `root` that lie where it is in the file."""
        pages = self._pages_with(needle)
        level: list[Child] = [(root, b"", None)]
        read = {root: self._page(root, _BRANCH | _LEAF)} if pages else {}
        while (
            read and read[level[0][0]][8] == _BRANCH
        ):  # all leaves are equally deep: the first child stands for its level
            level = [
                child
                for pgid, low, high in level
                for child in _children(read.get(pgid) or self._page(pgid, _BRANCH), low, high)
            ]
            read = {level[0][0]: self._page(level[0][0], _BRANCH | _LEAF)}
        leaves = {pgid: (low, high) for pgid, low, high in level}
        order = sorted(leaves)
        done: set[int] = set()
        for number in pages:
            pgid = order[bisect_right(order, number) - 1]
            if pgid in done or pgid > number:
                continue
            page = read[pgid] = read.get(pgid) or self._page(pgid, _LEAF)
            if number - pgid < len(page) // self._page_size:
                done.add(pgid)
                yield from _leaf(page, *leaves[pgid], needle)

    def _pages_with(self, needle: bytes) -> list[int]:
        """Return the numbers of the pages, of any kind, on which `needle` begins."""
        pages: set[int] = set()
        end = self._high * self._page_size
        for start in range(0, end, _PIECE):
            if self._over():
                raise Unreadable("not read in time")
            piece = os.pread(self._fd, min(_PIECE + len(needle) - 1, end - start), start)
            at = piece.find(needle)
            while at >= 0:
                pages.add((start + at) // self._page_size)
                at = piece.find(needle, at + 1)
        return sorted(pages)

    def _page(self, pgid: int, kind: int) -> bytes:
        """Return a page of one of these kinds with its overflow, after all checks of the header."""
        if self._over():
            raise Unreadable("not read in time")
        if not 2 <= pgid < self._high:
            raise Unreadable(f"page {pgid} is out of bounds")
        size = self._page_size
        data = os.pread(self._fd, max(size, _AHEAD), pgid * size)
        if len(data) < size:
            raise Unreadable(f"page {pgid} is not in the file")
        own, flags, count, overflow = _HEADER.unpack_from(data)
        if own != pgid or flags not in (_BRANCH, _LEAF, _FREELIST) or not flags & kind:
            raise Unreadable(f"page {pgid} is not what it should be")
        length = (1 + overflow) * size
        if pgid + overflow >= self._high or length > RUN_MAX:
            raise Unreadable(f"page {pgid} is too long")
        pages = range(pgid, pgid + 1 + overflow)
        if not self._seen.isdisjoint(pages):
            raise Unreadable(f"page {pgid} is used twice")
        self._seen.update(pages)
        if len(data) < length:
            data += os.pread(self._fd, length - len(data), pgid * size + len(data))
        if len(data) < length or (flags != _FREELIST and 16 + 16 * count > length):
            raise Unreadable(f"page {pgid} is cut short")
        return data[:length]


def within(seconds: float) -> Over:
    """Return a function that returns whether `seconds` have passed since this call."""
    deadline = monotonic() + seconds
    return lambda: monotonic() > deadline


def view(path: str, over: Over, use: Callable[[ReadTransaction], T], tries: int = 0) -> T:
    """Return the result of `use` on a consistent snapshot; `use` is called again if a commit came in between.

    Gives up when `over` says so, or after so many `tries` unless these are 0. Raises Unreadable, OSError, and what
    `use` raises. The file is opened without following a symbolic link and has to be a regular one.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        if status.st_mode & 0o170000 != 0o100000 or status.st_size > FILE_MAX:
            raise Unreadable("no regular file, or too large")
        while True:
            metas = _metas(fd, over)
            newest = max(metas, key=_txid)
            try:
                result = use(snapshot := ReadTransaction(fd, newest, over))
                snapshot.finish()
            except Exception:
                # What a commit put there while we read looks damaged, to `use` too; what did not change is.
                if over() or _raw_metas(fd) == metas:
                    raise
            else:
                if _raw_metas(fd) == metas:
                    return result
            tries -= 1
            if tries == 0 or over():
                raise Unreadable("written to all the time")
    finally:
        os.close(fd)


def _raw_metas(fd: int) -> tuple[bytes, bytes]:
    """Return both metas as they are in the file."""
    head = os.pread(fd, 8192, 0)
    if len(head) < 80:
        raise Unreadable("too short for a database")
    size = unpack_from("<I", head, 24)[0]
    if size not in _PAGE_SIZES:
        raise Unreadable("no page size")
    first = head[:80]
    second = head[size : size + 80] if size + 80 <= len(head) else os.pread(fd, 80, size)
    for number, page in enumerate((first, second)):
        if len(page) < 80 or _HEADER.unpack_from(page)[:2] != (number, _META_FLAG):
            raise Unreadable(f"page {number} is no meta")
    return first[16:], second[16:]


def _metas(fd: int, over: Over) -> tuple[bytes, bytes]:
    """Return both metas, valid; wait while one of them is being written. Raises Unreadable."""
    while True:
        metas = _raw_metas(fd)
        alike = metas[0][8:12] == metas[1][8:12] and _txid(metas[0]) != _txid(metas[1])
        if alike and _sound(metas[0]) and _sound(metas[1]):
            return metas
        sleep(_HALF_WRITTEN_S)
        if _raw_metas(fd) == metas:
            raise Unreadable("a meta is damaged")
        if over():
            raise Unreadable("written to all the time")


def _sound(meta: bytes) -> bool:
    magic, version, _, _, root, _, freelist, high, _, checksum = _META.unpack(meta)
    if magic != _MAGIC or version != _VERSION or root >= high or (freelist >= high and freelist != _NO_FREELIST):
        return False
    intact: bool = fnv1a(meta[:56]) == checksum
    return intact


def _txid(meta: bytes) -> int:
    txid: int = unpack_from("<Q", meta, 48)[0]
    return txid


def fnv1a(data: bytes) -> int:
    """Return the FNV-1a hash of 64 bits, with which a meta ends."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFF_FFFF_FFFF_FFFF
    return value


def _leaf(page: bytes, low: bytes, high: bytes | None, needle: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Check a leaf and yield its elements, without those that do not contain `needle`."""
    _, flags, count, _ = _HEADER.unpack_from(page)
    table = 16 + 16 * count
    if flags != _LEAF or table > len(page):
        raise Unreadable("a leaf is none")
    wanted = needle in page
    before = None
    own, at = 16, table
    for kind, pos, key_size, value_size in _LEAF_ELEMENT.iter_unpack(page[16:table]):
        end = at + key_size + value_size
        if own + pos != at or not key_size or end > len(page) or kind > 1:
            raise Unreadable("an element of a leaf is damaged")
        key = page[at : at + key_size]
        if key < low or (before is not None and key <= before) or (high is not None and key >= high):
            raise Unreadable("keys are out of order")
        # The slice would copy the value: look before.
        if wanted and page.find(needle, at, end) >= 0:
            yield key, page[at + key_size : end], kind == 1
        before, own, at = key, own + 16, end


def _children(page: bytes, low: bytes, high: bytes | None) -> list[tuple[int, bytes, bytes | None]]:
    """Check a branch; return page, lowest key and the key that all keys are below, of each child."""
    count = _HEADER.unpack_from(page)[2]
    if not count:
        raise Unreadable("a branch has no children")
    children: list[tuple[int, bytes]] = []
    own, at = 16, 16 + 16 * count
    for pos, key_size, pgid in _BRANCH_ELEMENT.iter_unpack(page[16:at]):
        key = page[at : at + key_size]
        if own + pos != at or not key_size or at + key_size > len(page):
            raise Unreadable("an element of a branch is damaged")
        if key < low or (children and key <= children[-1][1]) or (high is not None and key >= high):
            raise Unreadable("keys are out of order")
        children.append((pgid, key))
        own, at = own + 16, at + key_size
    bounds = [key for _, key in children[1:]]
    return [(pgid, key, bound) for (pgid, key), bound in zip(children, [*bounds, high], strict=True)]
