"""The link /usr/local/bin/eni-ledger. A package brings its own command; an existing file stays."""

from __future__ import annotations

import os

from eni_ledger.install.layout import FRONT
from eni_ledger.install.plan import Plan
from eni_ledger.install.tree import Tree

DIRECTORY = "/usr/local/bin"
PATH = f"{DIRECTORY}/{FRONT}"
PACKAGED = f"/usr/bin/{FRONT}"


def plan_link(plan: Plan, tree: Tree, program: str) -> bool:
    """Add the link to `program` if it can be made; return whether our link exists or is planned.

    A link that cannot be made is a note with the path of the program, not a failure.
    """
    if tree.target(PATH) == program:
        return True
    if tree.exists(PACKAGED):
        return False
    if tree.exists(PATH):
        plan.note(f"{PATH} exists and is not a link of eni-ledger, so it stays; this eni-ledger is {program}")
        return False
    real = tree.real(DIRECTORY)
    if not tree.is_dir(DIRECTORY) or os.statvfs(real).f_flag & os.ST_RDONLY or not os.access(real, os.W_OK | os.X_OK):
        plan.note(f"no link can be made in {DIRECTORY}; the command is {program}")
        return False
    plan.add(f"link to {program}, so that the command is found", PATH, tree.link, PATH, program)
    return True
