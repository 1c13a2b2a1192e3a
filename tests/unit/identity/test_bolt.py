"""Databases written page by page: what lies exactly on a bound is read, what lies beyond it is not."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from eni_ledger.identity import bolt
from helpers.bolt import BRANCH, FREELIST, LEAF, META, BoltWriter, Child, Leaf, branch_body, fnv1a, header, leaf_body

PAGE = 4096
LONG = 30.0  # seconds; none of these tests is about time
BUCKET = struct.pack("<QQ", 4, 0)


def meta(
    number: int,
    high: int,
    *,
    magic: int = 0xED0CDAED,
    version: int = 2,
    root: int = 3,
    freelist: int = 2,
    size: int = PAGE,
) -> bytes:
    fields = struct.pack("<IIIIQQQQQ", magic, version, size, 0, root, 0, freelist, high, number)
    return header(number, META, 0) + fields + struct.pack("<Q", fnv1a(fields))


def leaf(pgid: int, *elements: Leaf, overflow: int = 0) -> bytes:
    return header(pgid, LEAF, len(elements), overflow) + leaf_body(list(elements))


def branch(pgid: int, *children: Child) -> bytes:
    return header(pgid, BRANCH, len(children)) + branch_body(list(children))


class Database:
    """A file of `pages`; page 3 is the root, with the bucket `b` on page 4, unless these say otherwise."""

    def __init__(self, path: Path, pages: dict[int, bytes], high: int = 0, *, root: int = 3) -> None:
        self.path = str(path / "agent.db")
        pages = {2: header(2, FREELIST, 0), 3: leaf(3, (1, b"b", BUCKET)), **pages}
        high = high or max(pages) + 1
        with Path(self.path).open("wb") as file:
            for pgid, page in {0: meta(0, high, root=root), 1: meta(1, high, root=root), **pages}.items():
                file.seek(pgid * PAGE)
                file.write(page)
            file.truncate(high * PAGE)

    def items(self) -> list[tuple[bytes, bytes]]:
        return bolt.view(self.path, bolt.within(LONG), lambda tree: list(tree.items(tree.buckets()[b"b"])))

    def containing(self, needle: bytes) -> list[tuple[bytes, bytes]]:
        def search(tree: bolt.ReadTransaction) -> list[tuple[bytes, bytes]]:
            return list(tree.containing(tree.buckets()[b"b"], needle))

        return bolt.view(self.path, bolt.within(LONG), search)

    def assert_refused(self, reason: str) -> None:
        with pytest.raises(bolt.Unreadable, match=reason):
            self.items()


def test_fnv1a() -> None:
    """Values of the reference, http://www.isthe.com/chongo/tech/comp/fnv/."""
    assert bolt.fnv1a(b"") == 0xCBF29CE484222325
    assert bolt.fnv1a(b"a") == 0xAF63DC4C8601EC8C
    assert bolt.fnv1a(b"foobar") == 0x85944171F73967E8


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("field", [{"magic": 0xED0CDAEE}, {"version": 1}, {"version": 3}, {"root": 5}, {"freelist": 5}])
def test_a_meta_whose_sum_is_right_may_be_wrong(tmp_path: Path, number: int, field: dict[str, int]) -> None:
    database = Database(tmp_path, {4: leaf(4)})
    with Path(database.path).open("r+b") as file:
        file.seek(number * PAGE)
        file.write(meta(number, 5, **field))
    database.assert_refused("a meta is damaged")


def test_metas_of_two_page_sizes(tmp_path: Path) -> None:
    database = Database(tmp_path, {4: leaf(4)})
    with Path(database.path).open("r+b") as file:
        file.seek(PAGE)
        file.write(meta(1, 2, size=2 * PAGE, root=1, freelist=1))
    database.assert_refused("a meta is damaged")


def test_the_file_may_be_as_large_as_the_bound(tmp_path: Path) -> None:
    database = Database(tmp_path, {4: leaf(4, (0, b"k", b"v"))})
    os.truncate(database.path, 1 << 30)
    assert database.items() == [(b"k", b"v")]
    os.truncate(database.path, (1 << 30) + 1)
    database.assert_refused("too large")


def test_a_page_may_be_as_long_as_the_bound(tmp_path: Path) -> None:
    most = (16 << 20) // PAGE
    database = Database(tmp_path, {4: leaf(4, (0, b"k", b"v"), overflow=most - 1)}, 5 + most)
    assert database.items() == [(b"k", b"v")]
    Database(tmp_path, {4: leaf(4, (0, b"k", b"v"), overflow=most)}, 5 + most).assert_refused("page 4 is too long")


def test_a_page_may_end_where_the_file_does(tmp_path: Path) -> None:
    page = leaf(4, (0, b"k", b"v"), overflow=2)
    assert Database(tmp_path, {4: page}, 7).items() == [(b"k", b"v")]
    Database(tmp_path, {4: page}, 6).assert_refused("page 4 is too long")
    Database(tmp_path, {}, 4).assert_refused("page 4 is out of bounds")


def test_a_meta_is_no_page_of_the_tree(tmp_path: Path) -> None:
    Database(tmp_path, {}, root=1).assert_refused("page 1 is out of bounds")


def test_the_freelist_is_no_page_of_the_tree(tmp_path: Path) -> None:
    Database(tmp_path, {}, root=2).assert_refused("page 2 is not what it should be")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (BUCKET[:15], "a bucket is too short"),
        (BUCKET + b"x", "a bucket is too long"),
        (bytes(16), "an inline bucket is damaged"),
        (bytes(16) + header(0, LEAF, 0)[:15], "an inline bucket is damaged"),
        (bytes(16) + header(1, LEAF, 0), "an inline bucket is damaged"),
        (bytes(16) + header(0, LEAF, 0, 1), "an inline bucket is damaged"),
        (bytes(16) + header(0, BRANCH, 0), "a leaf is none"),
        (bytes(16) + header(0, LEAF, 1) + bytes(15), "a leaf is none"),
    ],
)
def test_buckets_that_are_none(tmp_path: Path, value: bytes, reason: str) -> None:
    Database(tmp_path, {3: leaf(3, (1, b"b", value)), 4: leaf(4)}).assert_refused(reason)


def test_an_inline_bucket_may_be_empty(tmp_path: Path) -> None:
    assert Database(tmp_path, {3: leaf(3, (1, b"b", bytes(16) + header(0, LEAF, 0)))}).items() == []


def test_the_last_element_may_end_where_the_page_does(tmp_path: Path) -> None:
    value = bytes(PAGE - 16 - 16 - 1)
    assert Database(tmp_path, {4: leaf(4, (0, b"k", value)), 5: b""}).items() == [(b"k", value)]
    Database(tmp_path, {4: leaf(4, (0, b"k", value + b"x"))}, 6).assert_refused("an element of a leaf is damaged")


@pytest.mark.parametrize(("kind", "key"), [(2, b"k"), (3, b"k"), (0, b"")])
def test_elements_that_are_none(tmp_path: Path, kind: int, key: bytes) -> None:
    Database(tmp_path, {4: leaf(4, (kind, key, b"v"))}).assert_refused("an element of a leaf is damaged")


def test_a_bucket_in_a_bucket_is_no_item(tmp_path: Path) -> None:
    database = Database(tmp_path, {4: leaf(4, (0, b"j", b"word"), (1, b"k", b"word"), (0, b"l", b"word"))})
    assert database.items() == database.containing(b"word") == [(b"j", b"word"), (b"l", b"word")]


@pytest.mark.parametrize("keys", [(b"k", b"k"), (b"l", b"k")])
def test_keys_of_a_leaf_ascend(tmp_path: Path, keys: tuple[bytes, bytes]) -> None:
    Database(tmp_path, {4: leaf(4, *((0, key, b"v") for key in keys))}).assert_refused("keys are out of order")


@pytest.mark.parametrize(
    ("first", "second", "reads"),
    [(b"b", b"m", True), (b"l", b"z", True), (b"a", b"m", False), (b"m", b"n", False), (b"b", b"l", False)],
)
def test_keys_lie_within_what_the_branch_promises(tmp_path: Path, first: bytes, second: bytes, *, reads: bool) -> None:
    pages = {4: branch(4, (b"b", 5), (b"m", 6)), 5: leaf(5, (0, first, b"1")), 6: leaf(6, (0, second, b"2"))}
    database = Database(tmp_path, pages)
    if reads:
        assert database.items() == [(first, b"1"), (second, b"2")]
    else:
        database.assert_refused("keys are out of order")


@pytest.mark.parametrize(("key", "reads"), [(b"l", True), (b"m", False)])
def test_the_bound_of_a_branch_holds_below_the_branch_under_it(tmp_path: Path, key: bytes, *, reads: bool) -> None:
    pages = {
        4: branch(4, (b"b", 5), (b"m", 6)),
        5: branch(5, (b"b", 7)),
        6: branch(6, (b"m", 8)),
        7: leaf(7, (0, key, b"1")),
        8: leaf(8, (0, b"n", b"2")),
    }
    database = Database(tmp_path, pages)
    if reads:
        assert database.items() == [(key, b"1"), (b"n", b"2")]
        assert database.containing(b"1") == [(key, b"1")]
    else:
        database.assert_refused("keys are out of order")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (branch(4), "a branch has no children"),
        (branch(4, (b"", 5)), "an element of a branch is damaged"),
        (branch(4, (b"b", 5), (b"b", 6)), "keys are out of order"),
        (branch(4, (b"c", 5), (b"b", 6)), "keys are out of order"),
        (branch(4, (b"b", 5), (b"m", 5)), "page 5 is used twice"),
        (header(4, BRANCH, 1) + struct.pack("<IIQ", 17, 1, 5) + b"bb", "an element of a branch is damaged"),
        (header(4, BRANCH, 256), "page 4 is cut short"),
        (header(4, BRANCH, 255), "an element of a branch is damaged"),
        (header(4, LEAF, 256), "page 4 is cut short"),
        (header(4, LEAF, 255), "an element of a leaf is damaged"),
    ],
)
def test_branches_that_are_none(tmp_path: Path, page: bytes, reason: str) -> None:
    Database(tmp_path, {4: page, 5: leaf(5, (0, b"b", b"1")), 6: leaf(6)}).assert_refused(reason)


def test_the_last_key_of_a_branch_may_end_where_the_page_does(tmp_path: Path) -> None:
    key = b"k" * (PAGE - 32)
    assert Database(tmp_path, {4: branch(4, (key, 5)), 5: leaf(5, (0, key, b"1"), overflow=1), 6: b""}).items()
    pages = {4: branch(4, (key + b"k", 5)), 5: leaf(5)}
    Database(tmp_path, {4: pages[4][:PAGE], 5: pages[5]}).assert_refused("an element of a branch is damaged")


def ids(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(8, "little") for number in numbers)


def test_every_id_of_the_freelist_counts(tmp_path: Path) -> None:
    most = (PAGE - 16) // 8
    pages = {4: leaf(4, (0, b"k", b"v"))}
    free = range(100, 100 + most)
    assert Database(tmp_path, {**pages, 2: header(2, FREELIST, most) + ids(*free)}).items()
    Database(tmp_path, {**pages, 2: header(2, FREELIST, most + 1) + ids(*free)}).assert_refused(
        "freelist does not fit in"
    )
    for used in ((4, *free[1:]), (*free[1:], 4)):
        Database(tmp_path, {**pages, 2: header(2, FREELIST, most) + ids(*used)}).assert_refused("page in use")
    assert Database(tmp_path, {**pages, 2: header(2, FREELIST, 1) + ids(100, 4)}).items()


def test_a_long_freelist_has_its_count_in_front(tmp_path: Path) -> None:
    pages = {4: leaf(4, (0, b"k", b"v"))}
    assert Database(tmp_path, {**pages, 2: header(2, FREELIST, 0xFFFF) + ids(4, 100, 101, 102, 103, 4)}).items()
    Database(tmp_path, {**pages, 2: header(2, FREELIST, 0xFFFF) + ids(2, 100, 4)}).assert_refused("page in use")
    Database(tmp_path, {**pages, 2: header(2, FREELIST, 0xFFFF) + ids(510)}).assert_refused("freelist does not fit in")


@pytest.mark.parametrize("before", range(7))
def test_what_is_searched_for_lies_across_two_pieces_of_the_file(tmp_path: Path, before: int) -> None:
    """Pieces are of 64 KiB; the text begins `before` bytes in front of the second one."""
    start = 15 * PAGE + 16 + 16 + 1
    value = b"-" * (65536 - before - start) + b"needle" + b"-" * 5000
    pages = {
        4: branch(4, (b"a", 5), (b"k", 15), (b"n", 19)),
        5: leaf(5, (0, b"a", b"other")),
        15: leaf(15, (0, b"k", value), overflow=3),
        19: leaf(19, (0, b"n", b"other")),
    }
    database = Database(tmp_path, pages)
    assert database.containing(b"needle") == [(b"k", value)]
    assert database.containing(b"other") == [(b"a", b"other"), (b"n", b"other")]


def test_what_is_on_a_page_of_the_past_is_not_of_the_tree(tmp_path: Path) -> None:
    """In front of the first leaf, right behind the pages of another, and behind the last."""
    past = leaf(0, (0, b"k", b"needle"))
    pages = {
        4: branch(4, (b"a", 6), (b"k", 9)),
        5: past,
        6: leaf(6, (0, b"a", b"-" * 5000), overflow=1),
        8: past,
        9: leaf(9, (0, b"k", b"v")),
        10: past,
    }
    database = Database(tmp_path, pages)
    assert database.containing(b"needle") == []
    assert [key for key, _ in database.containing(b"---")] == [b"a"]


def test_a_text_twice_on_a_page_is_one_item(tmp_path: Path) -> None:
    database = Database(tmp_path, {4: leaf(4, (0, b"k", b"needle needle"), (0, b"l", b"v"), (0, b"m", b"needle"))})
    assert [key for key, _ in database.containing(b"needle")] == [b"k", b"m"]


@pytest.mark.parametrize("length", [0, 79, 80, PAGE, PAGE + 79])
def test_a_file_that_is_too_short_for_its_metas(tmp_path: Path, length: int) -> None:
    database = Database(tmp_path, {4: leaf(4)})
    os.truncate(database.path, length)
    database.assert_refused("too short for a database" if length < 80 else "page 1 is no meta")


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_it_is_tried_so_often(tmp_path: Path, tries: int) -> None:
    path = str(tmp_path / "agent.db")
    writer = BoltWriter(path)
    calls: list[int] = []

    def use(_: bolt.ReadTransaction) -> None:
        calls.append(writer.commit({b"b": {b"k": b"%d" % len(calls)}}))

    with pytest.raises(bolt.Unreadable, match="written to all the time"):
        bolt.view(path, bolt.within(LONG), use, tries)
    writer.close()
    assert len(calls) == tries


def test_time_is_over_at_the_deadline_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(bolt, "monotonic", lambda: now[0])
    over = bolt.within(5)
    assert not over()
    now[0] = 105.0
    assert not over()
    now[0] = 105.1
    assert over()
