"""Which host this is: its boot ID and, on EC2, its instance ID. One small read each, never a network call.

Standard library only: this module is loaded on every ADD.
"""

from __future__ import annotations

import os

BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: On Nitro instances the board's asset tag is the instance ID (AWS, "Identify EC2 instances"); elsewhere
#: anything.
ASSET_TAG = "/sys/class/dmi/id/board_asset_tag"

_HEX = frozenset("0123456789abcdef")


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


def boot_id(path: str = BOOT_ID) -> str | None:
    """Return the boot ID, a UUID in lower case that changes with every boot; None when it is not shown."""
    text = read_line(path)
    return text.lower() if text else None


def instance_id(path: str = ASSET_TAG) -> str | None:
    """Return the EC2 instance ID (`i-` and 8 or 17 hex digits), None on what is no Nitro instance."""
    text = read_line(path)
    if text and text.startswith("i-") and len(text) in (10, 19) and _HEX.issuperset(text[2:]):
        return text
    return None


def identity() -> dict[str, str]:
    """Return `instance_id` and `boot_id` as an event carries them; what is not known is left out."""
    found = {"instance_id": instance_id(), "boot_id": boot_id()}
    return {key: value for key, value in found.items() if value}
