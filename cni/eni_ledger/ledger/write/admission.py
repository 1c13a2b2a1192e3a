"""Is a directory one for a ledger? Asked before anything is made in it, renamed or replaced that was not there before.

`stateDir` comes from a network configuration, which may name any directory of the host. One that exists and has
something in it has to hold a ledger, or nothing but what a ledger may have begun with. A file is told by its content:
`state.json` and `ledger.jsonl` are names that others use, too. What is damaged is still recognised, by its beginning or
by its end. Standard library only; loaded on an ADD that begins a ledger or finds it damaged, not on others.
"""

from __future__ import annotations

import os
import stat

from eni_ledger.base.errors import StateDirError
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_file

STATE_FILE = "state.json"  # `state` has the rest of it
_DIRECTORIES = ("lock", "spool", "quarantine", "imported", "lost+found")
_REPLACED = (".next", segment.ACTIVE, STATE_FILE, "ledger.index", "identified.json")
_SMALL = 8192
_HEX = frozenset(b"0123456789abcdef")


def admit(dir_fd: int, path: str) -> None:
    """Return when the directory open at `dir_fd` holds a ledger, or nothing but what one begins with.

    Raises StateDirError, which names `path` and what is in it, OSError.
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
            "set stateDir to a directory of its own, or to one that does not exist",
        )


def is_temporary(name: str) -> bool:
    """Tell whether `name` is one under which a file of the state directory is written before it is renamed."""
    inside = name[1:-4] if name.endswith(".tmp") else ""
    return name[:1] == "." and (
        inside in (".next", segment.ACTIVE, STATE_FILE, "ledger.index", "identified.json") or _sealed(inside)
    )


def _sealed(name: str) -> bool:
    """Tell whether `name` is that of a sealed segment, packed or not, or of its index."""
    return segment.sealed_range(name.removesuffix(segment.INDEX) + ".jsonl" * name.endswith(segment.INDEX)) is not None


def _holds(dir_fd: int, name: str) -> bool:
    """Tell whether `name` is a file that only a ledger has."""
    if name == segment.ACTIVE or segment.sealed_range(name):
        return _is_segment(*_ends(dir_fd, name))
    if name == STATE_FILE:
        head, _ = _ends(dir_fd, name)
        return (head[:5] == b'{"v":' and b',"seq":' in head[:16]) or b'","associations":[' in head
    return False


def _is_segment(head: bytes, tail: bytes) -> bool:
    """Tell whether a file that begins and ends like this is a segment, or was one."""
    if head[:2] == b"\x1f\x8b":
        return True  # gzip, with a name that nothing else has
    if head[:7] == b'{"ts":"'[: len(head)] and head and (len(head) < 42 or head[34:42] == b'","seq":'):
        return True
    at = tail.rfind(b',"crc":"')
    digits = tail[at + 8 : at + 16]
    return at >= 0 and tail[at + 16 : at + 18] == b'"}' and len(digits) == 8 and _HEX.issuperset(digits)


def _ends(dir_fd: int, name: str) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file, nothing of what is no regular file or cannot be read."""
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
    """Tell whether `name` may be there before a ledger is: nothing in it can be lost."""
    try:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return True  # a temporary file of another writer, who begins the ledger
    if stat.S_ISDIR(found.st_mode):
        return name in _DIRECTORIES
    if not stat.S_ISREG(found.st_mode):
        return False
    if name == "failures.jsonl":
        return found.st_size == 0 or _ends(dir_fd, name)[0][:2] == b'{"'
    if name == "identified.json":  # `since` writes it
        return _ends(dir_fd, name)[0][:12] == b'{"v":1,"seq"'
    if is_temporary(name) or name == ".next" or name.startswith(".probe-"):
        return True
    return found.st_size == 0 and name in ("lock", segment.ACTIVE, STATE_FILE)
