# ruff: noqa: T201 - a script: what it prints is what it is for
"""Print the bundled parts for which the machine's package sources have something newer.

usage: outdated.py BUNDLE

One line for each Debian package: name, version in the bundle, version to be had. Parts of PyPI are those of the lock
file, which `build/setup --relock` brings up to date. Exit status 1 when there is any, 2 when that is not known.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from licences import collect
from sbom import DEBIAN


def candidates(names: list[str]) -> dict[str, str]:
    """Return the newest version of each package that the lists of apt have. Raises OSError, CalledProcessError."""
    shown = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (\S+)", shown, re.MULTILINE))


def newer(version: str, other: str) -> bool:
    """Return whether `version` is a later one than `other` by Debian's rules."""
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", other], check=False).returncode == 0


def main() -> int:
    """Print the outdated parts of the bundle named on the command line; return the exit status."""
    parts = [part for part in collect(Path(sys.argv[1]))[0] if part.source.startswith(DEBIAN)]
    try:
        known = candidates([part.name for part in parts])
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"package: apt cannot be asked what is newest: {exc}", file=sys.stderr)
        return 2
    old = [(part, known[part.name]) for part in parts if part.name in known and newer(known[part.name], part.version)]
    for part, version in old:
        print(f"{part.name} {part.version} {version}")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
