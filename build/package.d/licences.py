# ruff: noqa: T201 - a script: what it prints is what it is for
"""Collects the licences of everything that a bundle carries; without them it must not be passed on.

usage: licences.py BUNDLE DIRECTORY

Reads what is really in the bundle: Python modules from the command line's archive, libraries from `_internal/`. Each
has to lead to a distribution (PyPI) or a Debian package whose licence texts are at hand; what does not is named on
stderr, and the exit status is 1. Writes DIRECTORY/third-party/<name>/... and the index DIRECTORY/THIRD-PARTY.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
PROGRAM = "eni-ledger-cli"  # the front door carries nothing but ours, and of the interpreter what is in libpython
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$", re.IGNORECASE)
COMMON = re.compile(r"/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]")
HEAD = """\
What eni-ledger's bundle in /opt/eni-ledger carries besides eni-ledger itself, and under which licences. The texts lie
in third-party/, in a directory for each; the source of each is where its last line says. Libraries from Debian are
as Debian built them, but for symbol versions that an older glibc does not have.
"""


@dataclass
class Part:
    """Something by others in the bundle: its name and version, the licence's name, where the source is, the texts."""

    name: str
    version: str
    licence: str
    source: str
    texts: list[Path] = field(default_factory=list)
    crates: list[str] = field(default_factory=list)  # Rust crates linked into its library, one line each

    def lines(self) -> str:
        """The part's entry in the index."""
        crates = "".join(f"\n        {line}" for line in self.crates)
        linked = f"\n    linked into its library:{crates}" if crates else ""
        return f"{self.name} {self.version}\n    {self.licence}{linked}\n    {self.source}\n"


def top_level_modules(bundle: Path) -> set[str]:
    """The top-level names of all Python modules in the command line's archive, without the standard library's."""
    archive = CArchiveReader(str(bundle / PROGRAM))
    names = {name.split(".")[0] for name in archive.open_embedded_archive("PYZ.pyz").toc}
    ours = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["name"].replace("-", "_")
    # _sysconfigdata_... is the interpreter's, under a name that depends on the platform.
    return {name for name in names - sys.stdlib_module_names - {ours} if not name.startswith("_sysconfigdata")}


def of_distribution(found: Distribution) -> Part:
    """The entry of an installed distribution, from its metadata."""
    # Core metadata in the JSON form of PEP 566: keys in lower snake_case, lists where a field can be repeated
    meta = {key: [value] if isinstance(value, str) else value for key, value in found.metadata.json.items()}

    def first(key: str) -> str:
        return next(iter(meta.get(key, [])), "")

    urls = dict(url.split(", ", 1) for url in meta.get("project_url", []))
    by_kind = {kind.lower(): url for kind, url in urls.items()}
    kinds = ("source", "source code", "repository", "homepage")
    source = next((by_kind[kind] for kind in kinds if kind in by_kind), first("home_page"))
    classified = [line.rsplit(" :: ", 1)[-1] for line in meta.get("classifier", []) if line.startswith("License")]
    named = first("license")
    named = "" if len(named) > 200 else named  # some put the whole text there
    licence = first("license_expression") or named or ", ".join(classified) or "see its texts"
    name = first("name")
    part = Part(name, found.version, licence, source or f"PyPI, {name}")
    for file in found.files or []:
        if ".dist-info" in file.parts[0] and LICENCE_FILE.search(str(file)):
            part.texts.append(Path(str(found.locate_file(file))))
        elif file.name.endswith(".cyclonedx.json"):
            part.texts.append(Path(str(found.locate_file(file))))
            part.crates += crates(part.texts[-1])
    return part


def crates(sbom: Path) -> list[str]:
    """The components of a CycloneDX software bill of materials: name, version and licence of each."""
    components = json.loads(sbom.read_text(encoding="utf-8")).get("components", [])
    lines = []
    for one in components:
        terms = [term.get("expression") or term.get("license", {}).get("id", "?") for term in one.get("licenses", [])]
        lines.append(f"{one['name']} {one.get('version', '')}: {', '.join(terms) or 'not said'}")
    return sorted(lines)


def libraries(bundle: Path) -> list[Path]:
    """The shared libraries in `_internal/` that are no part of a Python package."""
    internal = bundle / "_internal"
    return sorted(path for path in internal.glob("*.so*") if path.is_file())


def of_debian(library: str) -> Part | None:
    """The entry of the Debian package that a library of this name is from; None when there is none."""
    asked = ["dpkg-query", "--search", f"*/{library}"]
    try:
        owner = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition(": ")[0]
    except FileNotFoundError:
        return None
    if not owner:
        return None
    layout = "${Package} ${Version} ${source:Package} ${source:Version}"
    shown = subprocess.run(["dpkg-query", "-W", "-f", layout, owner], capture_output=True, text=True, check=True).stdout
    name, version, source, source_version = shown.split()
    text = Path("/usr/share/doc", name, "copyright")
    where = f"https://sources.debian.org/src/{source}/{source_version}/"
    part = Part(name, version, f"see its text ({library})", where)
    if text.exists():
        # Debian's texts refer to licences that are on every Debian system, but not on others.
        named = set(COMMON.findall(text.read_text(encoding="utf-8", errors="replace")))
        part.texts = [text, *(path for path in map(Path, sorted(named)) if path.is_file())]
    return part


def collect(bundle: Path) -> tuple[list[Part], list[str]]:
    """All parts, sorted by name, and a line for everything without a licence text."""
    parts: dict[str, Part] = {}
    missing = []
    owners = packages_distributions()
    for module in sorted(top_level_modules(bundle)):
        names = owners.get(module)
        if not names:
            missing.append(f"the module {module} is of no distribution")
        for name in names or []:
            parts[name] = of_distribution(distribution(name))
    # The command line's executable is PyInstaller's bootloader, with its hooks inside.
    parts["pyinstaller"] = of_distribution(distribution("pyinstaller"))
    for path in libraries(bundle):
        part = of_debian(path.name)
        if part is None:
            missing.append(f"the library {path.name} is of no Debian package")
        elif part.name in parts:
            parts[part.name].licence = parts[part.name].licence.replace(")", f", {path.name})")
        else:
            parts[part.name] = part
    missing += [f"{part.name} {part.version} has no licence text" for part in parts.values() if not part.texts]
    return sorted(parts.values(), key=lambda part: part.name.lower()), missing


def main() -> int:
    """Write what belongs to the bundle named on the command line; return the exit status."""
    bundle, target = map(Path, sys.argv[1:])
    parts, missing = collect(bundle)
    for line in missing:
        print(f"package: {line}", file=sys.stderr)
    for part in parts:
        directory = target / "third-party" / part.name
        directory.mkdir(parents=True, exist_ok=True)
        for text in part.texts:
            shutil.copyfile(text, directory / text.name)
    index = "\n".join([HEAD, *(part.lines() for part in parts)])
    (target / "THIRD-PARTY").write_text(index, encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
