"""A minimal bbolt writer: what a commit of bbolt does to its file, in bbolt's order.

Whatever changed goes into pages that are free in the last committed transaction (or behind the high-water mark), the
freelist too; then a sync; then the meta, over the older one of the two; then a sync. A page freed by transaction T is
used again by T+1 at the earliest. A bucket that changed is written anew as a whole, an unchanged one keeps its pages.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")
BRANCH, LEAF, META, FREELIST = 1, 2, 4, 16
Buckets = Mapping[bytes, Mapping[bytes, bytes]]
#: What a leaf element or a branch element is made of.
Leaf = tuple[int, bytes, bytes]
Child = tuple[bytes, int]


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return value


def header(pgid: int, flags: int, count: int, overflow: int = 0) -> bytes:
    return struct.pack("<QHHI", pgid, flags, count, overflow)


def leaf_body(elements: list[Leaf]) -> bytes:
    """Return the elements of a leaf as they stand behind the page's header."""
    table, data = b"", b""
    for index, (flags, key, value) in enumerate(elements):
        pos = 16 * (len(elements) - index) + len(data)
        table += struct.pack("<IIII", flags, pos, len(key), len(value))
        data += key + value
    return table + data


def branch_body(children: list[Child]) -> bytes:
    table, data = b"", b""
    for index, (key, pgid) in enumerate(children):
        pos = 16 * (len(children) - index) + len(data)
        table += struct.pack("<IIQ", pos, len(key), pgid)
        data += key
    return table + data


class BoltWriter:
    """Writes one database. `step` is called before every single write to the file, with what is about to be written."""

    def __init__(
        self, path: str, *, page_size: int = 4096, sync: bool = False, step: Callable[[str], None] | None = None
    ) -> None:
        self.page_size = page_size
        self.sync = sync
        self.step = step or (lambda _: None)
        self.txid = 1
        self.root = 3
        self.high = 4
        self.free: set[int] = set()
        self.pending: set[int] = set()
        self.freelist_pages = [2]
        self.root_pages = [3]
        #: name -> (content, bucket value, pages)
        self.buckets: dict[bytes, tuple[dict[bytes, bytes], bytes, list[int]]] = {}
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._put("new", 2, header(2, FREELIST, 0))
        self._put("new", 3, header(3, LEAF, 0))
        for txid in (0, 1):
            self._put("new", txid, self._meta(txid, 2))

    def close(self) -> None:
        os.close(self.fd)

    def commit(self, content: Buckets) -> int:
        """Make `content` the database's; return the transaction's id. Small buckets are written inline, as in bbolt."""
        self.txid += 1
        self.free |= self.pending  # nobody reads the transaction before the last one any more
        self.pending = set()
        writes: list[tuple[int, bytes]] = []
        for name in [name for name in self.buckets if name not in content]:
            self.pending |= set(self.buckets.pop(name)[2])
        for name, items in content.items():
            held = self.buckets.get(name)
            if held and held[0] == items:
                continue
            if held:
                self.pending |= set(held[2])
            value, pages = self._bucket(dict(items), writes)
            self.buckets[name] = (dict(items), value, pages)
        self.pending |= set(self.root_pages)
        self.root, self.root_pages = self._tree([(1, n, self.buckets[n][1]) for n in sorted(self.buckets)], writes)
        self._write_freelist(writes)
        for pgid, page in sorted(writes):
            self._put("page", pgid, page)
        if self.sync:
            os.fdatasync(self.fd)
        self._put("meta", self.txid % 2, self._meta(self.txid, self.freelist_pages[0]))
        if self.sync:
            os.fdatasync(self.fd)
        self.step("done")
        return self.txid

    def _bucket(self, items: dict[bytes, bytes], writes: list[tuple[int, bytes]]) -> tuple[bytes, list[int]]:
        elements = [(0, key, items[key]) for key in sorted(items)]
        body = leaf_body(elements)
        if 16 + len(body) <= self.page_size // 4:
            return struct.pack("<QQ", 0, 0) + header(0, LEAF, len(elements)) + body, []
        root, pages = self._tree(elements, writes)
        return struct.pack("<QQ", root, 0), pages

    def _tree(self, elements: list[Leaf], writes: list[tuple[int, bytes]]) -> tuple[int, list[int]]:
        """Lay out leaves and the branches above them; return the root and all pages."""
        pages: list[int] = []
        level: list[Child] = []
        for group in self._groups(elements, lambda element: 16 + len(element[1]) + len(element[2])):
            first = group[0][1] if group else b""
            level.append((first, self._new(LEAF, len(group), leaf_body(group), writes, pages)))
        while len(level) > 1:
            groups = self._groups(level, lambda child: 16 + len(child[0]))
            level = [
                (group[0][0], self._new(BRANCH, len(group), branch_body(group), writes, pages)) for group in groups
            ]
        return level[0][1], pages

    def _groups(self, elements: list[T], size: Callable[[T], int]) -> list[list[T]]:
        """Split into pages: at least two elements each, beyond that at most what a page holds, as bbolt does."""
        groups: list[list[T]] = [[]]
        used = 16
        for index, element in enumerate(elements):
            full = len(groups[-1]) >= 2 and used + size(element) > self.page_size
            if full and len(elements) - index >= 2:
                groups.append([])
                used = 16
            groups[-1].append(element)
            used += size(element)
        return groups

    def _new(self, flags: int, count: int, body: bytes, writes: list[tuple[int, bytes]], pages: list[int]) -> int:
        needed = -(-(16 + len(body)) // self.page_size)
        pgid = self._allocate(needed)
        writes.append((pgid, header(pgid, flags, count, needed - 1) + body))
        pages.extend(range(pgid, pgid + needed))
        return pgid

    def _allocate(self, needed: int) -> int:
        for pgid in sorted(self.free):
            run = set(range(pgid, pgid + needed))
            if run <= self.free:
                self.free -= run
                return pgid
        self.high += needed
        return self.high - needed

    def _write_freelist(self, writes: list[tuple[int, bytes]]) -> None:
        self.pending |= set(self.freelist_pages)
        most = len(self.free) + len(self.pending) + 2
        pages: list[int] = []
        needed = 8 * most // self.page_size + 1
        pgid = self._allocate(needed)
        pages.extend(range(pgid, pgid + needed))
        ids = sorted(self.free | self.pending)
        count, body = len(ids), b"".join(struct.pack("<Q", i) for i in ids)
        if count >= 0xFFFF:
            count, body = 0xFFFF, struct.pack("<Q", len(ids)) + body
        writes.append((pgid, header(pgid, FREELIST, count, needed - 1) + body))
        self.freelist_pages = pages

    def _meta(self, txid: int, freelist: int) -> bytes:
        fields = (0xED0CDAED, 2, self.page_size, 0, self.root, 0, freelist, self.high, txid)
        meta = struct.pack("<IIIIQQQQQ", *fields)
        return header(txid % 2, META, 0) + meta + struct.pack("<Q", fnv1a(meta))

    def _put(self, what: str, pgid: int, page: bytes) -> None:
        self.step(what)
        # A whole number of pages, so that the file ends where the high-water mark says.
        os.pwrite(self.fd, page.ljust(-(-len(page) // self.page_size) * self.page_size, b"\0"), pgid * self.page_size)
