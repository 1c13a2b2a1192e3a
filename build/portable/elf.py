"""The few facts of an ELF file that decide where it can run: libraries, symbol versions, machine.

Sources: the System V ABI (gABI) for headers and dynamic sections, the Linux Standard Base, "Symbol Versioning", for
`.gnu.version` and `.gnu.version_r`. Only 64-bit little-endian files: x86_64 and arm64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_DYNSYM, _DYNAMIC, _VERNEED, _VERSYM = 11, 6, 0x6FFFFFFE, 0x6FFFFFFF
_DT_NEEDED = 1
_ANY_VERSION = 1  # VER_NDX_GLOBAL


class NotElf(ValueError):
    """The file is no 64-bit little-endian ELF file."""


@dataclass(frozen=True)
class Need:
    """One version that a file asks of one library: `GLIBC_2.17` of `libc.so.6`.

    `index` is what `.gnu.version` calls it, `offset` where its entry (Elf64_Vernaux) lies in the file.
    """

    library: str
    version: str
    index: int
    offset: int


class Elf:
    """An ELF file in memory.

    Raises NotElf for anything else, OSError when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise NotElf(str(path))
        self.machine: int = self._unpack("<H", 18)[0]
        (table,) = self._unpack("<Q", 40)
        size, count = self._unpack("<HH", 58)
        self._sections = [self._unpack("<IIQQQQIIQQ", table + i * size) for i in range(count)]

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.data, offset)

    def _section(self, kind: int) -> tuple[int, int, int] | None:
        """Offset and size of the first section of this type, and the offset of the strings it refers to."""
        for section in self._sections:
            if section[1] == kind and section[5]:
                return section[4], section[5], self._sections[section[6]][4]
        return None

    def section(self, name: str) -> bytes:
        """The contents of the section of this name, empty when there is none."""
        names = self._sections[self._unpack("<H", 62)[0]][4]
        found = (section for section in self._sections if self._string(names + section[0]) == name)
        return b"".join(bytes(self.data[section[4] : section[4] + section[5]]) for section in found)

    def _string(self, offset: int) -> str:
        return self.data[offset : self.data.index(0, offset)].decode()

    def libraries(self) -> list[str]:
        """The libraries that the file is linked to (DT_NEEDED)."""
        found = self._section(_DYNAMIC)
        if not found:
            return []
        start, size, strings = found
        entries = (self._unpack("<qQ", at) for at in range(start, start + size, 16))
        return [self._string(strings + value) for tag, value in entries if tag == _DT_NEEDED]

    def needs(self) -> list[Need]:
        """Every symbol version that the file asks for."""
        found = self._section(_VERNEED)
        needs: list[Need] = []
        if not found:
            return needs
        at, _size, strings = found
        while True:
            _version, count, name, first, following = self._unpack("<HHIII", at)
            aux = at + first
            for _ in range(count):
                _hash, _flags, index, label, step = self._unpack("<IHHII", aux)
                needs.append(Need(self._string(strings + name), self._string(strings + label), index, aux))
                aux += step
            if not following:
                return needs
            at += following

    def _symbols(self) -> list[tuple[int, int, str]]:
        """For each dynamic symbol: where its entry lies, where its version lies, its name."""
        table, versions = self._section(_DYNSYM), self._section(_VERSYM)
        if not table or not versions:
            return []
        entries = ((table[0] + 24 * i, versions[0] + 2 * i) for i in range(versions[1] // 2))
        return [(at, version, self._string(table[2] + self._unpack("<I", at)[0])) for at, version in entries]

    def symbols(self, need: Need) -> list[str]:
        """The names of the symbols that are wanted in this version."""
        return [name for _, at, name in self._symbols() if self._unpack("<H", at)[0] & 0x7FFF == need.index]

    def unversion(self, symbol: str) -> None:
        """Ask for `symbol` in whatever version is the library's default. In memory, as all changes; see `save`."""
        for _, version, name in self._symbols():
            if name == symbol:
                struct.pack_into("<H", self.data, version, _ANY_VERSION)

    def rename(self, symbol: str, by: str) -> None:
        """Ask for another symbol instead. Raises ValueError if its name does not fit or is shared with another."""
        table = self._section(_DYNSYM)
        start = next(self._unpack("<I", at)[0] for at, _, name in self._symbols() if name == symbol)
        used = [self._unpack("<I", at)[0] for at, _, name in self._symbols() if name != symbol]
        if table is None or len(by) > len(symbol) or any(start <= other <= start + len(symbol) for other in used):
            raise ValueError(f"{symbol} cannot be renamed to {by}")
        at = table[2] + start
        self.data[at : at + len(symbol)] = by.encode().ljust(len(symbol), b"\0")

    def replace(self, need: Need, by: Need) -> None:
        """Ask the library for version `by` where `need` was asked for."""
        self.data[need.offset : need.offset + 4] = self.data[by.offset : by.offset + 4]  # the hash
        self.data[need.offset + 8 : need.offset + 12] = self.data[by.offset + 8 : by.offset + 12]  # the name

    def save(self, path: Path) -> None:
        """Write the file, executable as the original is."""
        path.write_bytes(self.data)
        path.chmod(self.path.stat().st_mode & 0o777)


def glibc_version(need: Need) -> tuple[int, ...] | None:
    """(2, 17) for GLIBC_2.17; None when the version is another library's or a private one.

    GLIBC_ABI_DT_RELR came with 2.36; any other version that is no number counts as newer than all.
    """
    name = need.version.removeprefix("GLIBC_")
    if name == need.version or name == "PRIVATE":
        return None
    if name == "ABI_DT_RELR":
        return (2, 36)
    parts = name.split(".")
    return tuple(map(int, parts)) if all(p.isdigit() for p in parts) else (999,)
