"""On which file systems the ledger can be kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eni_ledger.ledger.write.probe import unsuitable_filesystem


def mounts(tmp_path: Path, *kinds: str) -> str:
    """Write a mountinfo in which the device of `tmp_path` is mounted as each of `kinds`, the last one on top."""
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    path = tmp_path / "mountinfo"
    lines = ["21 1 0:4095 / /proc rw,relatime shared:5 - proc proc rw\n"]
    lines += [f"{n} 1 {number} / /x rw shared:{n} master:1 - {kind} srv:/export rw\n" for n, kind in enumerate(kinds)]
    path.write_text("".join(lines))
    return str(path)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse", "fuse.sshfs", "ceph", "9p"])
def test_network_and_fuse(tmp_path: Path, kind: str) -> None:
    why = unsuitable_filesystem(str(tmp_path), mounts(tmp_path, "ext4", kind))
    assert why == f"{tmp_path} is on {kind} (srv:/export): flock and fdatasync promise less there"


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "nfsd"])
def test_local(tmp_path: Path, kind: str) -> None:
    assert unsuitable_filesystem(str(tmp_path), mounts(tmp_path, "nfs4", kind)) == ""


def test_what_cannot_be_found_out(tmp_path: Path) -> None:
    assert unsuitable_filesystem(str(tmp_path), mounts(tmp_path)) == ""
    assert unsuitable_filesystem(str(tmp_path), str(tmp_path / "missing")) == ""
    assert unsuitable_filesystem(str(tmp_path / "missing"), mounts(tmp_path, "nfs")) == ""
    path = Path(mounts(tmp_path, "nfs"))
    path.write_bytes(path.read_bytes().replace(b" - ", b" "))
    assert unsuitable_filesystem(str(tmp_path), str(path)) == ""


def test_here() -> None:
    assert unsuitable_filesystem("/proc") == ""
