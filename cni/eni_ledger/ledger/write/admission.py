"""Decides whether a directory may hold a ledger, before a writer creates, renames or replaces a file in it.

`stateDir` comes from a network configuration, which may name any directory of the host. An existing directory must be
empty, hold a ledger, or hold only files that precede one. Content decides, because other programs use names such as
`state.json` too. A damaged segment is recognised by its beginning or its end. Standard library only; loaded by an ADD
that begins a ledger or finds damage, not by others.
"""

from __future__ import annotations

import os
import stat

from eni_ledger.base.errors import StateDirError
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_file
from eni_ledger.ledger.format.state_file import STATE_FILE

_DIRECTORIES = ("lock", "spool", "quarantine", "imported", "lost+found")
_REPLACED = (".next", segment.ACTIVE, STATE_FILE, "ledger.index", "identified.json")
_SMALL = 8192
_HEX = frozenset(b"0123456789abcdef")


def admit(dir_fd: int, path: str) -> None:
    """Return if the directory open at `dir_fd` holds a ledger, or nothing that a ledger cannot begin with.

    Raises StateDirError, which names `path` and a file in it; OSError.
    """
    names = sorted(os.listdir(dir_fd))
    if any(_holds(dir_fd, name) for name in names):
        return
    others = [name for name in names if not _begun(dir_fd, name)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise StateDirError(
            "the directory holds no ledger and is not empty",
            f"{path} has {others[0]!r:.80}{more}",
            "set stateDir to an empty directory, or to one that does not exist",
        )


def is_temporary(name: str) -> bool:
    """Return whether `name` is the temporary name of a file of the state directory."""
    inside = name[1:-4] if name.endswith(".tmp") else ""
    return name[:1] == "." and (
        inside in (".next", segment.ACTIVE, STATE_FILE, "ledger.index", "identified.json") or _sealed(inside)
    )


def _sealed(name: str) -> bool:
    """Return whether `name` is that of a sealed segment, plain or packed, or of its index."""
    return segment.sealed_range(name.removesuffix(segment.INDEX) + ".jsonl" * name.endswith(segment.INDEX)) is not None


def _holds(dir_fd: int, name: str) -> bool:
    """Return whether `name` is a file that only a ledger has."""
    if name == segment.ACTIVE or segment.sealed_range(name):
        return _is_segment(*_ends(dir_fd, name))
    if name == STATE_FILE:
        head, _ = _ends(dir_fd, name)
        return (head[:5] == b'{"v":' and b',"seq":' in head[:16]) or b'","associations":[' in head
    return False


def _is_segment(head: bytes, tail: bytes) -> bool:
    """Return whether a file with this beginning and end is a segment, possibly a damaged one."""
    if head[:2] == b"\x1f\x8b":
        return True  # gzip, under the name of a packed segment
    if head[:7] == b'{"ts":"'[: len(head)] and head and (len(head) < 42 or head[34:42] == b'","seq":'):
        return True
    at = tail.rfind(b',"crc":"')
    digits = tail[at + 8 : at + 16]
    return at >= 0 and tail[at + 16 : at + 18] == b'"}' and len(digits) == 8 and _HEX.issuperset(digits)


def _ends(dir_fd: int, name: str) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a regular file; empty if it is not one or cannot be read."""
    try:
        fd = open_file(dir_fd, name, os.O_RDONLY)
    except (OSError, StateDirError):
        return b"", b""
    try:
        return os.pread(fd, _SMALL, 0), os.pread(fd, _SMALL, max(0, os.fstat(fd).st_size - _SMALL))
    except OSError:
        return b"", b""
    finally:
        os.close(fd)


def _begun(dir_fd: int, name: str) -> bool:
    """Return whether `name` may exist before the ledger does, with nothing in it that could be lost."""
    try:
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return True  # the temporary file of another writer that begins the ledger
    if stat.S_ISDIR(status.st_mode):
        return name in _DIRECTORIES
    if not stat.S_ISREG(status.st_mode):
        return False
    if name == "failures.jsonl":
        return status.st_size == 0 or _ends(dir_fd, name)[0][:2] == b'{"'
    if name == "identified.json":  # `query.ended_since` writes it
        return _ends(dir_fd, name)[0][:12] == b'{"v":1,"seq"'
    if is_temporary(name) or name == ".next" or name.startswith(".probe-"):
        return True
    return status.st_size == 0 and name in ("lock", segment.ACTIVE, STATE_FILE)
