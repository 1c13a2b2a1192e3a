"""The front door and its interpreter, which root runs on every task's start, are built to be hard to exploit."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.prereq import need

pytestmark = pytest.mark.c_front

FRONT = Path(__file__).parents[2] / "build/front"


def shown(*command: str | Path) -> str:
    need(shutil.which(str(command[0])), f"{command[0]} (binutils)")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=["eni-ledger", "_internal/eni-ledger-python"])
def program(request: pytest.FixtureRequest, bundle: Path) -> Path:
    return bundle / str(request.param)


def test_position_independent(program: Path) -> None:
    assert re.search(r"Type: +DYN ", shown("readelf", "--file-header", program))
    assert re.search(r"\(FLAGS_1\) .*\bPIE\b", shown("readelf", "--dynamic", program))


def test_full_relro(program: Path) -> None:
    """What the dynamic linker writes to is read-only before the program begins."""
    assert "GNU_RELRO" in shown("readelf", "--wide", "--program-headers", program)
    assert re.search(r"\(FLAGS_1\) .*\bNOW\b", shown("readelf", "--dynamic", program))


def test_nothing_is_writable_and_executable(program: Path) -> None:
    headers = shown("readelf", "--wide", "--program-headers", program)
    flags = dict(re.findall(r"^  (LOAD|GNU_STACK) .* ([R ][W ][E ]) 0x", headers, re.MULTILINE))
    assert set(flags) == {"LOAD", "GNU_STACK"}
    assert not re.search(r"^  (LOAD|GNU_STACK) .* [R ]WE 0x", headers, re.MULTILINE)


def test_checked_calls(program: Path) -> None:
    """_FORTIFY_SOURCE: of this function no code of CPython makes use."""
    needed = shown("nm", "--dynamic", "--undefined-only", "--without-symbol-versions", program)
    assert "__strcat_chk" in {line.split()[-1] for line in needed.splitlines()}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Return the modules that find what is frozen, and that compile."""
    monkeypatch.syspath_prepend(str(FRONT))
    return importlib.import_module("closure"), importlib.import_module("link")


@pytest.mark.parametrize("source", ["front_door.c", "interpreter.c"])
def test_stacks_are_protected(parts: tuple[Any, Any], tmp_path: Path, source: str) -> None:
    """In our own C: the interpreter does not show it, since CPython's code has protected stacks as well."""
    need(shutil.which("gcc"), "gcc")
    closure, link = parts
    modules = closure.Closure(FRONT.parents[1] / "cni", "eni_ledger.entry")
    modules.add_own()
    modules.write(tmp_path / "front_modules.h")
    made = link.compiled(FRONT / source, tmp_path, link.WARNINGS)
    assert {"__stack_chk_fail", "__strcat_chk"} <= set(shown("nm", "--undefined-only", made).split())
