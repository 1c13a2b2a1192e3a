"""Tests whether an ADD can be recorded (for STATUS and `doctor`), and notes events that could not be.

Standard library only: the plugin loads it, but not for an ADD that succeeds.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerError, WriteFailed
from eni_ledger.base.minijson import dumps
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_file, open_state_dir, open_subdir, where, write_all
from eni_ledger.ledger.format.line import format_ts, now_us
from eni_ledger.ledger.write import spool
from eni_ledger.ledger.write.admission import admit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Fields


FAILURES = "failures.jsonl"

_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs", "gfs2", "ocfs2", "virtiofs")
#: Size in bytes at which `failures.jsonl` is not appended to any more.
FAILURES_LIMIT = 1024 * 1024


def probe(settings: Settings) -> None:
    """Return if an ADD could be recorded now, else raise LedgerError. Leaves no test file behind."""
    dir_fd = open_state_dir(settings.state_dir, create=True)
    try:
        admit(dir_fd, settings.state_dir)
        os.close(open_file(dir_fd, "lock", os.O_RDWR | os.O_CREAT))
        os.close(open_subdir(dir_fd, spool.DIRECTORY))
        try:
            os.close(open_file(dir_fd, segment.ACTIVE, os.O_RDWR | os.O_APPEND))
        except FileNotFoundError:
            pass  # the first ADD makes it
        name = f".probe-{os.getpid()}"
        fd = open_file(dir_fd, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(fd, bytes(4096))
            os.fdatasync(fd)
        finally:
            os.close(fd)
            os.unlink(name, dir_fd=dir_fd)
    except OSError as exc:
        raise WriteFailed("the state directory cannot be written", where(settings, exc)) from exc
    finally:
        os.close(dir_fd)


def unsuitable_filesystem(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """Return why the file system of the directory `path` promises less than the ledger needs, or "".

    On a network file system or FUSE, flock, fdatasync and rename depend on the server or program behind it. Returns ""
    if the file system cannot be determined. `mountinfo` has the format of proc(5).
    """
    try:
        device = os.stat(path).st_dev
        mounts = [line.split() for line in _content(mountinfo).splitlines()]
        for fields in reversed(mounts):  # a later mount hides an earlier one at the same place
            if fields[2] == b"%d:%d" % (os.major(device), os.minor(device)):
                kind, source = (text.decode("utf-8", "replace") for text in fields[fields.index(b"-") + 1 :][:2])
                remote = kind in _REMOTE or kind.partition(".")[0] in ("fuse", "fuse3")
                return f"{path} is on {kind} ({source}): flock and fdatasync promise less there" if remote else ""
    except (OSError, ValueError, IndexError):
        pass
    return ""


def _content(path: str) -> bytes:
    """Return the content of a file of /proc, without `open`, which the front door lacks. Raises OSError."""
    fd, chunks = os.open(path, os.O_RDONLY | os.O_CLOEXEC), []
    try:
        while chunk := os.read(fd, 1 << 16):
            chunks.append(chunk)
    finally:
        os.close(fd)
    return b"".join(chunks)


def note_failure(settings: Settings, event: Fields, error: Exception) -> None:
    """Append a line about an event that could not be recorded to `failures.jsonl`, if possible.

    The file stops growing at 1 MiB; the journal has every failure. Never raises.
    """
    try:
        dir_fd = open_state_dir(settings.state_dir)
        try:
            admit(dir_fd, settings.state_dir)
            fd = open_file(dir_fd, FAILURES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                status = os.fstat(fd)
                # With several links it may be the file of another program.
                if status.st_size < FAILURES_LIMIT and status.st_nlink == 1:
                    kept = {key: event[key] for key in ("event", "container_id", "ifname", "netns") if key in event}
                    about = {
                        **kept,
                        "ts": format_ts(now_us()),
                        "code": getattr(error, "code", 999),
                        "msg": str(error),
                    }
                    os.write(fd, dumps(about).encode("utf-8", "replace") + b"\n")
            finally:
                os.close(fd)
        finally:
            os.close(dir_fd)
    except (LedgerError, OSError, TypeError, ValueError):
        pass  # the journal and stderr have it
