"""A bundle in which eni-ledger's Python cannot run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def damage(bundle: Path) -> None:
    """Empty a C module that all Python of ours needs; where it is linked in (3.13), take the interpreter away."""
    modules = [*bundle.glob("_internal/python3*/lib-dynload/_json.*.so")]
    for path in modules:
        path.write_bytes(b"")
    if not modules:
        (bundle / "_internal/eni-ledger-python").unlink()
