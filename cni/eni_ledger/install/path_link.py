"""The command `eni-ledger` where a shell looks for it. A package has its own; what somebody else put there stays."""

from __future__ import annotations

import os

from eni_ledger.install.layout import FRONT
from eni_ledger.install.plan import Plan
from eni_ledger.install.tree import Tree

DIRECTORY = "/usr/local/bin"
PATH = f"{DIRECTORY}/{FRONT}"
PACKAGED = f"/usr/bin/{FRONT}"


def plan_link(plan: Plan, tree: Tree, program: str) -> bool:
    """Add the link to `program`, if there is to be one; return whether the link is ours, there or planned.

    That there is no such command is no reason not to install: it is a note, with the path that can be called.
    """
    if tree.target(PATH) == program:
        return True
    if tree.exists(PACKAGED):
        return False
    if tree.exists(PATH):
        plan.note(f"{PATH} is somebody else's and stays; this eni-ledger is {program}")
        return False
    real = tree.real(DIRECTORY)
    if not tree.is_dir(DIRECTORY) or os.statvfs(real).f_flag & os.ST_RDONLY or not os.access(real, os.W_OK | os.X_OK):
        plan.note(f"no link can be made in {DIRECTORY}; the command is {program}")
        return False
    plan.add(f"link to {program}, so that the command is found", PATH, tree.link, PATH, program)
    return True
