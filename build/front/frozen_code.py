"""Replace one object file of the interpreter's static library: the modules that CPython 3.11 and 3.12 deep-freeze.

In that file (deepfreeze.o) the code of 22 modules lies as objects, ready to use once their 23,000 addresses are relocated:
every process copies and writes 0.9 MB for the two modules that the interpreter cannot begin without. Here the same code
is marshalled, read-only, and read when a module is imported. Modules that eni-ledger does not import are left out, among
them zipimport: without it the interpreter does not look into zip files.
"""

from __future__ import annotations

import marshal
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

# What the interpreter begins with, and what `import os` needs (stand_ins/os.py).
WANTED = (
    *("importlib._bootstrap", "importlib._bootstrap_external"),
    *("_collections_abc", "abc", "codecs", "genericpath", "io", "os", "posixpath", "stat"),
)
# Modules that are another here, in the version that this was tried with.
STAND_INS = {"importlib._bootstrap_external": "importlib_external"} if sys.version_info[:2] == (3, 11) else {}
_OBJECT = "deepfreeze.o"
_GET = re.compile(r"_Py_get_(\w+)_toplevel")
_HEAD = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <marshal.h>

int _Py_Deepfreeze_Init(void);
void _Py_Deepfreeze_Fini(void);

int _Py_Deepfreeze_Init(void)
{
    /* The first thing that an interpreter does that can: it has no cyclic garbage for as long as it lives here. */
    PyGC_Disable();
    return 0;
}

void _Py_Deepfreeze_Fini(void)
{
}

static PyObject *left_out(const char *name)
{
    return PyErr_Format(PyExc_ImportError, "%s is left out", name);
}
"""


def stand_in(library: Path) -> str | None:
    """Return C code with all that other objects of `library` ask deepfreeze.o for; None if it has no such object.

    None as well if that has symbols that are not known here: then it is linked as it is.
    """
    listed = subprocess.run(["nm", "--defined-only", "--extern-only", library], capture_output=True, text=True, check=False)
    symbols = _symbols(listed.stdout)
    getters = [match for name in sorted(symbols) if (match := _GET.fullmatch(name))]
    if {"_Py_Deepfreeze_Init", "_Py_Deepfreeze_Fini"} != symbols - {match[0] for match in getters}:
        return None
    by_symbol = {name.replace(".", "_"): name for name in WANTED}
    return _HEAD + "".join(_getter(match[0], match[1], by_symbol.get(match[1])) for match in getters)


def _symbols(listed: str) -> set[str]:
    """Return the global symbols of deepfreeze.o, from nm's list of an archive."""
    members = re.split(r"^(\S+\.o):$", listed, flags=re.MULTILINE)
    ours = [text for name, text in zip(members[1::2], members[2::2], strict=True) if name == _OBJECT]
    return set(re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", "".join(ours), re.MULTILINE))


def _getter(symbol: str, name: str, module: str | None) -> str:
    """Return a function that returns the code of `module`, or fails if that is None."""
    head = f"\nPyObject *{symbol}(void);\n"
    if module is None:
        return f'{head}PyObject *{symbol}(void)\n{{\n    return left_out("{name}");\n}}\n'
    source = Path(sysconfig.get_path("stdlib"), module.replace(".", "/") + ".py")
    if module in STAND_INS:
        source = Path(__file__).parent / "stand_ins" / f"{STAND_INS[module]}.py"
    code = compile(source.read_text(encoding="utf-8"), f"<frozen {module}>", "exec", dont_inherit=True, optimize=2)
    data = ",".join(map(str, marshal.dumps(code)))
    return (
        f"{head}static const unsigned char code_{name}[] = {{{data}}};\n"
        f"PyObject *{symbol}(void)\n{{\n    return PyMarshal_ReadObjectFromString((const char *)code_{name}, sizeof code_{name});\n}}\n"
    )
