from __future__ import annotations

import os
from pathlib import Path

import pytest

from eni_ledger.base import host


def test_boot_id_is_the_kernels() -> None:
    assert host.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"i-0123456789abcdef0\n", "i-0123456789abcdef0"),
        (b"i-01234567", "i-01234567"),
        (b"i-0123456789ABCDEF0\n", None),
        (b"i-0123", None),
        (b"Not Specified\n", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"x" * 1000, None),
    ],
)
def test_instance_id(tmp_path: Path, content: bytes, expected: str | None) -> None:
    path = tmp_path / "board_asset_tag"
    path.write_bytes(content)
    assert host.instance_id(str(path)) == expected


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert host.instance_id(str(tmp_path / "gone")) is None
    assert host.boot_id(str(tmp_path)) is None
    assert all(host.identity().values())


def test_the_start_of_a_process_whose_name_looks_like_fields_of_stat(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(f"7 (a) b (c 1) S {' '.join(['0'] * 18)} 6000 0\n")
    assert host.process_start(str(tmp_path)) == 6000
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert host.process_start(".", dir_fd=fd) == 6000
    finally:
        os.close(fd)


@pytest.mark.parametrize("content", [None, b"", b"7 (a) S 1 2", b"7 (a) S " + b"x " * 40])
def test_a_process_that_has_ended_has_no_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "stat").write_bytes(content)
    assert host.process_start(str(tmp_path)) is None
