# ruff: noqa: T201 - a script: what it prints is what it is for
"""Refuses a bundle that would not do on a host. Prints what was found, exits with 1 if anything is wrong.

usage: verify.py BUNDLE
       verify.py --glibc BUNDLE    prints the glibc that it needs
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from elf import Elf, NotElf, glibc_version
from portable import GLIBC

from eni_ledger.install.bundle import NOT_PROMISED, is_pyinstallers

# What every glibc host has (manylinux lets wheels rely on them; glibc itself loads libgcc_s to end threads). Anything
# else that a file is linked to has to be in the bundle.
HOST_LIBRARIES = {
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libgcc_s.so.1"),
    *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
}
# The front door's interpreter, and its section with the names of the modules that are frozen in it (closure.py).
PYTHON = "_internal/eni-ledger-python"
NAMES = ".front_modules"
OURS = ("eni_ledger", "front_os", "front_door", "front_load", "datetime", "encodings", "io")


def elf_files(bundle: Path) -> list[Elf]:
    """Every ELF file of the bundle."""
    found = []
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and not path.is_symlink():
            try:
                found.append(Elf(path))
            except NotElf:
                continue
    return found


def wrong_with_libraries(bundle: Path) -> list[str]:
    """A line for each need of a library that is neither here nor glibc's."""
    files = elf_files(bundle)
    here = {elf.path.name for elf in files}
    wrong = []
    for elf in files:
        name = elf.path.relative_to(bundle)
        strangers = set(elf.libraries()) - here - HOST_LIBRARIES
        wrong += [f"{name} needs {library}, which is not in the bundle" for library in sorted(strangers)]
        if elf.machine != files[0].machine:
            wrong.append(f"{name} is for another machine")
    return wrong


def wrong_with_front(front: Path) -> list[str]:
    """Yield a line if the front door was not built here, and one for each of its foreign modules."""
    if is_pyinstallers(str(front)):
        return []
    try:
        names = Elf(front.parent / PYTHON).section(NAMES).rstrip(b"\0").decode().split("\0")
    except (OSError, NotElf):
        return [f"the front door's interpreter is not there: {PYTHON}"]
    if names == [""]:
        return ["the front door does not say which modules it carries"]
    return [f"the front door carries {name}" for name in names if name.split(".")[0] not in OURS]


def wrong_with_answer(front: Path) -> list[str]:
    """A line if VERSION in an empty environment is not answered as the CNI specification says."""
    done = subprocess.run(
        [front], env={"CNI_COMMAND": "VERSION"}, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False
    )
    try:
        versions = json.loads(done.stdout)["supportedVersions"]
    except (ValueError, KeyError, TypeError):
        versions = []
    if done.returncode == 0 and "1.1.0" in versions and not done.stderr:
        return []
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    return [f"VERSION in an empty environment: exit status {done.returncode}, {said or 'no answer'}"]


def wrong_with_cli(front: Path) -> list[str]:
    """A line if the command line, reached through the front door, does not run."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("CNI_")}
    done = subprocess.run([front, "version"], env=environ, capture_output=True, timeout=300, check=False)
    if done.returncode == 0:
        return []
    return [f"`eni-ledger version`: exit status {done.returncode}, {done.stderr.decode(errors='replace').strip()}"]


def glibc(bundle: Path) -> tuple[int, ...]:
    """The oldest version of glibc that has all that the bundle asks of it."""
    versions = [glibc_version(need) for elf in elf_files(bundle) for need in elf.needs()]
    return max(version for version in versions if version)


def summary(bundle: Path) -> list[str]:
    """Lines: version of glibc needed, size in MiB, number of files; what the front door does not promise."""
    needed = glibc(bundle)
    files = [path for path in bundle.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files) / 2**20
    lines = [f"glibc {'.'.join(map(str, needed))} or newer, {size:.1f} MiB in {len(files)} files"]
    if needed > GLIBC:
        floor = ".".join(map(str, GLIBC))
        lines.append(f"it runs here, and not where glibc is as old as {floor}; for such hosts build on Debian 12")
    if is_pyinstallers(str(bundle / "eni-ledger")):
        lines.append("its front door is PyInstaller's bootloader, which does not promise what the one in C does:")
        lines += [f"  {promise}" for promise in NOT_PROMISED]
    return lines


def main() -> int:
    """Verify the bundle named on the command line; return the exit status."""
    if sys.argv[1] == "--glibc":
        print(".".join(map(str, glibc(Path(sys.argv[2])))))
        return 0
    bundle = Path(sys.argv[1])
    front = bundle / "eni-ledger"
    wrong = wrong_with_libraries(bundle) + wrong_with_front(front)
    # Asked only when all is as expected: else the answers would be noise.
    wrong = wrong or [*wrong_with_answer(front), *wrong_with_cli(front)]
    for line in wrong:
        print(f"bundle: {line}", file=sys.stderr)
    for line in [] if wrong else summary(bundle):
        print(f"bundle: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
