"""The executables of the bundle by name, and the environment that PyInstaller's bootloader changed."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


CLI = "eni-ledger-cli"


INTERPOSED = ("vpc-branch-eni", "vpc-eni", "ecs-eni")


def original_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` as before PyInstaller's bootloader: LD_LIBRARY_PATH undone, its own variables gone.

    The front door's own bootloader changes nothing; there `env` is returned unchanged.
    """
    if not hasattr(sys, "_MEIPASS"):
        return dict(env)
    original = {
        key: value for key, value in env.items() if not key.startswith("_PYI_") and key != "LD_LIBRARY_PATH_ORIG"
    }
    original.pop("LD_LIBRARY_PATH", None)
    if "LD_LIBRARY_PATH_ORIG" in env:
        original["LD_LIBRARY_PATH"] = env["LD_LIBRARY_PATH_ORIG"]
    return original
