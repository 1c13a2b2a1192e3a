"""The state directory: opened once, checked once, everything in it reached through its file descriptor.

The plugin runs as root on paths that it did not choose, so a symbolic link, somebody else's directory or one that
others may write to is refused to a writer, and no file in it is opened through a link. Who only reads may read any: a
copy belongs to whoever made it.

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
    """Create `path` (0750), with `parents` what is missing above it (0755), too; it is there after a power cut."""
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
    """Return a descriptor of the state directory at `path`; with `create` it is made when missing.

    What is missing above it is made as well, unless a call has named it.

    Raises StateDirError when it is missing, no directory, not readable; for `reading` that is all. For a writer also
    when it is a symbolic link, owned by neither root nor this user, or writable by group or others.
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
    if not reading and (problem := doubt(fd)):
        os.close(fd)
        raise StateDirError("the state directory is not safe to use", f"{path}: {problem}", "chown root, chmod 0750")
    return fd


def doubt(fd: int) -> str:
    """Return who but root and this user may have changed what is in the directory open at `fd`, empty for nobody."""
    found = os.fstat(fd)
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def _refused(path: str, exc: OSError, *, create: bool, reading: bool) -> StateDirError:
    """Return the error for a directory that could not be opened, with what to do about it."""
    if os.path.islink(path) and not reading:
        return StateDirError("the state directory is a symbolic link", path, "set stateDir to the real directory")
    if isinstance(exc, FileNotFoundError) and not create:
        return StateDirError(
            "there is no ledger here",
            f"{path} does not exist",
            "name the directory with --state-dir or ENI_LEDGER_STATE_DIR; the first ADD creates it",
        )
    if isinstance(exc, FileNotFoundError):
        hint = "make it; for a stateDir that a network configuration names nothing is made above it"
        return StateDirError("the state directory cannot be made", f"{os.path.dirname(path)} does not exist", hint)
    if isinstance(exc, PermissionError) and not create:
        return StateDirError("the state directory cannot be read", f"{path}: {exc.strerror}", "read it as root")
    return StateDirError("the state directory cannot be used", f"{path}: {exc.strerror}")


def open_file(dir_fd: int, name: str, flags: int) -> int:
    """Open the regular file `name` in the directory, never through a link and never waiting for a FIFO's other end.

    Raises OSError as `os.open` does, and StateDirError for what is no regular file.
    """
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StateDirError("a file of the state directory is not a regular file", name)
    return fd


def open_subdir(dir_fd: int, name: str) -> int:
    """Return a descriptor of the directory `name` in the state directory, made when missing. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except FileNotFoundError:
        try:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=dir_fd)
            os.fsync(dir_fd)  # what will be synced in it is to be found after a power cut
        except FileExistsError:
            pass
        return os.open(name, flags, dir_fd=dir_fd)


def create_file(dir_fd: int, name: str) -> int:
    """Return a descriptor to write the new file `name` by; what a crash or somebody else left of that name goes first.

    It is not written through: it may be a link, and a hard link's other name a file that is not ours. Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, FILE_MODE, dir_fd=dir_fd)
    except FileExistsError:
        os.unlink(name, dir_fd=dir_fd)
        return os.open(name, flags, FILE_MODE, dir_fd=dir_fd)


def write_file(dir_fd: int, name: str, data: bytes, *, sync: bool) -> None:
    """Make the file `name` hold `data`, by way of a temporary name and rename; nobody sees half of it.

    With `sync` data and name are on disk when it returns. Raises OSError; then the temporary file is gone again.
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
    """Write all of `data`; one short write is followed by another that gets the real errno. Raises OSError."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def in_place(settings: Settings, dir_fd: int) -> bool:
    """Tell whether the open state directory is still the one at its path."""
    try:
        there, ours = os.stat(settings.state_dir, follow_symlinks=False), os.fstat(dir_fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)  # os.path.samestat takes posixpath to be loaded


def where(settings: Settings, exc: OSError) -> str:
    """Return directory, file and reason of an OSError."""
    name = f"/{exc.filename}" if isinstance(exc.filename, str) else ""
    return f"{settings.state_dir}{name}: {exc.strerror or exc}"
