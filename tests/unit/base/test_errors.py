"""The exception tree: what the docstring draws is what there is, and the other way round."""

from __future__ import annotations

import inspect
import re

import pytest

from eni_ledger.base import errors
from eni_ledger.base.errors import EniLedgerError, InvalidNetworkConfig, LedgerDamaged
from helpers.ledgers import bare_python


def drawn() -> dict[str, tuple[str | None, int | None]]:
    """Return name -> (parent, code) from the tree in the docstring."""
    assert errors.__doc__ is not None
    found: dict[str, tuple[str | None, int | None]] = {}
    path: list[str] = []
    for line in errors.__doc__.partition("::")[2].splitlines():
        match = re.match(r"    (?P<rails>(?:[│├└─ ]{4})*)(?P<name>[A-Z]\w+)(?:\s+(?P<code>\d+)\b)?", line)
        if match:
            depth = len(match["rails"]) // 4
            del path[depth:]
            found[match["name"]] = (path[-1] if path else None, int(match["code"]) if match["code"] else None)
            path.append(match["name"])
    return found


CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__module__ == errors.__name__
}


def test_every_class_is_drawn_and_every_drawn_class_exists() -> None:
    assert set(drawn()) == set(CLASSES)
    assert len(CLASSES) > 20


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_parent_and_code_are_as_drawn(name: str) -> None:
    parent, code = drawn()[name]
    kind = CLASSES[name]
    assert kind.__base__ is not None
    assert kind.__base__.__name__ == (parent or "Exception")
    assert (vars(kind).get("code") if name != "EniLedgerError" else None) == code
    assert kind.__doc__


def test_codes_are_unique_and_in_their_range() -> None:
    codes = [vars(kind)["code"] for kind in CLASSES.values() if "code" in vars(kind)]
    assert len(codes) == len(set(codes))
    for kind in CLASSES.values():
        if "code" in vars(kind) and kind is not EniLedgerError:
            assert (vars(kind)["code"] < 100) == issubclass(kind, errors.CniError)


@pytest.mark.parametrize(
    ("details", "hint", "want"),
    [("", "", None), ("d", "", "d"), ("", "h", "h"), ("d", "h", "d; h")],
)
def test_to_cni_is_the_error_object_of_the_specification(details: str, hint: str, want: str | None) -> None:
    out = InvalidNetworkConfig("m", details, hint).to_cni("0.4.0")
    assert list(out)[:3] == ["cniVersion", "code", "msg"]
    assert (out["cniVersion"], out["code"], out["msg"], out.get("details")) == ("0.4.0", 7, "m", want)
    assert len(out) == 3 + (want is not None)


def test_text_is_message_and_details() -> None:
    assert str(EniLedgerError("m")) == "m"
    assert str(EniLedgerError("m", "d", "h")) == "m: d"
    assert EniLedgerError("m").code == 999


def test_damage_says_where() -> None:
    error = LedgerDamaged("m", path="/x/ledger.jsonl", line=3, offset=99)
    assert (error.path, error.line, error.offset, error.associations) == ("/x/ledger.jsonl", 3, 99, [])
    assert str(error) == "m: /x/ledger.jsonl line 3, offset 99"
    assert error.to_cni("1.0.0")["code"] == 103


def test_costs_an_add_no_import() -> None:
    done = bare_python(
        "before = set(sys.modules); import eni_ledger.base.errors; print(sorted(set(sys.modules) - before))"
    )
    assert done.stdout == "['__future__', 'eni_ledger', 'eni_ledger.base', 'eni_ledger.base.errors']\n", done.stderr
