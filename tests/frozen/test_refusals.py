"""build/bundle refuses what would not do on a host, and says what and where."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.install.bundle import NOT_PROMISED

BUILD = Path(__file__).parents[2] / "build"


def verify(bundle: Path) -> tuple[int, str]:
    """Return the exit status of the check that ends a build, and what it says on stderr."""
    command = [sys.executable, str(BUILD / "portable/verify.py"), str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_good_bundle(copy: Path) -> None:
    assert verify(copy) == (0, "")


def test_a_later_glibc_is_said(copy: Path) -> None:
    """It is no reason to refuse a bundle where it runs; its packages state it."""
    for library in (copy / "_internal").rglob("*.so*"):
        data = library.read_bytes()
        if b"GLIBC_2.34\0" in data and not library.name.startswith("libpython"):
            library.write_bytes(data.replace(b"GLIBC_2.34\0", b"GLIBC_2.99\0"))
            break
    command = [sys.executable, str(BUILD / "portable/verify.py")]
    assert subprocess.run([*command, "--glibc", copy], capture_output=True, check=True).stdout == b"2.99\n"
    done = subprocess.run([*command, copy], capture_output=True, text=True, check=True)
    assert "glibc 2.99 or newer" in done.stdout
    assert "not where glibc is as old as 2.34" in done.stdout


def test_missing_library(copy: Path) -> None:
    (copy / "_internal/libz.so.1").unlink()
    status, said = verify(copy)
    assert status == 1
    assert "needs libz.so.1, which is not in the bundle" in said


def test_what_pyinstallers_bootloader_does_not_promise_is_said(copy: Path) -> None:
    shutil.copy(copy / "eni-ledger-cli", copy / "eni-ledger")
    status, said = verify(copy)
    assert status == 1  # the command line does not answer VERSION
    assert "does not say which modules" not in said
    summary = "import sys, pathlib, verify; print(*verify.summary(pathlib.Path(sys.argv[1])), sep='\\n')"
    shown = subprocess.run(
        [sys.executable, "-c", summary, copy], cwd=BUILD / "portable", capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(BUILD / "portable")},
    ).stdout  # fmt: skip
    assert all(promise in shown for promise in NOT_PROMISED)


def test_another_program_as_the_front_door(copy: Path) -> None:
    shutil.copy("/bin/true", copy / "eni-ledger")
    (copy / "_internal/eni-ledger-python").unlink(missing_ok=True)
    shutil.copy("/bin/true", copy / "_internal/eni-ledger-python")
    status, said = verify(copy)
    assert status == 1
    assert "the front door does not say which modules it carries" in said


@pytest.mark.c_front
def test_a_module_that_is_not_ours_in_the_front_door(copy: Path) -> None:
    front = copy / "_internal/eni-ledger-python"
    data = front.read_bytes()
    assert b"\0eni_ledger.journald\0" in data
    front.write_bytes(data.replace(b"\0eni_ledger.journald\0", b"\0requests.journald_x\0"))
    status, said = verify(copy)
    assert status == 1
    assert "the front door carries requests.journald_x" in said


@pytest.mark.c_front
def test_a_front_door_without_its_interpreter(copy: Path) -> None:
    (copy / "_internal/eni-ledger-python").unlink()
    status, said = verify(copy)
    assert status == 1
    assert "the front door's interpreter is not there: _internal/eni-ledger-python" in said


@pytest.mark.c_front
def test_no_answer_to_version(copy: Path) -> None:
    front = copy / "_internal/eni-ledger-python"
    data = front.read_bytes()
    assert b"supportedVersions" in data
    front.write_bytes(data.replace(b"supportedVersions", b"unsupportedOnes!!"))
    status, said = verify(copy)
    assert status == 1
    assert "VERSION in an empty environment: exit status 0, " in said


def test_command_line_that_does_not_run(copy: Path) -> None:
    shutil.rmtree(copy / "_internal/pydantic_core", ignore_errors=True)
    (copy / "eni-ledger-cli").write_text("#!/bin/sh\necho broken >&2\nexit 5\n")
    status, said = verify(copy)
    assert status == 1
    assert "`eni-ledger version`: exit status 5, broken" in said


@pytest.fixture
def closure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that decides what the front door may import."""
    monkeypatch.syspath_prepend(str(BUILD / "front"))
    return importlib.import_module("closure")


def source(root: Path, **modules: str) -> Path:
    """Write modules of a package eni_ledger; double underscores in a name are dots."""
    for name, text in modules.items():
        path = root / "eni_ledger" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "text",
    [
        "import json",
        "from re import compile",
        "def f():\n    import orjson",
        "try:\n    import socket\nexcept OSError: pass",
    ],
)
def test_import_that_costs_too_much(closure: Any, tmp_path: Path, text: str) -> None:
    root = source(tmp_path, entry="from eni_ledger import deep", deep=f"import os\n{text}\n")
    with pytest.raises(closure.NotAllowed, match=r"deep\.py:[23]: imports (json|re|orjson|socket)"):
        closure.Closure(root, "eni_ledger.entry")


def test_import_of_a_module_that_is_not_there(closure: Any, tmp_path: Path) -> None:
    with pytest.raises(closure.NotAllowed, match=r"entry\.py:1: there is no module eni_ledger\.gone"):
        closure.Closure(source(tmp_path, entry="import eni_ledger.gone"), "eni_ledger.entry")


QUESTION = "from eni_ledger import deep\ndef f():\n    import json\n    from eni_ledger import heavy\n"


def test_a_plain_question_may_do_without_what_a_function_imports(closure: Any, tmp_path: Path) -> None:
    deep = "try:\n    from orjson import loads\nexcept ImportError:\n    import _json\nimport datetime\n"
    root = source(tmp_path, entry="import os", cli__quick=QUESTION, deep=deep, heavy="import re")
    source(root, cli__session="from eni_ledger import deep", cli__answers="import os", base__config="")
    found = closure.Closure(root, "eni_ledger.entry")
    assert {name for name in found.modules if name.startswith("eni_ledger.")} == {
        *("eni_ledger.cli", "eni_ledger.cli.quick", "eni_ledger.deep", "eni_ledger.entry"),
    }
    assert "_datetime" in found.builtin | set(found.extensions)
    assert "eni_ledger.heavy" not in found.modules


def test_what_is_loaded_before_a_module_is_in_the_order_of_need(closure: Any, tmp_path: Path) -> None:
    quick = "from eni_ledger.cli import answers, session\nfrom eni_ledger.ledger.b import thing"
    root = source(tmp_path, entry="", cli__quick=quick, cli__answers="import eni_ledger.ledger.a", cli__session="")
    source(root, ledger__b="def f():\n    from eni_ledger import late", ledger__a="import eni_ledger.ledger.b", late="")
    found = closure.Closure(root, "eni_ledger.entry").loaded_before("eni_ledger.cli.quick")
    assert [name.removeprefix("eni_ledger.") for name in found] == [
        *("", "cli.", "ledger.", "ledger.b", "ledger.a", "cli.answers", "cli.session"),
    ]


def test_a_plain_question_may_not_import_it_at_once(closure: Any, tmp_path: Path) -> None:
    root = source(tmp_path, entry="", cli__quick="from eni_ledger import deep", deep="import re")
    with pytest.raises(closure.NotAllowed, match=r"deep\.py:1: imports re"):
        closure.Closure(root, "eni_ledger.entry")


def test_what_the_front_door_may_import(closure: Any, tmp_path: Path) -> None:
    front = (
        "from __future__ import annotations\n"
        "import os, sys, posix, time, fcntl, _socket, _json\n"
        "from eni_ledger.a import thing\n"
        "TYPE_CHECKING = False\n"
        "if TYPE_CHECKING:\n    import typing, json\n"
        "def command():\n    from eni_ledger.cli.main import main\n"
        "def lazy():\n    from .plugin import b\n"
    )
    found = closure.Closure(source(tmp_path, entry=front, plugin__b="", a="thing = 1"), "eni_ledger.entry")
    ours = {"eni_ledger", "eni_ledger.a", "eni_ledger.plugin", "eni_ledger.entry", "eni_ledger.plugin.b"}
    assert set(found.modules) == ours
