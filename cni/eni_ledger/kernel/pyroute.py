"""Load pyroute2 in a bundle that lacks parts of the standard library.

pyroute2 loads all its modules, and with them `ssl` (TLS probe) and `unittest.mock` (monitoring of remote systems).
eni-ledger uses neither. The bundle has no TLS library, which would need updates, and no test framework: while pyroute2
loads, empty modules replace them.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - first: it works without ssl and must not see the empty module
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Replace each missing module by an empty one while the block runs."""
    made = []
    for name in ("ssl", "unittest"):
        if name not in sys.modules and find_spec(name) is None:
            sys.modules[name] = ModuleType(name)
            made.append(name)
    if "unittest" in made:  # pyroute2 creates a Mock while it loads
        sys.modules["unittest"].mock = SimpleNamespace(Mock=object)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


with _stand_ins():
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

__all__ = ["IPRoute", "NetlinkError"]
