"""Imports run down: the packages stand in one order, and each imports only what stands below it.

Imports in functions and under `TYPE_CHECKING` count. The order is drawn in CONTRIBUTING.md.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import eni_ledger

ROOT = Path(eni_ledger.__file__).parent
ORDER = (
    *("base", "journald", "zones", "timespec", "kernel"),
    *("ledger.format", "ledger.write", "ledger.archive", "ledger.read", "ledger.query", "ledger.check"),
    *("render", "identity", "install", "reconcile", "doctor", "plugin", "desk", "api", "cli", "entry"),
)
"""Lowest first."""
FORBIDDEN = {
    ("ledger.read", "ledger.write"),
    *(("render", below) for below in ORDER if below not in ("base", "timespec", "render")),
}
"""Imports that run down and are not wanted all the same: a reader takes no lock, a table knows no ledger."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


def imports_of(module: str) -> set[str]:
    """Return the modules of ours that `module` imports anywhere in it, by their names below `eni_ledger`."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "eni_ledger":
            package = (node.module or "").removeprefix("eni_ledger").lstrip(".")
            for alias in node.names:
                inner = f"{package}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else package)
    return found - {"", module}


def room(module: str) -> str | None:
    """Return the entry of ORDER that a module belongs to, None for a package's own file that only has its docstring."""
    return max((name for name in ORDER if f"{module}.".startswith(f"{name}.")), key=len, default=None)


@pytest.mark.parametrize("module", sorted(name for name in MODULES if room(name)))
def test_a_module_imports_only_what_stands_below_it(module: str) -> None:
    here = room(module)
    assert here
    for target in imports_of(module):
        there = room(target)
        assert there, f"{module} imports {target}, which stands in no room"
        assert ORDER.index(there) <= ORDER.index(here), f"{module} imports {target}: upwards"
        assert (here, there) not in FORBIDDEN, f"{module} imports {target}"
        assert target != "entry"


def test_no_module_imports_itself_by_way_of_others() -> None:
    def reach(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for target in sorted(imports_of(module) & MODULES.keys()):
                reach(target, (*path, module))
            done.add(module)

    done: set[str] = set()
    for module in sorted(MODULES):
        reach(module, ())


def test_a_command_imports_no_other() -> None:
    for module in MODULES:
        if module.startswith("cli.commands."):
            assert not [name for name in imports_of(module) if name.startswith("cli.commands.")]


def test_a_public_class_has_a_name_of_its_own() -> None:
    """`Report` in four modules is four things that one grep does not tell apart.

    A record is one thing in two forms: a TypedDict for type checkers, a model that validates.
    """
    forms = ["base.events", "ledger.format.schema"]
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    twice = {name: sorted(modules) for name, modules in places.items() if len(modules) > 1}
    assert twice == dict.fromkeys(("Association", "Container", "Event"), forms)


def test_a_private_name_stays_in_its_module() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "eni_ledger":
                private = [alias.name for alias in node.names if re.fullmatch(r"_[^_].*", alias.name)]
                assert private == [], f"{module} imports {private} of {node.module}"


def test_a_room_of_one_name_is_not_missing() -> None:
    """A package that is not in the order would be held to nothing."""
    rooms = {room(name) for name in MODULES} - {None}
    assert rooms == set(ORDER)
    assert {name for name in MODULES if room(name) is None} <= {"", "__init__", "ledger"}


def test_every_method_of_a_class_can_be_called() -> None:
    """What a class cannot do, its type does not offer."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
                assert "NotImplementedError" not in names, f"{module}: {node.name}"


def imports_in_functions(tree: ast.AST, *, inside: bool = False) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that are made when a function runs."""
    for node in ast.iter_child_nodes(tree):
        if inside and isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from imports_in_functions(node, inside=inside or isinstance(node, ast.FunctionDef))


def test_an_import_in_a_function_has_its_reason() -> None:
    """In a comment on its line or the line above, or in the module's docstring for all of them.

    Of several imports in a row the first one has it.
    """
    for module, path in MODULES.items():
        text = path.read_text()
        tree, lines = ast.parse(text), text.splitlines()
        if "Imports inside functions" in (ast.get_docstring(tree) or ""):
            continue
        last = 0
        for node in imports_in_functions(tree):
            beside = "".join(lines[node.lineno - 1 : node.end_lineno])
            above = lines[node.lineno - 2].lstrip()
            assert "#" in beside or above.startswith("#") or node.lineno == last + 1, f"{module}, line {node.lineno}"
            last = node.end_lineno or node.lineno
