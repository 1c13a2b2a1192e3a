"""Which tests run which line: recorded once, and again for the test files that change.

A line is kept by its function and its text, not by its number: an edit of the source changes what is known of the lines
that it touches, and of no others.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tempfile
import zlib
from pathlib import Path
from typing import Any

from coverage import CoverageData

from mutants.copies import PACKAGE, REPOSITORY, Copy

KEPT = REPOSITORY / ".cache/mutants/covering.json"
WHOLE = {"ledger": ["tests/ledger"]}
"""Directories of tests that run as they are, last: much of what they test is in processes where nothing records."""

FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
"""A test in the summary of `pytest -ra`."""


class Broken(Exception):
    """A test fails without any mutant."""


def _names(path: Path) -> list[int]:
    """Return for each line of a module, from the first one on, the number it is kept by."""
    source = path.read_text()
    functions = [""] * (source.count("\n") + 1)
    for node in ast.walk(ast.parse(source)):  # outer ones come first
        if isinstance(node, ast.FunctionDef):
            for number in range(node.lineno, (node.end_lineno or 0) + 1):
                functions[number - 1] = node.name
    lines = zip(functions, source.split("\n"), strict=True)
    return [zlib.crc32(f"{function}: {line.strip()}".encode()) for function, line in lines]


class Covering:
    """The tests of each line, and the seconds that each test takes."""

    def __init__(self, files: dict[str, Any]) -> None:
        self._files = files
        self.seconds: dict[str, float] = {}
        for each in self._files.values():
            self.seconds.update(each["seconds"])

    def tests(self, module: str, lines: range) -> list[str]:
        """Return pytest's arguments for a change of `lines`: the file that mirrors the module, then single tests.

        Lines that run as a module is imported, or in processes where nothing records, have no tests of their own:
        those of the whole module stand in.
        """
        path = Path(module)
        mirror = f"tests/unit/{path.with_name(f'test_{path.name}')}"
        mirrors = [mirror] if mirror in self._files else []
        return [*mirrors, *self._single(module, lines, mirror), *WHOLE.get(path.parts[0], [])]

    def _single(self, module: str, lines: range, mirror: str) -> list[str]:
        names = _names(REPOSITORY / PACKAGE / module)
        changed = {names[number - 1] for number in lines}
        covering: set[str] = set()
        whole: set[str] = set()
        at_import = False
        for file, each in self._files.items():
            for test, executed in each["lines"].get(module, {}).items():
                runs = not changed.isdisjoint(executed)
                if not test:
                    at_import |= runs
                elif file != mirror:
                    whole.add(test)
                    if runs:
                        covering.add(test)
        chosen = whole if at_import or not covering else covering
        return sorted(chosen, key=lambda test: (self.seconds.get(test, 0), test))


def covering(copy: Copy) -> Covering:
    """Return what is kept in .cache, after recording what has changed since.

    Raises:
        Broken: a test fails; the text is pytest's.
    """
    try:
        files = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        files = {}
    paths = sorted((REPOSITORY / "tests/unit").rglob("test_*.py"))
    digests = {str(path.relative_to(REPOSITORY)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    files = {name: each for name, each in files.items() if each["digest"] == digests.get(name)}
    if new := sorted(digests.keys() - files.keys()):
        for name, each in _record(copy, new).items():
            files[name] = {"digest": digests[name], **each}
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps(files))
    return Covering(files)


def _record(copy: Copy, files: list[str]) -> dict[str, dict[str, Any]]:
    """Run test files and return for each: names of lines by module and test, seconds by test."""
    recorded: dict[str, dict[str, Any]] = {name: {"lines": {}, "seconds": {}} for name in files}
    with tempfile.TemporaryDirectory() as where:
        status, output = copy.pytest(["-n", "2", *files], {"MUTANTS_RECORD": where})
        if failed := FAILED.findall(output):  # once more, alone: a busy machine is no finding
            status, output = copy.pytest(failed, {})
        if status:
            raise Broken(output)
        for test, seconds in json.loads(Path(where, "seconds.json").read_text()).items():
            recorded[test.split("::")[0]]["seconds"][test] = round(seconds, 3)
        for path in Path(where).glob("lines.*"):
            data = CoverageData(str(path))
            data.read()
            for name in data.measured_files():
                module = str(Path(name).relative_to(copy.directory / PACKAGE))
                names = _names(Path(name))
                for number, tests in data.contexts_by_lineno(name).items():
                    for test in tests:
                        file = test.split("::")[0] or files[0]  # "" is the import of the module, whichever file had it
                        recorded[file]["lines"].setdefault(module, {}).setdefault(test, []).append(names[number - 1])
    return recorded
