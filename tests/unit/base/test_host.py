from __future__ import annotations

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
