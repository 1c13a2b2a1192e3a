"""Entering a network namespace. The bundle has this module in C (`build/front/interpreter.c`)."""

from __future__ import annotations

import os

from eni_ledger.base import libc

_CLONE_NEWNET = 0x40000000


def setns(fd: int) -> None:
    """Put this process into the network namespace `fd`. Raises OSError or ImportError."""
    function = getattr(os, "setns", None)  # Python 3.12
    if function is not None:
        function(fd, _CLONE_NEWNET)
    elif libc.call("setns", fd, _CLONE_NEWNET) != 0:
        raise PermissionError("setns is refused; it takes CAP_SYS_ADMIN")  # call_function does not return errno
