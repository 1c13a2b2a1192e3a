"""The bundle to install: its directory, name, version and architecture."""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

from eni_ledger.base.errors import InstallError
from eni_ledger.base.host import is_executable
from eni_ledger.base.runtime import original_environment
from eni_ledger.install.layout import CLI, FRONT

# e_machine of ELF headers (elf.h) and what uname(2) calls the same
MACHINES = {62: "x86_64", 183: "aarch64"}
_PT_INTERP = 3
_VERSION = re.compile(r"eni-ledger ([0-9A-Za-z][0-9A-Za-z.+_-]{0,40})")
_COOKIE = b"MEI\x0c\x0b\x0a\x0b\x0e"  # PyInstaller, bootloader/src/pyi_archive.h
NOT_PROMISED = (
    "to start the delegate before the interpreter, and to pass its answer on whatever becomes of the record of it: "
    "with _internal/ damaged, under limits on memory and file sizes, when a system call fails",
    "to become the delegate, without an interpreter, for a call that is no ADD or DEL",
    "to start in a few milliseconds, and without /proc",
    "to be position-independent, with full RELRO",
)
"""What the front door in C (build/front) promises, and PyInstaller's bootloader in its place does not."""
_TIMEOUT_S = 30.0  # the command line answers in about 0.25 s


class Bundle:
    """A directory with the two executables and what they share. `name` is unique for its content."""

    def __init__(self, directory: str) -> None:
        """Read the whole directory. Raises InstallError if it is not a bundle."""
        self.directory = os.path.realpath(directory)
        for program in (FRONT, CLI):
            path = os.path.join(self.directory, program)
            if not is_executable(path):
                raise InstallError(
                    "this is no bundle of eni-ledger",
                    f"{self.directory} has no executable {program}",
                    "build/bundle makes one in dist/eni-ledger; --bundle names its directory",
                )
        self.size, digest = _measure(self.directory)
        self.version = _version(os.path.join(self.directory, FRONT))
        self.name = f"{self.version or 'unknown'}-{digest[:12]}"
        self.machine = machine_of(os.path.join(self.directory, FRONT))


def find(given: str | None) -> Bundle:
    """Return the bundle to install: `given`, else the one that this program runs from. Raises InstallError."""
    if given is not None:
        return Bundle(given)
    if getattr(sys, "frozen", False):
        return Bundle(os.path.dirname(os.path.realpath(sys.executable)))
    raise InstallError(
        "this eni-ledger was installed with pip and is no bundle: the agent's container has no Python",
        sys.prefix,
        "unpack the tar.gz or install the package, and run that one; or name its directory with --bundle",
    )


def is_pyinstallers(path: str) -> bool:
    """Return whether an executable is PyInstaller's bootloader. Raises OSError or ValueError when it cannot be read."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(_COOKIE) >= 0


def machine_of(path: str) -> str | None:
    """Return the architecture of an ELF executable, named as uname(2) does; None if it is not ELF or unreadable."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] not in (1, 2):
        return None
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return MACHINES.get(machine, f"ELF machine {machine}")


def loader_of(path: str) -> str | None:
    """Return the program interpreter that an ELF executable names (elf(5), PT_INTERP: libc's loader), None without."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":  # 64 bit, little-endian: all that we build for
                return None
            (at,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            file.seek(at)
            table = file.read(size * count)
            for start in range(0, len(table) - 55, max(size, 56)):
                kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", table, start)
                if kind == _PT_INTERP:
                    file.seek(offset)
                    return file.read(min(length, 4096)).rstrip(b"\0").decode("utf-8", "replace")
    except (OSError, ValueError, struct.error):
        pass
    return None


def _version(front: str) -> str | None:
    """Return the version that `--version` prints, None if the program does not run on this machine."""
    env = {key: value for key, value in original_environment(os.environ).items() if not key.startswith("CNI_")}
    try:
        done = subprocess.run([front, "--version"], env=env, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.fullmatch(done.stdout.decode("utf-8", "replace").strip())
    return match[1] if match and done.returncode == 0 else None


def _measure(directory: str) -> tuple[int, str]:
    """Return the size in bytes and a hash over names, kinds and contents, the same on every machine."""
    total = hashlib.sha256()
    size = 0
    for inner, dirs, files in os.walk(directory):
        dirs.sort()
        for name in sorted([*files, *(name for name in dirs if os.path.islink(os.path.join(inner, name)))]):
            path = os.path.join(inner, name)
            inner_path = os.path.relpath(path, directory)
            if os.path.islink(path):
                total.update(f"link {inner_path} {os.readlink(path)}\n".encode("utf-8", "surrogateescape"))
                continue
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
                status = os.fstat(file.fileno())
            size += status.st_size
            kind = "program" if status.st_mode & 0o111 else "file"
            total.update(f"{kind} {inner_path} {content}\n".encode("utf-8", "surrogateescape"))
    return size, total.hexdigest()
