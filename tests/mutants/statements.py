"""Statements of a module, without what never runs, and the one in which two versions of a module differ."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)


@dataclass(frozen=True)
class Change:
    """A statement before and after, its function ("" for the module itself) and its lines in the file.

    `before` and `after` are as `ast.unparse` writes them, of a compound statement the head. `nth` counts the same
    change in the same function, from 1.
    """

    function: str
    before: str
    after: str
    nth: int
    lines: range


class _Runs(ast.NodeTransformer):
    """Removes annotations and what stands under `TYPE_CHECKING`: mypy reads it, nothing runs it."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # the name that ast calls
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:  # the name that ast calls
        node.annotation = ast.Name("object")
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return ast.Pass() if names == ["TYPE_CHECKING"] else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:  # the name that ast calls
        names = (each.id for each in ast.walk(node.test) if isinstance(each, ast.Name))
        return ast.Pass() if "TYPE_CHECKING" in names else self.generic_visit(node)


def _walk(node: ast.AST, function: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield the statements below `node` in the order of the file, each with the function it stands in."""
    for block in BLOCKS:
        for child in getattr(node, block, ()):
            if not isinstance(child, STATEMENTS):
                continue  # of a lambda or a conditional expression
            name = getattr(child, "name", None)
            inner = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{function}.{name}".lstrip(".")
            yield inner, child
            yield from _walk(child, inner)


def _head(node: ast.AST) -> ast.AST:
    """Return a statement without the blocks below it."""
    head = copy.copy(node)
    for block in BLOCKS:
        if isinstance(getattr(head, block, None), list):
            setattr(head, block, [])
    return head


def _lines(node: ast.AST) -> range:
    """Return the lines of a statement's head."""
    place: Any = node.pattern if isinstance(node, ast.match_case) else node
    first = min([place.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    below = [child.lineno for block in BLOCKS for child in getattr(node, block, ()) if hasattr(child, "lineno")]
    return range(first, max(first + 1, min([place.end_lineno + 1, *below])))


def change_between(original: ast.Module, mutated: ast.Module) -> Change | None:
    """Return the first statement in which two versions of a module differ, None if the same code runs."""
    before = list(_walk(_Runs().visit(original)))
    after = [node for _, node in _walk(_Runs().visit(mutated))]
    seen: list[tuple[str, str]] = []
    for (function, old), new in zip(before, after, strict=True):
        text = ast.unparse(_head(old)).strip()
        if ast.dump(_head(old)) != ast.dump(_head(new)):
            nth = 1 + seen.count((function, text))
            return Change(function, text, ast.unparse(_head(new)).strip(), nth, _lines(old))
        seen.append((function, text))
    return None
