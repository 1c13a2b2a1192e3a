"""Writes name files into a directory that Wireshark reads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.capture.name_files import HEADER


def write(directory: str, files: Mapping[str, str], *, replace: bool) -> None:
    """Write files into a directory, which is made if it is not there; each is replaced as a whole.

    Raises UsageError for a file that is there and was not made by this, unless `replace` is true; then none is written.
    Raises OSError.
    """
    os.makedirs(directory, exist_ok=True)  # noqa: PTH103 - the descriptor below is what is written to
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        foreign = [name for name in files if not _may_be_replaced(name, dir_fd)]
        if foreign and not replace:
            raise UsageError(
                "there are name files that eni-ledger did not make",
                f"{', '.join(foreign)} in {directory}",
                "name another directory, or replace them with --force",
            )
        for name, text in files.items():
            _replace(name, text.encode(), dir_fd)
    finally:
        os.close(dir_fd)


def _may_be_replaced(name: str, dir_fd: int) -> bool:
    """Tell whether there is no such file, or one that was made by this."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return True
    except OSError:  # a link, or what cannot be read
        return False
    try:
        return os.read(fd, len(HEADER)) == HEADER.encode()
    except OSError:
        return False
    finally:
        os.close(fd)


def _replace(name: str, data: bytes, dir_fd: int) -> None:
    """Put a file in place of the one that is there, if any, without a moment in between."""
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o644, dir_fd=dir_fd)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.replace(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except OSError:
        os.unlink(temporary, dir_fd=dir_fd)
        raise
