"""State directories in tar archives: what is taken, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import ArchiveError
from eni_ledger.ledger.read.held_files import HeldFiles
from eni_ledger.ledger.read.inflated import Inflated, Limits
from eni_ledger.ledger.read.tarball import BLOCK, read_tar

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = b'{"ts":"2026-11-27T03:12:00.000000Z"}\n'
SEALED = "ledger-0000000000000001-0000000000000003.jsonl"


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def taken(data: bytes, limits: Limits | None = None) -> dict[str, dict[str, bytes]]:
    """Return the ledgers in an archive, by directory, each with the contents of its files; leave nothing open."""
    before = descriptors()
    fd = os.memfd_create("archive")
    found: list[tuple[str, HeldFiles]] = []
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        found = read_tar(Inflated(fd, "x.tar", limits or Limits()), limits or Limits())
        return {directory: contents(files) for directory, files in found}
    finally:
        os.close(fd)
        for _, files in found:
            files.release()
        assert descriptors() == before


def contents(files: HeldFiles) -> dict[str, bytes]:
    found = {}
    for name in [*files.names(), "imported/ledger.jsonl"]:
        try:
            fd = files.open(name)
        except FileNotFoundError:
            continue
        with os.fdopen(fd, "rb") as file:
            found[name] = file.read()
    return found


def packed(*members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return an archive with these files and whatever else is described."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                about = tarfile.TarInfo(member[0])
                about.size = len(member[1])
                tar.addfile(about, io.BytesIO(member[1]))
    return target.getvalue()


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    about = tarfile.TarInfo(name)
    about.type = kind
    about.linkname = "/etc/passwd"
    return about


def in_two_parts(data: bytes) -> bytes:
    return gzip.compress(data[:700]) + gzip.compress(data[700:])


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, in_two_parts])
def test_an_archive_is_taken_in_every_form(form: int, pack: Callable[[bytes], bytes]) -> None:
    deep = "/".join(["directory-with-a-name"] * 9)
    data = packed(
        special("./", tarfile.DIRTYPE),
        ("./ledger.jsonl", LINE),
        (f"./{SEALED}", LINE * 100),
        ("./imported/ledger.jsonl", b"x"),
        ("./spool/00000001.json", b"y"),
        ("./lock", b""),
        ("./README", b"not of a ledger"),
        (f"{deep}/ledger.jsonl", b"deep"),
        form=form,
    )
    assert taken(pack(data)) == {
        "": {"ledger.jsonl": LINE, SEALED: LINE * 100, "imported/ledger.jsonl": b"x"},
        deep: {"ledger.jsonl": b"deep"},
    }


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("ledger.jsonl", tarfile.SYMTYPE, "a symbolic link"),
        ("ledger.jsonl", tarfile.LNKTYPE, "a hard link"),
        ("other", tarfile.SYMTYPE, "a symbolic link"),
        ("lock", tarfile.CHRTYPE, "a device"),
        ("lock", tarfile.BLKTYPE, "a device"),
        ("lock", tarfile.FIFOTYPE, "a named pipe"),
        ("lock", tarfile.GNUTYPE_SPARSE, "a sparse file"),
        ("lock", b"Z", "unknown kind"),
        ("../ledger.jsonl", None, "a path with .. in it"),
        ("a/../ledger.jsonl", None, "a path with .. in it"),
        ("/var/lib/eni-ledger/ledger.jsonl", None, "an absolute path"),
        ("./first/ledger.jsonl", None, "two of one name"),
    ],
)
def test_a_member_is_refused_by_name_and_offset(name: str, kind: bytes | None, why: str) -> None:
    member = special(name, kind) if kind else (name, LINE)
    with pytest.raises(ArchiveError, match=why) as raised:
        taken(packed(("first/ledger.jsonl", LINE), member, ("second/ledger.jsonl", LINE)))
    assert f"{name.removeprefix('./')} at offset {2 * BLOCK}" in raised.value.details


def test_an_archive_that_is_cut_anywhere_is_not_taken() -> None:
    data = packed(("a/ledger.jsonl", LINE), ("b/ledger.jsonl", LINE))
    whole = 4 * BLOCK + 2 * BLOCK
    assert data[4 * BLOCK :].strip(b"\0") == b""
    for end in range(0, whole, 64):
        with pytest.raises(ArchiveError, match="cut short"):
            taken(data[:end])
    assert taken(data[:whole]) == taken(data)
    compressed = gzip.compress(data)
    for end in range(2, len(compressed)):
        with pytest.raises(ArchiveError, match="cut short"):
            taken(compressed[:end])


def test_what_follows_the_end_is_not_passed_over() -> None:
    data = packed(("a/ledger.jsonl", LINE))
    with pytest.raises(ArchiveError, match="behind the end"):
        taken(data + packed(("b/ledger.jsonl", LINE)))
    with pytest.raises(ArchiveError, match="behind the end"):
        taken(gzip.compress(data) + b"more")
    assert taken(gzip.compress(data) + bytes(4096)) == taken(data)


def test_bombs_are_refused_before_they_go_off() -> None:
    large = packed(("a/ledger.jsonl", b"0" * 1_000_000), ("a/notes", b"0" * 1_000_000))
    limits = Limits(total=1_500_000)
    with pytest.raises(ArchiveError, match="more than 1 MiB"):
        taken(gzip.compress(large), limits)
    with pytest.raises(ArchiveError, match="larger than 0 MiB"):
        taken(large, Limits(member=999_999))
    with pytest.raises(ArchiveError, match="too many members"):
        taken(packed(*((f"{n}/ledger.jsonl", b"") for n in range(4))), Limits(members=3))


def test_a_file_of_zeros_is_no_ledger() -> None:
    sparse = tarfile.TarInfo("a/notes")
    sparse.size = 200 << 20
    bomb = gzip.compress(sparse.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(bytes(1 << 20)) * 200
    with pytest.raises(ArchiveError, match="inflates to more than any ledger would"):
        taken(bomb)


def test_a_huge_extended_header_is_not_read() -> None:
    about = tarfile.TarInfo("x")
    about.type, about.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(ArchiveError, match="extended header of the archive is too long"):
        taken(about.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


def test_a_negative_size_does_not_go_back() -> None:
    about = bytearray(tarfile.TarInfo("ledger.jsonl").tobuf(tarfile.GNU_FORMAT))
    about[124:136] = b"\xff" * 12
    about[148:156] = b" " * 8
    about[148:156] = b"%06o\0 " % sum(about[:BLOCK])
    with pytest.raises(ArchiveError, match="header of the archive is damaged"):
        taken(bytes(about) + bytes(4096))


GOOD = packed(("a/ledger.jsonl", LINE), ("a/state.json", b"{}"), form=tarfile.PAX_FORMAT)


@given(st.lists(st.tuples(st.integers(0, 4 * BLOCK - 1), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_any_damage_is_refused_or_leaves_names_of_a_ledger(damage: list[tuple[int, int]], pack: bool) -> None:
    data = bytearray(gzip.compress(GOOD, mtime=0) if pack else GOOD)
    for at, value in damage:
        data[at % len(data)] = value
    try:
        found = taken(bytes(data))
    except ArchiveError:
        return
    for files in found.values():
        assert files.keys() <= {"ledger.jsonl", "state.json", "ledger.index", "imported/ledger.jsonl"}


@given(st.binary(max_size=2048))
def test_anything_at_all_is_refused_or_empty(data: bytes) -> None:
    with contextlib.suppress(ArchiveError):
        assert taken(data) == {}


def test_memory_files_are_sealed(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(packed(("ledger.jsonl", LINE)))
    with path.open("rb") as file:
        ((_, files),) = read_tar(Inflated(file.fileno(), str(path), Limits()), Limits())
    fd = files.open("ledger.jsonl")
    try:
        with pytest.raises(PermissionError):
            os.write(fd, b"x")
        with pytest.raises(PermissionError):
            os.truncate(fd, 0)
    finally:
        os.close(fd)
        files.release()
    assert list(tmp_path.iterdir()) == [path]
