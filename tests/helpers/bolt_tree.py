"""A bbolt writer that changes a bucket as bbolt does: copy-on-write of the pages on the way to what changed.

What a put or a delete touches, the leaf and the branches above it, goes to pages that are free in the last committed
transaction; all other pages stay. A node that has outgrown a page is split at half a page, one that is empty goes.
Source: etcd-io/bbolt, `node.go` (`put`, `del`, `split`, `spill`); it also merges small neighbours, this does not.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from helpers.bolt import BRANCH, LEAF, BoltWriter, branch_body, leaf_body


@dataclass
class Node:
    """A page with its overflow: of a leaf `under` are values, of a branch nodes, one for each of `keys`."""

    leaf: bool
    keys: list[bytes] = field(default_factory=list)
    under: list[bytes] | list[Node] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    dirty: bool = True


class TreeWriter(BoltWriter):
    """A database whose bucket `tasks` is changed page by page; others are put there by `commit` before it is."""

    def __init__(self, path: str, *, page_size: int = 4096, sync: bool = False) -> None:
        super().__init__(path, page_size=page_size, sync=sync)
        self._root = Node(leaf=True)

    def change(self, put: Mapping[bytes, bytes], drop: Iterable[bytes] = (), bucket: bytes = b"tasks") -> int:
        """Put and drop keys of the bucket in one transaction; return its id."""
        for key in drop:
            self._drop(self._root, key)
        for key, value in put.items():
            self._put_into(self._root, key, value)
        self.txid += 1
        self.free |= self.pending
        self.pending = set()
        writes: list[tuple[int, bytes]] = []
        nodes = self._spill(self._root, writes)
        while len(nodes) > 1:
            nodes = self._spill(Node(False, [node.keys[0] for node in nodes], nodes), writes)
        self._root = nodes[0]
        self.buckets[bucket] = ({}, struct.pack("<QQ", self._root.pages[0], 0), [])
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

    def _put_into(self, node: Node, key: bytes, value: bytes) -> None:
        node.dirty = True
        if not node.leaf:
            at = max(bisect_right(node.keys, key) - 1, 0)
            self._put_into(node.under[at], key, value)  # type: ignore[arg-type]  # a branch has nodes
            node.keys[at] = min(node.keys[at], key)
            return
        at = bisect_left(node.keys, key)
        if node.keys[at : at + 1] == [key]:
            node.under[at] = value  # type: ignore[call-overload]  # a leaf has values
        else:
            node.keys.insert(at, key)
            node.under.insert(at, value)  # type: ignore[arg-type]

    def _drop(self, node: Node, key: bytes) -> None:
        node.dirty = True
        at = bisect_right(node.keys, key) - 1
        if not node.leaf:
            child: Node = node.under[at]  # type: ignore[assignment]
            self._drop(child, key)
            if child.keys:
                return
            self.pending |= set(child.pages)
        elif at < 0 or node.keys[at] != key:
            raise KeyError(key)
        del node.keys[at], node.under[at]

    def _spill(self, node: Node, writes: list[tuple[int, bytes]]) -> list[Node]:
        """Write a node that changed, in as many pages as it takes; return what stands in its place."""
        if not node.dirty:
            return [node]
        if not node.leaf:
            children: list[Node] = [new for child in node.under for new in self._spill(child, writes)]  # type: ignore[arg-type]
            node.keys, node.under = [child.keys[0] for child in children], children
        self.pending |= set(node.pages)
        return [self._write(part, writes) for part in self._split(node)]

    def _split(self, node: Node) -> list[Node]:
        sizes = [
            16 + len(key) + (len(value) if isinstance(value, bytes) else 0)
            for key, value in zip(node.keys, node.under, strict=True)
        ]
        parts: list[Node] = []
        start = 0
        while 16 + sum(sizes[start:]) > self.page_size and len(node.keys) - start >= 4:
            end, used = start, 16
            while end < len(sizes) - 2 and (end - start < 2 or used + sizes[end] <= self.page_size // 2):
                used += sizes[end]
                end += 1
            parts.append(Node(node.leaf, node.keys[start:end], node.under[start:end]))
            start = end
        return [*parts, Node(node.leaf, node.keys[start:], node.under[start:])]

    def _write(self, node: Node, writes: list[tuple[int, bytes]]) -> Node:
        node.dirty = False
        if node.leaf:
            body = leaf_body([(0, key, value) for key, value in zip(node.keys, node.under, strict=True)])  # type: ignore[misc]
        else:
            children: list[Node] = node.under  # type: ignore[assignment]  # a branch has nodes
            body = branch_body([(key, child.pages[0]) for key, child in zip(node.keys, children, strict=True)])
        node.pages = []
        self._new(LEAF if node.leaf else BRANCH, len(node.keys), body, writes, node.pages)
        return node
