"""The front door's `os`: the names that an ADD uses at once, the others on first use.

Importing `os` takes a millisecond of every ADD, most of it for the abstract classes behind `os.environ`. Nearly all
that is used of it are the functions of `posix`, which is C code and there already. Any other name is taken from the
real `os`, which is imported at that moment: this module only takes its place in `sys.modules`. One difference:
`environ` cannot be written to; to try is a TypeError.
"""

from posix import *  # noqa: F403
from posix import _exit  # noqa: F401
from posix import environ as _bytes
from sys import modules as _modules


def fsdecode(name):
    """As os.fsdecode, in UTF-8 mode."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def fsencode(name):
    """As os.fsencode, in UTF-8 mode."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


# types.MappingProxyType, without importing types
environ = type(type.__dict__)({fsdecode(key): fsdecode(value) for key, value in _bytes.items()})


class _Path:
    """os.path: the one function that each call needs, and posixpath once another is asked for."""

    @staticmethod
    def basename(path):
        """As posixpath.basename."""
        return path[path.rfind("/") + 1 :]

    def __getattr__(self, name):
        import posixpath

        return getattr(posixpath, name)


path = _Path()


def __getattr__(name):  # PEP 562
    if name == "setns":  # posix has it from Python 3.12 on, and what posix has not os cannot have
        raise AttributeError(name)
    stand_in = _modules.pop("os")
    try:
        import os
    finally:
        _modules["os"] = stand_in
    value = globals()[name] = getattr(os, name)
    return value
