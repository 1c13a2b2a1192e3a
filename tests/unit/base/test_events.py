"""The types of records: they have the keys and types of the models, and cost nothing at run time."""

from __future__ import annotations

import ast
import types
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

import eni_ledger
from eni_ledger.base import events
from eni_ledger.ledger.format import schema
from eni_ledger.ledger.format.line import KEYS

ROOT = Path(eni_ledger.__file__).parent
OF_AN_ANSWER = {"ledger", "as_of", "spooled", "spooled_because"}
"""Keys that a record has in an answer only, and no file has."""


def plain(annotation: Any) -> Any:
    """Return the type that JSON has for a field of a model, without null: what the TypedDict says."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return plain(arguments[0])
    if origin is Literal:
        return type(arguments[0])
    if origin is list:
        return list[plain(arguments[0])]  # type: ignore[misc]  # made at run time
    if origin in (Union, types.UnionType):
        return Union[tuple(plain(each) for each in arguments if each is not type(None))]  # noqa: UP007  # the same
    if annotation is datetime:
        return str
    return getattr(events, annotation.__name__) if issubclass(annotation, BaseModel) else annotation


@pytest.mark.parametrize("name", ["Event", "Association", "Container"])
def test_a_record_has_the_keys_and_types_of_its_model(name: str) -> None:
    hints = get_type_hints(getattr(events, name))
    model = get_type_hints(getattr(schema, name), include_extras=True)
    fields = {key: plain(model[key]) for key in getattr(schema, name).model_fields}
    assert {key: hint for key, hint in hints.items() if key not in OF_AN_ANSWER} == fields


def test_an_event_has_all_keys_that_are_written_in_order() -> None:
    assert set(KEYS) <= get_type_hints(events.Event).keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_types_are_defined_once_and_never_imported_at_run_time(path: Path) -> None:
    """`typing` costs an ADD a millisecond."""
    tree = ast.parse(path.read_text())
    for_checkers = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "eni_ledger.base.events":
            assert id(node) in for_checkers, node.lineno
        if isinstance(node, ast.Assign | ast.AnnAssign) and path.name != "events.py":
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            assert names.isdisjoint(("Event", "Association", "Fields", "Draft")), node.lineno
