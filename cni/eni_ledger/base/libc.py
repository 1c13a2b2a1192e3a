"""Calls of the C library that Python has no function for.

The front door of the bundle does not load this module: its callers are C code there.
"""

from __future__ import annotations

_RTLD_NOW = 2


def call(name: str, *arguments: int) -> int:
    """Call a function of the C library. Raises ImportError where Python was built without libffi."""
    import _ctypes  # `ctypes` itself takes 5 ms to load, this half a millisecond

    address = _ctypes.dlsym(_ctypes.dlopen(None, _RTLD_NOW), name)  # type: ignore[arg-type]  # None: this process
    return int(_ctypes.call_function(address, arguments))
