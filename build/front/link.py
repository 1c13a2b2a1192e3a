"""Compiles and links the front door: front_door.c, front_modules.h and the interpreter's static library."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

# Fixed addresses: nothing to relocate at each start. -s: no symbols but those that C modules in `_internal/` need.
FLAGS = ("-O2", "-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Werror")
LINK = ("-fno-pie", "-no-pie", "-s", "-Wl,--export-dynamic", "-Wl,-z,lazy")


class NotLinked(Exception):
    """There is no front door; the text is what the compiler said, or what is missing."""


def link(source: Path, work: Path) -> Path:
    """Make the executable in `work`, where front_modules.h is, and return its path. Raises NotLinked."""
    where = {name: str(sysconfig.get_config_var(name)) for name in ("LIBPL", "LIBRARY", "INCLUDEPY")}
    library = Path(where["LIBPL"], where["LIBRARY"])
    if not library.exists() or library.suffix != ".a":
        raise NotLinked(f"there is no static library of this Python, {library} (Debian: libpython3-dev)")
    target = work / "front" / "eni-ledger"
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", *FLAGS, *LINK, f"-ffile-prefix-map={source.parent}=.", f"-I{work}", f"-I{where['INCLUDEPY']}"]
    # zlib's crc32, for binascii, is the only thing that its C modules want besides the C library.
    command += [str(source), str(library), "-l:libz.a", "-lm", "-o", str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise NotLinked(f"gcc: {exc.strerror}") from exc
    if done.returncode:
        raise NotLinked(done.stderr)
    return target
