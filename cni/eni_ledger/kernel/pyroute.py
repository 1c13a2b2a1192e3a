"""pyroute2, loaded where parts of the standard library are left out.

pyroute2 loads all of itself, and with that `ssl` (for its TLS probe) and `unittest.mock` (for its monitoring of remote
systems), neither of which is used here. The bundle has no TLS library, which would have to be kept up to date, and no
test framework: while pyroute2 loads, what is missing has an empty stand-in.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - first: it can do without ssl, and is not to meet a stand-in
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Put an empty module in the place of each that is missing, as long as the block runs."""
    made = []
    for name in ("ssl", "unittest"):
        if name not in sys.modules and find_spec(name) is None:
            sys.modules[name] = ModuleType(name)
            made.append(name)
    if "unittest" in made:  # pyroute2 makes a Mock while it loads
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
