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

    The front door has another bootloader, which changes nothing, and what such a variable says there is somebody
    else's business.
    """
    if not hasattr(sys, "_MEIPASS"):
        return dict(env)
    found = {key: value for key, value in env.items() if not key.startswith("_PYI_") and key != "LD_LIBRARY_PATH_ORIG"}
    found.pop("LD_LIBRARY_PATH", None)
    if "LD_LIBRARY_PATH_ORIG" in env:
        found["LD_LIBRARY_PATH"] = env["LD_LIBRARY_PATH_ORIG"]
    return found
