"""The interpreter has each class of an error when it is asked for, and the same one (build/front/lazy_errors.py)."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eni_ledger.base import errors

BUILD = Path(__file__).parents[2] / "build/front"
SOURCE = Path(errors.__file__)
CLASSES = [name for name, value in vars(errors).items() if isinstance(value, type)]


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function that changes a module on its way into the interpreter."""
    monkeypatch.syspath_prepend(str(BUILD))
    return importlib.import_module("lazy_errors").lazy


@pytest.fixture
def late(lazy: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of errors as the interpreter has it."""
    module = ModuleType(errors.__name__)
    monkeypatch.setitem(sys.modules, errors.__name__, module)
    exec(compile(lazy(ast.parse(SOURCE.read_text()), errors.__name__), "errors.py", "exec"), module.__dict__)
    return module


def test_no_class_is_made_before_it_is_asked_for(late: ModuleType) -> None:
    assert len(CLASSES) > 20
    assert not [name for name, value in vars(late).items() if isinstance(value, type)]


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_what_it_is_elsewhere(late: ModuleType, name: str) -> None:
    made, real = getattr(late, name), getattr(errors, name)
    assert made is getattr(late, name)
    assert [base.__qualname__ for base in made.__mro__] == [base.__qualname__ for base in real.__mro__]
    assert (made.__module__, made.code, made.__doc__) == (real.__module__, real.code, real.__doc__)
    assert vars(made).keys() == vars(real).keys()


def test_a_name_that_is_none(late: ModuleType) -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        late.Nonsense  # noqa: B018 - that it is looked up is the test


USER = """
from __future__ import annotations
from eni_ledger.base.errors import LedgerError, LockTimeout, StateDirError

class Own(StateDirError):
    pass

def fails(what: type[LedgerError]) -> str:
    try:
        raise what("it")
    except LockTimeout:
        return "lock"
    except (StateDirError, LedgerError) as exc:
        return type(exc).__name__
"""


def test_a_module_that_names_them_at_its_beginning(lazy: Any, late: ModuleType) -> None:
    names: dict[str, Any] = {"__name__": "user"}
    package = importlib.import_module("eni_ledger.base")
    real, package.errors = package.errors, late  # type: ignore[attr-defined]  # a submodule
    try:
        exec(compile(lazy(ast.parse(USER), "eni_ledger.user"), "user.py", "exec"), names)
    finally:
        package.errors = real  # type: ignore[attr-defined]  # a submodule
    assert [name for name, value in vars(late).items() if isinstance(value, type)] == [
        *("EniLedgerError", "LedgerError", "StateDirError"),  # the bases of Own
    ]
    assert [names["fails"](kind) for kind in (late.LockTimeout, names["Own"], late.WriteFailed)] == [
        *("lock", "Own", "WriteFailed"),
    ]
