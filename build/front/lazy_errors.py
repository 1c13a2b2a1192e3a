"""Make the classes of eni_ledger.base.errors on first use: an ADD without an error needs none of them.

A class takes 20 microseconds, there are some thirty, and each module imports those that it can raise. Both sides are
changed here on their way into the interpreter: the module of errors makes a class when its name is first looked up
(PEP 562), and other modules look a name up where they use it.
"""

from __future__ import annotations

import ast

MODULE = "eni_ledger.base.errors"
_NAME = "_errors"
_LOOK_UP = """
def _look_up(name):
    namespace = globals()
    if name in namespace:
        return namespace[name]
    if name not in _MAKERS:
        raise AttributeError(name)
    _MAKERS[name]()
    return namespace[name]
__getattr__ = _look_up
"""


def lazy(tree: ast.Module, name: str) -> ast.Module:
    """Change the module `name`, in place, and return it."""
    if name == MODULE:
        _make_late(tree)
    else:
        _look_up_late(tree)
    return ast.fix_missing_locations(tree)


class _Attributes(ast.NodeTransformer):
    """Replaces each read of one of `names` by `template`, an expression with `{}` for the name."""

    def __init__(self, names: set[str], template: str) -> None:
        self.names = names
        self.template = template

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.parse(self.template.format(node.id), mode="eval").body, node)
        return node


def _make_late(tree: ast.Module) -> None:
    """Move each class of the module into a function of its own, which makes its bases first."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    bases = _Attributes({node.name for node in classes}, "_look_up({0!r})")
    makers: list[ast.stmt] = []
    for node in classes:
        made = bases.visit(node)
        maker = ast.parse(f"def _make_{node.name}():\n    global {node.name}\n").body[0]
        assert isinstance(maker, ast.FunctionDef)
        maker.body.append(made)
        makers.append(maker)
    others = [bases.visit(node) for node in tree.body if not isinstance(node, ast.ClassDef)]
    table = ", ".join(f"{node.name!r}: _make_{node.name}" for node in classes)
    tree.body = [*others, *makers, *ast.parse(f"_MAKERS = {{{table}}}\n{_LOOK_UP}").body]


def _look_up_late(tree: ast.Module) -> None:
    """Import the module of errors instead of its classes, and look them up there."""
    names: set[str] = set()
    for at, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == MODULE and not any(alias.asname for alias in node.names):
            names |= {alias.name for alias in node.names}
            package, _, module = MODULE.rpartition(".")
            tree.body[at] = ast.parse(f"from {package} import {module} as {_NAME}").body[0]
    if names:
        _Attributes(names, f"{_NAME}.{{}}").visit(tree)
