"""Entering a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from eni_ledger.kernel import setns
from helpers.ledgers import SOURCE
from helpers.patience import PATIENCE_S
from helpers.prereq import need


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own, with `setns` and `libc`."""
    start = f"import os, sys; sys.path.insert(0, {str(SOURCE)!r})\n"
    start += "from eni_ledger.base import libc\nfrom eni_ledger.kernel import setns\n"
    command = [sys.executable, "-I", "-S", "-c", start + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_what_is_refused_is_raised() -> None:
    """Also where the C library tells it by its return value alone."""
    with open(os.devnull, "rb") as file, pytest.raises(OSError, match=r".+"):  # noqa: PTH123 - a descriptor is wanted
        setns.setns(file.fileno())
    with pytest.raises(OSError, match=r".+"):
        setns.setns(1 << 30)  # that nothing has open; Python 3.12 and later refuse a negative one themselves


def test_a_namespace_is_entered() -> None:
    need(os.geteuid() == 0, "root, for setns")
    done = run(
        "home = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
        "libc.call('unshare', 0x40000000)\n"
        "away = os.stat('/proc/self/ns/net').st_ino\n"
        "print(setns.setns(home), os.stat('/proc/self/ns/net').st_ino == os.fstat(home).st_ino != away)"
    )
    assert (done.stdout, done.stderr) == ("None True\n", "")
