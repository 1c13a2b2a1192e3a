"""Compile and link the front door, and the interpreter from its static library, interpreter.c and front_modules.h."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from frozen_code import stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Werror")
HARDENED = ("-fPIE", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2")
LINK = ("-pie", "-s", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack")
EXPORT = "-Wl,--export-dynamic"  # the symbols that C modules in `_internal/` need
FRONT, PYTHON = "eni-ledger", "eni-ledger-python"  # parts.h's
# What the static library needs of others, by the C module that needs it.
NEEDED = {"pyexpat": "-l:libexpat.a", "zlib": "-l:libz.a", "binascii": "-l:libz.a"}


class NotLinked(Exception):
    """The front door in C cannot be built; the text is the compiler's, or names what is missing."""


def inittab(config: str, essential: str, wanted: set[str]) -> str:
    """Return the interpreter's table of C modules without the unused ones, which would double the executable.

    `config` is its config.c, which embedders may replace; `essential` its Setup.bootstrap, the modules that it cannot do
    without. Those behind config.c's last marker are part of the core.
    """
    modules, core = config.split("/* -- ADDMODULE MARKER 2 -- */")
    keep = wanted | set(re.findall(r"^(\w+) \S+\.c\b", essential, re.MULTILINE))
    return re.sub(r'^ *\{"(\w+)", \w+\},\n', lambda line: line[0] if line[1] in keep else "", modules, flags=re.M) + core


def static_library(where: Path) -> Path:
    """Return the interpreter's static library with position-independent code. Raises NotLinked."""
    name = str(sysconfig.get_config_var("LIBRARY"))
    found = [path for path in (where / name.replace(".a", "-pic.a"), where / name) if path.suffix == ".a" and path.exists()]
    if not found:
        raise NotLinked(f"there is no static library of this Python, {where / name} (Debian: libpython3-dev)")
    return found[0]


def link(sources: Path, work: Path, wanted: set[str]) -> tuple[Path, Path]:
    """Make the front door and the interpreter in `work`, where front_modules.h is; return their paths. Raises NotLinked.

    `wanted` are the names of the C modules that our modules import.
    """
    where = Path(str(sysconfig.get_config_var("LIBPL")))
    library = static_library(where)
    target = work / "front"
    target.mkdir(parents=True, exist_ok=True)
    table, frozen = target / "config.c", target / "frozen_code.c"
    try:
        text = inittab((where / "config.c").read_text(), (where / "Setup.bootstrap").read_text(), wanted)
    except (OSError, ValueError) as exc:
        raise NotLinked(f"this Python has no table of its C modules: {exc}") from exc
    table.write_text(text)
    front, python = target / FRONT, target / PYTHON
    _run("gcc", *LINK, str(compiled(sources / "front_door.c", work, WARNINGS)), "-o", str(front))
    objects = [compiled(sources / "interpreter.c", work, WARNINGS), compiled(table, work)]
    code = stand_in(library)
    if code is not None:
        frozen.write_text(code)
        objects.append(compiled(frozen, work))
    libraries = sorted({needed for name, needed in NEEDED.items() if f'"{name}"' in text})
    command = [*map(str, objects), str(library), *libraries, "-lm", "-ldl", "-lutil", "-lpthread", "-o", str(python)]
    _run("gcc", *LINK, EXPORT, *command)
    return front, python


def compiled(source: Path, work: Path, warnings: Sequence[str] = ()) -> Path:
    """Compile one source and return the object file. Raises NotLinked."""
    made = work / "front" / f"{source.stem}.o"
    made.parent.mkdir(parents=True, exist_ok=True)
    where = [f"-ffile-prefix-map={source.parent}=.", f"-I{work}", f"-I{sysconfig.get_config_var('INCLUDEPY')}"]
    _run("gcc", "-O2", "-std=c11", *HARDENED, *warnings, *where, "-c", str(source), "-o", str(made))
    return made


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise NotLinked(f"{command[0]}: {exc.strerror}") from exc
    if done.returncode:
        raise NotLinked(done.stderr or f"{command[0]}: exit status {done.returncode}")
