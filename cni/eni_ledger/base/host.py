"""The identity of this host (boot ID; on EC2 also the instance ID) and of its processes. Small reads, no network.

Standard library only: this module is loaded on every ADD.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: On Nitro instances the board's asset tag is the instance ID (AWS, "Identify EC2 instances"); elsewhere it can be
#: anything.
ASSET_TAG = "/sys/class/dmi/id/board_asset_tag"
#: Where dockerd listens, on the host and in the ECS agent's container.
DOCKER_SOCKET = "/var/run/docker.sock"

_HEX = frozenset("0123456789abcdef")
_S_IFMT, _S_IFREG = 0o170000, 0o100000  # inode(7); `stat` is not loaded on an ADD
_STAT_LIMIT = 4096  # bytes; the 52 fields of proc(5) take less than 1200


def read_line(path: str, limit: int = 256) -> str | None:
    """Return the stripped text of a small file, None when it cannot be read or is not ASCII. Never raises."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, limit).decode("ascii").strip()
        finally:
            os.close(fd)
    except (OSError, ValueError):
        return None


def process_start(directory: str, *, dir_fd: int | None = None) -> int | None:
    """Return when a process started, in clock ticks after boot: field 22 of `stat`, proc(5). Never raises.

    `directory` is the one of the process (`/proc/<pid>`), relative to `dir_fd` if that is given. None when the process
    has ended or its `stat` cannot be read.
    """
    try:
        fd = os.open(directory + "/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            stat = os.read(fd, _STAT_LIMIT)
        finally:
            os.close(fd)
        # Field 2, the name, may contain blanks and parentheses: the fields after it begin at the last `)`.
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def boot_id(path: str = BOOT_ID) -> str | None:
    """Return the boot ID, a UUID in lower case that changes with every boot; None if the kernel does not show it."""
    text = read_line(path)
    return text.lower() if text else None


def instance_id(path: str = ASSET_TAG) -> str | None:
    """Return the EC2 instance ID (`i-` and 8 or 17 hex digits), None if this is not a Nitro instance."""
    text = read_line(path)
    if text and text.startswith("i-") and len(text) in (10, 19) and _HEX.issuperset(text[2:]):
        return text
    return None


def identity() -> dict[str, str]:
    """Return `instance_id` and `boot_id` as fields of an event; what is not known is left out."""
    values = {"instance_id": instance_id(), "boot_id": boot_id()}
    return {key: value for key, value in values.items() if value}


def is_executable(path: str, stat: Callable[[str], os.stat_result] = os.stat) -> bool:
    """Return whether `path` is a regular file with an execute bit. Raises PermissionError as `stat` does."""
    try:
        mode = stat(path).st_mode
    except PermissionError:
        raise
    except OSError:
        return False
    return mode & _S_IFMT == _S_IFREG and mode & 0o111 != 0
