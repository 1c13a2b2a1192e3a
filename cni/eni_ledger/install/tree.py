"""Change files of a host or of an image's tree; after a crash at any moment a file is the old or the new one.

Paths are absolute inside the tree, as the host will see them. Symbolic links are followed inside the tree too, so that
an image's `/etc/ecs -> /srv/ecs` never reaches the machine that builds the image.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from eni_ledger.base.errors import InstallError

_LINKS = 40  # the limit of the kernel, path_resolution(7)
_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
UNFINISHED = ".eni-ledger-new"


class Tree:
    """A file system below `root`.

    `after` is called with the path after every change; a test ends the process there.
    """

    def __init__(self, root: str = "/", after: Callable[[str], None] | None = None) -> None:
        self.root = os.path.realpath(root)
        self._after = after or (lambda _: None)

    @property
    def is_host(self) -> bool:
        """Whether this is the running system, not the tree of an image."""
        return self.root == "/"

    # --- reading ---

    def real(self, path: str, *, follow: bool = True) -> str:
        """Return the path of `path` on this machine; `follow` is whether a link at its end is followed.

        Raises InstallError for a loop of symbolic links.
        """
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        parts: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del parts[-1:]
                continue
            here = os.path.join(self.root, *parts, part)
            if (todo or follow) and os.path.islink(here):
                links += 1
                if links > _LINKS:
                    raise InstallError("symbolic links lead round in a circle", path)
                target = os.readlink(here)
                if target.startswith("/"):
                    parts.clear()
                todo += [part for part in reversed(target.split("/")) if part not in ("", ".")]
                continue
            parts.append(part)
        return os.path.join(self.root, *parts)

    def exists(self, path: str) -> bool:
        """Tell whether `path` exists; a dangling link counts."""
        return os.path.lexists(self.real(path, follow=False))

    def is_dir(self, path: str) -> bool:
        """Tell whether `path` is a directory, or a link to one inside the tree."""
        return os.path.isdir(self.real(path))

    def nearest(self, path: str) -> str:
        """Return `path` if it is a directory, else its nearest parent that is one."""
        while not self.is_dir(path) and path != "/":
            path = path.rpartition("/")[0] or "/"
        return path

    def read(self, path: str) -> bytes | None:
        """Return the content of a regular file, None if there is none. Raises InstallError for another file type."""
        try:
            fd = os.open(self.real(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InstallError("this is no regular file", path)
        with open(fd, "rb") as file:
            return file.read()

    def target(self, path: str) -> str | None:
        """Return the target of a symbolic link, None if `path` is no link."""
        try:
            return os.readlink(self.real(path, follow=False))
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if it does not exist."""
        try:
            return sorted(os.listdir(self.real(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def unknown_entries(self, path: str, known: set[str]) -> list[str]:
        """Return the names in a directory that are neither in `known` nor left by an interrupted change."""
        return [name for name in self.names(path) if name not in known and not name.endswith(UNFINISHED)]

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold an exclusive lock on the directory `path`. Raises InstallError if another run holds it."""
        fd = os.open(self.real(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as exc:
            raise InstallError("another install or uninstall is at work here", path, "wait for its end") from exc
        finally:
            os.close(fd)

    # --- changing ---

    def make_dir(self, path: str, mode: int = 0o755) -> None:
        """Make one directory."""
        real = self.real(path)
        os.mkdir(real, mode)
        os.chmod(real, mode)  # regardless of the umask
        self._changed(real, path)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file atomically; mode, owner and extended attributes (SELinux's label) of the old one are kept."""
        real = self.real(path)
        unfinished = _unfinished(real)
        self._clear(unfinished)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            if os.path.exists(real):
                _look_alike(file.fileno(), real)
            else:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        self._after(f"{path} (unfinished)")
        os.replace(unfinished, real)
        self._changed(real, path)

    def link(self, path: str, target: str) -> None:
        """Make the symbolic link `path`, or replace its target atomically."""
        real = self.real(path, follow=False)
        unfinished = _unfinished(real)
        self._clear(unfinished)
        os.symlink(target, unfinished)
        self._after(f"{path} (unfinished)")
        os.replace(unfinished, real)
        self._changed(real, path)

    def copy_dir(self, source: str, path: str) -> None:
        """Copy the directory `source` of this machine; `path` appears once the copy is complete and on disk."""
        real = self.real(path, follow=False)
        unfinished = _unfinished(real)
        self._clear(unfinished)
        self._copy(source, unfinished, path)
        os.rename(unfinished, real)
        self._changed(real, path)

    def _copy(self, source: str, dest: str, path: str) -> None:
        os.mkdir(dest, 0o755)
        os.chmod(dest, 0o755)  # noqa: S103 - the mode of the agent's own plugins
        with os.scandir(source) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                inner = os.path.join(dest, entry.name)
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), inner)
                elif entry.is_dir():
                    self._copy(entry.path, inner, f"{path}/{entry.name}")
                else:
                    _copy_file(entry.path, inner)
                self._after(f"{path}/{entry.name} (unfinished)")
        _sync_dir(dest)

    def remove(self, path: str) -> None:
        """Remove a file or a link. Raises OSError."""
        with self._parent(path) as (parent, name):
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)
        self._after(path)

    def remove_all(self, path: str) -> None:
        """Remove `path`: a link without its target, a directory with its content. Raises OSError."""
        with self._parent(path) as (parent, name):
            self._remove(parent, name, path)
            os.fsync(parent)
        self._after(path)

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory, or a link at its path. Raises OSError."""
        with self._parent(path) as (parent, name):
            if _is_dir(parent, name):
                os.rmdir(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
            os.fsync(parent)
        self._after(path)

    def _remove(self, parent: int, name: str, path: str) -> None:
        """Remove `name` in the open directory `parent`; descriptors, not paths, so that no link is followed."""
        if not _is_dir(parent, name):
            os.unlink(name, dir_fd=parent)
            return
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            for inner in sorted(os.listdir(fd)):
                self._remove(fd, inner, f"{path}/{inner}")
                self._after(f"{path}/{inner}")
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent)

    def _clear(self, unfinished: str) -> None:
        """Remove the leftover of an interrupted change."""
        if os.path.lexists(unfinished):
            self.remove_all(self._inside(unfinished))

    def _inside(self, real: str) -> str:
        return "/" + os.path.relpath(real, self.root)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield the open parent directory of `path` and the name in it; links above are followed. Raises OSError.

        They are followed once, inside the tree; a link that is put into the resolved path meanwhile is refused.
        """
        head, name = os.path.split(self.real(path, follow=False))
        fd = os.open(self.root, _DIRECTORY)
        try:
            for part in os.path.relpath(head, self.root).split("/"):
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd, name
        finally:
            os.close(fd)

    def unfinished(self, path: str) -> str | None:
        """Return the path of the leftover of an interrupted change of `path`, None if there is none."""
        for follow in (True, False):
            left = _unfinished(self.real(path, follow=follow))
            if os.path.lexists(left):
                return self._inside(left)
        return None

    def _changed(self, real: str, path: str) -> None:
        _sync_dir(os.path.dirname(real))
        self._after(path)


def _is_dir(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _unfinished(real: str) -> str:
    head, name = os.path.split(real)
    return os.path.join(head, f".{name}{UNFINISHED}")


def _copy_file(source: str, dest: str) -> None:
    """Copy one file; of its mode only the executable bit is kept."""
    with open(source, "rb") as from_file, open(dest, "xb") as to_file:
        while chunk := from_file.read(_CHUNK):
            to_file.write(chunk)
        to_file.flush()
        os.fchmod(to_file.fileno(), 0o755 if os.fstat(from_file.fileno()).st_mode & 0o111 else 0o644)
        os.fsync(to_file.fileno())


def _look_alike(fd: int, real: str) -> None:
    """Copy owner, mode and extended attributes of the file `real` to an open file.

    Raises InstallError if an extended attribute cannot be kept, OSError if the owner cannot: a file that the operator
    could read must not become root's.
    """
    old = Path(real).stat()
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode))
    try:
        attributes = {name: os.getxattr(real, name) for name in os.listxattr(real)}
    except OSError:
        return  # a file system without them
    for name, value in attributes.items():
        try:
            if os.getxattr(fd, name) == value:
                continue
        except OSError:
            pass
        try:
            os.setxattr(fd, name, value)
        except OSError as exc:
            raise InstallError(
                "an extended attribute cannot be kept", f"{name} of {real}: {exc.strerror}", "run this as root"
            ) from exc


def _sync_dir(real: str) -> None:
    fd = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
