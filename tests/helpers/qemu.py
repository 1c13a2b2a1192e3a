"""A qemu whose first machines do not come up, put before the real one on PATH."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from helpers.delegate import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

PROGRAM = "qemu-system-x86_64"
#: The kernel finds no first program, and panics; the last -append is the one that counts.
PANIC = "console=ttyS0 panic=-1 no_timer_check rdinit=/none root=/dev/none"


def panics_first(directory: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Have the first `number` machines panic while they boot; return what counts the starts of machines."""
    real = shutil.which(PROGRAM)
    assert real, PROGRAM
    return _first(directory, number, monkeypatch, f'exec {real} "$@" -append "{PANIC}"', f'exec {real} "$@"')


def ends_first(directory: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Have the first `number` machines end at once, which costs no boot; return what counts the starts of machines."""
    real = shutil.which(PROGRAM)
    assert real, PROGRAM
    return _first(directory, number, monkeypatch, "exit 1", f'exec {real} "$@"')


def hangs_first(directory: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Have the first `number` machines stand still from the start; return what counts the starts of machines."""
    real = shutil.which(PROGRAM)
    assert real, PROGRAM
    return _first(directory, number, monkeypatch, f'exec {real} "$@" -S', f'exec {real} "$@"')


def _first(directory: Path, number: int, monkeypatch: pytest.MonkeyPatch, first: str, later: str) -> Callable[[], int]:
    directory.mkdir()
    log = directory / "starts"
    script(directory / PROGRAM, f"echo >>{log}", f'[ "$(wc -l <{log})" -gt {number} ] || {first}', later)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return lambda: len(log.read_text().splitlines())
