"""The state directory, opened and checked once; its files are reached through its descriptor.

The plugin runs as root on paths that it did not choose. A writer therefore refuses a symbolic link, a directory of
another user and one that others may write to, and opens no file through a link. Readers accept any directory: a copy
belongs to the user who made it.

Standard library only: loaded on every ADD.
"""

from __future__ import annotations

import os
import stat

from eni_ledger.base.config import NamedByCall
from eni_ledger.base.errors import StateDirError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings

DIRECTORY_MODE = 0o750
FILE_MODE = 0o640


def _make(path: str, *, parents: bool) -> None:
    """Create `path` (0750), with `parents` also missing directories above it (0755), and sync its parent."""
    parent = os.path.dirname(path)
    if parents and parent not in ("", "/"):
        os.makedirs(parent, 0o755, exist_ok=True)
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        return  # another writer was faster
    fd = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_state_dir(path: str, *, create: bool = False, reading: bool = False) -> int:
    """Return a descriptor of the state directory at `path`; `create` makes it if it is missing.

    `create` also makes missing directories above it, unless a call named the path.

    Raises StateDirError if it is missing, not a directory or not readable. Without `reading`, also if it is a symbolic
    link, belongs to neither root nor this user, or is writable by group or others.
    """
    parents = not isinstance(path, NamedByCall)
    path = path.rstrip("/") or "/"
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if reading else os.O_NOFOLLOW)
    try:
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            if not create:
                raise
            _make(path, parents=parents)
            fd = os.open(path, flags)
    except OSError as exc:
        raise _refused(path, exc, create=create, reading=reading) from exc
    if not reading and (problem := unsafe_because(fd)):
        os.close(fd)
        raise StateDirError("the state directory is not safe to use", f"{path}: {problem}", "chown root, chmod 0750")
    return fd


def unsafe_because(fd: int) -> str:
    """Return why other users than root and this one may change the directory open at `fd`; empty if they may not."""
    status = os.fstat(fd)
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    if status.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _refused(path: str, exc: OSError, *, create: bool, reading: bool) -> StateDirError:
    """Return the error for a directory that could not be opened, with a hint."""
    if os.path.islink(path) and not reading:
        return StateDirError("the state directory is a symbolic link", path, "set stateDir to the real directory")
    if isinstance(exc, FileNotFoundError) and not create:
        return StateDirError(
            "there is no ledger here",
            f"{path} does not exist",
            "name the directory with --state-dir or ENI_LEDGER_STATE_DIR; the first ADD creates it",
        )
    if isinstance(exc, FileNotFoundError):
        hint = "create it; for the stateDir of a network configuration, eni-ledger creates no parent directories"
        return StateDirError("the state directory cannot be created", f"{os.path.dirname(path)} does not exist", hint)
    if isinstance(exc, PermissionError) and not create:
        return StateDirError("the state directory cannot be read", f"{path}: {exc.strerror}", "read it as root")
    return StateDirError("the state directory cannot be used", f"{path}: {exc.strerror}")


def open_file(dir_fd: int, name: str, flags: int) -> int:
    """Return a descriptor of the regular file `name` in the directory. Follows no link and does not block on a FIFO.

    Raises OSError as `os.open` does, StateDirError if it is not a regular file.
    """
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StateDirError("a file of the state directory is not a regular file", name)
    return fd


def open_subdir(dir_fd: int, name: str) -> int:
    """Return a descriptor of the directory `name` in the state directory; makes it if missing. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except FileNotFoundError:
        try:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=dir_fd)
            os.fsync(dir_fd)  # else files synced in it may be unreachable after a power cut
        except FileExistsError:
            pass
        return os.open(name, flags, dir_fd=dir_fd)


def create_file(dir_fd: int, name: str) -> int:
    """Return a descriptor to write the new file `name`; removes a file left there by a crash or by another program.

    Never writes into an existing file: it may be a symbolic or hard link to a file elsewhere. Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, FILE_MODE, dir_fd=dir_fd)
    except FileExistsError:
        os.unlink(name, dir_fd=dir_fd)
        return os.open(name, flags, FILE_MODE, dir_fd=dir_fd)


def write_file(dir_fd: int, name: str, data: bytes, *, sync: bool) -> None:
    """Replace the content of the file `name` atomically: write `data` to a temporary file and rename it.

    With `sync`, data and name are on disk on return. Raises OSError, after removing the temporary file.
    """
    temporary = f".{name}.tmp"
    fd = create_file(dir_fd, temporary)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fdatasync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except OSError:
        try:
            os.unlink(temporary, dir_fd=dir_fd)
        except OSError:
            pass
        raise
    if sync:
        os.fsync(dir_fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`. Raises OSError; after a short write, the next one gets the real errno."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def in_place(settings: Settings, dir_fd: int) -> bool:
    """Return whether the open state directory is still the one at its path."""
    try:
        at_path, opened = os.stat(settings.state_dir, follow_symlinks=False), os.fstat(dir_fd)
    except OSError:
        return False
    # os.path.samestat would load posixpath.
    return (at_path.st_dev, at_path.st_ino) == (opened.st_dev, opened.st_ino)


def where(settings: Settings, exc: OSError) -> str:
    """Return directory, file and reason of an OSError, for the details of an error."""
    name = f"/{exc.filename}" if isinstance(exc.filename, str) else ""
    return f"{settings.state_dir}{name}: {exc.strerror or exc}"
