"""Which installed distributions the product needs at run time."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path


def normalised(name: str) -> str:
    """A distribution's name in the form in which names are compared (PyPA, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime_distributions(pyproject: Path) -> set[str]:
    """The project and everything that its `dependencies` lead to, without extras, as normalised names."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    found = {normalised(project["name"])}
    while waiting:
        requirement = waiting.pop()
        name = normalised(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            waiting += [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            found.discard(name)
    return found
