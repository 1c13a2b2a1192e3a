"""Find every module that the front door can import, and pack them into one C header.

Each import in eni_ledger's own sources is followed, the ones inside functions too (an ADD must not fail on an import
that only its error path makes); `if TYPE_CHECKING:` is not. Each imported module has to be eni-ledger's own, C code
that is part of the interpreter, or a module that CPython keeps frozen in libpython. Anything else is refused here, so
nothing else can be loaded on an ADD.

Questions (`cli.quick`) are less strict: if an import in a function fails, the command line answers the question.
"""

from __future__ import annotations
import __future__

import ast
import importlib.machinery
import importlib.util
import marshal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lazy_errors import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

PACKAGE = "eni_ledger"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# The CLI is another executable; entry.main only imports it when it is not in a bundle. Followed from QUESTIONS alone.
ELSEWHERE = ("eni_ledger.cli",)
QUESTIONS = "eni_ledger.cli.quick"
# Modules of the standard library in whose place the front door has its own: name -> name that it is frozen under.
STAND_INS = {"encodings": "encodings", "io": "io", "os": "front_os", "datetime": "datetime"}
# Replaced by C code in interpreter.c.
IN_C = {"PROCESS": "eni_ledger.plugin.process", "SETNS": "eni_ledger.kernel.setns"}
# Importing the package itself is for users of the Python API, which needs pydantic. The front door gets an empty one.
EMPTY = (PACKAGE,)


class NotAllowed(Exception):
    """The front door imports something that it must not."""


def _imports(tree: ast.AST, name: str, is_package: bool, optional: bool = False) -> list[tuple[str, int, bool]]:
    """(module, line, optional) for each import in `tree`; for `from a import b` both `a` and `a.b`.

    Optional are those within functions, and those that may fail with an ImportError that is caught.
    """
    found: list[tuple[str, int, bool]] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for statement in node.orelse:
                found += _imports(statement, name, is_package, optional)
        elif isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, optional) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name if is_package else name.rpartition(".")[0]
                base = importlib.util.resolve_name("." * node.level + base, package)
            found.append((base, node.lineno, optional))
            found += [(f"{base}.{alias.name}", -node.lineno, optional) for alias in node.names]
        else:
            found += _imports(node, name, is_package, optional or _may_do_without(node))
    return found


def _may_do_without(node: ast.AST) -> bool:
    """Return whether the program can go on if an import in this statement fails, or may never execute it."""
    if isinstance(node, ast.Try):
        return any(handler.type and ast.unparse(handler.type) == "ImportError" for handler in node.handlers)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _source(root: Path, name: str) -> tuple[Path, bool] | None:
    """Return the source of a module of eni-ledger and whether it is a package; None if there is no such module."""
    path = root / name.replace(".", "/")
    if path.is_dir():
        return path / "__init__.py", True
    path = path.with_suffix(".py")
    return (path, False) if path.exists() else None


def _c_module(name: str) -> str | None:
    """`built-in`, `frozen`, or the path of the shared object that this C module is; None for anything else."""
    if name in sys.builtin_module_names:
        return "built-in"
    spec = importlib.machinery.FrozenImporter.find_spec(name)
    if spec is not None:
        return "frozen"
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        return spec.origin if name in sys.stdlib_module_names else None
    return None


def _literal(name: str, code: bytes) -> str:
    """A C array of these bytes."""
    return f"static const unsigned char {name}[] = {{{','.join(map(str, code))}}};\n"


def _pyc(code: CodeType) -> bytes:
    """The contents of a .pyc file that is never compared with a source (PEP 552, "unchecked hash-based")."""
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)


def _compiled(text: str, name: str, before: Sequence[str] = ()) -> bytes:
    """The marshalled code, without docstrings and asserts, and without a build machine's paths.

    The code begins by loading the modules `before` (front_load.py), and makes classes of errors late (lazy_errors.py).
    `from __future__ import annotations` becomes a flag of the compiler: left in, it would import __future__.
    """
    tree = ast.parse(text)
    if name.split(".")[0] == PACKAGE:
        lazy(tree, name)
    if before:
        tree.body[:0] = ast.parse(f"from front_load import load\nload({tuple(before)!r})").body
    flags = 0
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            tree.body.remove(node)
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    filename = name.replace(".", "/") + ".py"
    code = compile(tree, filename, "exec", flags=flags, dont_inherit=True, optimize=2)
    return marshal.dumps(code)


class Closure:
    """All modules that importing `start` can load.

    `modules`: name -> (is a package, source). `builtin`: the C modules of libpython, `extensions`: name -> path of
    those that are no part of it. Raises NotAllowed, with file and line of the import.
    """

    def __init__(self, root: Path, start: str) -> None:
        self.root = root
        self.modules: dict[str, tuple[bool, str]] = {}
        self.extensions: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        self._late: set[str] = set()
        self.builtin: set[str] = set()
        self._strict = True
        self._add(start)
        self._strict = False
        self._add(QUESTIONS)

    def _add(self, name: str) -> bool:
        """Add a module of eni-ledger, its packages, and all that they import."""
        if name in self.modules or name in IN_C.values():
            return True
        found = _source(self.root, name)
        if found is None:
            return False
        parent = name.rpartition(".")[0]
        if parent:
            self._add(parent)
        path, is_package = found
        if name in EMPTY or not path.exists():
            self.modules[name] = (True, "")
            return True
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
        self.modules[name] = (is_package, text)
        imports = _imports(tree, name, is_package)
        self._needs[name] = [wanted for wanted, _, optional in imports if not optional]
        self._late |= {wanted for wanted, _, optional in imports if optional}
        for wanted, line, optional in imports:
            before = dict(self.modules)
            try:
                self._follow(wanted, line, path)
            except NotAllowed:
                if self._strict or not optional:
                    raise
                self.modules = before
        return True

    def _follow(self, wanted: str, line: int, path: Path) -> None:
        if wanted == "__future__" or wanted.startswith("__future__."):
            return
        if self._strict and wanted.startswith(ELSEWHERE):
            return
        if wanted.split(".")[0] == PACKAGE:
            if not self._add(wanted) and line > 0:
                raise NotAllowed(f"{path}:{line}: there is no module {wanted}")
            return
        if line < 0:  # `from os import path`: a name inside of a module that has been looked at
            return
        if wanted == "datetime" and not self._strict:
            wanted = "_datetime"  # all that its stand-in imports
        kind = None if wanted == "os.path" else _c_module(wanted)  # the stand-in has no such submodule
        if kind is None:
            raise NotAllowed(
                f"{path}:{line}: imports {wanted}, which is neither C code of the interpreter nor frozen in libpython"
            )
        if kind in ("built-in", "frozen"):
            self.builtin.add(wanted)
        else:
            self.extensions[wanted] = kind

    def add_own(self) -> None:
        """Add the modules of the front door itself, and its replacements of modules of the standard library."""
        for name in ("front_door", "front_load"):
            self.add(name, Path(__file__).with_name(f"{name}.py"))
        for name, frozen in STAND_INS.items():
            self.add(frozen, Path(__file__).parent / "stand_ins" / f"{name}.py")

    def add(self, name: str, source: Path) -> None:
        """Add a module without following its imports."""
        self.modules[name] = (False, source.read_text(encoding="utf-8"))

    def loaded_before(self, name: str) -> list[str]:
        """Return the modules to import before this one, dependencies first, as names for `load`."""
        found: list[str] = []
        self._collect(name, found, set())
        return found

    def _collect(self, name: str, found: list[str], seen: set[str]) -> None:
        seen.add(name)
        for needed in (name.rpartition(".")[0], *self._needs.get(name, ())):
            if needed in self.modules and needed.split(".")[0] == PACKAGE and needed not in seen:
                self._collect(needed, found, seen)
                found.append(f"{needed}." if self.modules[needed][0] else needed)

    def _code(self, name: str) -> bytes:
        return _compiled(self.modules[name][1], name, self.loaded_before(name) if name in self._late else ())

    def write(self, target: Path) -> None:
        """Write front_modules.h for interpreter.c.

        The names of the modules are in a section of their own, for verify.py.
        """
        modules = sorted(self.modules.items())
        lines = [_literal(f"module_{n}", self._code(name)) for n, (name, _) in enumerate(modules)]
        lines.append("static const struct _frozen FROZEN_MODULES[] = {\n")
        for n, (name, (is_package, _)) in enumerate(modules):
            size = f"(int)sizeof module_{n}"
            lines.append(
                f'    {{.name = "{name}", .code = module_{n}, .size = {size}, .is_package = {is_package:d}}},\n'
            )
        lines.append("    {.name = NULL},\n};\n")
        names = "\\0".join(name for name, _ in modules)
        lines.append(f'__attribute__((used, section(".front_modules"))) static const char NAMES[] = "{names}";\n')
        lines += [f'#define {macro} "{name}"\n' for macro, name in IN_C.items()]
        target.write_text("".join(lines), encoding="utf-8")


def compiled_file(package: str, name: str, target: Path) -> Path:
    """Compile one module of the standard library to a file that stands for itself, without its source; return it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise NotAllowed(f"the standard library has no package {package}")
    text = (Path(spec.origin).parent / f"{name}.py").read_text(encoding="utf-8")
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{name}.pyc"
    code = compile(text, f"{package}/{name}.py", "exec", dont_inherit=True, optimize=2)
    path.write_bytes(_pyc(code))
    return path


def submodules(package: Path) -> list[str]:
    """The dotted names of all modules below a package's directory, without the package's own."""
    names = (path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py"))
    dotted = {".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in names}
    return sorted(dotted - {""})
