"""The built bundle, and copies of it to do things to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from eni_ledger.install.bundle import is_pyinstallers
from helpers.prereq import need

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle() -> Path:
    """Return the directory of the built bundle."""
    chosen = os.environ.get("ENI_LEDGER_BIN")
    directory = Path(chosen).parent if chosen else REPOSITORY / "dist/eni-ledger"
    need((directory / "eni-ledger-cli").exists(), f"the built bundle in {directory}; build/bundle makes it")
    return directory


@pytest.fixture(autouse=True)
def _front_in_c(request: pytest.FixtureRequest) -> None:
    """Skip what only the front door in C promises where `build/bundle` has fallen back to PyInstaller's bootloader."""
    if request.node.get_closest_marker("c_front"):
        front = request.getfixturevalue("bundle") / "eni-ledger"
        need(not is_pyinstallers(str(front)), "a front door in C: gcc and the interpreter's static library to build it")


@pytest.fixture
def front(bundle: Path) -> Path:
    """Return the front door of the bundle."""
    return bundle / "eni-ledger"


@pytest.fixture
def interpreter(bundle: Path) -> Path:
    """Return the interpreter that the front door starts."""
    return bundle / "_internal/eni-ledger-python"


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle, under another path and another name."""
    return Path(shutil.copytree(bundle, tmp_path / "opt" / "elsewhere", symlinks=True))
