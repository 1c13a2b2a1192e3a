"""Makes what the bundle carries run on the oldest glibc that packages are for, where it can: Amazon Linux 2023's 2.34.

Debian 12 is newer, 2.36, and two of its libraries ask for what came since. Copies of them are told to ask for less:

libpython, hypot@GLIBC_2.35
    The new version dropped the SVID error handling, which Python does not use. Any version does.
libexpat, arc4random_buf@GLIBC_2.36
    Fills a buffer with random bytes, the seed of a hash table. getentropy(buffer, length), in glibc since 2.25, does
    the same with the same arguments, up to 256 bytes; expat wants 8 or 16.

`patchelf --clear-symbol-version` is not enough: it frees the symbol but leaves its version in the list of what the file
needs, and the dynamic linker of an older glibc refuses the file for that list alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from elf import Elf, Need, NotElf, glibc_version

if TYPE_CHECKING:
    from pathlib import Path

GLIBC = (2, 34)
# symbol whose newer version is not needed -> the symbol to ask for
SUBSTITUTES = {"hypot": "hypot", "arc4random_buf": "getentropy"}


def too_new(elf: Elf) -> list[Need]:
    """What the file asks of glibc that 2.34 does not have."""
    return [need for need in elf.needs() if (glibc_version(need) or ()) > GLIBC]


def portable(source: Path, workpath: Path) -> Path:
    """The file, or a copy of it under `workpath` that asks for less where that is safe; never changes `source`.

    What cannot be helped stays as it is: the bundle then needs a newer glibc, and its packages say so.
    """
    try:
        elf = Elf(source)
    except NotElf:
        return source
    curable = [need for need in too_new(elf) if set(elf.symbols(need)) <= set(SUBSTITUTES)]
    for need in curable:
        for symbol in elf.symbols(need):
            elf.unversion(symbol)
            if SUBSTITUTES[symbol] != symbol:
                elf.rename(symbol, SUBSTITUTES[symbol])
        of_library = [n for n in elf.needs() if n.library == need.library and glibc_version(n)]
        elf.replace(need, by=min(of_library, key=lambda n: glibc_version(n) or ()))
    if not curable:
        return source
    copy = workpath / "portable" / source.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    elf.save(copy)
    return copy
